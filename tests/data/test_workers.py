"""Worker processes, which are Grain's. They are spawned, so that what they read must be importable there."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import pytest

from fnn.data import DataLoader

grain = pytest.importorskip("grain")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]


class Rows:
    """Ten rows, of which the fifth does something."""

    def __init__(self, act=None):
        self.act = act

    def __len__(self):
        return 10

    def __getitem__(self, index):
        if index == 5 and self.act is not None:
            self.act()
        return np.full(300_000, index, np.float32), index


def fails():
    raise KeyError("row five")


def dies():
    os.kill(os.getpid(), signal.SIGKILL)


def leaves():
    sys.exit(0)


class Odd(Exception):
    def __init__(self, first, second):
        super().__init__(first)


def fails_oddly():
    raise Odd("one", "two")  # pickle cannot make it again


def ends():
    raise StopIteration


def hangs():
    time.sleep(30)


def in_order(loader):
    return [batch[1].tolist() for batch in loader]


def children():
    return [child for child in multiprocessing.active_children() if "grain" in child.name]


def test_the_order_is_that_of_one_process():
    expected = DataLoader(Rows(), 3, shuffle=True, rng=0)
    loader = DataLoader(Rows(), 3, shuffle=True, rng=0, num_workers=2)
    batches = list(loader)
    assert [batch[1].tolist() for batch in batches] == in_order(expected)
    assert type(batches[0][0]) is np.ndarray
    assert (batches[0][0][:, 0] == batches[0][1]).all()
    assert in_order(DataLoader(Rows(), 3, sampler=[7, 1, 2, 3], num_workers=1)) == [[7, 1, 2], [3]]
    ((batch, mask),) = DataLoader(np.arange(3), 4, num_workers=1, pad_last=True, device="cpu")
    assert batch.tolist() == [0, 1, 2, 0]
    assert mask.tolist() == [True, True, True, False]
    assert not children()


def test_resumed_in_the_middle():
    loader = DataLoader(Rows(), 2, shuffle=True, rng=0, num_workers=2)
    batches = iter(loader)
    first = [next(batches)[1].tolist() for _ in range(2)]
    other = DataLoader(Rows(), 2, shuffle=True, num_workers=1)
    other.load_state_dict(loader.state_dict())
    batches.close()
    assert first + in_order(other) == in_order(DataLoader(Rows(), 2, shuffle=True, rng=0))
    assert not children()


def test_persistent_workers_go_on_with_the_next_epoch():
    expected = DataLoader(Rows(), 3, shuffle=True, rng=0)
    loader = DataLoader(Rows(), 3, shuffle=True, rng=0, num_workers=1, persistent_workers=True)
    assert in_order(loader) == in_order(expected)
    (process,) = children()
    assert in_order(loader) == in_order(expected)
    assert children() == [process]
    del loader
    assert not children()


def started(worker):
    os.environ["WORKER"] = str(worker)


class Numbers(Rows):
    def __getitem__(self, index):
        return int(os.environ["WORKER"])


def test_worker_init_fn_gets_the_number():
    loader = DataLoader(Numbers(), 5, num_workers=2, worker_init_fn=started)
    assert [batch.tolist() for batch in loader] == [[0] * 5, [1] * 5]


@pytest.mark.parametrize(
    ("act", "kind", "message", "device"),
    [
        (fails, KeyError, "row five", None),
        (fails, KeyError, "row five", "cpu"),
        (dies, RuntimeError, "DataLoader: a worker process died .*exit code -9", None),
        (dies, RuntimeError, "DataLoader: a worker process died .*exit code -9", "cpu"),
        (leaves, RuntimeError, "a worker process raised SystemExit", None),
        (fails_oddly, RuntimeError, "a worker process raised Odd: one", None),
        (ends, RuntimeError, "a worker process raised StopIteration", None),
    ],
)
def test_trouble_in_a_worker_ends_the_loop_with_its_reason(act, kind, message, device):
    seen = []
    with pytest.raises(kind, match=message) as caught:
        seen.extend(DataLoader(Rows(act), 3, num_workers=1, device=device))
    assert len(seen) <= 1
    if act is fails:
        assert "fails" in "".join(traceback.format_exception(caught.value))
    assert not children()


def test_a_result_that_cannot_be_sent():
    with pytest.raises(Exception, match="pickle"):
        list(DataLoader(range(3), 3, num_workers=1, collate_fn=lambda rows: lambda: rows))


def test_a_worker_that_hangs():
    loader = DataLoader(Rows(hangs), 3, num_workers=1, timeout=20)
    with pytest.raises(RuntimeError, match="timeout must be long enough"):
        list(loader)
    assert not children()


PROGRAM = """
import numpy as np
from fnn.data import DataLoader

if __name__ == "__main__":
    loader = DataLoader(np.zeros((100, 100_000)), 10, num_workers=2, persistent_workers=True)
    batches = iter(loader)
    first = next(batches)
    print(first.shape)
"""


def test_a_program_that_ends_in_an_epoch_says_nothing(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    out = subprocess.run([sys.executable, program], capture_output=True, text=True, env=environment, timeout=120)
    assert out.returncode == 0
    assert out.stdout.strip() == "(10, 100000)"
    assert "fnn" not in out.stderr
