"""Floating-point operations of a jaxpr, counted as XLA's cost analysis does."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from jax.extend.core import Jaxpr, JaxprEqn

from fnn.kernels.operation import inner_jaxprs

__all__ = ["count_flops"]

_ELEMENTWISE = frozenset(
    """add add_any sub mul div rem neg abs sign floor ceil round max min and or xor not eq ne lt le gt ge select_n clamp
    convert_element_type is_finite population_count clz shift_left shift_right_logical shift_right_arithmetic square
    real imag complex conj reduce_precision""".split()
)
_REDUCTIONS = frozenset(
    {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "reduce_xor"}
)
_WINDOWS = frozenset({"reduce_window_sum", "reduce_window_max", "reduce_window_min", "reduce_window"})
_RUNNING = frozenset({"cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"})
_SCATTERS = frozenset({"scatter_add", "scatter-add", "scatter_mul", "scatter_max", "scatter_min"})
_ARG_REDUCTIONS = frozenset({"argmax", "argmin"})
# What XLA makes of functions that it has no instruction for, in operations of each element.
_SERIES = {
    "logistic": 3,
    "exp2": 1,
    "erfc": 62,
    "erf_inv": 37,
    "sinh": 10,
    "cosh": 3,
    "asin": 5,
    "acos": 3,
    "asinh": 11,
    "acosh": 7,
    "atanh": 6,
    "lgamma": 53,
    "digamma": 73,
    "bessel_i0e": 83,
    "bessel_i1e": 83,
    "nextafter": 24,
    "random_bits": 29,
    "threefry2x32": 29,
}
# Equations that are what is within them.
_CALLS = frozenset(
    """jit pjit closed_call core_call custom_jvp_call custom_vjp_call custom_vjp_call_jaxpr remat remat2
    checkpoint""".split()
)


def count_flops(
    jaxpr: Jaxpr, group: Callable[[JaxprEqn, Any], Hashable] = lambda eqn, outer: None
) -> Counter[Hashable]:
    """Counts operations by the group that ``group`` puts an equation in.

    A multiplication and an addition are two; exponentials, roots and the like are none, as XLA counts them apart. What
    nothing depends on counts not at all. The body of a loop counts as often as it runs if that
    is known (XLA counts it once), of branches the dearest.

    Args:
        jaxpr: the jaxpr.
        group: takes an equation and the group of the equation that it is within, ``None`` outside of all.

    Returns:
        the number of operations of each group.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> dict(count_flops(jax.make_jaxpr(jnp.dot)(jnp.ones((2, 3)), jnp.ones((3, 4))).jaxpr))
        {None: 48}
    """
    return _count(jaxpr, group, None)


class _Operation(NamedTuple):
    """One operation that is not a call, by the numbers of the values that it takes and gives."""

    counts: Counter[Hashable]
    takes: list[int]
    gives: list[int]
    stays: bool


class _Flat:
    """The operations of a jaxpr and of the calls in it, one after another."""

    def __init__(self, group: Callable[[JaxprEqn, Any], Hashable]) -> None:
        self.operations: list[_Operation] = []
        self._group = group
        self._numbers: Iterator[int] = itertools.count()

    def new(self, variables: Sequence[Any]) -> list[int]:
        """Numbers for values that are given."""
        return [next(self._numbers) for _ in variables]

    def add(self, jaxpr: Jaxpr, inputs: list[int], outer: Hashable) -> list[int]:
        """Appends the operations of a jaxpr; returns the numbers of its results."""
        numbers: dict[Any, int] = dict(zip(jaxpr.invars, inputs, strict=True))
        numbers.update(zip(jaxpr.constvars, self.new(jaxpr.constvars), strict=True))

        def number(var: Any) -> int:
            return -1 if hasattr(var, "val") else numbers[var]

        for eqn in jaxpr.eqns:
            own = self._group(eqn, outer)
            takes = list(map(number, eqn.invars))
            inner = list(inner_jaxprs(eqn))
            if eqn.primitive.name in _CALLS and inner and len(inner[0].invars) == len(takes):
                gives = self.add(inner[0], takes, own)
            else:
                gives = self.new(eqn.outvars)
                counts = _counts(eqn, inner, self._group, own)
                self.operations.append(_Operation(counts, takes, gives, bool(eqn.effects)))
            numbers.update(zip(eqn.outvars, gives, strict=True))
        return list(map(number, jaxpr.outvars))


def _count(jaxpr: Jaxpr, group: Callable[[JaxprEqn, Any], Hashable], outer: Hashable) -> Counter[Hashable]:
    flat = _Flat(group)
    wanted = set(flat.add(jaxpr, flat.new(jaxpr.invars), outer))
    total: Counter[Hashable] = Counter()
    for operation in reversed(flat.operations):
        if operation.stays or not wanted.isdisjoint(operation.gives):
            wanted.update(operation.takes)
            total.update(operation.counts)
    return +total


def _counts(eqn: JaxprEqn, inner: list[Jaxpr], group: Any, own: Hashable) -> Counter[Hashable]:
    flops = _of(eqn)
    if flops is not None:
        return Counter({own: flops})
    name = eqn.primitive.name
    parts = [_count(part, group, own) for part in inner]
    if name == "cond":
        parts = [max(parts, key=lambda counts: sum(counts.values()))]
    total: Counter[Hashable] = Counter()
    for counts in parts:
        total.update(counts)
    times = eqn.params["length"] if name == "scan" else 1
    return Counter({key: value * times for key, value in total.items()})


def _of(eqn: JaxprEqn) -> int | None:
    """The operations of an equation; ``None`` if it is what is within it that counts."""
    name = eqn.primitive.name
    size = sum(math.prod(getattr(v.aval, "shape", ())) for v in eqn.outvars)
    if name in _ELEMENTWISE:
        return size
    if name in _SERIES:
        return size * _SERIES[name]
    if name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return 2 * size * math.prod(_shape(eqn, 0)[d] for d in contracted)
    if name == "conv_general_dilated":
        return _convolution(eqn)
    if name == "integer_pow":
        power = abs(eqn.params["y"])
        return size * max(power.bit_length() - 1 + power.bit_count() - 1, 0)
    if name in _REDUCTIONS:
        return math.prod(_shape(eqn, 0)) - size
    if name == "reduce":
        half = len(eqn.invars) // 2
        return sum(math.prod(_shape(eqn, i)) for i in range(half)) - size
    if name in _ARG_REDUCTIONS:
        return 9 * (math.prod(_shape(eqn, 0)) - size)  # comparisons, of values and of indices, and choices
    if name in _WINDOWS:
        return size * (math.prod(eqn.params["window_dimensions"]) - 1)
    if name in _RUNNING:
        return size
    if name in _SCATTERS:
        return math.prod(_shape(eqn, 2))
    if name == "select_and_scatter_add":
        return 2 * math.prod(_shape(eqn, 0)) * math.prod(eqn.params["window_dimensions"])
    if name == "sort":
        count = math.prod(_shape(eqn, 0))
        return count * max(count - 1, 1).bit_length()
    return None if any(True for _ in inner_jaxprs(eqn)) else 0


def _shape(eqn: JaxprEqn, i: int) -> tuple[int, ...]:
    aval: Any = eqn.invars[i].aval
    return aval.shape


def _convolution(eqn: JaxprEqn) -> int:
    """Twice the products of an input value and a weight; those with padding or with holes are none."""
    p = eqn.params
    numbers = p["dimension_numbers"]
    lhs, rhs = _shape(eqn, 0), _shape(eqn, 1)
    out = eqn.outvars[0].aval.shape  # pyright: ignore[reportAttributeAccessIssue]
    products = lhs[numbers.lhs_spec[0]] // p["batch_group_count"]
    products *= out[numbers.out_spec[1]] * rhs[numbers.rhs_spec[1]]
    for i, (low, _) in enumerate(p["padding"]):
        size, taps, places = (
            lhs[numbers.lhs_spec[2 + i]],
            rhs[numbers.rhs_spec[2 + i]],
            out[numbers.out_spec[2 + i]],
        )
        spread, apart, stride = p["lhs_dilation"][i], p["rhs_dilation"][i], p["window_strides"][i]
        reach = spread * (size - 1) + 1
        products *= sum(
            1
            for place in range(places)
            for tap in range(taps)
            if 0 <= (at := place * stride + tap * apart - low) < reach and at % spread == 0
        )
    return 2 * products
