"""Hostile files are refused: nothing runs, and no memory is blown."""

import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fnn
from fnn.checkpoint.torch_file import MAGIC

MARK, STOP, PROTO = b"(", b".", b"\x80\x02"
SYSTEM = b"cposix\nsystem\n"
COMMAND = b"X" + struct.pack("<I", 4) + b"echo"
DICT = b"ccollections\nOrderedDict\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def tensor(count, offset, size, stride, key="0", kind="FloatStorage"):
    storage = b"((" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + integer(count) + b"tQ"
    numbers = b"".join(b"(" + b"".join(integer(n) for n in part) + b"t" for part in (size, stride))
    return REBUILD + storage + integer(offset) + numbers + b"\x89" + DICT + b")RtR"


def as_zip(path, body, storages=((b"data/0", b"\0" * 16),), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a/data.pkl", body)
        archive.writestr("a/byteorder", "little")
        for name, data in storages:
            archive.writestr("a/" + name.decode(), data)
    return path


def as_old(path, body):
    head = b"".join(pickle.dumps(v, 2) for v in (MAGIC, 1001, {"little_endian": True}))
    path.write_bytes(head + body + pickle.dumps([], 2))
    return path


CALLS = {
    "REDUCE": PROTO + SYSTEM + COMMAND + b"\x85R.",
    "STACK_GLOBAL": b"\x80\x04" + text("os") + text("system") + b"\x93" + COMMAND + b"\x85R.",
    "INST": MARK + COMMAND + b"ios\nsystem\n.",
    "OBJ": MARK + SYSTEM + COMMAND + b"o.",
    "NEWOBJ": PROTO + SYSTEM + COMMAND + b"\x85\x81.",
    "NEWOBJ_EX": b"\x80\x04" + SYSTEM + COMMAND + b"\x85}\x92.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "BUILD of a name": PROTO + DICT + b"}" + text("__reduce__") + SYSTEM + b"sb.",
    "BUILD of a slot": PROTO + DICT + b")RN}" + text("__class__") + SYSTEM + b"s\x86b.",
    "BUILD of attributes": PROTO + DICT + b")R}" + text("__class__") + text("x") + b"sbcos\nsystem\n.",
    "a name and nothing": PROTO + SYSTEM + b".",
    "eval": PROTO + b"c__builtin__\neval\n" + text("__import__('os').system('echo')") + b"\x85R.",
    "exec": PROTO + b"cbuiltins\nexec\n" + text("1") + b"\x85R.",
    "getattr": PROTO + b"cbuiltins\ngetattr\n" + DICT + text("__init__") + b"\x86R.",
    "__import__": PROTO + b"c__builtin__\n__import__\n" + text("os") + b"\x85R.",
    "dotted name": b"\x80\x04" + text("collections") + text("OrderedDict.__init__") + b"\x93)R.",
    "module with dots": PROTO + b"ctorch._utils.os\nsystem\n" + COMMAND + b"\x85R.",
    "subprocess": PROTO + b"csubprocess\nPopen\n" + COMMAND + b"\x85R.",
    "runpy": PROTO + b"crunpy\nrun_path\n" + COMMAND + b"\x85R.",
    "numpy load": PROTO + b"cnumpy\nload\n" + COMMAND + b"\x85R.",
    "torch load": PROTO + b"ctorch.serialization\nload\n" + COMMAND + b"\x85R.",
    "bytes of torch": PROTO + b"ctorch.storage\n_load_from_bytes\n" + b"C\x01a\x85R.",
    "defaultdict with a call": PROTO + b"ccollections\ndefaultdict\n" + SYSTEM + b"\x85R" + text("x") + b"0.",
    "codecs": PROTO + b"c_codecs\nencode\n" + text("a") + text("zlib") + b"\x86R.",
    "rebuild by another function": PROTO + b"ctorch._tensor\n_rebuild_from_type_v2\n" + DICT + DICT + b")}(" + b"tR.",
    "persistent text": PROTO + b"P" + b"os.system\n.",
    "persistent call": PROTO + text("storage") + SYSTEM + text("0") + b"\x87Q.",
    "a module's source": PROTO + b"(" + text("module") + DICT + text("a.py") + text("import os") + b"tQ.",
    "dtype of objects": PROTO + b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R.",
    "call of a dtype": PROTO + b"ctorch\nfloat32\n)R.",
    "call of a storage": PROTO + b"ctorch\nFloatStorage\n)R.",
    "call of a string": PROTO + COMMAND + b")R.",
}

