"""Random calls of pooling."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.functional.fuzz.draws import Call, Draw
from tests.functional.fuzz.table import Row


def maps(d: Draw, n: int, *usual: int) -> tuple[int, ...]:
    """A batch of maps, or one without batch, or now and then something else."""
    spatial = tuple(d.size(*(usual or (4, 5))) for _ in range(n))
    lead = d.pick(2, 2, 2, 1) if not d.rarely(20) else d.pick(0, 3)
    return (*[d.size(2, 3) for _ in range(lead)], *spatial)


def windows(d: Draw, n: int, **more: Any) -> dict[str, Any]:
    options = {"kernel_size": d.per_axis(n, 2, 2, 3, 1) if not d.rarely(20) else d.pick(0, -1, 7)}
    options |= d.some(ceil_mode=(True, False), **more)
    if d.flag():
        options["stride"] = d.per_axis(n, 1, 2, 3) if not d.rarely(20) else d.pick(0, -1, None)
    return options


def average(d: Draw, n: int) -> Call:
    options = windows(d, n, count_include_pad=(True, False))
    if d.flag():
        options["padding"] = d.per_axis(n, 0, 1, 1) if not d.rarely(20) else d.pick(2, -1)
    if n > 1 and d.rarely(4):
        options["divisor_override"] = d.pick(1, 3, -2, 0, None)
    return Call((d.reals(maps(d, n)),), options)


def maximum(d: Draw, n: int, indices: bool = False) -> Call:
    options = windows(d, n)
    if d.flag():
        options["padding"] = d.per_axis(n, 0, 1, 1) if not d.rarely(20) else d.pick(2, -1)
    if d.flag():
        options["dilation"] = d.per_axis(n, 1, 2) if not d.rarely(20) else d.pick(0, -1)
    if not indices:
        options |= d.some(return_indices=(True, False))
    return Call((d.reals(maps(d, n)),), options)


def norm(d: Draw, n: int) -> Call:
    order = d.pick(2, 2.0, 1, 3, 1.5, float("inf"), -1.0)
    return Call((d.reals(maps(d, n), d.pick("real", "positive")), order), windows(d, n))


def adaptive(d: Draw, n: int, maximum: bool = False, indices: bool = False) -> Call:
    size = d.per_axis(n, 1, 2, 3, 3, 7, None, 0) if not d.rarely(20) else d.pick(-1, 2.0)
    if maximum and not indices and d.flag():
        return Call((d.reals(maps(d, n)), size), {"return_indices": True})
    return Call((d.reals(maps(d, n)), size))


def unpool(d: Draw, n: int) -> Call:
    """Places anywhere in the result of the usual size, some of them twice."""
    kernel, stride, padding = d.per_axis(n, 2, 3), d.pick(None, 2, 1, 3), d.pick(0, 0, 1)
    shape = maps(d, n, 2, 3)
    sides = kernel if isinstance(kernel, tuple) else (kernel,) * n
    places = 1
    for size, k in zip(shape[-n:], sides, strict=False):
        places *= max((size - 1) * (stride or k) + k - 2 * padding, 1)
    return Call((d.reals(shape), d.indices(shape, places), kernel), {"stride": stride, "padding": padding})


def fractional(d: Draw, n: int, indices: bool = False) -> Call:
    shape = maps(d, n, 4, 5, 6)
    options: dict[str, Any] = {"kernel_size": d.per_axis(n, 2, 2, 1, 3)}
    if d.flag():
        options["output_size"] = d.per_axis(n, 1, 2, 2, 3) if not d.rarely(20) else d.pick(0, 9)
    else:
        options["output_ratio"] = d.per_axis(n, 0.5, 0.6, 0.7)
    lead = shape[:-n] if len(shape) == n + 2 else (1, *shape[:-n])
    options["_random_samples"] = d.reals((*lead, n), "unit", False)
    if not indices:
        options |= d.some(return_indices=(True, False))
    return Call((d.reals(shape),), options)


ROWS = [
    *[Row(f"avg_pool{n}d", partial(average, n=n)) for n in (1, 2, 3)],
    *[Row(f"max_pool{n}d", partial(maximum, n=n)) for n in (1, 2, 3)],
    *[Row(f"max_pool{n}d_with_indices", partial(maximum, n=n, indices=True)) for n in (1, 2, 3)],
    *[Row(f"lp_pool{n}d", partial(norm, n=n)) for n in (1, 2, 3)],
    *[Row(f"adaptive_avg_pool{n}d", partial(adaptive, n=n)) for n in (1, 2, 3)],
    *[Row(f"adaptive_max_pool{n}d", partial(adaptive, n=n, maximum=True)) for n in (1, 2, 3)],
    *[Row(f"adaptive_max_pool{n}d_with_indices", partial(adaptive, n=n, indices=True)) for n in (1, 2, 3)],
    *[Row(f"max_unpool{n}d", partial(unpool, n=n)) for n in (1, 2, 3)],
    *[Row(f"fractional_max_pool{n}d", partial(fractional, n=n)) for n in (2, 3)],
    *[Row(f"fractional_max_pool{n}d_with_indices", partial(fractional, n=n, indices=True)) for n in (2, 3)],
]
