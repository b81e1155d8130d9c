"""One random call in fnn and in PyTorch: both refuse, or both accept and agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.functional.fuzz.differences import EMPTY_SHAPES, Elements, excused, excused_refusal
from tests.functional.fuzz.draws import Array, Call, Dtype
from tests.oracle import leaves

if TYPE_CHECKING:
    from tests.functional.fuzz.table import Row

REFUSALS = (ValueError, TypeError, RuntimeError, IndexError, NotImplementedError)
SMOOTH = ("plain", "halves")  # the contents whose gradients are compared


class Mismatch(AssertionError):
    """A disagreement with PyTorch."""


def flushed(value: np.ndarray) -> np.ndarray:
    """XLA on the CPU takes numbers below the smallest normal one for 0."""
    if value.dtype.kind in "iub":
        return value
    return np.where(np.abs(value) < float(jnp.finfo(value.dtype).tiny), np.copysign(value, 0), value).astype(
        value.dtype
    )


def to_torch(value: np.ndarray, wide: bool) -> Any:
    """A tensor with the values; a floating one in float64 if ``wide``."""
    import torch

    if value.dtype.kind in "iub":
        return torch.from_numpy(np.array(value))
    exact = value.astype(np.float64) if value.dtype == jnp.bfloat16 or wide else value
    tensor = torch.from_numpy(np.array(exact))
    return tensor if wide or value.dtype != jnp.bfloat16 else tensor.to(torch.bfloat16)


def dtype_name(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def to_float64(value: Any) -> np.ndarray:
    """A result of either library as numpy, floats in float64."""
    if isinstance(value, jax.Array | np.ndarray):
        array = np.asarray(value)
        return array if array.dtype.kind in "iub" else array.astype(np.float64)
    value = value.detach()
    return (value.double() if value.is_floating_point() else value).numpy(force=True)


class Side:
    """A library's function and the arguments of one call as it takes them."""

    def __init__(self, function: Callable[..., Any], call: Call, arrays: list[np.ndarray]) -> None:
        self.function = function
        self.marks, self.tree = jax.tree.flatten((call.args, call.kwargs))
        self.arrays = arrays
        places = [i for i, mark in enumerate(self.marks) if isinstance(mark, Array)]
        self.floats = [
            k for k, i in enumerate(places) if self.marks[i].floating and self.marks[i].differentiated
        ]  # among the arrays, those to differentiate by

    def call(self, arrays: list[Any], dtype: Callable[[str], Any]) -> list[Any]:
        """The results as a list."""
        rest = iter(arrays)
        filled = [
            next(rest) if isinstance(m, Array) else dtype(m.name) if isinstance(m, Dtype) else m for m in self.marks
        ]
        args, kwargs = jax.tree.unflatten(self.tree, filled)
        return leaves(self.function(*args, **kwargs))


class Ours(Side):
    def results(self) -> list[Any]:
        return jax.block_until_ready(self.call([jnp.asarray(a) for a in self.arrays], jnp.dtype))

    def gradients(self, weights: list[np.ndarray | None]) -> list[Any]:
        """Of the results times the weights, in one compiled program."""
        arrays = [jnp.asarray(a) for a in self.arrays]

        def total(floats: list[Any]) -> Any:
            given = list(arrays)
            for k, value in zip(self.floats, floats, strict=True):
                given[k] = value
            out = self.call(given, jnp.dtype)
            return [o for o, w in zip(out, weights, strict=True) if w is not None]

        def pulled(floats: list[Any], cotangents: list[Any]) -> Any:
            return jax.vjp(total, floats)[1](cotangents)[0]

        out = jax.eval_shape(total, [arrays[k] for k in self.floats])
        given = [w for w in weights if w is not None]
        return jax.jit(pulled)(
            [arrays[k] for k in self.floats], [jnp.asarray(w).astype(o.dtype) for w, o in zip(given, out, strict=True)]
        )


