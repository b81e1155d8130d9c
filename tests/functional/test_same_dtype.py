"""Arrays of two dtypes are refused, as torch refuses them, and the cast that the message names helps."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn.nn.functional as F
from tests.oracle import needs_torch


def ones(*shape, dtype="float64"):
    return np.ones(shape, dtype)


# A call of named arguments of which the first has another dtype, and what is cast.
CALLS = {
    "linear": (F.linear, {"input": ones(2, 3), "weight": ones(4, 3, dtype="float32")}, "input.astype(jnp.float32)"),
    "linear of integers": (
        F.linear,
        {"input": ones(2, 3, dtype="uint8"), "weight": ones(4, 3, dtype="float32")},
        "input.astype(jnp.float32)",
    ),
    "linear, bias": (
        F.linear,
        {"input": ones(2, 3, dtype="float32"), "weight": ones(4, 3, dtype="float32"), "bias": ones(4)},
        "bias.astype(jnp.float32)",
    ),
    "conv2d": (
        F.conv2d,
        {"input": ones(1, 1, 4, 4), "weight": ones(1, 1, 3, 3, dtype="float16")},
        "input.astype(jnp.float16)",
    ),
    "layer_norm": (
        F.layer_norm,
        {"input": ones(2, 3), "normalized_shape": (3,), "weight": ones(3, dtype="float32")},
        "input.astype(jnp.float32)",
    ),
    "batch_norm": (
        F.batch_norm,
        {"input": ones(2, 3), "running_mean": ones(3, dtype="float32"), "running_var": ones(3, dtype="float32")},
        "input.astype(jnp.float32)",
    ),
    "cross_entropy": (
        F.cross_entropy,
        {"input": ones(2, 3), "target": ones(2, 3, dtype="float32")},
        "target.astype(jnp.float64)",
    ),
    "mse_loss": (
        F.mse_loss,
        {"input": ones(2, 3, dtype="bfloat16"), "target": ones(2, 3, dtype="float32")},
        "target.astype(jnp.bfloat16)",
    ),
    "scaled_dot_product_attention": (
        F.scaled_dot_product_attention,
        {"query": ones(2, 3), "key": ones(2, 3), "value": ones(2, 3, dtype="float32")},
        "value.astype(jnp.float64)",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_cast_that_the_message_names_helps(name):
    function, arguments, cast = CALLS[name]
    with pytest.raises(
        TypeError, match=r"^\w+: (\w+) and (\w+) must be of one dtype, got .* and .*; cast one, as by "
    ) as caught:
        function(**arguments)
    named, *_, hint = re.match(r".*?: (\w+) and (\w+) .* as by (.*)$", str(caught.value)).groups()
    assert hint == cast
    assert str(arguments[named].dtype) in str(caught.value)
    changed = cast.partition(".")[0]
    cured = eval(cast, {"jnp": jnp}, {changed: jnp.asarray(arguments[changed])})
    assert jax.tree.leaves(function(**{**arguments, changed: cured}))


@needs_torch
@pytest.mark.parametrize("name", ["linear", "linear, bias", "conv2d"])
def test_torch_refuses_them_too(name):
    import torch

    function, arguments, _ = CALLS[name]
    tensors = {key: torch.tensor(value) for key, value in arguments.items()}
    with pytest.raises(RuntimeError, match=r"dtype|type"):
        getattr(torch.nn.functional, function.__name__)(**tensors)
