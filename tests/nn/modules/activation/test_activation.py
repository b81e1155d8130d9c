"""Every activation class against the function of its name and against torch's class.

The rows of ``tests/functional/activation/table.py`` are the options. A class that it does not list is tested with those
given here, or without any: a new class needs nothing in this file.
"""

import inspect

import numpy as np
import pytest

import fnn
from fnn import functional as F, nn
from fnn.nn.modules import activation
from tests.functional.activation.table import TABLE
from tests.nn.modules.cases import IMAGE, LINE, LayerTests
from tests.oracle import assert_close, rand

NAMES = [name for name in activation.__all__ if name != "MultiheadAttention"]

# Options of the classes that are more than a function of each element; RReLU without chance, to compare it in training.
OPTIONS = {
    "GLU": [{"dim": 1}, {"dim": -1}],
    "LogSoftmax": [{"dim": 1}],
    "PReLU": [{"num_parameters": 4, "init": 0.1}, {}],
    "RReLU": [{"lower": 0.25, "upper": 0.25}],
    "Softmax": [{"dim": -1}],
    "Softmin": [{"dim": 1}],
}
SHAPES = {"GLU": (2, 4, 8), "Softmax2d": IMAGE}


def input_of(name):
    return rand(0, *SHAPES.get(name, LINE), low=-7, high=7)


def rows_of(name):
    return OPTIONS.get(name) or [options for _, layer, options in TABLE if layer == name] or [{}]


def function_of(name):
    """The function with the name of the class: ``leaky_relu`` for ``LeakyReLU``."""
    if name == "Softmax2d":
        return lambda input: F.softmax(input, -3)
    (function,) = [f for f in dir(F) if not f.endswith("_") and f.replace("_", "") == name.lower()]
    return getattr(F, function)


def takes_inplace(name):
    return "inplace" in inspect.signature(getattr(nn, name)).parameters


class TestActivation(LayerTests):
    CASES = [(name, (), rows_of(name)[0], input_of(name)) for name in NAMES]
    MORE = [
        *((name, (), options, input_of(name)) for name in NAMES for options in rows_of(name)[1:]),
        *((name, (), {**rows_of(name)[0], "inplace": True}, input_of(name)) for name in NAMES if takes_inplace(name)),
        ("Softmax2d", (), {}, IMAGE[1:]),
    ]
    BAD = [
        (TypeError, "PReLU: num_parameters must be an int", "PReLU", (2.5,), {}),
        (ValueError, "Hardtanh: max_val must be larger than min_val", "Hardtanh", (1.0, 0.0), {}),
    ]
    COMPILED = ["Softmax2d"]


@pytest.mark.parametrize("name", NAMES)
def test_class_is_its_function(name):
    """With every attribute of the layer that is an argument of the function given to it."""
    function = function_of(name)
    for options in rows_of(name):
        layer = getattr(nn, name)(**options).eval()
        if name == "PReLU":
            layer.double()
        arguments = [p for p in inspect.signature(function).parameters if p != "input" and hasattr(layer, p)]
        x = input_of(name)
        assert_close(layer(x), function(x, **{p: getattr(layer, p) for p in arguments}), 0, 0)


def test_rrelu_in_training_mode():
    layer = nn.RReLU(0.1, 0.3)
    fnn.manual_seed(0)
    slopes = np.asarray(layer(-np.ones((40,))))
    assert ((slopes <= -0.1) & (slopes >= -0.3)).all()
    assert len(np.unique(slopes)) > 20
    assert_close(layer.eval()(-np.ones(3)), -np.full(3, 0.2))


def test_hardtanh_by_its_former_names():
    with pytest.warns(FutureWarning, match="`min_value` is deprecated and renamed to `min_val`"):
        layer = nn.Hardtanh(min_value=-3)
    assert (layer.min_val, layer.max_val) == (-3, 1.0)
    with pytest.warns(FutureWarning, match="`max_value` is deprecated"):
        assert repr(nn.Hardtanh(max_value=2.0)) == "Hardtanh(min_val=-1.0, max_val=2.0)"