class Theirs(Side):
    def __init__(self, function: Callable[..., Any], call: Call, arrays: list[np.ndarray], wide: bool) -> None:
        import torch

        super().__init__(function, call, arrays)
        self.wide = wide
        self.tensors = [to_torch(flushed(a), wide) for a in arrays]
        self.dtype = (lambda name: torch.float64) if wide else (lambda name: getattr(torch, name))

    def results(self) -> list[Any]:
        import torch

        with torch.no_grad():
            return self.call([t.clone() for t in self.tensors], self.dtype)

    def gradients(self, weights: list[np.ndarray | None]) -> list[Any]:
        import torch

        for k in self.floats:
            self.tensors[k].requires_grad_()
        # Clones, as torch lets no leaf be written in place.
        out = self.call([t.clone() for t in self.tensors], self.dtype)
        pairs = [
            (o, torch.from_numpy(w).to(o.dtype))
            for o, w in zip(out, weights, strict=True)
            if w is not None and o.requires_grad
        ]
        inputs = [self.tensors[k] for k in self.floats]
        if not pairs or not inputs:
            return [torch.zeros_like(t) for t in inputs]
        found = torch.autograd.grad([o for o, _ in pairs], inputs, [w for _, w in pairs], allow_unused=True)
        return [torch.zeros_like(t) if g is None else g for g, t in zip(found, inputs, strict=True)]


def nudged(marks: list[Array], arrays: list[np.ndarray], eps: float, seed: int) -> list[np.ndarray]:
    """The floating arrays in float64, each number moved by a rounding error."""
    rng = np.random.default_rng(seed)
    moved = []
    for mark, a in zip(marks, arrays, strict=True):
        if mark.kind in ("real", "positive", "unit", "log"):
            with np.errstate(all="ignore"):
                a = a.astype(np.float64) * (1 + eps * rng.choice([-1.0, 1.0], a.shape))
            if mark.kind == "unit":
                a = np.minimum(a, 1)
        moved.append(a)
    return moved


def disagreements(ours: np.ndarray, own: np.ndarray, exact: np.ndarray, dtype: str) -> np.ndarray:
    """Where ours is neither torch's value in the dtype nor within a few roundings of its value in float64."""
    info = jnp.finfo(dtype)
    eps, tiny = float(info.eps), float(info.tiny)
    with np.errstate(all="ignore"):
        rounded = exact.astype(jnp.dtype(dtype)).astype(np.float64)
        same = (ours == own) | (ours == rounded) | (np.isnan(ours) & (np.isnan(own) | np.isnan(rounded)))
        own_error = np.abs(own - exact)
        worst = own_error / np.abs(exact)
        worst = min(worst[np.isfinite(worst)].max(initial=0.0), 1000 * eps)
        few = 1e-13 if dtype == "float64" else 4 * eps
        allowed = (few + 2 * worst) * np.abs(exact) + 4 * tiny
        return ~(same | (np.abs(ours - exact) <= np.maximum(allowed, 1.01 * own_error)))


def compare(
    name: str,
    what: str,
    ours: list[Any],
    own: list[Any],
    exact: list[Any],
    moved: Callable[[int], list[Any]],
    arrays: list[np.ndarray],
) -> None:
    """Raises Mismatch unless the results agree; ``moved(seed)`` are the exact results at inputs moved by a rounding error."""
    if len(ours) != len(own):
        raise Mismatch(f"{what}: {len(ours)} results, torch {len(own)}")
    for i, (mine, theirs, wide) in enumerate(zip(ours, own, exact, strict=True)):
        label = f"{what} {i}"
        if mine.size == 0 and name in EMPTY_SHAPES:
            continue
        if tuple(mine.shape) != tuple(theirs.shape):
            raise Mismatch(f"{label}: shape {tuple(mine.shape)}, torch {tuple(theirs.shape)}")
        if dtype_name(mine) != dtype_name(theirs):
            raise Mismatch(f"{label}: dtype {dtype_name(mine)}, torch {dtype_name(theirs)}")
        a, b, c = to_float64(mine), to_float64(theirs), to_float64(wide)
        if a.dtype.kind in "iub":
            bad = a != b
        else:
            bad = disagreements(a, b, c, dtype_name(mine))
            if bad.any():
                eps = float(jnp.finfo(dtype_name(mine)).eps)
                with np.errstate(all="ignore"):
                    spread = [np.abs(to_float64(moved(s)[i]) - c) for s in range(6)]
                    slack = 8 * np.max([np.where(np.isfinite(s), s, 0) for s in spread], axis=0)
                    bad &= ~(np.abs(a - c) <= slack + 16 * eps * np.abs(c))
            if bad.any():
                bad &= ~excused(name, what, Elements(a, b, c, dtype_name(mine), arrays))
        if bad.any():
            at = tuple(int(k) for k in np.argwhere(bad)[0])
            raise Mismatch(
                f"{label}: {a[at]!r} at {at}, torch {b[at]!r}, in float64 {c[at]!r} ({int(bad.sum())} differ)"
            )


