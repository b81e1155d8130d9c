"""A saved file is the old one or the new one, whatever happens."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import fnn
from fnn.checkpoint import files

pytest.importorskip("safetensors")
unix = pytest.mark.skipif(os.name == "nt", reason="modes, links and locks of Unix")


def value(path):
    return fnn.load(path)["a"].tolist()


@pytest.fixture(params=["safetensors", "torch"])
def save(request):
    return lambda n, path: fnn.save({"a": np.full(1000, n)}, path, format=request.param)


def test_nothing_is_left_beside_it(tmp_path, save):
    for n in range(3):
        save(n, tmp_path / "x")
        assert value(tmp_path / "x") == [n] * 1000
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "with space", ".hidden", "-dash", "new\nline"])
def test_names(tmp_path, save, name):
    save(1, tmp_path / name)
    assert value(tmp_path / name) == [1] * 1000
    assert os.listdir(tmp_path) == [name]


def test_the_name_is_too_long(tmp_path, save):
    with pytest.raises(OSError, match="File name too long") as caught:
        save(1, tmp_path / ("x" * 256))
    assert caught.value.errno == errno.ENAMETOOLONG
    assert os.listdir(tmp_path) == []


@unix
def test_the_mode_is_kept(tmp_path, save):
    before = os.umask(0o027)
    try:
        save(1, tmp_path / "x")
        assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640
        os.chmod(tmp_path / "x", 0o604)
        save(2, tmp_path / "x")
        assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o604
    finally:
        os.umask(before)


@unix
def test_links_are_followed(tmp_path, save):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "middle")
    (tmp_path / "middle").symlink_to(Path("real") / "x")
    for n in (1, 2):
        save(n, tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert value(tmp_path / "real" / "x") == [n] * 1000
    assert os.listdir(tmp_path / "real") == ["x"]


def test_errors_name_file_and_reason(tmp_path, save, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"save: .*x: there is no folder .*missing"):
        save(1, tmp_path / "missing" / "x")
    with pytest.raises(IsADirectoryError, match=r"save: .*Is a directory"):
        save(1, tmp_path)
    with pytest.raises(ValueError, match="save: path must be without the character NUL"):
        save(1, tmp_path / "a\0b")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"save: .*file/x: Not a directory"):
        save(1, tmp_path / "file" / "x")
    if os.name != "nt":
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="no regular file"):
            save(1, tmp_path / "pipe")
        os.unlink(tmp_path / "pipe")
    save(1, tmp_path / "x")

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match=r"save: .*x: No space left on device"):
        save(2, tmp_path / "x")
    assert value(tmp_path / "x") == [1] * 1000
    assert sorted(os.listdir(tmp_path)) == ["file", "x"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_the_disk_is_full_in_the_middle(tmp_path, save):
    import resource

    save(1, tmp_path / "x")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError, match=r"save: .*x: File too large"):
            save(2, tmp_path / "x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert value(tmp_path / "x") == [1] * 1000
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the administrator writes everywhere")
def test_a_folder_that_cannot_be_written(tmp_path, save):
    os.chmod(tmp_path, 0o500)
    try:
        with pytest.raises(PermissionError, match="the folder cannot be written to"):
            save(1, tmp_path / "x")
    finally:
        os.chmod(tmp_path, 0o700)


def test_an_interrupt_leaves_the_old_file(tmp_path, save, monkeypatch):
    save(1, tmp_path / "x")

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(2, tmp_path / "x")
    assert value(tmp_path / "x") == [1] * 1000
    assert os.listdir(tmp_path) == ["x"]


@unix
def test_what_a_killed_process_left_goes_with_the_next_save(tmp_path, save):
    save(1, tmp_path / "x")
    prefix = f".fnn-{files.hashlib.blake2b(b'x', digest_size=8).hexdigest()}-"
    (tmp_path / f"{prefix}dead.tmp").write_text("half")
    (tmp_path / ".fnn-0000000000000000-other.tmp").write_text("of another file")
    handle, name = files._locked_temporary(tmp_path, prefix)  # of a process that is still writing
    save(2, tmp_path / "x")
    assert sorted(os.listdir(tmp_path)) == sorted(["x", ".fnn-0000000000000000-other.tmp", os.path.basename(name)])
    os.close(handle)
    save(3, tmp_path / "x")
    assert sorted(os.listdir(tmp_path)) == [".fnn-0000000000000000-other.tmp", "x"]


def test_many_threads_save_one_file(tmp_path, save):
    errors = []

    def run(n):
        try:
            for _ in range(10):
                save(n, tmp_path / "x")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(set(value(tmp_path / "x"))) == 1
    assert os.listdir(tmp_path) == ["x"]


KILLS = """
import os, random, signal, sys, time, warnings
from pathlib import Path
import numpy as np
import fnn
from fnn.checkpoint.files import FileParts
from fnn.checkpoint.reading import _open

warnings.simplefilter("ignore")  # a fork of a process with threads; the child uses none of them
folder, kills = Path(sys.argv[1]), int(sys.argv[2])
path, random = folder / "x", random.Random(0)
fnn.save({"a": np.zeros(1)}, path)
litter = 0
for i in range(kills):
    child = os.fork()
    if not child:
        n = 0
        while True:
            n += 1
            state = {"a": np.full(100_000, n), "n": n, "b": np.full(10, n)}
            fnn.save(state, path, format=("safetensors", "torch")[i % 2])
    time.sleep(random.uniform(0.005, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    parts = FileParts(path)
    file = _open(parts, False)
    names = file.names if hasattr(file, "names") else list(file.views)
    values = {float(v) for name in names for v in np.unique(file.read(name))}
    assert len(values) == 1, values
    parts.close()
    litter += len(os.listdir(folder)) > 1
    fnn.save({"a": np.zeros(1)}, path)
    assert os.listdir(folder) == ["x"], os.listdir(folder)
print(kills, litter)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.slow)])
def test_killed_while_it_saves(tmp_path, kills):
    root = Path(fnn.__file__).parents[1]
    out = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path), str(kills)], capture_output=True, text=True, cwd=root
    )
    assert out.returncode == 0, out.stderr
    done, litter = map(int, out.stdout.split())
    assert done == kills
    assert litter or kills < 50  # some of them were killed in the middle


@pytest.mark.parametrize("end", ["safetensors", "pt"])
@pytest.mark.parametrize("name", ["__metadata__", "n" * 1500, "a.b", ""])
def test_any_name_is_read_again(name, end, tmp_path):
    path = tmp_path / f"a.{end}"
    fnn.save({name: np.arange(3.0), "inner": {name: np.ones(2)}}, path)
    loaded = fnn.load(path)
    np.testing.assert_array_equal(loaded[name], np.arange(3.0))
    np.testing.assert_array_equal(loaded["inner"][name], np.ones(2))
    fnn.save({name: np.arange(3.0)}, path)
    np.testing.assert_array_equal(fnn.load(path)[name], np.arange(3.0))


def test_metadata_of_the_name_of_the_structure_is_no_structure(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.ones(2)}, tmp_path / "a.safetensors", {"fnn.structure": "something else"})
    with pytest.raises(ValueError, match=r"a\.safetensors.*'fnn\.structure' that is no structure"):
        fnn.load(tmp_path / "a.safetensors")
