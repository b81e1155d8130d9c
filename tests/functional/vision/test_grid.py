"""``grid_sample`` and ``affine_grid`` against PyTorch and against their formulas."""

import inspect
import itertools
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.functional import vision
from fnn.functional.vision import (
    affine_grid,
    grid_sample,
)
from tests.oracle import assert_close, check_against_torch, check_transforms, from_torch, needs_torch, rand, to_torch

GRIDS = [
    (mode, padding_mode, corners, rank)
    for mode, padding_mode, corners, rank in itertools.product(
        ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True), (4, 5)
    )
    if (mode, rank) != ("bicubic", 5)
]


@pytest.mark.one_in(4)
@needs_torch
@pytest.mark.parametrize(("mode", "padding_mode", "corners", "rank"), GRIDS)
def test_grid_sample_equals_torch(mode, padding_mode, corners, rank):
    import torch.nn.functional as F

    options = {"mode": mode, "padding_mode": padding_mode, "align_corners": corners}
    x = rand(4, 2, 3, *(3, 4, 5)[: rank - 2])
    grid = rand(5, 2, *(2, 9, 4)[: rank - 2], rank - 2, low=-3, high=3)
    check_against_torch(lambda a, g: grid_sample(a, g, **options), lambda a, g: F.grid_sample(a, g, **options), x, grid)


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_grid_sample_at_pixels_and_edges(padding_mode, corners):
    import torch.nn.functional as F

    line = np.asarray([-2.0, -1.5, -1.0, -0.75, -0.5, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0])
    grid = np.stack(np.meshgrid(line, line), -1)[None]
    options = {"padding_mode": padding_mode, "align_corners": corners}
    for mode in ("bilinear", "nearest"):
        check_against_torch(
            lambda a, g, mode=mode: grid_sample(a, g, mode=mode, **options),
            lambda a, g, mode=mode: F.grid_sample(a, g, mode=mode, **options),
            rand(6, 1, 2, 4, 5),
            grid,
        )


@needs_torch
@pytest.mark.parametrize(("x_shape", "grid_shape"), [((0, 1, 4, 5), (0, 2, 3, 2)), ((1, 0, 4, 5), (1, 2, 3, 2))])
def test_grid_sample_of_nothing(x_shape, grid_shape):
    import torch.nn.functional as F

    check_against_torch(
        lambda a, g: grid_sample(a, g, align_corners=False),
        lambda a, g: F.grid_sample(a, g, align_corners=False),
        np.zeros(x_shape),
        np.zeros(grid_shape),
        grad=False,
    )
    assert grid_sample(jnp.zeros((1, 2, 1, 1)), jnp.zeros((1, 0, 3, 2)), align_corners=False).shape == (1, 2, 0, 3)


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize("coordinate", [float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 1e9])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border"])
def test_grid_sample_at_extreme_points(coordinate, mode, padding_mode):
    import torch.nn.functional as F

    x, grid = np.arange(1.0, 21.0).reshape(1, 1, 4, 5), np.full((1, 1, 1, 2), coordinate)
    options = {"mode": mode, "padding_mode": padding_mode, "align_corners": True}
    expected = from_torch(F.grid_sample(to_torch(x), to_torch(grid), **options))
    assert_close(grid_sample(x, grid, **options), expected)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_grid_sample_transforms(mode):
    x, grid = rand(7, 1, 2, 3, 4), rand(8, 1, 2, 3, 2, low=-1.5, high=1.5)
    check_transforms(lambda a, g: grid_sample(a, g, mode, "reflection", False), x, grid)


@pytest.mark.slow
def test_grid_sample_of_a_volume_transforms():
    x, grid = rand(9, 1, 1, 2, 3, 2), rand(10, 1, 1, 2, 2, 3)
    check_transforms(lambda a, g: grid_sample(a, g, "bilinear", "zeros", True), x, grid)


@pytest.mark.slow
def test_grid_sample_has_second_derivatives():
    x, grid = jnp.asarray(rand(11, 1, 1, 3, 3)), jnp.asarray(rand(12, 1, 1, 2, 2, low=-0.4, high=0.4))
    f = jax.grad(lambda g: grid_sample(x, g, "bicubic", "border", True).sum())
    step = 1e-6
    numeric = (f(grid.at[0, 0, 0, 0].add(step)) - f(grid.at[0, 0, 0, 0].add(-step))) / (2 * step)
    assert_close(jax.jacfwd(f)(grid)[..., 0, 0, 0, 0], numeric, 1e-6, 1e-6)


@needs_torch
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float16", 4e-3), ("bfloat16", 4e-2)])
def test_grid_sample_dtypes(dtype, tolerance):
    import torch.nn.functional as F

    x, grid = jnp.asarray(rand(13, 1, 2, 3, 4)).astype(dtype), jnp.asarray(rand(14, 1, 2, 3, 2)).astype(dtype)
    out = grid_sample(x, grid, align_corners=False)
    assert out.dtype == x.dtype
    # torch in float64 of the same rounded numbers: half types are computed in float32 and rounded once.
    expected = F.grid_sample(to_torch(x).double(), to_torch(grid).double(), align_corners=False)
    assert_close(out.astype(jnp.float64), from_torch(expected), tolerance, tolerance)


