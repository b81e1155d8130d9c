"""Random calls of convolutions, ``fold`` and ``unfold``."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.functional.fuzz.draws import Call, Draw
from tests.functional.fuzz.table import Row


def convolution(d: Draw, n: int, transposed: bool = False) -> Call:
    groups = d.pick(1, 1, 2) if not d.rarely(30) else d.pick(0, -1, 5)
    g = max(groups, 1)
    n_in, n_out = g * d.pick(1, 2), g * d.pick(1, 2)
    kernel = tuple(d.pick(1, 2, 3) if not d.rarely(30) else 0 for _ in range(n))
    spatial = tuple(d.size(4, 5) for _ in range(n))
    lead = (d.size(), n_in) if not d.rarely(6) else (n_in,)
    inside = (n_in // g if not d.rarely(30) else 7, *kernel)
    weight = (n_in, n_out // g, *kernel) if transposed else (n_out, *inside)
    options: dict[str, Any] = d.some(groups=(groups,))
    if d.flag():
        options["stride"] = d.per_axis(n, 1, 2, 2, 3) if not d.rarely(30) else d.pick(0, -1)
    if d.flag():
        choices = (0, 1, 2) if transposed else d.pick((0, 1, 2), (0, 1, 2), ("same",), ("valid",))
        options["padding"] = d.per_axis(n, *choices) if isinstance(choices[0], int) else choices[0]
    if d.flag():
        options["dilation"] = d.per_axis(n, 1, 2) if not d.rarely(30) else d.pick(0, -1)
    if transposed and d.flag():
        options["output_padding"] = d.per_axis(n, 0, 1)
    bias = None if d.flag() else d.reals((n_out if not d.rarely(30) else n_out + 1,))
    return Call((d.reals((*lead, *spatial)), d.reals(weight), bias), options)


def conv_tbc(d: Draw) -> Call:
    n_in, n_out, width = d.size(), d.size(), d.pick(1, 2, 3)
    args = (d.reals((d.size(4, 5), d.size(), n_in)), d.reals((width, n_in, n_out)), d.reals((n_out,)))
    return Call(args, d.some(pad=(0, 1, 2)))


def windows(d: Draw) -> dict[str, Any]:
    options: dict[str, Any] = {"kernel_size": d.per_axis(2, 1, 2, 3) if not d.rarely(20) else d.pick(0, -1, 9)}
    for name, choices in (("dilation", (1, 2)), ("padding", (0, 1)), ("stride", (1, 2))):
        if d.flag():
            options[name] = d.per_axis(2, *choices) if not d.rarely(30) else d.pick(0, -1)
    return options


def unfold(d: Draw) -> Call:
    shape = tuple(d.size(3, 4) for _ in range(d.pick(4, 4, 3) if not d.rarely(20) else d.pick(2, 5)))
    return Call((d.reals(shape),), windows(d))


def fold(d: Draw) -> Call:
    """Columns of the number that the windows have, or now and then another."""
    options = windows(d)
    size = d.per_axis(2, 3, 4, 5)

    def both(value: Any) -> tuple[int, ...]:
        return (value, value) if isinstance(value, int) else tuple(value)[:2]

    area, columns = 1, 1
    for axis in range(2):
        k, s = both(options["kernel_size"])[axis], both(size)[axis]
        step = both(options.get("stride", 1))[axis]
        reach = both(options.get("dilation", 1))[axis] * (k - 1) + 1
        area *= k
        columns *= (s + 2 * both(options.get("padding", 0))[axis] - reach) // (step or 1) + 1
    if d.rarely(20):
        columns += 1
    shape = (d.size(1, 2) * max(area, 1), max(columns, 0))
    return Call((d.reals((d.size(), *shape) if d.flag() else shape), size), options)


ROWS = [
    *[Row(f"conv{n}d", partial(convolution, n=n)) for n in (1, 2, 3)],
    *[Row(f"conv_transpose{n}d", partial(convolution, n=n, transposed=True)) for n in (1, 2, 3)],
    Row("conv_tbc", conv_tbc),
    Row("unfold", unfold),
    Row("fold", fold),
]
