"""What is no state of a Module is refused with a reason, and changes nothing; what torch takes is taken."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn


def held(module):
    return {name: np.asarray(box.data) for name, box in module.state_dict(keep_vars=True).items()}


def same(before, after):
    return before.keys() == after.keys() and all(
        a.dtype == after[n].dtype and np.array_equal(a, after[n]) for n, a in before.items()
    )


@pytest.mark.parametrize("options", [{}, {"strict": False}, {"assign": True}], ids=str)
@pytest.mark.parametrize(
    ("state", "kind", "message"),
    [
        ({0: 1}, TypeError, "Linear.load_state_dict: state_dict must be a dict with strings as keys, got 0"),
        ({None: 1}, TypeError, "Linear.load_state_dict: state_dict must be a dict with strings as keys, got None"),
        ({"bias": np.zeros(2), 1: 2}, TypeError, "a dict with strings as keys, got 1"),
        ([1], TypeError, r"Linear.load_state_dict: state_dict must be a dict, got \[1\]"),
        ({"bias": jax.random.key(0)}, RuntimeError, '"bias", expected an array, got PRNGKeyArray'),
        ({"bias": np.array(["a"])}, RuntimeError, '"bias", expected an array, got ndarray'),
        ({"bias": np.array([None, 1])}, RuntimeError, '"bias", expected an array, got ndarray'),
        ({"bias": {"a": 1}}, RuntimeError, '"bias", expected an array, got dict'),
        ({"bias": 3.0}, RuntimeError, "size mismatch for bias"),
    ],
    ids=lambda v: v if isinstance(v, str) else None,
)
def test_no_state(options, state, kind, message):
    layer = nn.Linear(2, 2)
    before = held(layer)
    with pytest.raises(kind, match=message):
        layer.load_state_dict(state, **options)
    assert same(before, held(layer))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e20, -1e20])
def test_a_count_is_no_nan_nor_too_large(value):
    norm = nn.BatchNorm1d(1)
    before = held(norm)
    state = {**before, "running_mean": np.ones(1), "num_batches_tracked": np.array(value)}
    with pytest.raises(RuntimeError, match="num_batches_tracked must be of numbers that int64 can hold, got"):
        norm.load_state_dict(state)
    assert same(before, held(norm))
    with pytest.raises(ValueError, match="copy_: src must be of numbers that int64 can hold, got"):
        norm.num_batches_tracked.copy_(value)
    with pytest.raises(ValueError, match="fill_: value must be of numbers that int64 can hold, got"):
        norm.num_batches_tracked.fill_(value)
    with pytest.raises(ValueError, match=r"\[\]=: value must be of numbers that int64 can hold, got"):
        norm.num_batches_tracked[...] = value
    assert same(before, held(norm))


@pytest.mark.parametrize("value", [2.5, -7.0, 2.0**62, True, 3])
def test_a_count_that_torch_takes(value):
    torch = pytest.importorskip("torch")
    norm, twin = nn.BatchNorm1d(1), torch.nn.BatchNorm1d(1)
    norm.load_state_dict({**held(norm), "num_batches_tracked": np.array(value)})
    twin.load_state_dict({**twin.state_dict(), "num_batches_tracked": torch.tensor(value)})
    assert norm.num_batches_tracked.item() == twin.num_batches_tracked.item()


def test_complex_numbers_lose_their_imaginary_parts_with_a_warning_as_in_torch():
    torch = pytest.importorskip("torch")
    value = np.array([[1 + 2j, 3 - 1j]])
    layer, twin = nn.Linear(2, 1, bias=False), torch.nn.Linear(2, 1, bias=False)
    with pytest.warns(UserWarning, match="weight is complex and goes into float32: the imaginary parts are discarded"):
        layer.load_state_dict({"weight": value})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own warning comes once a process
        twin.load_state_dict({"weight": torch.tensor(value)})
    assert layer.weight.tolist() == twin.weight.tolist() == [[1, 3]]
    for write in (layer.weight.copy_, lambda v: layer.weight.__setitem__(..., v)):
        with pytest.warns(UserWarning, match="is complex and goes into float32"):
            write(2 * value)
        assert layer.weight.tolist() == [[2, 6]]
        layer.weight.copy_(value.real)
    with pytest.warns(UserWarning, match="fill_: value is complex"):
        layer.weight.fill_(4 + 1j)
    assert layer.weight.tolist() == [[4, 4]]


def test_a_traced_number_passes():
    norm = nn.BatchNorm1d(1)
    assert jax.jit(lambda x: norm.num_batches_tracked.data + x.astype(jnp.int64))(jnp.array(2.5)) == 2
