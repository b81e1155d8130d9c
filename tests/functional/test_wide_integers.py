"""Integers of 64 bits where 64-bit types are off: those that int32 cannot hold are refused at every door, never cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.nn import functional as F

BIG = 2**32 + 1


class Counting(nn.Module):
    count: nn.Buffer

    def __init__(self):
        super().__init__()
        self.register_buffer("count", np.array(7))


@pytest.fixture(autouse=True)
def _without_x64():
    with jax.enable_x64(False):
        yield


DOORS = {
    "indices": lambda value: F.embedding(value.reshape(1), jnp.ones((3, 2))),
    "targets": lambda value: F.nll_loss(jnp.zeros((1, 3)), value.reshape(1)),
    "values": lambda value: F.relu(value),
    "a buffer": lambda value: nn.Buffer(value),
    "register_buffer": lambda value: Counting().register_buffer("other", value),
    "assignment": lambda value: setattr(Counting(), "count", value),
    "data": lambda value: setattr(Counting().count, "data", value),
    "copy_": lambda value: Counting().count.copy_(value),
    "add_": lambda value: Counting().count.add_(value),
    "update": lambda value: fnn.update(Counting(), {}, {"count": value}),
    "fnn.jit": lambda value: fnn.jit(lambda x: x)(value),
    "a tree for fnn.jit": lambda value: fnn.jit(lambda x: x["a"][1])({"a": [1.0, value]}),
    "a result of fnn.jit": lambda value: fnn.jit(lambda x: value)(1.0),
    "functional_call": lambda value: fnn.functional_call(nn.BatchNorm1d(1), *_with(value), jnp.ones((2, 1))),
}


def _with(value):
    params, buffers = fnn.state(nn.BatchNorm1d(1))
    return params, {**buffers, "num_batches_tracked": value}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("value", [BIG, -BIG])
def test_refused(door, value):
    with pytest.raises(OverflowError, match=f"must be of numbers that int32 can hold, got {value}; .*jax_enable_x64"):
        DOORS[door](np.array(value))


@pytest.mark.parametrize("door", sorted({*DOORS} - {"indices", "targets", "functional_call", "update"}))
@pytest.mark.parametrize("value", [BIG, -BIG, 2**80])
def test_numbers_of_python_are_refused(door, value):
    advice = "; .*jax_enable_x64" if value != 2**80 else ""
    with pytest.raises(OverflowError, match=f"must be of numbers that int32 can hold, got {value}{advice}"):
        DOORS[door](value)
    with jax.enable_x64(True), pytest.raises(OverflowError, match=f"of numbers that int64 can hold, got {2**80}(\n|$)"):
        DOORS[door](2**80)


def test_arguments_of_jit_that_fit_become_int32():
    double = fnn.jit(lambda x: x + x)
    for value in (np.array([3]), np.int64(3), np.array(3, np.uint64)):
        assert int(double(value).sum()) == 6
    assert double._cache_size() == 3
    with pytest.raises(OverflowError, match=r"fnn\.jit: argument x of .* must be of numbers that int32 can hold, got"):
        double(np.array([BIG]))
    torch = pytest.importorskip("torch")
    with pytest.raises(OverflowError, match=r"fnn\.jit: argument x of .* must be of numbers that int32 can hold, got"):
        double(torch.tensor([BIG]))
    with jax.enable_x64(True):
        assert double(np.array([BIG])).tolist() == [2 * BIG]


def test_load_state_dict_names_the_key_and_changes_nothing():
    module = Counting()
    for assign in (False, True):
        with pytest.raises(RuntimeError, match="count must be of numbers that int32 can hold"):
            module.load_state_dict({"count": np.array(BIG)}, assign=assign)
    assert module.count.item() == 7


def test_those_that_fit_become_int32():
    module = Counting()
    module.load_state_dict({"count": np.array(2**31 - 1)})
    assert (module.count.dtype, module.count.item()) == (jnp.int32, 2**31 - 1)
    assert F.relu(np.array([-(2**31), 3])).tolist() == [0, 3]
    assert F.relu(np.zeros(0, np.int64)).shape == (0,)


@pytest.mark.parametrize("name", ["Adam", "NAdam", "ASGD", "Rprop"])
def test_steps_beyond_2_to_24_are_counted_and_saved(name):
    parameter = nn.Parameter(jnp.ones(2))
    optimizer = getattr(optim, name)([parameter])
    parameter.grad = jnp.ones(2)
    optimizer.step()
    state = optimizer.state_dict()
    assert state["state"][0]["step"].dtype == jnp.float32  # torch's dtype, where it holds the number
    state["state"][0]["step"] = np.array(2**24)
    optimizer.load_state_dict(state)
    for _ in range(3):
        optimizer.step()
    state = optimizer.state_dict()
    assert int(state["state"][0]["step"]) == 2**24 + 3
    optimizer.load_state_dict(state)
    assert int(optimizer.state[parameter]["step"]) == 2**24 + 3


def test_batches_beyond_2_to_24_are_counted():
    norm = nn.BatchNorm1d(1)
    norm.num_batches_tracked.copy_(2**24)
    for _ in range(3):
        norm(jnp.ones((2, 1)))
    assert norm.num_batches_tracked.item() == 2**24 + 3


def test_batches_beyond_what_int32_holds_are_counted_no_more():
    norm = nn.BatchNorm1d(1, momentum=None)
    norm.num_batches_tracked.copy_(2**31 - 2)
    for _ in range(3):
        norm(jnp.ones((2, 1)))
    assert norm.num_batches_tracked.item() == 2**31 - 1
    assert 0 <= norm.running_mean.item() < 1e-8
