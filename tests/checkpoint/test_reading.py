"""load and open_checkpoint, on files that torch 2.13 wrote; torch itself is not needed."""

import json
import shutil
import struct
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn.checkpoint.arrays import DTYPES
from tests.oracle import assert_close

pytest.importorskip("safetensors")

FILES = Path(__file__).parent / "files"
POWERS = [1, 2, 4, 8, 16, 1, 2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize("file", ["dtypes_zip.pt", "dtypes_old.pt", "dtypes_big_endian.pt"])
def test_every_dtype(file):
    state = fnn.load(FILES / file)
    assert set(state) == set(DTYPES)
    for name, array in state.items():
        assert isinstance(array, jax.Array)
        assert array.dtype == DTYPES[name]
        expected = np.array(POWERS) > 2 if name == "bool" else np.array(POWERS, np.float64)
        assert np.array_equal(np.asarray(array).astype(np.complex128), expected), name


@pytest.mark.parametrize("file", ["shapes_zip.pt", "shapes_old.pt"])
@pytest.mark.parametrize("lazily", [False, True])
def test_every_shape(file, lazily):
    base = np.arange(24.0, dtype=np.float32)
    expected = {
        "scalar": np.float32(3),
        "empty": np.empty((0, 3)),
        "five": base.reshape(2, 1, 3, 1, 4),
        "transposed": base.reshape(4, 6).T,
        "part": base.reshape(4, 6)[1:3, 2:5],
        "steps": base[::5],
        "expanded": np.array([[1.0] * 3, [2.0] * 3]),
        "shared": base,
        "parameter": base[:2],
        "conjugate": np.array([1 - 2j]),
        "negative": np.array([-2.0]),
    }
    state = fnn.load(FILES / file)
    if lazily:
        with fnn.open_checkpoint(FILES / file) as checkpoint:
            assert all(checkpoint.describe(k).shape == expected[k].shape for k in checkpoint)
            state = dict(checkpoint)
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert_close(state[name], value, 0, 0, name)


def test_a_whole_training_checkpoint():
    state = fnn.load(FILES / "lightning.ckpt")
    assert (state["epoch"], state["hyper_parameters"]) == (3, {"lr": 1e-3, "sizes": (1, 2), "name": None})
    model = fnn.nn.Linear(2, 1)
    model.load_state_dict(fnn.checkpoint.strip_prefix(state["state_dict"], "model."))
    assert_close(model.weight, np.full((1, 2), 0.499), 1e-6, 0)
    optimizer = fnn.optim.Adam(model.parameters())
    optimizer.load_state_dict(state["optimizer_states"][0])
    assert_close(optimizer.state[model.weight]["exp_avg"], np.full((1, 2), 0.1), 1e-6, 0)


def test_one_tensor_of_a_nested_checkpoint():
    with fnn.open_checkpoint(FILES / "lightning.ckpt") as checkpoint:
        assert checkpoint["state_dict.model.bias"].shape == (1,)
        assert checkpoint.describe("state_dict.model.weight").shape == (1, 2)
        assert "epoch" not in checkpoint
        assert checkpoint.get("epoch", 3) == 3
        for look in (checkpoint.__getitem__, checkpoint.describe):
            with pytest.raises(
                KeyError, match=r"open_checkpoint: .*lightning.ckpt: no tensor .*'epoch.*; they have names"
            ):
                look("epoch")
            with pytest.raises(KeyError, match=r"'state_dict.model.bais.*; the nearest is .*'state_dict.model.bias"):
                look("state_dict.model.bais")
        assert "of " in repr(checkpoint)


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("quantized.pt", "quantized tensor.*dequantize"),
        ("sparse.pt", "sparse tensor.*to_dense"),
        ("meta.pt", "meta device"),
        ("model_zip.pt", "'torch.nn.modules.linear.Linear'.*state_dict"),
        ("model_old.pt", "'__main__.Own'.*state_dict"),
        ("script.pt", "TorchScript.*torch.jit.load"),
    ],
)
def test_what_is_refused_is_named(file, why):
    with pytest.raises(ValueError, match=why) as caught:
        fnn.load(FILES / file)
    assert file in str(caught.value)


# 64 bits without x64


def test_integers_must_fit_without_x64(tmp_path):
    fits, large = tmp_path / "fits", tmp_path / "large"
    fnn.save({"a": np.array([-(2**31), 2**31 - 1]), "b": np.array([2**32 - 1], np.uint64)}, fits)
    fnn.save({"a": np.array([1]), "b": np.array([2**31])}, large)
    with jax.enable_x64(False):
        state = fnn.load(fits)
        assert (state["a"].dtype, state["b"].dtype) == (np.int32, np.uint32)
        assert state["a"].tolist() == [-(2**31), 2**31 - 1]
        assert state["b"].tolist() == [2**32 - 1]
        with pytest.raises(
            ValueError, match=r"large: tensor 'b': it is int64 with numbers that int32 cannot hold.*x64"
        ):
            fnn.load(large)
        with fnn.open_checkpoint(large) as checkpoint:
            assert checkpoint["a"].tolist() == [1]
            with pytest.raises(ValueError, match="tensor 'b'"):
                checkpoint["b"]
    assert fnn.load(large)["b"].tolist() == [2**31]


def test_float64_is_rounded_without_x64(tmp_path):
    fnn.save({"a": np.array([1 / 3, np.inf, np.nan, 1e-60]), "c": np.array([1 / 3 + 1j])}, tmp_path / "a")
    fnn.save({"a": np.array([1e300])}, tmp_path / "large")
    with jax.enable_x64(False):
        state = fnn.load(tmp_path / "a")
        assert_close(state["a"], np.array([1 / 3, np.inf, np.nan, 1e-60], np.float32), 0, 0)
        assert state["c"].dtype == np.complex64
        with pytest.raises(ValueError, match="float32 cannot hold"):
            fnn.load(tmp_path / "large")


