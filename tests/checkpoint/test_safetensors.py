"""save and load."""

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from tests.oracle import assert_close, needs_torch

pytest.importorskip("safetensors")


def test_round_trip(tmp_path):
    arrays = {
        "a": jnp.arange(6.0).reshape(2, 3),
        "half": jnp.ones(3, jnp.bfloat16) / 3,
        "scalar": np.array(3, np.int64),
        "empty": np.zeros((0, 2), np.float32),
        "transposed": np.arange(6.0).reshape(2, 3).T,
    }
    path = tmp_path / "x.safetensors"
    fnn.save(arrays, path)
    back = fnn.load(path)
    assert back.keys() == arrays.keys()
    for name, value in arrays.items():
        assert back[name].dtype == value.dtype
        assert_close(np.asarray(back[name], np.float64), np.asarray(value, np.float64))


def test_module_round_trip(tmp_path):
    a, b = (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2))
    fnn.save(a.state_dict(), tmp_path / "m.safetensors")
    assert not b.load_state_dict(fnn.load(tmp_path / "m.safetensors")).missing_keys
    assert_close(a[0].weight, b[0].weight)


def test_writing_is_atomic(tmp_path):
    path = tmp_path / "x.safetensors"
    fnn.save({"a": np.ones(2)}, path)
    with pytest.raises(TypeError, match="'b' must be an array"):
        fnn.save({"a": np.zeros(2), "b": "text"}, path)
    assert_close(fnn.load(path)["a"], np.ones(2))
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_bad_arguments(tmp_path):
    with pytest.raises(TypeError, match="must be a mapping"):
        fnn.save([1], tmp_path / "x")
    with pytest.raises(TypeError, match="names must be strings"):
        fnn.save({1: np.ones(1)}, tmp_path / "x")
    with pytest.raises(FileNotFoundError, match="no such file"):
        fnn.load(tmp_path / "nothing")
    (tmp_path / "bad").write_bytes(b"not a file of this kind")
    with pytest.raises(ValueError, match="no readable safetensors file"):
        fnn.load(tmp_path / "bad")


@needs_torch
def test_torch_reads_our_file_and_we_read_torchs(tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    fnn.save(nn.Linear(2, 3).state_dict(), tmp_path / "ours")
    theirs = torch.nn.Linear(2, 3)
    theirs.load_state_dict(load_file(tmp_path / "ours"))
    save_file(theirs.state_dict(), tmp_path / "theirs")
    assert_close(fnn.load(tmp_path / "theirs")["weight"], theirs.weight.detach().numpy())
