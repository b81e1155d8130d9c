"""Memory for what is read, and paths of which reading would never end."""

import mmap
import os
import signal
import socket
from pathlib import Path

import jax
import numpy as np
import pytest

import fnn
from fnn.checkpoint.files import copied, room

SIZES = [1, 1000, 2**21 - 1, 2**21, 2**21 + 1, 2**22 - 4096, 5 * 10**6]


def test_rooms_are_apart_and_jax_takes_them_over():
    rooms = [room(size) for size in SIZES for _ in range(2)]
    for n, memory in enumerate(rooms):
        memory[:] = n
    for n, memory in enumerate(rooms):
        assert (memory == n).all()
        assert memory.flags.writeable
        assert memory.ctypes.data % 64 == 0
    if jax.default_backend() == "cpu":
        for memory in rooms[4:]:
            assert jax.device_put(memory).unsafe_buffer_pointer() == memory.ctypes.data


def test_the_memory_lives_as_long_as_what_lies_in_it():
    memory = room(2**22)
    memory[:] = 7
    array = jax.device_put(memory)
    del memory
    others = [room(2**22) for _ in range(4)]
    for other in others:
        other[:] = 0
    assert (np.asarray(array) == 7).all()


@pytest.mark.parametrize("how", ["no such pages", "no such memory", "another system"])
def test_memory_without_huge_pages(monkeypatch, how):
    class Refusing(mmap.mmap):
        def madvise(self, *args):
            raise OSError(22, "Invalid argument")

    def no_memory(*args, **kwargs):
        raise OSError(12, "Cannot allocate memory")

    if how == "another system":
        monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    else:
        monkeypatch.setattr(mmap, "mmap", Refusing if how == "no such pages" else no_memory)
    memory = room(2**22)
    memory[:] = 1
    assert memory.size == 2**22
    assert memory.ctypes.data % 64 == 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="looks at the memory of a process of Linux")
def test_a_room_takes_no_more_memory_than_it_has_bytes():
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before, size = resident(), 2**22 + 2**20
    rooms = [room(size) for _ in range(20)]
    for memory in rooms:
        memory[:] = 1
    assert resident() - before < 1.1 * 20 * size


def test_copies_in_another_dtype():
    array = np.arange(24.0).reshape(4, 6)
    assert copied(array[::2, ::-1]).tolist() == array[::2, ::-1].tolist()
    narrow = copied(array.T, np.dtype(np.float32))
    assert (narrow.dtype, narrow.tolist()) == (np.float32, array.T.tolist())
    assert copied(np.array(0.1), np.dtype(np.float32)) == np.float32(0.1)


@pytest.fixture
def no_hang():
    """Ends a test that waits for ever."""
    old = signal.signal(signal.SIGALRM, lambda *args: pytest.fail("it hangs"))
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices of Unix")
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "part of an index"])
@pytest.mark.parametrize("function", [fnn.load, fnn.open_checkpoint])
def test_what_is_no_regular_file(tmp_path, monkeypatch, kind, function, no_hang):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    path = Path("/dev/zero" if kind == "device" else "x")
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("x")
    elif kind != "device":
        os.mkfifo("x")
    if kind == "part of an index":
        path = Path("x.safetensors.index.json")
        path.write_text('{"weight_map": {"a": "x"}}')
    with pytest.raises(ValueError, match=rf"{function.__name__}: .*(x|zero): it is no regular file but a pipe"):
        function(path)


@pytest.mark.parametrize("function", [fnn.load, fnn.open_checkpoint])
def test_folders(tmp_path, function):
    with pytest.raises(ValueError, match="it is a folder without a checkpoint"):
        function(tmp_path)
    (tmp_path / "part").mkdir()
    (tmp_path / "x.safetensors.index.json").write_text('{"weight_map": {"a": "part"}}')
    with pytest.raises(IsADirectoryError, match=rf"{function.__name__}: .*part"):
        function(tmp_path)
