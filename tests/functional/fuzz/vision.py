"""Random calls of padding, resampling and shuffling."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.functional.fuzz.draws import Call, Draw
from tests.functional.fuzz.table import Row

MODES = {
    1: ("nearest", "nearest-exact", "linear", "area"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area"),
    3: ("nearest", "nearest-exact", "trilinear", "area"),
}


def pad(d: Draw) -> Call:
    shape = d.shape(1, 2, 3, 3, 4, 4, 5)
    mode = d.pick("constant", "constant", "reflect", "replicate", "circular")
    axes = d.pick(*range(1, len(shape) + 1)) if mode == "constant" else max(len(shape) - d.pick(1, 2, 2), 1)
    widths = tuple(d.pick(0, 1, 2, 1, -1) for _ in range(2 * axes))
    if d.rarely(20):
        widths = widths[1:]
    options: dict[str, Any] = {"mode": mode} if not d.rarely(20) else {"mode": "edge"}
    if mode == "constant" and d.flag():
        options["value"] = d.pick(1.5, 0, -1, None)
    return Call((d.reals(shape), widths), options)


def extent(d: Draw, n: int) -> dict[str, Any]:
    """The size or the scale of a result."""
    if d.flag():
        return {"size": d.per_axis(n, 1, 2, 3, 5, 7) if not d.rarely(20) else d.pick(0, -1, None)}
    return {"scale_factor": d.per_axis(n, 0.5, 2.0, 1.5, 0.7, 2) if not d.rarely(20) else d.pick(0.1, -1.0, None)}


def resampled(d: Draw, all_options: bool = True) -> Call:
    n = d.pick(1, 2, 2, 3)
    shape = (d.size(), d.size(), *[d.size(3, 4) for _ in range(n)])
    mode = d.pick(*MODES[n]) if not d.rarely(15) else d.pick("linear", "bilinear", "cubic")
    options = {**extent(d, n), "mode": mode}
    if "linear" in mode or mode == "bicubic" or d.rarely():
        options |= d.some(align_corners=(True, False))
    if all_options:
        options |= d.some(antialias=(False, False, mode in ("bilinear", "bicubic")))
        if "scale_factor" in options:
            options |= d.some(recompute_scale_factor=(True, False))
    return Call((d.reals(shape),), options)


def upsampled(d: Draw, *ranks: int) -> Call:
    n = d.pick(*ranks)
    shape = (d.size(), d.size(), *[d.size(3, 4) for _ in range(n)])
    return Call((d.reals(shape),), extent(d, n))


def grid_sample(d: Draw) -> Call:
    n = d.pick(2, 2, 3)
    shape = (d.size(), d.size(), *[d.size(3, 4) for _ in range(n)])
    grid = (shape[0] if not d.rarely(20) else 5, *[d.size(2, 3) for _ in range(n)], n if not d.rarely(20) else 4)
    options = {"mode": d.pick("bilinear", "nearest", "bicubic" if n == 2 or d.rarely() else "bilinear")}
    options |= d.some(padding_mode=("zeros", "border", "reflection"), align_corners=(True, False))
    return Call((d.reals(shape), d.reals(grid)), options)


def affine_grid(d: Draw) -> Call:
    n = d.pick(2, 2, 3)
    rows = d.size()
    size = (
        rows if not d.rarely(20) else 5,
        d.pick(1, 2),
        *[d.size(2, 3) if not d.rarely(20) else -1 for _ in range(n)],
    )
    return Call((d.reals((rows, n, n + 1)), size), d.some(align_corners=(True, False)))


def shuffle(d: Draw, inverse: bool = False) -> Call:
    r = d.pick(1, 2, 2, 3) if not d.rarely(20) else d.pick(0, -1)
    k = max(r, 1)
    lead = tuple(d.size() for _ in range(d.pick(0, 1, 1, 2)))
    shape = (
        (d.size(2, 3), d.size(2, 3) * k, d.size(2, 3) * k)
        if inverse
        else (d.size(2, 3) * k * k, d.size(2, 3), d.size(2, 3))
    )
    return Call((d.reals((*lead, *shape) if not d.rarely(20) else d.shape()), r))


def channels(d: Draw) -> Call:
    groups = d.pick(1, 2, 2, 3) if not d.rarely(20) else d.pick(0, -1)
    shape = (d.size(), max(groups, 1) * d.pick(1, 2), *[d.size() for _ in range(d.pick(1, 2, 2, 3))])
    return Call((d.reals(shape if not d.rarely(20) else d.shape()), groups))


ROWS = [
    Row("pad", pad),
    Row("interpolate", resampled),
    Row("upsample", partial(resampled, all_options=False)),
    Row("upsample_nearest", lambda d: upsampled(d, 1, 2, 2, 3)),
    Row("upsample_bilinear", lambda d: upsampled(d, 2)),
    Row("grid_sample", grid_sample),
    Row("affine_grid", affine_grid),
    Row("pixel_shuffle", shuffle),
    Row("pixel_unshuffle", partial(shuffle, inverse=True)),
    *[Row(name, channels) for name in ("channel_shuffle", "native_channel_shuffle")],
]
