"""Layers that put maxima back against torch."""

import pytest

from tests.nn.modules.cases import LayerTests, check_output_size, ints
from tests.oracle import needs_torch


class TestUnpool(LayerTests):
    CASES = [
        ("MaxUnpool1d", (2,), {}, (1, 1, 3), ints([[1, 2, 5]])),
        ("MaxUnpool2d", (2,), {}, (1, 1, 1, 2), ints([[[1, 6]]])),
        ("MaxUnpool3d", (2,), {}, (1, 1, 1, 1, 2), ints([[[[1, 14]]]])),
    ]
    MORE = [
        ("MaxUnpool1d", (3, 2), {"padding": 1}, (1, 3), ints([0, 2, 4])),
        ("MaxUnpool2d", ((2, 1),), {"stride": (2, 2)}, (1, 1, 1, 2), ints([[[1, 2]]])),
    ]


@needs_torch
@pytest.mark.parametrize(
    ("name", "args", "inputs", "size"),
    [
        ("MaxUnpool1d", (2,), [(1, 1, 3), ints([[1, 2, 5]])], [7]),
        ("MaxUnpool2d", (2,), [(1, 1, 1, 2), ints([[[1, 6]]])], (1, 1, 3, 5)),
        ("MaxUnpool3d", (2,), [(1, 1, 1, 1, 2), ints([[[[1, 14]]]])], [2, 3, 5]),
    ],
)
def test_output_size(name, args, inputs, size):
    check_output_size(name, args, inputs, size)
