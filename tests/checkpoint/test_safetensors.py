"""save and load of safetensors: plain ones for everybody, nested ones with their structure."""

import dataclasses
import json
import struct
from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.checkpoint.arrays import DTYPES
from tests.oracle import assert_close, needs_torch

pytest.importorskip("safetensors")

NESTED = {
    "ints": [0, -1, 2**40, -(2**63), 2**63, -(2**200)],
    "floats": [0.0, -0.0, 1e-300, float("inf"), 0.1],
    "others": [None, True, False, "", "ü\n\ud800", 1 + 2j, b"\0\xff", bytearray(b"a"), {1, 2}, frozenset("a")],
    "tuples": ((), (1,), ((2,), [3])),
    "empty": [{}, [], OrderedDict()],
    3: "an int", (1, "a"): "a tuple", None: "none", 2.5: "a float", True: "a bool", b"k": "bytes",
    "dtype": np.dtype("float32"),
}  # fmt: skip


def test_round_trip(tmp_path):
    arrays = {
        "a": jnp.arange(6.0).reshape(2, 3),
        "half": jnp.ones(3, jnp.bfloat16) / 3,
        "scalar": np.array(3, np.int64),
        "empty": np.zeros((0, 2), np.float32),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "big-endian": np.arange(3, dtype=">i4"),
        "x" * 300: np.ones(1),
        "ключ/../\n": np.ones(1),
    }
    path = tmp_path / "x.safetensors"
    fnn.save(arrays, path)
    back = fnn.load(path)
    assert back.keys() == arrays.keys()
    for name, value in arrays.items():
        assert back[name].dtype == value.dtype.newbyteorder("=")
        assert_close(np.asarray(back[name], np.float64), np.asarray(value, np.float64))


def test_module_round_trip(tmp_path):
    a, b = (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2))
    fnn.save(a.state_dict(), tmp_path / "m.safetensors")
    assert not b.load_state_dict(fnn.load(tmp_path / "m.safetensors")).missing_keys
    assert_close(a[0].weight, b[0].weight)


def same(a, b):
    """Equal in value and in every type."""
    if isinstance(a, jax.Array | np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(map(repr, a)) == list(map(repr, b)) and all(map(same, a.values(), b.values()))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


def test_nesting_is_exact(tmp_path):
    array = np.arange(3.0)
    obj = {**NESTED, "arrays": [array, (array, {"a": array, "a.b": array + 1, "a.": {"b": array + 2}})], "nan": np.nan}
    fnn.save(obj, tmp_path / "x")
    back = fnn.load(tmp_path / "x")
    assert same(back, obj)
    assert back["arrays"][0] is back["arrays"][1][0]
    for one in (3, "a", None, [], array, (array,)):
        fnn.save(one, tmp_path / "one")
        assert same(fnn.load(tmp_path / "one"), one)


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype(tmp_path, name):
    size = DTYPES[name].itemsize
    values = np.random.default_rng(0).integers(0, 2 if name == "bool" else 256, 6 * size, np.uint8).view(DTYPES[name])
    arrays = {"a": values.reshape(2, 3), "scalar": values[:1].reshape(()), "empty": values[:0].reshape(0, 2)}
    for obj in (arrays, {"nested": arrays}):
        fnn.save(obj, tmp_path / "x")
        assert all(
            map(same, fnn.load(tmp_path / "x").get("nested", fnn.load(tmp_path / "x")).values(), arrays.values())
        )
    with fnn.open_checkpoint(tmp_path / "x") as checkpoint:
        assert checkpoint.describe("nested.a").dtype == DTYPES[name]
        assert same(checkpoint["nested.a"], arrays["a"])


def test_state_of_everything_in_one_file(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimizer = fnn.optim.Adam(model.parameters(), lr=0.1)
    scheduler = fnn.optim.lr_scheduler.StepLR(optimizer, 2)
    optimizer.step(lambda: (model(jnp.ones((2, 2), jnp.float32)) ** 2).sum() + model[0].weight.sum())
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "generator": fnn.get_rng_state(),
        "epoch": 3,
    }
    for format in ("safetensors", "torch"):
        fnn.save(state, tmp_path / "run", format=format)
        back = fnn.load(tmp_path / "run")
        assert same(back, state)
        assert back["model"]._metadata == state["model"]._metadata


@dataclasses.dataclass
class Point:
    x: int


@pytest.mark.parametrize("format", ["safetensors", "torch"])
def test_named_tuples_become_tuples(tmp_path, format):
    """The state of a functional optimizer: its leaves come back in order, and JAX puts them into their places."""
    params = {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}
    tx = fnn.optim.chain(fnn.optim.clip_by_global_norm(1.0), fnn.optim.adam(lr=0.1, amsgrad=True))
    state = tx.init(params)
    _, state = tx.update(jax.tree.map(jnp.cos, params), state, params)
    fnn.save({"params": params, "state": state}, tmp_path / "x", format=format)
    back = fnn.load(tmp_path / "x")["state"]
    assert type(back) is tuple
    again = jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(back))
    assert all(map(same, jax.tree.leaves(again), jax.tree.leaves(state)))
    assert jax.tree.structure(again) == jax.tree.structure(state)


