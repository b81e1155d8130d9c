"""``interpolate`` and its deprecated names against PyTorch."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.functional import vision
from fnn.functional.vision import interpolate, upsample, upsample_bilinear, upsample_nearest
from tests.oracle import assert_close, check_against_torch, check_transforms, from_torch, needs_torch, rand, to_torch

CASES = [
    ("nearest", (2, 3, 5), {"size": 7}),
    ("nearest", (1, 2, 4), {"scale_factor": 2}),
    ("nearest", (1, 2, 6), {"size": 3}),
    ("nearest", (1, 2, 5, 4), {"size": (3, 9)}),
    ("nearest", (1, 2, 3, 4, 2), {"scale_factor": (1.7, 0.5, 3.0)}),
    ("nearest-exact", (2, 3, 5), {"size": 7}),
    ("nearest-exact", (1, 2, 5, 4), {"scale_factor": 1.3}),
    ("nearest-exact", (1, 2, 3, 4, 2), {"size": (2, 5, 4)}),
    ("linear", (2, 3, 5), {"size": 8}),
    ("linear", (1, 2, 5), {"scale_factor": 1.7}),
    ("linear", (1, 2, 5), {"scale_factor": 1.7, "recompute_scale_factor": True}),
    ("linear", (1, 2, 5), {"size": 1, "align_corners": True}),
    ("linear", (1, 2, 1), {"size": 4}),
    ("bilinear", (1, 2, 5, 4), {"size": (3, 9)}),
    ("bilinear", (1, 2, 5, 4), {"size": (8, 3), "align_corners": True}),
    ("bilinear", (1, 2, 5, 4), {"scale_factor": (0.7, 2.3), "align_corners": False}),
    ("bilinear", (1, 2, 5, 4), {"scale_factor": 1.6, "align_corners": True, "recompute_scale_factor": True}),
    ("bilinear", (1, 2, 9, 7), {"size": (4, 3), "antialias": True}),
    ("bilinear", (1, 2, 9, 7), {"size": (4, 10), "antialias": True, "align_corners": True}),
    ("bilinear", (1, 1, 30, 3), {"scale_factor": (0.11, 1.5), "antialias": True}),
    ("bicubic", (1, 2, 5, 4), {"size": (3, 9)}),
    ("bicubic", (1, 2, 5, 4), {"size": (8, 1), "align_corners": True}),
    ("bicubic", (1, 2, 5, 4), {"scale_factor": (0.7, 2.3)}),
    ("bicubic", (1, 2, 9, 7), {"size": (4, 3), "antialias": True}),
    ("bicubic", (1, 2, 9, 7), {"scale_factor": (0.4, 1.7), "antialias": True}),
    ("lanczos", (1, 2, 9, 7), {"size": (4, 9), "antialias": True}),
    ("trilinear", (1, 2, 3, 4, 2), {"size": (2, 5, 4)}),
    ("trilinear", (1, 2, 3, 4, 2), {"scale_factor": (1.7, 0.5, 3.0), "align_corners": True}),
    ("trilinear", (0, 2, 3, 4, 2), {"size": 3}),
    ("area", (2, 3, 5), {"size": 3}),
    ("area", (1, 2, 5, 4), {"size": (3, 9)}),
    ("area", (1, 2, 3, 4, 2), {"scale_factor": (1.7, 0.5, 3.0)}),
]


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(("mode", "shape", "options"), CASES)
def test_equals_torch(mode, shape, options):
    import torch.nn.functional as F

    def square(f):
        return lambda a: f(a, mode=mode, **options) ** 2

    check_against_torch(square(interpolate), square(F.interpolate), rand(1, *shape))


@needs_torch
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest_picks_torchs_element_at_every_size(mode):
    import torch
    import torch.nn.functional as F

    from fnn.functional.vision.resample import _nearest_index

    for dtype in (torch.float64, torch.float32):
        for size in range(1, 30):
            x = torch.arange(size, dtype=dtype)[None, None]
            for out in range(1, 30):
                expected = F.interpolate(x, size=out, mode=mode)[0, 0].numpy()
                index = _nearest_index(size, out, None, mode == "nearest-exact", dtype == torch.float64)
                np.testing.assert_array_equal(index, expected, f"{size} to {out} in {dtype}")


@pytest.mark.slow
@needs_torch
def test_second_derivative_equals_torch():
    import torch.nn.functional as F

    def square(f):
        return lambda a: f(a, size=(3, 5), mode="bicubic", antialias=True) ** 2

    check_against_torch(square(interpolate), square(F.interpolate), rand(2, 1, 1, 5, 4), second=True)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 2, 5), {"mode": "nearest", "size": 3}),
        ((1, 2, 5), {"mode": "linear", "size": 3}),
        ((1, 1, 4, 3), {"mode": "bicubic", "size": 5}),
        ((1, 1, 30, 3), {"mode": "bilinear", "size": (3, 2), "antialias": True}),
        ((1, 1, 4, 3), {"mode": "area", "size": (2, 5)}),
    ],
)
def test_transforms(shape, options):
    check_transforms(lambda a: interpolate(a, **options), rand(3, *shape))


def test_linear_ramp_stays_a_ramp():
    x = jnp.arange(5.0)[None, None]
    assert_close(interpolate(x, size=9, mode="linear", align_corners=True)[0, 0], np.arange(9) / 2)


def test_constant_image_stays_constant():
    x = jnp.full((1, 1, 13, 6), 3.0)
    for mode in ("bilinear", "bicubic", "lanczos"):
        assert_close(interpolate(x, size=(2, 9), mode=mode, antialias=True), np.full((1, 1, 2, 9), 3.0), 1e-14)


def test_infinity_reaches_only_the_outputs_that_read_it():
    x = jnp.zeros((1, 1, 20, 1)).at[0, 0, 19].set(jnp.inf)
    out = interpolate(x, size=(2, 1), mode="bilinear", antialias=True).ravel()
    assert out.tolist() == [0.0, jnp.inf]


@needs_torch
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float16", 2e-3), ("bfloat16", 2e-2)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_dtypes(dtype, tolerance, mode):
    import torch.nn.functional as F

    x = jnp.asarray(rand(4, 1, 2, 5, 4)).astype(dtype)
    out = interpolate(x, size=(3, 7), mode=mode)
    assert out.dtype == x.dtype
    expected = from_torch(F.interpolate(to_torch(x), size=(3, 7), mode=mode))
    assert_close(out.astype(jnp.float32), expected.astype(np.float32), tolerance, tolerance)


@needs_torch
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_bytes(mode):
    import torch.nn.functional as F

    x = np.random.default_rng(0).integers(0, 256, (1, 2, 6, 5)).astype(np.uint8)
    out = interpolate(x, size=(4, 9), mode=mode)
    assert out.dtype == jnp.uint8
    expected = from_torch(F.interpolate(to_torch(x), size=(4, 9), mode=mode))
    # torch weighs bytes in fixed point, so that a number near a half may round the other way, once an axis.
    assert np.abs(np.asarray(out).astype(int) - expected.astype(int)).max() <= (0 if mode == "nearest" else 2)


@needs_torch
@pytest.mark.parametrize("name", ["upsample", "upsample_nearest", "upsample_bilinear"])
def test_deprecated_names(name):
    import torch.nn.functional as F

    x = rand(5, 1, 2, 4, 3)
    for options in ({"size": (3, 5)}, {"scale_factor": 1.5}):
        with pytest.warns(UserWarning, match=f"{name} is deprecated"):
            out = getattr(vision, name)(x, **options)
        with warnings.catch_warnings(action="ignore"):
            expected = getattr(F, name)(to_torch(x), **options)
        assert_close(out, from_torch(expected))


@pytest.mark.parametrize("function", [upsample, upsample_nearest, upsample_bilinear])
def test_deprecated_names_transform(function):
    with warnings.catch_warnings(action="ignore"):
        check_transforms(lambda a: function(a, size=(3, 2)), rand(6, 1, 1, 2, 3))


@needs_torch
@pytest.mark.parametrize("name", ["interpolate", "upsample", "upsample_nearest", "upsample_bilinear"])
def test_signature_is_torchs(name):
    import torch.nn.functional as F

    ours = inspect.signature(getattr(vision, name)).parameters
    theirs = inspect.signature(getattr(F, name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 1, 4), {}, "size or scale_factor must be given"),
        ((1, 1, 4), {"size": 2, "scale_factor": 2}, "one and not both"),
        ((1, 1, 4), {"size": (2, 2)}, "size must be a number or 1 numbers"),
        ((1, 1, 4, 4), {"scale_factor": (2.0,)}, "scale_factor must be a number or 2 numbers"),
        ((1, 1, 4), {"size": 2, "align_corners": True}, "align_corners must be None in mode 'nearest'"),
        ((1, 1, 4), {"size": 2, "mode": "bilinear"}, "input of mode 'bilinear' must be 4-D"),
        ((1, 4), {"size": 2}, "must be 3-D or 4-D or 5-D"),
        ((1, 1, 4), {"size": 2, "mode": "cubic"}, "mode must be one of"),
        ((1, 1, 4), {"size": 2, "antialias": True}, "with antialias, got 'nearest'"),
        ((1, 1, 4, 4), {"size": 2, "mode": "lanczos"}, "antialias must be True"),
        ((1, 1, 4), {"size": 0}, r"interpolate: size must be at least 1 along each axis, got \(0,\)"),
        ((1, 1, 4), {"size": -1}, "at least 1"),
        ((1, 1, 4), {"scale_factor": 0.1}, "at least 1"),
        ((1, 1, 4), {"scale_factor": float("inf")}, "must be finite"),
        ((1, 1, 0), {"size": 2}, "non-zero length"),
        ((1, 1, 4), {"size": 2, "recompute_scale_factor": True}, "recompute_scale_factor must be unset"),
    ],
)
def test_bad_arguments(shape, options, message):
    with pytest.raises(ValueError, match=message):
        interpolate(jnp.zeros(shape), **options)


def test_bad_types():
    with pytest.raises(TypeError, match="size must be an int"):
        interpolate(jnp.zeros((1, 1, 4)), size=2.5)
    with pytest.raises(TypeError, match="scale_factor must be a number"):
        interpolate(jnp.zeros((1, 1, 4)), scale_factor="2")
    with pytest.raises(TypeError, match="scale_factor must be a number known"):
        jax.jit(lambda s: interpolate(jnp.zeros((1, 1, 4)), scale_factor=s))(2.0)
    with pytest.raises(TypeError, match="input must be of a floating dtype"):
        interpolate(jnp.zeros((1, 1, 4), int), size=2, mode="linear")
