"""Linear layers against torch."""

import pytest

from fnn import nn
from tests.nn.modules.cases import LayerTests
from tests.oracle import rand


class TestLinear(LayerTests):
    CASES = [
        ("Identity", (54,), {"unused": 1}, (2, 3)),
        ("Linear", (3, 4), {}, (2, 5, 3)),
        ("Linear", (3, 4, False), {}, (3,)),
        ("Bilinear", (2, 3, 4), {}, (5, 2), (5, 3)),
    ]
    MORE = [
        ("Linear", (3, 0), {}, (2, 3)),
        ("Bilinear", (2, 3, 4), {"bias": False}, (2,), (3,)),
    ]
    BAD = [
        (TypeError, "Linear: in_features must be an int, got 2.5", "Linear", (2.5, 3), {}),
        (TypeError, "Linear: out_features must be an int, got 'x'", "Linear", (2, "x"), {}),
        (ValueError, "Linear: out_features must be at least 0, got -1", "Linear", (2, -1), {}),
        (ValueError, "Bilinear: in1_features must be at least 1, got 0", "Bilinear", (0, 2, 3), {}),
        (TypeError, "Bilinear: in2_features must be an int, got None", "Bilinear", (2, None, 3), {}),
    ]
    COMPILED = ["Linear"]


def test_an_input_of_another_dtype():
    with pytest.raises(TypeError, match="float64"):
        nn.Linear(3, 2)(rand(0, 2, 3))
