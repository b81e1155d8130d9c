"""Transposed convolution layers against torch."""

import numpy as np
import pytest

from fnn import nn
from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests, check_output_size
from tests.oracle import needs_torch


class TestTransposed(LayerTests):
    CASES = [
        ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1, "groups": 2}, LINE),
        ("ConvTranspose2d", (4, 2, 3), {"stride": (2, 1), "padding": 1}, IMAGE),
        ("ConvTranspose3d", (2, 1, 2), {"bias": False}, VOLUME),
    ]
    MORE = [
        ("ConvTranspose1d", (4, 6, 3), {"padding": 2, "dilation": 3}, (4, 9)),
        ("ConvTranspose2d", (4, 4, 2), {"stride": 2, "groups": 4, "dilation": 2, "output_padding": 1}, IMAGE),
        ("ConvTranspose3d", (2, 2, (1, 2, 3)), {"stride": 2, "padding": 1, "output_padding": 1}, VOLUME),
    ]
    BAD = [
        (
            ValueError,
            "ConvTranspose2d: padding_mode must be",
            "ConvTranspose2d",
            (4, 4, 3),
            {"padding_mode": "reflect"},
        ),
    ]


@needs_torch
@pytest.mark.parametrize(
    ("name", "args", "inputs", "size"),
    [
        ("ConvTranspose1d", (4, 2, 3, 2), [LINE], [20]),
        ("ConvTranspose2d", (4, 2, 3, 2, 1), [IMAGE], (12, 9)),
        ("ConvTranspose3d", (2, 2, 2, 2), [VOLUME[1:]], [2, 9, 10, 9]),
    ],
)
def test_output_size(name, args, inputs, size):
    check_output_size(name, args, inputs, size)


def test_an_output_size_that_does_not_fit():
    with pytest.raises(ValueError, match="output_size"):
        nn.ConvTranspose1d(1, 1, 2, 2)(np.ones((1, 1, 3), "f"), [9])
