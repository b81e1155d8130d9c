"""Fractional max pooling layers against torch."""

import numpy as np
import pytest

import fnn
from fnn import nn
from tests.nn.modules.cases import IMAGE, VOLUME, LayerTests
from tests.oracle import rand


class TestFractionalPooling(LayerTests):
    CASES = [
        ("FractionalMaxPool2d", (2, 3), {"_random_samples": rand(0, 2, 4, 2, low=0)}, IMAGE),
        ("FractionalMaxPool3d", (2,), {"output_ratio": 0.5, "_random_samples": rand(0, 1, 2, 3, low=0)}, VOLUME),
    ]
    MORE = [
        (
            "FractionalMaxPool2d",
            ((2, 3),),
            {"output_ratio": (0.5, 0.6), "return_indices": True, "_random_samples": rand(0, 2, 4, 2, low=0)},
            IMAGE,
        ),
        ("FractionalMaxPool3d", (2, (2, 3, 2), None, True), {"_random_samples": rand(0, 1, 2, 3, low=0)}, VOLUME),
    ]
    BAD = [
        (ValueError, "FractionalMaxPool2d: .*output_ratio", "FractionalMaxPool2d", (2,), {}),
        (ValueError, "FractionalMaxPool2d: .*output_ratio", "FractionalMaxPool2d", (2, 3, 0.5), {}),
        (ValueError, "output_ratio must be between 0 and 1", "FractionalMaxPool3d", (2,), {"output_ratio": 1.5}),
    ]


@pytest.mark.parametrize("n", [2, 3])
def test_fractional_pool_draws_its_regions(n):
    layer = getattr(nn, f"FractionalMaxPool{n}d")(2, output_size=6)
    x = rand(0, 1, 1, *(11,) * n)
    fnn.manual_seed(0)
    outs = [np.asarray(layer(x)) for _ in range(3)]
    assert outs[0].shape == (1, 1, *(6,) * n)
    assert any((a != outs[0]).any() for a in outs[1:])