@needs_torch
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("size", [(2, 1, 3, 4), (1, 3, 2, 3, 4), (1, 2, 1, 3), (1, 1, 1, 1)])
def test_affine_grid_equals_torch(size, corners):
    import torch.nn.functional as F

    k = len(size) - 2
    with warnings.catch_warnings(action="ignore"):
        check_against_torch(
            lambda t: affine_grid(t, size, align_corners=corners),
            lambda t: F.affine_grid(t, size, align_corners=corners),
            rand(15, size[0], k, k + 1),
        )


def test_affine_grid_transforms_and_keeps_the_dtype():
    check_transforms(lambda t: affine_grid(t, (1, 1, 2, 3), True), rand(16, 1, 2, 3))
    for dtype in ("bfloat16", "float16", "float32"):
        out = affine_grid(jnp.asarray(rand(17, 1, 2, 3)).astype(dtype), (1, 1, 2, 2), False)
        assert out.dtype == jnp.dtype(dtype)


def test_identity_grid_samples_the_image_itself():
    x = rand(18, 2, 3, 4, 5)
    theta = np.tile(np.eye(2, 3), (2, 1, 1))
    for corners in (False, True):
        assert_close(grid_sample(x, affine_grid(theta, x.shape, corners), align_corners=corners), x, 1e-12, 1e-12)


def test_unset_align_corners_warns():
    with pytest.warns(UserWarning, match="align_corners=False by default"):
        out = grid_sample(jnp.ones((1, 1, 2, 2)), jnp.zeros((1, 1, 1, 2)))
    assert float(out[0, 0, 0, 0]) == 1.0
    with pytest.warns(UserWarning, match="align_corners=False by default"):
        affine_grid(jnp.ones((1, 2, 3)), (1, 1, 2, 2))
    with pytest.warns(UserWarning, match="no two corners"):
        affine_grid(jnp.ones((1, 2, 3)), (1, 1, 1, 2), align_corners=True)


@needs_torch
@pytest.mark.parametrize("name", ["grid_sample", "affine_grid"])
def test_signature_is_torchs(name):
    import torch.nn.functional as F

    ours = inspect.signature(getattr(vision, name)).parameters
    theirs = inspect.signature(getattr(F, name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


@pytest.mark.parametrize(
    ("x", "grid", "options", "message"),
    [
        ((1, 1, 4), (1, 3, 3, 2), {}, "input must be 4-D or 5-D"),
        ((2, 1, 4, 5), (1, 3, 3, 2), {}, "grid must be of shape [2, *, *, 2]"),
        ((1, 1, 4, 5), (1, 3, 3, 3), {}, "grid must be of shape [1, *, *, 2]"),
        ((1, 1, 4, 5), (1, 3, 2), {}, "grid must be of shape"),
        ((1, 1, 4, 5), (1, 3, 3, 2), {"mode": "linear"}, "mode must be one of 'bilinear'"),
        ((1, 1, 4, 5), (1, 3, 3, 2), {"padding_mode": "wrap"}, "padding_mode must be one of 'zeros'"),
        ((1, 1, 2, 2, 2), (1, 1, 1, 1, 3), {"mode": "bicubic"}, "input must be 4-D in mode 'bicubic'"),
        ((1, 1, 0, 5), (1, 3, 3, 2), {}, "non-zero length"),
    ],
)
def test_bad_grid_sample(x, grid, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        grid_sample(jnp.zeros(x), jnp.zeros(grid), align_corners=False, **options)


@pytest.mark.parametrize(
    ("theta", "size", "message"),
    [
        ((1, 2, 3), (1, 1, 2), "size must be four or five ints"),
        ((1, 2, 3), (2, 1, 2, 2), "theta must be of shape [2, 2, 3]"),
        ((1, 3, 3), (1, 1, 2, 2), "theta must be of shape [1, 2, 3]"),
        ((2, 3), (1, 1, 2, 2), "theta must be of shape"),
        ((1, 2, 3), (1, 1, 0, 2), "size must be at least 1"),
    ],
)
def test_bad_affine_grid(theta, size, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        affine_grid(jnp.zeros(theta), size, align_corners=False)


def test_bad_dtypes():
    x, grid = jnp.zeros((1, 1, 2, 2), jnp.float32), jnp.zeros((1, 1, 1, 2))
    with pytest.raises(TypeError, match=r"input and grid must be of one dtype, got float32"):
        grid_sample(x, grid, align_corners=False)
    with pytest.raises(TypeError, match="input must be of a floating dtype"):
        grid_sample(x.astype(int), grid, align_corners=False)
    with pytest.raises(TypeError, match="theta must be of a floating dtype"):
        affine_grid(jnp.zeros((1, 2, 3), int), (1, 1, 2, 2))
    with pytest.raises(TypeError, match="size must be a sequence"):
        affine_grid(jnp.zeros((1, 2, 3)), 4)