# Parts, folders, places


def test_a_file_in_parts(tmp_path):
    for path in (FILES / "parts", FILES / "parts" / "model.safetensors.index.json"):
        state = fnn.load(path)
        assert set(state) == {"a", "b", "c"}
        assert state["a"].tolist() == [0, 1, 2]
        assert state["c"].dtype == jnp.bfloat16
        with fnn.open_checkpoint(path) as checkpoint:
            assert len(checkpoint) == 3
            assert checkpoint["b"].tolist() == [[1, 1]]


def test_parts_that_are_not_there(tmp_path):
    folder = tmp_path / "parts"
    shutil.copytree(FILES / "parts", folder)
    index = folder / "model.safetensors.index.json"
    weights = json.loads(index.read_text())["weight_map"]

    def with_map(changed):
        index.write_text(json.dumps({"weight_map": changed}))
        return folder

    with pytest.raises(ValueError, match=r"says that model-00001.* has 'd'"):
        fnn.load(with_map({**weights, "d": weights["a"]}))
    for path in ("../x.safetensors", "/etc/passwd", "a/b", "..", "", 3, "C:x", "other.json"):
        with pytest.raises(ValueError, match=r"is no file name in the same folder|an index itself"):
            fnn.load(with_map({**weights, "a": path}))
    with pytest.raises(FileNotFoundError, match=r"no such file: .*gone"):
        fnn.load(with_map({"a": "gone.safetensors"}))
    index.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="no readable index"):
        fnn.load(folder)
    index.write_text("[1]")
    with pytest.raises(ValueError, match="no weight_map"):
        fnn.load(folder)


def test_folders(tmp_path):
    with pytest.raises(ValueError, match="folder without a checkpoint"):
        fnn.load(tmp_path)
    fnn.save({"a": np.ones(1)}, tmp_path / "x.pt", format="torch")
    assert fnn.load(tmp_path)["a"].tolist() == [1]
    fnn.save({"a": np.ones(1)}, tmp_path / "y.pt", format="torch")
    with pytest.raises(ValueError, match=r"x\.pt, y\.pt: name one"):
        fnn.load(tmp_path)
    fnn.save({"a": np.zeros(1)}, tmp_path / "model.safetensors")
    assert fnn.load(tmp_path)["a"].tolist() == [0]


def test_places():
    device = jax.devices()[0]
    whole = jax.sharding.SingleDeviceSharding(device)
    for given in ({"device": device}, {"device": "cpu"}, {"sharding": whole}, {"sharding": {"parameter": whole}}):
        assert fnn.load(FILES / "shapes_zip.pt", **given)["parameter"].devices() == {device}
    with pytest.raises(ValueError, match="one of them"):
        fnn.load(FILES / "shapes_zip.pt", device="cpu", sharding=whole)
    with pytest.raises(TypeError, match="sharding must be"):
        fnn.load(FILES / "shapes_zip.pt", sharding="cpu")


# Damage


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", "it is empty"),
        (b"not a file of this kind", "no readable safetensors file and no file of torch"),
        (b"\x93NUMPY\x01\x00", "numpy.load"),
        (b"\x89HDF\r\n\x1a\n", "h5py"),
        (b"GGUF\x03\0\0\0", "GGUF"),
        (b"\x08\x07\x12\x07pytorch", "ONNX"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x80\x04\x95\x10\0\0\0\0\0\0\0", "pickle that torch.save did not write"),
        (b"\0" * 257 + b"ustar", "tar file"),
        (b"PK\x03\x04 and nothing more", "damaged or truncated zip"),
        (struct.pack("<Q", 2) + b"{]", "safetensors"),
    ],
)
def test_other_files(tmp_path, head, why):
    (tmp_path / "file").write_bytes(head)
    with pytest.raises(ValueError, match=why) as caught:
        fnn.load(tmp_path / "file")
    assert str(tmp_path / "file") in str(caught.value)


@pytest.mark.parametrize("file", ["shapes_zip.pt", "shapes_old.pt", "parts/model-00001-of-00002.safetensors"])
def test_truncated_at_every_byte(tmp_path, file):
    whole = (FILES / file).read_bytes()
    for length in range(0, len(whole), 1 if len(whole) < 300 else 37):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cut: "):
            fnn.load(tmp_path / "cut")


def test_checksums(tmp_path):
    whole = bytearray((FILES / "shapes_zip.pt").read_bytes())
    with zipfile.ZipFile(FILES / "shapes_zip.pt") as archive:
        entries = {i.filename.partition("/")[2]: i.header_offset for i in archive.infolist()}

    def flipped(entry):
        out = bytearray(whole)
        start = entries[entry]
        out[start + 30 + sum(struct.unpack("<HH", out[start + 26 : start + 30])) + 2] ^= 1
        (tmp_path / "flipped.pt").write_bytes(out)
        return tmp_path / "flipped.pt"

    with pytest.raises(ValueError, match=r"checksum of its data\.pkl"):
        fnn.load(flipped("data.pkl"))
    with pytest.raises(ValueError, match="tensor 'scalar': it is corrupted: its checksum"):
        fnn.load(flipped("data/0"), mmap=False)
    assert fnn.load(FILES / "shapes_zip.pt", mmap=False)["scalar"] == 3


def test_no_such_file(tmp_path):
    for function in (fnn.load, fnn.open_checkpoint):
        with pytest.raises(FileNotFoundError, match=r"no such file: .*nothing"):
            function(tmp_path / "nothing")