SIZES = {
    "beyond its storage": tensor(4, 1, (4,), (1,)),
    "strides beyond": tensor(4, 0, (2, 2), (4, 1)),
    "offset beyond": tensor(4, 2**60, (1,), (1,)),
    "negative offset": tensor(4, -1, (1,), (1,)),
    "negative stride": tensor(4, 3, (4,), (-1,)),
    "negative size": tensor(4, 0, (-4,), (1,)),
    "huge size": tensor(4, 0, (2**61,), (0,)),
    "huge product": tensor(4, 0, (2**31, 2**31, 2**31), (0, 0, 0)),
    "a billion repeats": tensor(4, 0, (2**32,), (0,)),
    "a storage larger than the file": tensor(2**40, 0, (4,), (1,)),
    "no such storage": tensor(4, 0, (4,), (1,), key="1"),
    "a storage by a path": tensor(4, 0, (4,), (1,), key="../../data/0"),
    "two sizes": tensor(4, 0, (1,), (1,)) + b"0" + tensor(3, 0, (1,), (1,)),
    "33 dimensions": tensor(4, 0, (1,) * 33, (0,) * 33),
    "a quantized storage": tensor(4, 0, (1,), (1,), kind="QInt8Storage"),
    "an unknown storage": tensor(4, 0, (1,), (1,), kind="FooStorage"),
}

LIMITS = {
    "deep lists": PROTO + b"]" * 100_000 + b"a" * 99_999 + b".",
    "deep tuples": PROTO + b"N" + b"\x85" * 100_000 + b".",
    "a deep tuple as a key": PROTO + b"}N" + b"\x85" * 1_000_000 + b"Ns.",
    "a deep tuple in a set": b"\x80\x04\x8f(N" + b"\x85" * 1_000_000 + b"\x90.",
    "a billion laughs": PROTO + b"]" + b"2\x86" * 200 + b".",
    "a list in itself": PROTO + b"]q\x00h\x00a.",
    "a dict in itself": PROTO + b"}q\x00Nh\x00s.",
    "a long text that is not there": PROTO + b"\x8d" + struct.pack("<Q", 2**62) + b"a.",
    "long bytes that are not there": PROTO + b"B" + struct.pack("<I", 2**32 - 1) + b"a.",
    "a negative length": PROTO + b"T" + struct.pack("<i", -5) + b"a.",
    "a number of a million digits": b"I" + b"9" * 5000 + b"\n.",
    "a number of a million bytes": PROTO + b"\x8b" + struct.pack("<i", 10**6) + b"\x01" * 10**6 + b".",
    "a memo of billions": PROTO + b"Nr\xff\xff\xff\xffj\xfe\xff\xff\xff.",
    "many copies": PROTO
    + b"]("
    + b"N" * 100_000
    + b"eq\x000"
    + b"cbuiltins\ntuple\nq\x010"
    + b"h\x01h\x00\x85R" * 50_000
    + b".",
    "a stack that is empty": PROTO + b"R.",
    "no mark": PROTO + b"t.",
    "marks without end": PROTO + b"(" * 100_000 + b".",
    "no end": PROTO + b"N" * 10,
    "two results": PROTO + b"NN.",
    "an unknown opcode": b"\x80\x02\xff.",
    "buffers from outside": b"\x80\x05\x97.",
    "a list filled by a dict": PROTO + b"comegaconf.listconfig\nListConfig\n)\x81}" + text("_content") + b"}K\x01Nssb.",
    "a dict filled by a list": PROTO + b"comegaconf.dictconfig\nDictConfig\n)\x81}" + text("_content") + b"]Nasb.",
    "a list filled twice": PROTO
    + b"comegaconf.listconfig\nListConfig\n)\x81"
    + (b"}" + text("_content") + b"]Nasb") * 2
    + b".",
    "a list that contains itself": PROTO
    + b"comegaconf.listconfig\nListConfig\n)\x81q\x00}"
    + text("_content")
    + b"]h\x00asb.",
    "a node without a value": PROTO + b"comegaconf.nodes\nAnyNode\n)\x81.",
}


