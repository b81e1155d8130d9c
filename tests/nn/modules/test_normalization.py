"""Normalization over features, groups and neighbouring channels against torch."""

import jax.numpy as jnp
import pytest

from fnn import nn
from tests.nn.modules.cases import IMAGE, LINE, Fixed, LayerTests
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand


class TestNormalization(LayerTests):
    CASES = [
        ("LayerNorm", ((4, 9),), {}, LINE),
        ("RMSNorm", (9,), {}, LINE),
        ("GroupNorm", (2, 4), {}, IMAGE),
        ("LocalResponseNorm", (3,), {"alpha": 0.1, "k": 2.0}, IMAGE),
        ("CrossMapLRN2d", (3,), {"alpha": 0.1}, Fixed(rand(0, *IMAGE))),  # torch's gradient is not that of its values
    ]
    MORE = [
        ("LayerNorm", (9, 1e-2, False), {}, LINE),
        ("LayerNorm", ([9],), {"bias": False}, LINE),
        ("RMSNorm", ([4, 9],), {"eps": 0.1}, LINE),
        ("RMSNorm", (9,), {"elementwise_affine": False}, LINE),
        ("GroupNorm", (4, 4), {"affine": False, "eps": 0.1}, LINE),
        ("GroupNorm", (1, 4), {"bias": False}, (3, 4)),
        ("LocalResponseNorm", (2,), {"beta": 0.5}, LINE),
        ("CrossMapLRN2d", (2, 0.1, 0.5, 2), {}, Fixed(rand(0, *IMAGE))),
    ]
    BAD = [
        (ValueError, "GroupNorm: num_channels must be divisible by num_groups", "GroupNorm", (3, 4), {}),
        (ValueError, "GroupNorm: num_groups must be at least 1", "GroupNorm", (0, 4), {}),
        (TypeError, "LayerNorm: normalized_shape must be an int, got 2.5", "LayerNorm", (2.5,), {}),
        (ValueError, "RMSNorm: normalized_shape must be at least 0", "RMSNorm", ((2, -1),), {}),
    ]


def test_an_input_of_another_rank():
    with pytest.raises(ValueError, match=r"CrossMapLRN2d|input must be 4-D"):
        nn.CrossMapLRN2d(2)(rand(0, 2, 4))


@needs_torch
@pytest.mark.parametrize(("size", "channels"), [(1, 3), (2, 5), (3, 7), (4, 6), (5, 9), (5, 2), (11, 4)])
def test_cross_map_lrn_against_torch(size, channels):
    import torch

    ours, theirs = (module.CrossMapLRN2d(size, 0.5, 0.6, 1.5) for module in (nn, torch.nn))
    check_against_torch(ours, theirs, rand(0, 2, channels, 2, 3), grad=False)


def test_cross_map_lrn():
    layer = nn.CrossMapLRN2d(3, alpha=0.5)
    check_transforms(layer, rand(0, 1, 5, 1, 2))
    x = rand(1, 1, 2, 2, 2)
    assert_close(layer(x), nn.LocalResponseNorm(3, alpha=0.5)(x), 1e-12)
    assert layer(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="CrossMapLRN2d: input must be 4-D"):
        layer(rand(0, 3, 3))
    with pytest.raises(ValueError, match="CrossMapLRN2d: size"):
        nn.CrossMapLRN2d(0)(x)
