"""Pixel and channel shuffles against PyTorch and against their formulas."""

import itertools
import re

import jax.numpy as jnp
import pytest

from fnn.functional import vision
from fnn.functional.vision import (
    channel_shuffle,
    native_channel_shuffle,
    pixel_shuffle,
    pixel_unshuffle,
)
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

SHUFFLES = [
    ("pixel_shuffle", (2, 8, 3, 2), 2),
    ("pixel_shuffle", (9, 1, 2), 3),
    ("pixel_shuffle", (2, 3, 4, 1, 2), 2),
    ("pixel_shuffle", (0, 4, 2, 2), 2),
    ("pixel_unshuffle", (2, 3, 4, 6), 2),
    ("pixel_unshuffle", (1, 3, 6), 3),
    ("pixel_unshuffle", (2, 3, 1, 2, 2), 1),
    ("channel_shuffle", (2, 6, 3), 2),
    ("channel_shuffle", (2, 6, 2, 3), 3),
    ("channel_shuffle", (1, 4, 2, 1, 2), 4),
    ("native_channel_shuffle", (2, 6, 2, 3), 2),
]


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(("name", "shape", "factor"), SHUFFLES)
def test_shuffles_equal_torch(name, shape, factor):
    import torch.nn.functional as F

    ours, theirs = getattr(vision, name), getattr(F, name)
    # torch cannot differentiate the native form, nor unshuffle the gradient of an empty batch.
    grad = name != "native_channel_shuffle" and 0 not in shape
    check_against_torch(lambda a: ours(a, factor) ** 2, lambda a: theirs(a, factor) ** 2, rand(1, *shape), grad=grad)


def test_shuffles_follow_their_formulas():
    x = rand(2, 1, 8, 2, 3)
    out = pixel_shuffle(x, 2)
    for c, i, j in itertools.product(range(2), range(2), range(2)):
        assert_close(out[:, c, i::2, j::2], x[:, 4 * c + 2 * i + j], 0, 0)
    assert_close(pixel_unshuffle(out, 2), x, 0, 0)
    for function in (channel_shuffle, native_channel_shuffle):
        assert_close(function(x, 2), x[:, [0, 4, 1, 5, 2, 6, 3, 7]], 0, 0)


@pytest.mark.parametrize(("name", "shape", "factor"), [SHUFFLES[0], SHUFFLES[4], SHUFFLES[7], SHUFFLES[10]])
def test_shuffles_transform(name, shape, factor):
    check_transforms(lambda a: getattr(vision, name)(a, factor), rand(3, *shape))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "int32", "bool"])
@pytest.mark.parametrize("function", [pixel_shuffle, channel_shuffle, native_channel_shuffle])
def test_shuffles_keep_the_dtype(function, dtype):
    assert function(jnp.ones((1, 4, 1, 1), dtype), 2).dtype == jnp.dtype(dtype)


@pytest.mark.parametrize(
    ("function", "shape", "factor", "message"),
    [
        (pixel_shuffle, (5, 2, 2), 2, "pixel_shuffle: input must be of channels (axis -3) divisible by 4"),
        (pixel_shuffle, (2, 2), 2, "pixel_shuffle: input must be of 3 or more axes"),
        (pixel_shuffle, (4, 1, 1), 0, "upscale_factor must be at least 1"),
        (pixel_unshuffle, (1, 3, 2), 2, "height and width divisible by 2"),
        (pixel_unshuffle, (1, 2, 3), 2, "height and width divisible by 2"),
        (pixel_unshuffle, (1, 2, 2), -1, "downscale_factor must be at least 1"),
        (pixel_unshuffle, (2, 2), 2, "3 or more axes"),
        (channel_shuffle, (4, 2), 2, "3 or more axes"),
        (channel_shuffle, (1, 4, 2), 3, "divisible by groups (3)"),
        (channel_shuffle, (1, 4, 2), 0, "groups must be at least 1"),
        (native_channel_shuffle, (1, 4, 2), 3, "native_channel_shuffle: input"),
    ],
)
def test_bad_shuffles(function, shape, factor, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        function(jnp.zeros(shape), factor)


def test_factors_that_are_not_ints():
    for function in (pixel_shuffle, pixel_unshuffle, channel_shuffle, native_channel_shuffle):
        with pytest.raises(TypeError, match="must be an int"):
            function(jnp.zeros((1, 4, 2, 2)), 2.0)
