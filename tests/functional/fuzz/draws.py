"""What a random call is made of: sizes, dtypes, arrays described by a seed, and what their values are like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

DTYPES = ("float32", "float64", "bfloat16", "float16")
CONTENTS = ("plain", "halves", "special", "scales", "same")
RANGE = {"float16": 3, "bfloat16": 30, "float32": 30, "float64": 100}  # decimal places of the numbers of "scales"

T = TypeVar("T")


@dataclass(frozen=True)
class Array:
    """An array argument, whose values follow from a seed and a content.

    The kind is "real", "positive", "unit" (0 to 1), "log" (negative), "sign" (1 or -1), "index" (integers from low
    to below high) or "bool"; the last three know no special values. Some integers are given as they are.
    """

    shape: tuple[int, ...]
    dtype: str
    kind: str = "real"
    low: int = 0
    high: int = 1
    differentiated: bool = True
    given: tuple[int, ...] = ()

    @property
    def floating(self) -> bool:
        return self.kind not in ("index", "bool")

    def values(self, content: str, seed: Sequence[int]) -> np.ndarray:
        """The values as numpy, of the array's dtype."""
        rng = np.random.default_rng(seed)
        if self.given:
            return np.array(self.given, self.dtype)
        if self.kind == "index":
            return rng.integers(self.low, max(self.high, self.low + 1), self.shape).astype(self.dtype)
        if self.kind == "bool":
            return rng.integers(0, 2, self.shape).astype(bool)
        if self.kind == "sign":
            return (rng.integers(0, 2, self.shape) * 2 - 1).astype(jnp.dtype(self.dtype))
        values = np.asarray(_floats(rng, content, self.shape, self.dtype))
        if self.kind == "positive":
            values = np.abs(values)
            if content in ("plain", "halves"):
                values = values + 0.25
        elif self.kind == "unit":
            values = np.clip(np.abs(values) / 3, 0, 1)
        elif self.kind == "log":
            values = -np.abs(values)
        with np.errstate(all="ignore"):
            return values.astype(jnp.dtype(self.dtype))


def _floats(rng: np.random.Generator, content: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    info = jnp.finfo(dtype)
    largest, smallest = float(info.max), float(info.tiny)
    if content == "plain":
        return rng.normal(0, 1.5, shape)
    if content == "halves":
        return np.round(rng.normal(0, 2, shape) * 2) / 2
    if content == "same":
        return np.full(shape, rng.choice([0.0, -0.0, 1.0, -3.0, 0.1]))
    if content == "scales":
        return rng.choice([-1.0, 1.0], shape) * 10 ** rng.uniform(-RANGE[dtype], RANGE[dtype], shape)
    odd = [
        0.0,
        -0.0,
        np.inf,
        -np.inf,
        np.nan,
        smallest / 4,
        -smallest / 4,
        smallest,
        largest,
        -largest,
        float(info.eps),
    ]
    chosen = rng.choice(odd, 2)  # few kinds at a time: NaN everywhere hides the others
    return np.where(rng.random(shape) < 0.25, rng.choice(chosen, shape), rng.normal(0, 1.5, shape))


@dataclass(frozen=True)
class Dtype:
    """An option that is a dtype, in the terms of each library."""

    name: str


@dataclass
class Call:
    """A random call: the arguments with ``Array`` and ``Dtype`` for those, and the values to try."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    contents: tuple[str, ...] = ("plain",)
    seed: int = 0
    gradients: bool = False


class Draw:
    """What the functions that make up calls draw with; all arrays of a call have one dtype, save in a call that mixes them."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        self.dtype: str = self.pick(*DTYPES)
        self.mixes: bool = self.rarely(40)

    def pick(self, *choices: T) -> T:
        """One of the choices."""
        return self._draw(st.sampled_from(choices))

    def rarely(self, n: int = 12) -> bool:
        """True in one draw of ``n``."""
        return self.pick(*[False] * (n - 1), True)

    def flag(self) -> bool:
        return self.pick(False, True)

    def size(self, *usual: int) -> int:
        """A length: mostly one of the usual, now and then 0 or 1."""
        usual = usual or (2, 3, 4)
        return self.pick(*usual * 4, *[1] * len(usual), 0)

    def shape(self, *ranks: int) -> tuple[int, ...]:
        """A shape of one of the ranks, else of 0 to 3 axes."""
        return tuple(self.size() for _ in range(self.pick(*(ranks or (0, 1, 2, 2, 3)))))

    def like(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape; now and then one that broadcasts with it, or does not."""
        shape = tuple(shape)
        if not self.rarely():
            return shape
        return self.pick(shape[1:], (1, *shape), tuple(1 for _ in shape), shape[:-1] + (7,), shape[:-1])

    def reals(self, shape: Sequence[int], kind: str = "real", differentiated: bool = True) -> Array:
        """A floating array."""
        dtype = self.pick(*DTYPES) if self.mixes else self.dtype
        return Array(tuple(shape), dtype, kind, differentiated=differentiated)

    def perhaps(self, shape: Sequence[int], kind: str = "real", differentiated: bool = True) -> Array | None:
        """A floating array or None."""
        return self.reals(shape, kind, differentiated) if self.flag() else None

    def indices(self, shape: Sequence[int], high: int, low: int = 0, dtype: str = "int64") -> Array:
        """Integers from ``low`` to below ``high``; now and then beyond both."""
        if self.rarely(20):
            low, high = self.pick((low - 1, high), (low, high + 1))
        return Array(tuple(shape), dtype, "index", low, high)

    def given(self, values: Sequence[int], dtype: str = "int64") -> Array:
        """These integers."""
        return Array((len(values),), dtype, "index", given=tuple(values))

    def bools(self, shape: Sequence[int]) -> Array:
        return Array(tuple(shape), "bool", "bool")

    def per_axis(self, n: int, *choices: Any) -> Any:
        """An option that is one number or ``n``, or one time in many a sequence of a wrong length."""
        if self.flag():
            return self.pick(*choices)
        return tuple(self.pick(*choices) for _ in range(n + (1 if self.rarely(40) else 0)))

    def some(self, **options: Sequence[Any]) -> dict[str, Any]:
        """Some of the options, each with one of its values."""
        return {name: self.pick(*values) for name, values in options.items() if not self.rarely(3)}


Maker = Callable[[Draw], Call]


@st.composite
def calls(draw: Callable[[st.SearchStrategy[Any]], Any], make: Maker, values: int) -> Call:
    """Calls that ``make`` makes, each with ``values`` sets of values."""
    call = make(Draw(draw))
    call.contents = tuple(draw(st.sampled_from(CONTENTS)) for _ in range(values))
    call.seed = draw(st.integers(0, 2**20))
    call.gradients = draw(st.sampled_from([True, False, False, False]))
    return call