@pytest.mark.parametrize("format", ["safetensors", "torch"])
def test_what_cannot_be_saved(tmp_path, format):
    fnn.save({"a": np.ones(2)}, tmp_path / "x", format=format)
    loop = []
    loop.append({"a": loop})
    deep = []
    for _ in range(200):
        deep = [deep]
    bad = [
        ({"a": np.zeros(2), "b": object()}, TypeError, "'b' must be an array, a number.*got object"),
        ({"a": {"b": [1, nn.Linear(1, 1)]}}, TypeError, r"'a'\['b'\]\[1\] must be .*got Linear; save its state_dict"),
        ({"g": fnn.Generator()}, TypeError, "save its state_dict"),
        (
            nn.Linear(1, 1),
            TypeError,
            r"the object must be .*got Linear; save its state_dict\(\): objects are not pickled",
        ),
        (fnn.optim.SGD(nn.Linear(1, 1).parameters(), 1), TypeError, r"got SGD; save its state_dict\(\)"),
        ([nn.Linear], TypeError, "0 must be .*got type Linear, a class itself"),
        ({"rng": np.random.default_rng(0)}, TypeError, r"'rng' must be .*got Generator; save its bit_generator\.state"),
        (nn.Linear(1, 1).parameters(), TypeError, "got generator; save a list of it"),
        ({"a": 1}.values(), TypeError, "got dict_values; save a list of it"),
        ({"s": Point(1)}, TypeError, "save what its fields hold"),
        ({"k": jax.random.key(0)}, TypeError, "key_data"),
        ({"o": np.array([object()])}, TypeError, "no checkpoint file can hold"),
        ({"m": np.ma.masked_array([1.0, 2.0], [True, False])}, TypeError, "'m' is a masked array"),
        ({frozenset(): 1}, TypeError, "keys must be"),
        (loop, ValueError, "contains itself"),
        (deep, ValueError, "deep"),
    ]
    for obj, kind, why in bad:
        with pytest.raises(kind, match=why):
            fnn.save(obj, tmp_path / "x", format=format)
    assert_close(fnn.load(tmp_path / "x")["a"], np.ones(2))
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    with pytest.raises(ValueError, match="format must be 'safetensors', 'torch' or None, got 'pickle'"):
        fnn.save({}, tmp_path / "x", format="pickle")

    @jax.jit
    def traced(x):
        fnn.save({"x": x}, tmp_path / "x", format=format)

    with pytest.raises(TypeError, match="traced"):
        traced(jnp.ones(1))


def with_header(path, header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
        {"a": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1]}},
        {"a": 3},
        {"__metadata__": {"fnn.structure": 3}},
        {"__metadata__": {"fnn.structure": "{"}},
        {"__metadata__": {"fnn.structure": "[" * 100_000}},
        {"__metadata__": {"fnn.structure": '{"version":2,"tree":0}'}},
        {"__metadata__": {"fnn.structure": '{"version":1,"tree":{"array":"b"}}'}},
        {"__metadata__": {"fnn.structure": '{"version":1,"tree":{"os.system":"b"}}'}},
        {"__metadata__": {"fnn.structure": '{"version":1,"tree":{"dict":[[[],1]]}}'}},
        {"__metadata__": {"fnn.structure": '{"version":1,"tree":{"dict":[[1]]}}'}},
        {"__metadata__": {"fnn.structure": '{"version":1,"tree":{}}'}},
        {"__metadata__": {"fnn.dtypes": "["}},
        {"__metadata__": {"fnn.dtypes": "[1]"}},
        b"[" * 100_000,
        b"{" + b" " * 100_000,
    ],
)
def test_bad_headers(tmp_path, header):
    if isinstance(header, dict) and "__metadata__" in header:
        header["a"] = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    with pytest.raises(ValueError, match="bad: "):
        fnn.load(with_header(tmp_path / "bad", header, b"\0" * 4))


@needs_torch
def test_torch_reads_our_file_and_we_read_torchs(tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    fnn.save(nn.Linear(2, 3).state_dict(), tmp_path / "ours")
    theirs = torch.nn.Linear(2, 3)
    theirs.load_state_dict(load_file(tmp_path / "ours"))
    save_file(theirs.state_dict(), tmp_path / "theirs")
    assert_close(fnn.load(tmp_path / "theirs")["weight"], theirs.weight.detach().numpy())