@pytest.fixture
def nothing_runs(monkeypatch):
    def ran(*args, **kwargs):
        raise AssertionError("it ran")

    for module, name in ((os, "system"), (subprocess, "Popen"), (pickle, "loads"), (pickle, "load")):
        monkeypatch.setattr(module, name, ran)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
@pytest.mark.parametrize("name", [*CALLS, *LIMITS])
def test_hostile_pickles(tmp_path, name, old, nothing_runs):
    path = (as_old if old else as_zip)(tmp_path / "bad.pt", {**CALLS, **LIMITS}[name])
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"load: .*bad\.pt: ") as caught:
        fnn.load(path)
    assert time.perf_counter() - start < 20
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", SIZES)
def test_tensors_that_are_none(tmp_path, name):
    path = as_zip(tmp_path / "bad.pt", PROTO + b"(" + SIZES[name] + b"t.")
    with pytest.raises(ValueError, match=r"bad\.pt: "):
        fnn.load(path)
    with pytest.raises(ValueError, match=r"bad\.pt: "), fnn.open_checkpoint(path) as checkpoint:
        dict(checkpoint)


def test_views_that_repeat_numbers_are_read_where_that_is_meant(tmp_path):
    """300 MB of 16 bytes: too much for a file of somebody else, and as torch has it where the caller says so."""
    body = PROTO + b"(" + tensor(4, 1, (75 * 10**6,), (0,)) + tensor(4, 0, (4,), (1,)) + b"t."
    path = as_zip(tmp_path / "x.pt", body, [(b"data/0", struct.pack("<4f", 1, 2, 3, 4))])
    with pytest.raises(ValueError, match=r"load: .*x\.pt: its tensors take 300000016 .*max_bytes=300000016 allows it"):
        fnn.load(path)
    repeated, whole = fnn.load(path, max_bytes=300000016)
    assert repeated.shape == (75 * 10**6,)
    assert (repeated == 2).all()
    with pytest.raises(ValueError, match="more than max_bytes=300000015"):
        fnn.load(path, max_bytes=300000015)
    with fnn.open_checkpoint(path) as checkpoint:  # only what is asked for counts
        assert (checkpoint["1"] == whole).all()
        with pytest.raises(ValueError, match=r"tensor '0': it takes 300000000 .*max_bytes=300000000 allows it"):
            checkpoint["0"]
    with fnn.open_checkpoint(path, max_bytes=3 * 10**8) as checkpoint:
        assert (checkpoint["0"] == 2).all()
    for function in (fnn.load, fnn.open_checkpoint):
        with pytest.raises(ValueError, match=r"max_bytes must be a number of bytes, or None, got -1"):
            function(path, max_bytes=-1)


def test_a_dtype_that_grows_counts(tmp_path):
    """torch's own tensors of other devices are saved as arrays to be cast, here of one byte to eight."""
    grows = (
        b"ctorch._utils\n_rebuild_device_tensor_from_cpu_tensor\n("
        + tensor(16, 0, (64 * 10**6,), (0,), kind="ByteStorage")
        + b"ctorch\nfloat64\n"
        + text("cpu")
        + b"\x89tR"
    )
    with pytest.raises(ValueError, match="its tensors take 512000000 bytes"):
        fnn.load(as_zip(tmp_path / "x.pt", PROTO + grows + b"."))


def test_many_narrow_parts_of_one_large_tensor(tmp_path):
    """Columns of a matrix, each of which spans all of it: what they hold counts, and not what lies between."""
    numbers = np.arange(2**20, dtype=np.float32).reshape(-1, 512)
    columns = b"".join(tensor(2**20, n, (2**11, 1), (512, 1)) for n in range(512))
    path = as_zip(tmp_path / "x.pt", PROTO + b"(" + columns + b"t.", [(b"data/0", numbers.tobytes())])
    back = fnn.load(path)
    assert all((np.asarray(back[n]) == numbers[:, n : n + 1]).all() for n in range(512))