def attempt(function: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return function(), None
    except Exception as error:
        return None, error


def shown(call: Call) -> str:
    """The call as text, for a message."""

    def brief(value: Any) -> Any:
        if not isinstance(value, Array):
            return value
        what = value.given or (f":{value.kind}" if value.kind != "real" else "")
        bounds = f"[{value.low},{value.high})" if value.kind == "index" and not value.given else ""
        return f"{value.dtype}{list(value.shape)}{what}{bounds}"

    args, kwargs = jax.tree.map(brief, (call.args, call.kwargs))
    return f"({', '.join(map(str, args))}, {', '.join(f'{k}={v}' for k, v in kwargs.items())}) seed={call.seed}"


def half(arrays: list[np.ndarray]) -> bool:
    return any(a.dtype in (jnp.bfloat16, np.float16) for a in arrays)


def as_dtypes_of(ours: list[Any], exact: list[Any]) -> list[Any]:
    """Results in float64 in the dtypes of ours, for what torch has no kernel for."""
    import torch

    pairs = zip(ours, exact, strict=True)
    return [t.to(getattr(torch, dtype_name(o))) if t.is_floating_point() else t for o, t in pairs]


def both_accept(name: str, our_error: Exception | None, their_error: Exception | None) -> bool:
    """Whether there are results to compare; Mismatch if one side alone refuses, unless a difference on purpose says so."""
    if our_error is not None and not isinstance(our_error, REFUSALS):
        raise Mismatch(f"raises {type(our_error).__name__}: {str(our_error)[:200]}") from our_error
    if our_error is not None and name.rstrip("_") not in str(our_error):
        raise Mismatch(f"an error names no function: {type(our_error).__name__}: {str(our_error)[:200]}") from our_error
    if (our_error is None) == (their_error is None):
        return our_error is None
    error = our_error or their_error
    if not excused_refusal(name, str(error), by_torch=our_error is None):
        who = "torch" if our_error is None else "fnn"
        raise Mismatch(f"refused by {who} alone: {type(error).__name__}: {str(error)[:200]}") from our_error
    return False


def check(row: Row, call: Call, content: str) -> None:
    """Raises Mismatch if fnn and torch disagree on one set of values."""
    marks = [m for m in jax.tree.leaves((call.args, call.kwargs)) if isinstance(m, Array)]
    arrays = [m.values(content, [call.seed, i]) for i, m in enumerate(marks)]
    mine = Ours(row.ours, call, arrays)
    own = Theirs(row.theirs, call, arrays, wide=False)
    wide = Theirs(row.theirs, call, arrays, wide=True)
    ours, our_error = attempt(mine.results)
    theirs, their_error = attempt(own.results)
    exact, wide_error = attempt(wide.results)
    if their_error is not None and half(arrays) and "not implemented for" in str(their_error):
        theirs, their_error = exact, wide_error
        if ours is not None and exact is not None:
            theirs = as_dtypes_of(ours, exact)
    if not both_accept(row.name, our_error, their_error) or ours is None or theirs is None:
        return
    if row.property is not None:
        row.property(call, arrays, ours, theirs)
        return
    eps = max((float(jnp.finfo(a.dtype).eps) for a in arrays if a.dtype.kind not in "iub"), default=0.0)

    def moved(of: Callable[[Theirs], list[Any]]) -> Callable[[int], list[Any]]:
        """Results at moved inputs; where torch refuses those, as they are."""

        def at(seed: int) -> list[Any]:
            near = nudged(marks, [flushed(a) for a in arrays], eps, seed)
            found, _ = attempt(lambda: of(Theirs(row.theirs, call, near, wide=True)))
            return exact if found is None else found

        return at

    exact = theirs if exact is None else exact
    compare(row.name, "result", ours, theirs, exact, moved(Theirs.results), arrays)
    if not (call.gradients and row.gradients and content in SMOOTH and mine.floats):
        return
    rng = np.random.default_rng(call.seed)
    weights = [
        np.round(rng.normal(0, 1, tuple(o.shape)) * 8) / 8 if jnp.issubdtype(o.dtype, jnp.floating) else None
        for o in ours
    ]
    if not any(w is not None for w in weights):
        return
    theirs, _ = attempt(lambda: own.gradients(weights))
    exact, _ = attempt(lambda: wide.gradients(weights))
    if theirs is None or exact is None:
        return  # torch has no derivative here
    gradients = mine.gradients(weights)
    compare(row.name, "gradient", gradients, theirs, exact, moved(lambda t: t.gradients(weights)), arrays)
