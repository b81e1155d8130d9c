"""Files of torch 2.13 against fnn, both ways and both formats, to the same bits."""

import zipfile
from collections import OrderedDict

import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.checkpoint.arrays import DTYPES
from tests.checkpoint.test_safetensors import same
from tests.oracle import needs_torch

pytestmark = [needs_torch, pytest.mark.filterwarnings("ignore:.*TypedStorage|.*__array__")]


def odd_tensors(name):
    import torch

    rng = np.random.default_rng(3)
    dtype, size = getattr(torch, name), DTYPES[name].itemsize

    def make(*shape):
        raw = rng.integers(0, 2 if name == "bool" else 256, int(np.prod(shape)) * size, np.uint8)
        return torch.from_numpy(raw).view(dtype).reshape(shape) if raw.size else torch.empty(shape, dtype=dtype)

    base = make(4, 6)
    return OrderedDict(
        scalar=make(),
        one=make(1),
        empty=make(0, 3),
        empty_part=base[2:2],
        five=make(2, 1, 3, 1, 2),
        whole=base,
        again=base,
        transposed=base.T,
        part=base[1:3, 2:5],
        steps=base[::2, ::3],
        expanded=make(3, 1).expand(3, 4),
        everywhere=make().expand(2, 3),
        diagonal=base.diagonal(),
        windows=base.reshape(-1).as_strided((4, 3), (2, 1), 5),
        permuted=make(2, 3, 4).permute(2, 0, 1),
    )


def bits(tensor):
    import torch

    tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def assert_same_bits(array, tensor):
    array = np.asarray(array)
    assert (array.shape, array.dtype.name) == (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
    assert array.tobytes() == bits(tensor)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("name", DTYPES)
def test_torch_writes_and_fnn_reads(tmp_path, name, zipped):
    import torch

    tensors = odd_tensors(name)
    torch.save({"state": tensors}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    state = fnn.load(tmp_path / "x.pt", mmap=False)["state"]
    assert state["whole"] is state["again"]
    with fnn.open_checkpoint(tmp_path / "x.pt") as checkpoint:
        for key, tensor in tensors.items():
            assert_same_bits(state[key], tensor)
            assert_same_bits(checkpoint[f"state.{key}"], tensor)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("name", DTYPES)
def test_fnn_writes_and_torch_reads(tmp_path, name, mmap):
    import torch

    arrays = {}
    for key, tensor in odd_tensors(name).items():
        fnn.save(tensor, tmp_path / "one", format="torch")
        arrays[key] = fnn.load(tmp_path / "one")
        assert_same_bits(arrays[key], tensor)
    fnn.save({"state": arrays, "again": arrays["whole"]}, tmp_path / "x.pt", format="torch")
    back = torch.load(tmp_path / "x.pt", weights_only=True, mmap=mmap)
    for key, array in arrays.items():
        assert_same_bits(array, back["state"][key])
        assert back["state"][key].is_contiguous()
    assert back["again"].data_ptr() == back["state"]["whole"].data_ptr()
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize("name", [n for n in DTYPES if "fnuz" not in n and n != "complex128"])
def test_flat_files_are_plain_safetensors(tmp_path, name):
    from safetensors.torch import load_file, save_file

    tensors = {k: t.contiguous().clone() for k, t in odd_tensors(name).items()}
    fnn.save(tensors, tmp_path / "ours")
    save_file(tensors, tmp_path / "theirs")
    ours, theirs = load_file(tmp_path / "ours"), fnn.load(tmp_path / "theirs")
    for key, tensor in tensors.items():
        assert bits(ours[key]) == bits(tensor)
        assert ours[key].dtype == tensor.dtype
        assert_same_bits(theirs[key], tensor)


PLAIN = {
    "ints": [0, 255, 256, 65536, -1, 2**31, -(2**31) - 1, 2**63, -(2**200)],
    "floats": [0.5, -0.0, float("inf"), 1e-320],
    "others": [None, True, False, "", "ü𝄞", (), (1,), (1, 2, 3, 4), {}, [], {3: {"a": 1}, (1, 2): 2, None: 0}],
}


def test_plain_values_both_ways(tmp_path):
    import torch

    fnn.save(PLAIN, tmp_path / "ours", format="torch")
    assert same(torch.load(tmp_path / "ours", weights_only=True), PLAIN)
    for zipped in (True, False):
        torch.save({**PLAIN, "set": {1, 2}, "bytes": b"\0\xff"}, tmp_path / "x", _use_new_zipfile_serialization=zipped)
        assert same(fnn.load(tmp_path / "x"), {**PLAIN, "set": {1, 2}, "bytes": b"\0\xff"})


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_other_objects(tmp_path, protocol):
    import argparse
    import collections
    import pathlib

    import torch

    obj = {
        "size": torch.Size([1, 2]),
        "device": torch.device("cuda", 1),
        "dtype": torch.bfloat16,
        "scalar": np.float32(1.5),
        "array": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "counter": collections.Counter("aab"),
        "default": collections.defaultdict(list, a=[1]),
        "namespace": argparse.Namespace(lr=0.1),
        "path": pathlib.PurePosixPath("a") and pathlib.Path("a/b"),
        "complex": 1 + 2j,
        "frozen": frozenset([1]),
        "bytearray": bytearray(b"a\xff"),
        "buffer": torch.nn.Buffer(torch.ones(2)),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "text": "a" * 300,
        "many": list(range(2000)),
        "version": torch.__version__,
        "deque": collections.deque([1, "a"], maxlen=3),
    }
    torch.save(obj, tmp_path / "x.pt", pickle_protocol=protocol)
    back = fnn.load(tmp_path / "x.pt")
    assert back["size"] == (1, 2)
    assert back["device"] == "cuda:1"
    assert back["dtype"] == DTYPES["bfloat16"]
    assert back["counter"] == {"a": 2, "b": 1}
    assert (back["default"], back["namespace"], back["path"]) == ({"a": [1]}, {"lr": 0.1}, "a/b")
    for key in ("array", "scalar", "buffer", "parameter"):
        assert np.array_equal(back[key], np.asarray(getattr(obj[key], "detach", lambda: obj[key])()))  # noqa: B023
    assert back["big"].tolist() == [0, 1, 2]
    assert same((back["version"], back["deque"]), (str(torch.__version__), [1, "a"]))
    for key in ("complex", "frozen", "bytearray", "text", "many"):
        assert same(back[key], obj[key])


def test_a_parameter_with_attributes(tmp_path):
    import torch

    weight = torch.nn.Parameter(torch.ones(2))
    weight.note = "kept by torch"
    plain = torch.ones(3)
    plain.note = 3
    torch.save({"weight": weight, "plain": plain}, tmp_path / "x.pt")
    assert fnn.load(tmp_path / "x.pt")["weight"].tolist() == [1, 1]
    assert fnn.load(tmp_path / "x.pt")["plain"].tolist() == [1, 1, 1]


def test_without_checksums(tmp_path):
    import torch

    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.ones(2)}, tmp_path / "x.pt")
    finally:
        torch.serialization.set_crc32_options(before)
    assert fnn.load(tmp_path / "x.pt", mmap=False)["a"].tolist() == [1, 1]


