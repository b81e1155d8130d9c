"""Parameters as a vector, and construction without initialization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.nn import utils
from tests.oracle import assert_close


def test_round_trip():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    vector = utils.parameters_to_vector(model.parameters())
    assert vector.shape == (11,)
    assert_close(vector[:6], np.asarray(model[0].weight).ravel())
    utils.vector_to_parameters(jnp.arange(11.0, dtype=jnp.float32), model.parameters())
    assert_close(model[0].bias, np.array([6.0, 7.0], np.float32))
    assert_close(model[1].weight, np.array([[8.0, 9.0]], np.float32))
    utils.vector_to_parameters(vector, model.parameters())
    assert_close(utils.parameters_to_vector(model.parameters()), vector)


def test_vector_is_differentiable():
    grad = jax.grad(lambda p: (utils.parameters_to_vector(p) ** 2).sum())([jnp.ones((2, 2)), jnp.ones(1)])
    assert_close(grad[0], np.full((2, 2), 2.0))


def test_errors_write_nothing():
    model = nn.Linear(3, 2)
    before = np.asarray(model.weight)
    with pytest.raises(ValueError, match=r"vec must be of shape \[8\]"):
        utils.vector_to_parameters(jnp.zeros(7), model.parameters())
    with pytest.raises(TypeError, match=r"parameters\[0\] must be a Parameter"):
        utils.vector_to_parameters(jnp.zeros(2), [jnp.zeros(2)])
    with pytest.raises(TypeError, match="vec"):
        utils.vector_to_parameters("no", model.parameters())
    with pytest.raises(ValueError, match="at least one"):
        utils.parameters_to_vector([])
    assert_close(model.weight, before)


def test_skip_init_draws_nothing():
    fnn.manual_seed(3)
    expected = np.asarray(nn.Linear(3, 2).weight)
    fnn.manual_seed(3)
    skipped = utils.skip_init(nn.Conv2d, 3, 4, 3, dtype=jnp.float16)
    assert skipped.weight.shape == (4, 3, 3, 3)
    assert skipped.weight.dtype == jnp.float16
    assert_close(nn.Linear(3, 2).weight, expected)


def test_skip_init_errors_and_recovers():
    with pytest.raises(RuntimeError, match="must be a Module class"):
        utils.skip_init(int)
    with pytest.raises(RuntimeError, match="must take a device argument"):
        utils.skip_init(nn.ReLU)
    with pytest.raises(ValueError, match="in_features must be at least 0"):
        utils.skip_init(nn.Linear, -1, 2)
    assert np.abs(np.asarray(nn.Linear(3, 2).weight)).max() > 0
