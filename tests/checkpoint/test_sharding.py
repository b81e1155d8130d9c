"""Tensors that are spread over devices: each part is read by itself, and none of them whole."""

import json

import jax
import numpy as np
import pytest

import fnn
from fnn.checkpoint.files import FileParts
from tests.devices import on_devices

pytest.importorskip("safetensors")

ARRAYS = {
    "w": np.arange(64.0, dtype=np.float32).reshape(8, 8),
    "turned": np.arange(64, dtype=np.int16).reshape(8, 8).T,
    "bools": np.arange(8) % 3 == 0,
    "wide": np.arange(24, dtype=np.int64).reshape(8, 3),
    "half": np.arange(16).reshape(8, 2).astype(jax.numpy.bfloat16),
}

PROGRAM = """
import jax, numpy as np, fnn
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from fnn.checkpoint.files import FileParts
from tests.checkpoint.test_sharding import ARRAYS
devices = np.array(jax.devices()).reshape(4, 2)
mesh = Mesh(devices, ("a", "b"))

def largest(work):
    seen = []
    whole, part = FileParts.read, fnn.checkpoint.arrays.fit
    FileParts.read = lambda self, offset, size: seen.append(size) or whole(self, offset, size)
    fnn.checkpoint.arrays.fit = lambda array: seen.append(array.nbytes) or part(array)
    out = work()
    FileParts.read, fnn.checkpoint.arrays.fit = whole, part
    return out, seen

for path in {paths}:
    for spec, share in ((P("a"), 4), (P(("a", "b")), 8), (P(None, "b"), 2), (P("a", "b"), 8), (P(), 1)):
        sharding = NamedSharding(mesh, spec)
        names = [n for n in ARRAYS if ARRAYS[n].ndim >= len(spec) and (len(spec) < 2 or ARRAYS[n].shape[1] % 2 == 0)]
        with fnn.open_checkpoint(path, sharding=sharding) as checkpoint:
            for name in names:
                array, seen = largest(lambda: checkpoint[name])
                assert array.sharding == sharding, (array.sharding, sharding)
                assert (np.asarray(array) == ARRAYS[name]).all(), name
                assert seen == [ARRAYS[name].nbytes // share] * share, (name, spec, seen)
    split = NamedSharding(mesh, P("a", "b"))
    state = fnn.load(path, sharding={{"w": split}})
    assert state["w"].sharding == split and len(state["bools"].devices()) == 1
    assert (np.asarray(state["w"]) == ARRAYS["w"]).all()
    with jax.enable_x64(False):
        state = fnn.load(path, sharding=NamedSharding(mesh, P("a")))
        assert state["wide"].dtype == np.int32 and (np.asarray(state["wide"]) == ARRAYS["wide"]).all()
    try:
        fnn.load(path, sharding=NamedSharding(mesh, P(None, "a")))
    except ValueError as error:
        assert "tensor '" in str(error) and path in str(error), error
    else:
        raise AssertionError
    host = NamedSharding(mesh, P("a"), memory_kind="unpinned_host")
    assert fnn.load(path, sharding={{"w": host}})["w"].sharding.memory_kind == "unpinned_host"
print("done")
"""


def test_each_part_is_read_by_itself(tmp_path):
    paths = [str(tmp_path / "x.safetensors"), str(tmp_path / "x.pt")]
    fnn.save(ARRAYS, paths[0])
    fnn.save(ARRAYS, paths[1], format="torch")
    assert on_devices(8, PROGRAM.format(paths=paths)) == "done"


def test_parts_of_views_of_torch():
    """Strided, expanded, conjugated, negated and byte-swapped tensors, of both formats of torch."""
    folder = __file__.removesuffix("test_sharding.py") + "files/"
    index = (slice(1, 2), slice(None))
    for file in ("shapes_zip.pt", "shapes_old.pt", "dtypes_big_endian.pt", "dtypes_old.pt"):
        with fnn.open_checkpoint(folder + file) as checkpoint:
            (home,) = checkpoint._files.values()
            for name in checkpoint:
                whole = home.file.read(name)
                part = index[: whole.ndim]
                assert home.file.read(name, part).tobytes() == whole[part].tobytes(), name


def test_threads_read_one_checkpoint(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    arrays = {str(n): np.full(100_000, n) for n in range(40)}
    fnn.save(arrays, tmp_path / "x")
    with fnn.open_checkpoint(tmp_path / "x") as checkpoint, ThreadPoolExecutor(8) as pool:
        for name, array in zip(arrays, pool.map(checkpoint.__getitem__, arrays), strict=True):
            assert (np.asarray(array) == int(name)).all()


def test_the_file_ends_before_the_part(tmp_path):
    fnn.save({"a": np.ones(4)}, tmp_path / "x")
    parts = FileParts(tmp_path / "x")
    with pytest.raises(ValueError, match="truncated"):
        parts.view(parts.size - 4, 8)
    parts.close()


@pytest.mark.parametrize("kind", ["x.safetensors", "x.pt", "x.safetensors.index.json"])
def test_a_name_that_no_tensor_has(tmp_path, kind):
    fnn.save({"layer.weight": np.ones((3, 2)), "layer.bias": np.ones(3)}, tmp_path / kind.removesuffix(".index.json"))
    if kind.endswith(".json"):
        names = dict.fromkeys(("layer.weight", "layer.bias"), kind.removesuffix(".index.json"))
        (tmp_path / kind).write_text(json.dumps({"weight_map": names}))
    there = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    for function in (fnn.load, fnn.open_checkpoint):
        for name, near in (
            ("layer.wieght", r"the nearest is 'layer\.weight'"),
            ("0", r"they have names such as \['layer\.weight', 'layer\.bias'\]"),
        ):
            what = rf"{function.__name__}: .*{kind}: sharding has the name '{name}', which no tensor has; {near}"
            with pytest.raises(ValueError, match=what):
                function(tmp_path / kind, sharding={"layer.bias": there, name: there})
        with pytest.raises(
            TypeError, match=r"sharding must be .* a mapping of names to them, got 'x' at 'layer\.bias'"
        ):
            function(tmp_path / kind, sharding={"layer.bias": "x"})
    assert list(fnn.load(tmp_path / kind, sharding={})) == ["layer.weight", "layer.bias"]
    assert list(fnn.load(tmp_path / kind, sharding={"layer.bias": there})) == ["layer.weight", "layer.bias"]
