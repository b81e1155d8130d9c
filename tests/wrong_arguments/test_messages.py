"""Mistakes that are often made, and what the error says to each."""

from __future__ import annotations

import re
import sys
import traceback
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.functional.explained import explained
from fnn.nn import functional as F

X = jnp.ones((3, 2), jnp.float32)
TREE = {"w": jnp.ones(2)}


def net():
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def params():
    return fnn.state(net())[0]


def traced_clip():
    model = nn.Linear(2, 2)
    for p in model.parameters():
        p.grad = jnp.ones(p.shape)
    return jax.jit(lambda n: nn.utils.clip_grad_norm_(model.parameters(), n))(1.0)


MISTAKES = {
    "a loss for a closure": (
        lambda: fnn.backward(net()(X).sum(), net()),
        TypeError,
        "backward: closure must be a function that returns the loss, as in backward(lambda: criterion(model(x), y), model), "
        "got float32[]",
    ),
    "a loss for the closure of a step": (
        lambda: optim.SGD(net().parameters()).step(X.sum()),
        TypeError,
        "SGD.step: closure must be a function that returns the loss, as in optimizer.step(lambda: criterion(model(x), y)), "
        "got float32[]",
    ),
    "buffers forgotten": (
        lambda: fnn.functional_call(net(), params(), X),
        TypeError,
        "functional_call: buffers must be a dict, as in functional_call(model, params, buffers, x) after params, buffers = "
        "fnn.state(model), got float32[3, 2]",
    ),
    "update with state and parameters exchanged": (
        lambda: optim.adam().update(TREE, TREE, optim.adam().init(TREE)),
        TypeError,
        "adam.update: state must be the AdamState that init gives, got a dict; the order is update(grads, state, params)",
    ),
    "update with the state first": (
        lambda: optim.adam().update(optim.adam().init(TREE), TREE, TREE),
        TypeError,
        "adam.update: state must be the AdamState that init gives, got a dict; the order is update(grads, state, params)",
    ),
    "gradients of another structure": (
        lambda: optim.adam().update({"v": TREE["w"]}, optim.adam().init(TREE), TREE),
        ValueError,
        "adam.update: params must be of the structure of grads, {'v': *}, got {'w': *}",
    ),
    "gradients of another shape": (
        lambda: optim.adam().update({"w": jnp.ones(3)}, optim.adam().init(TREE), TREE),
        ValueError,
        "adam.update: params must be of the shapes of grads, float64[3] at ['w'], got float64[2]",
    ),
    "the learning rate for parameters": (
        lambda: optim.Adam(1e-3),
        TypeError,
        "Adam: params must be an iterable of Parameters or dicts, got 0.001",
    ),
    "a model for parameters": (
        lambda: optim.Adam(nn.Linear(2, 2)),
        TypeError,
        "Adam: params must be an iterable of Parameters or dicts, got Linear; pass its .parameters()",
    ),
    "a method that is not called": (
        lambda: optim.Adam(nn.ReLU().parameters),
        TypeError,
        "Adam: params must be an iterable of Parameters or dicts, got <bound method Module.parameters of ReLU()>; call it",
    ),
    "None for parameters": (
        lambda: optim.SGD(None),
        TypeError,
        "SGD: params must be an iterable of Parameters or dicts, got None",
    ),
    "a group without params": (
        lambda: optim.SGD([{"lr": 0.1}]),
        ValueError,
        "SGD: param_group must have the key 'params', got only ['lr']",
    ),
    "a number for the betas": (
        lambda: optim.Adam(net().parameters(), betas=0.9),
        TypeError,
        "Adam: betas must be a tuple of 2 numbers, got 0.9",
    ),
    "a string for a chance": (lambda: nn.Dropout("a"), TypeError, "Dropout: p must be a number, got 'a'"),
    "an empty state": (
        lambda: nn.Linear(2, 2).load_state_dict({}),
        RuntimeError,
        'Error(s) in loading state_dict for Linear:\n\tMissing key(s) in state_dict: "weight", "bias". \n\tstate_dict must '
        "have the keys that state_dict() of such a module gives, got an empty one",
    ),
    "an empty state of an optimizer": (
        lambda: optim.SGD(net().parameters()).load_state_dict({}),
        ValueError,
        "SGD.load_state_dict: state_dict must be one of an optimizer, with 'param_groups' and 'state', got the keys []",
    ),
    "truth values to be pooled": (
        lambda: F.max_pool2d(jnp.ones((1, 1, 4, 4), bool), 2),
        TypeError,
        "max_pool2d: input must be of a floating or integer dtype, got bool[1, 1, 4, 4]",
    ),
    "a hook that is none": (
        lambda: nn.Linear(2, 2).register_forward_hook(None),
        TypeError,
        "Linear.register_forward_hook: hook must be a function, got None",
    ),
    "a device that is none": (
        lambda: nn.Linear(2, 2, device="best"),
        RuntimeError,
        "Linear: device must be one of cpu, cuda, gpu, tpu, rocm, with an optional index, got 'best'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake):
    call, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=f"^{re.escape(message)}$") as caught:
        call()
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename.startswith(str(Path(fnn.__file__).parent))


def test_gradients_clipped_under_jax_jit_are_called_gradients():
    with pytest.raises(
        RuntimeError, match=r"^(clip_\w+: )?gradient 'Linear.weight.grad' of shape \(2, 2\) would be changed"
    ):
        traced_clip()


def test_a_traced_max_norm_clips():
    model = nn.Linear(2, 1, bias=False)
    model.weight.grad = jnp.array([[3.0, 4.0]])
    norm = fnn.jit(lambda most: nn.utils.clip_grad_norm_(model.parameters(), most))(0.5)
    assert float(norm) == 5
    np.testing.assert_allclose(model.weight.grad, [[0.3, 0.4]], rtol=1e-5)
    fnn.jit(lambda most: nn.utils.clip_grad_value_(model.parameters(), most))(0.35)
    np.testing.assert_allclose(model.weight.grad, [[0.3, 0.35]], rtol=1e-5)


def test_the_shapes_of_a_model_need_a_key():
    with pytest.raises(
        RuntimeError, match=r"Linear: .*open fnn.random.key_scope\(key\) inside the transformed function"
    ):
        jax.eval_shape(lambda: fnn.state(nn.Linear(2, 3)))

    def shapes():
        with fnn.random.key_scope(jax.random.key(0)):
            return fnn.state(nn.Linear(2, 3))

    assert jax.eval_shape(shapes)[0]["weight"].shape == (3, 2)


def test_no_message_has_words_of_the_inside():
    """In the source: no text that is raised names the classes of the machinery."""
    inner = re.compile(r'f?"[^"]*\b(OptionalBox|ElementCell|BankEntry|ShapedArray|Tracer)\b[^"]*"')
    found = []
    for path in Path(fnn.__file__).parent.rglob("*.py"):
        text = path.read_text()
        for raised in re.finditer(r"raise \w+\((?:[^()]|\([^()]*\))*\)", text):
            if match := inner.search(raised[0]):
                found.append((path.name, match[0]))
    assert not found


# The rule behind it


@explained
def _scaled(
    input: jax.Array, factor: float, times: int = 1, *, on: bool = True, names: list[str] | None = None
) -> jax.Array:
    if names is not None:
        return input[names[0]]
    return input * factor * len(range(times)) if on else input


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"factor": "a"}, "factor must be a number, got 'a'"),
        ({"factor": None}, "factor must be a number, got None"),
        ({"times": 1.5}, "times must be an int, got 1.5"),
        ({"on": jnp.ones(2)}, r"on must be True or False, got float64\[2\]"),
        ({"names": 3}, "names must be a list of strings or None, got 3"),
    ],
)
def test_explained(wrong, message):
    with pytest.raises(TypeError, match=f"^_scaled: {message}$"):
        _scaled(**{"input": X, "factor": 2.0, **wrong})


def test_an_error_that_no_argument_explains_stays():
    with pytest.raises(TypeError, match=r"unsupported|only integer|Indexer|string") as caught:
        _scaled(X, 1.0, names=["a"])
    assert not str(caught.value).startswith("_scaled")

    @explained
    def calls(function: object) -> None:
        function()

    def users() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$") as mine:
        calls(users)
    assert traceback.extract_tb(mine.value.__traceback__)[-1].name == "users"


def test_explained_functions_look_like_themselves():
    assert F.relu.__name__ == "relu"
    assert F.relu.__module__ == "fnn.functional.activation.piecewise"
    assert F.relu.__globals__ is sys.modules["fnn.functional.activation.piecewise"].__dict__
    assert F.relu.__doc__.startswith("Rectifier")


def test_warnings_name_the_line_of_the_caller():
    for call in (
        lambda: F.softmax(X),
        lambda: F.mse_loss(X, X, size_average=True),
        lambda: F.upsample(X[None], scale_factor=2),
        lambda: F.mse_loss(X, X[:1]),
        lambda: F.kl_div(X, X),
        lambda: F.gumbel_softmax(X, eps=0.1, rng=jax.random.key(0)),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert [w.filename for w in caught] == [__file__]
