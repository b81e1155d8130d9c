"""Arrays of text, dates and keys, integers beyond 64 bits, and arguments that there are none of: named, whoever met them."""

import os
import traceback

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.nn import functional as F

FNN = os.path.dirname(fnn.__file__)

ARRAYS = {
    "text": np.array(["a"]),
    "objects": np.array([None, 1], object),
    "dates": np.array(["2020-01-01"], "datetime64[D]"),
    "records": np.zeros(2, [("a", int)]),
    "a key": jax.random.key(0),
    "keys": jax.random.split(jax.random.key(0), 3),
}
X = np.ones((1, 2, 4), np.float32)

# Each with the name of the argument that is wrong.
DOORS = {
    "relu: input": lambda v: F.relu(v),
    "sigmoid: input": lambda v: F.sigmoid(v),
    "softmax: input": lambda v: F.softmax(v, 0),
    "linear: weight": lambda v: F.linear(X, v),
    "conv1d: input": lambda v: F.conv1d(v, X),
    "conv1d: bias": lambda v: F.conv1d(X, X, v),
    "batch_norm: running_mean": lambda v: F.batch_norm(X, v, v),
    "mse_loss: target": lambda v: F.mse_loss(X, v),
    "cross_entropy: target": lambda v: F.cross_entropy(X[0], v),
    "embedding: input": lambda v: F.embedding(v, X[0]),
    "max_pool1d: input": lambda v: F.max_pool1d(v, 2),
    "scaled_dot_product_attention: key": lambda v: F.scaled_dot_product_attention(X, v, X),
    "elu: alpha": lambda v: F.elu(X, v),
    "dropout: p": lambda v: F.dropout(X, v),
    "max_pool1d: kernel_size": lambda v: F.max_pool1d(X, v),
    "softmax: dim": lambda v: F.softmax(X, v),
    "layer_norm: eps": lambda v: F.layer_norm(X, (4,), eps=v),
    "Parameter: data": lambda v: nn.Parameter(v),
    "Linear: in_features": lambda v: nn.Linear(v, 2),
    "SGD: lr": lambda v: optim.SGD([nn.Parameter(np.ones(1))], lr=v),
    "step_lr: step_size": lambda v: optim.schedule.step_lr(0.1, v),
}


def _refused(door, value):
    function, _, argument = door.partition(": ")
    with pytest.raises((TypeError, ValueError, OverflowError, IndexError)) as caught:
        DOORS[door](value)
    message = str(caught.value)
    assert message.startswith(f"{function}: ")
    assert argument in message
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename.startswith(FNN)
    return message


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", ARRAYS)
def test_no_numbers(kind, door):
    assert "got " in _refused(door, ARRAYS[kind])


@pytest.mark.parametrize(
    "door", [d for d in DOORS if d not in ("Linear: in_features", "layer_norm: eps", "step_lr: step_size")]
)
@pytest.mark.parametrize("value", [2**80, -(2**80)])
def test_beyond_64_bits(value, door):
    assert f"got {value}" in _refused(door, value)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        *(
            (name, lambda name=name: getattr(nn, name)(unknown=1))
            for name in (
                "Softmax",
                "ReflectionPad1d",
                "LPPool2d",
                "BatchNorm2d",
                "LogSoftmax",
                "MaxPool1d",
                "L1Loss",
                "GRU",
            )
        ),
        ("relu", lambda: F.relu(jnp.ones(2), unknown=1)),
        ("SGD", lambda: optim.SGD([], unknown=1)),
        ("sgd", lambda: optim.sgd(unknown=1)),
        ("StepLR", lambda: optim.lr_scheduler.StepLR(unknown=1)),
        ("step_lr", lambda: optim.schedule.step_lr(unknown=1)),
    ],
)
def test_unknown_keywords_name_what_was_called(name, call):
    with pytest.raises(TypeError, match=rf"^{name}: got an unexpected keyword argument 'unknown'"):
        call()


def test_arguments_that_are_missing_or_too_many():
    with pytest.raises(TypeError, match=r"^Softmax: takes from 1 to 2 positional arguments but 5 were given"):
        nn.Softmax(1, 2, 3, 4)
    with pytest.raises(TypeError, match=r"^Linear: missing 1 required positional argument: 'out_features'"):
        nn.Linear(1)
    with pytest.raises(TypeError, match=r"^relu: missing 1 required positional argument: 'input'"):
        F.relu()


def test_a_user_s_class_keeps_pythons_words():
    class Net(nn.Module):
        def __init__(self, width):
            super().__init__()

    with pytest.raises(TypeError, match=r"Net\.__init__\(\) got an unexpected keyword argument 'unknown'"):
        Net(1, unknown=1)