@pytest.mark.parametrize("mmap", [True, False])
def test_entries_of_large_zip_files(tmp_path, monkeypatch, mmap):
    import torch

    from fnn.checkpoint import torch_writer

    monkeypatch.setattr(torch_writer, "_LARGE", 0)
    fnn.save({"a": np.arange(5.0), "b": np.arange(3)}, tmp_path / "x.pt", format="torch")
    back = torch.load(tmp_path / "x.pt", weights_only=True, mmap=mmap)
    assert (back["a"].tolist(), back["b"].tolist()) == ([0, 1, 2, 3, 4], [0, 1, 2])
    assert same(fnn.load(tmp_path / "x.pt", mmap=mmap), {"a": np.arange(5.0), "b": np.arange(3)})
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        places = {i.filename: i for i in archive.infolist()}
    raw = (tmp_path / "x.pt").read_bytes()
    for key in ("archive/data/0", "archive/data/1"):
        start = places[key].header_offset
        lengths = int.from_bytes(raw[start + 26 : start + 28], "little") + int.from_bytes(
            raw[start + 28 : start + 30], "little"
        )
        assert (start + 30 + lengths) % 64 == 0


def test_models_and_optimizers_cross_over(tmp_path):
    import torch

    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=0.1)
    theirs(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    torch.save({"model": theirs.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "x.pt")
    state = fnn.load(tmp_path / "x.pt")
    ours = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    ours.load_state_dict(state["model"])
    mine = fnn.optim.AdamW(ours.parameters())
    mine.load_state_dict(state["optimizer"])
    fnn.save({"model": ours.state_dict(), "optimizer": mine.state_dict()}, tmp_path / "y.pt", format="torch")
    back = torch.load(tmp_path / "y.pt", weights_only=True)
    assert back["model"]._metadata == theirs.state_dict()._metadata
    theirs.load_state_dict(back["model"])
    optimizer.load_state_dict(back["optimizer"])
    for key, tensor in theirs.state_dict().items():
        assert_same_bits(ours.state_dict()[key], tensor)


@pytest.mark.parametrize("end", [".pt", ".pth", ".ckpt"])
def test_a_path_of_torchs_gets_torchs_format(end, tmp_path):
    path = tmp_path / f"model{end}"
    fnn.save({"w": np.arange(3, dtype=np.float32)}, path)
    assert path.read_bytes()[:2] == b"PK"
    fnn.save({"w": np.arange(3, dtype=np.float32)}, path, format="safetensors")
    assert path.read_bytes()[:2] != b"PK"