def test_the_corpus_is_sound(tmp_path):
    """What the corpus is made of reads when it is not hostile."""
    assert fnn.load(as_zip(tmp_path / "good.pt", PROTO + tensor(4, 0, (2, 2), (2, 1)) + b".")).shape == (2, 2)
    assert fnn.load(as_old(tmp_path / "old.pt", PROTO + text("a") + b".")) == "a"


def test_hyperparameters_of_omegaconf(tmp_path):
    """As Hydra hands them to Lightning; every node knows its parent, so that the pickle is a circle."""

    def node(value, parent, kind="Any"):
        return f"comegaconf.nodes\n{kind}Node\n)\x81}}(".encode("latin1") + (
            text("_parent") + parent + text("_val") + value + text("_metadata") + meta + b"ub"
        )

    meta = b"comegaconf.base\nMetadata\n)\x81}(" + text("ref_type") + b"ctyping\nAny\n" + text("key") + b"Nub"
    of = b"comegaconf.base\nContainerMetadata\n)\x81}(" + text("object_type") + b"c__builtin__\nlist\nub"
    items = b"](" + node(b"K\x01", b"h\x01") + node(text("${lr}"), b"h\x01", "String") + b"e"
    sizes = b"comegaconf.listconfig\nListConfig\n)\x81q\x01}(" + (
        text("_metadata") + of + text("_parent") + b"h\x00" + text("_content") + items + b"ub"
    )
    pairs = text("lr") + node(b"G" + struct.pack(">d", 0.1), b"h\x00", "Float") + text("sizes") + sizes
    body = b"comegaconf.dictconfig\nDictConfig\n)\x81q\x00}(" + (
        text("_parent") + b"N" + text("_content") + b"}(" + pairs + b"u" + text("_metadata") + of + b"ub"
    )
    missing = body.replace(text("_content") + b"}(" + pairs + b"u", text("_content") + text("???"))
    for config, expected in ((body, {"lr": 0.1, "sizes": [1, "${lr}"]}), (missing, {})):
        path = as_zip(tmp_path / "x.ckpt", PROTO + b"}(" + text("hparams") + config + text("epoch") + b"K\x03u.")
        assert fnn.load(path) == {"hparams": expected, "epoch": 3}


def test_zip_files(tmp_path):
    body = PROTO + tensor(2**22, 0, (2**22,), (1,)) + b"."
    bomb = as_zip(tmp_path / "bomb.pt", body, [(b"data/0", b"\0" * 2**24)], zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 2**16
    with pytest.raises(ValueError, match="is compressed"):
        fnn.load(bomb)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", "x")
    with pytest.raises(ValueError, match=r"no data\.pkl; numpy\.load"):
        fnn.load(tmp_path / "a.npz")
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = as_zip(tmp_path / "twice.pt", body, [(b"data/0", b"a"), (b"data/0", b"b")])
    with pytest.raises(ValueError, match="two entries of one name"):
        fnn.load(twice)
    outside = as_zip(tmp_path / "outside.pt", PROTO + b"N.", [(b"../../../outside", b"a")])
    assert fnn.load(outside) is None
    assert not list(tmp_path.parent.glob("outside"))


def test_entries_that_lie_over_each_other(tmp_path):
    path = as_zip(tmp_path / "over.pt", PROTO + b"N.", [(b"data/0", b"\0" * 64), (b"data/1", b"\0" * 64)])
    raw = bytearray(path.read_bytes())
    places = [i for i in range(len(raw)) if raw[i : i + 4] == b"PK\x01\x02"]
    first, second = places[-2], places[-1]
    raw[second + 42 : second + 46] = raw[first + 42 : first + 46]
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="lies over another"):
        fnn.load(path)


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by resource")
def test_memory_stays_small(tmp_path):
    """The whole corpus in one process, which may grow by 1 GiB."""
    for i, body in enumerate([*LIMITS.values(), *(PROTO + b"(" + s + b"t." for s in SIZES.values())]):
        as_zip(tmp_path / f"{i}.pt", body)
    code = f"""
import resource, pathlib, fnn
fnn.load
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in pathlib.Path({str(tmp_path)!r}).glob("*.pt"):
    try:
        fnn.load(path)
    except ValueError:
        pass
    else:
        raise AssertionError(path)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)
"""
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(fnn.__file__).parents[1]
    )
    assert float(out.stdout) < 1
