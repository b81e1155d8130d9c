"""A run that stops and goes on from its checkpoint ends with the bits of one that never stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from tests.checkpoint.test_safetensors import same

pytest.importorskip("safetensors")

OPTIONS = {
    "SGD": {"lr": 0.1, "momentum": 0.9},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "Adagrad": {},
    "Adadelta": {},
    "Adafactor": {},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Rprop": {},
    "ASGD": {},
    "LBFGS": {"lr": 0.1, "max_iter": 3},
    "SparseAdam": {},
    "Muon": {},
}


class Run:
    """Everything a script has: a model with dropout, an optimizer, a scheduler, the order of the data."""

    def __init__(self, name):
        fnn.manual_seed(0)
        sparse = name == "SparseAdam"
        first = nn.Embedding(6, 4, sparse=True) if sparse else nn.Linear(3, 4, bias=name != "Muon")
        self.model = nn.Sequential(first, nn.Dropout(0.5), nn.BatchNorm1d(4, affine=False))
        self.data = np.arange(6) if sparse else np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
        self.optimizer = getattr(optim, name)(self.model.parameters(), **OPTIONS[name])
        self.scheduler = optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)
        self.generator = fnn.Generator().manual_seed(1)
        self.steps = 0

    def step(self):
        order = np.random.default_rng(np.asarray(self.generator.next_key())).permutation(6)
        batch = jnp.asarray(self.data[order[:4]])
        self.optimizer.step(lambda: (self.model(batch) * jnp.arange(4.0, dtype=jnp.float32)).sum())
        self.scheduler.step()
        self.steps += 1

    def state_dict(self):
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "dropout": fnn.get_rng_state(),
            "order": self.generator.get_state(),
            "steps": self.steps,
        }

    def load_state_dict(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        fnn.set_rng_state(state["dropout"])
        self.generator.set_state(state["order"])
        self.steps = state["steps"]


def test_all_optimizers_are_there():
    names = {
        n
        for n in optim.__all__
        if isinstance(getattr(optim, n), type) and issubclass(getattr(optim, n), optim.Optimizer)
    }
    assert names - {"Optimizer"} == set(OPTIONS)


@pytest.mark.one_in(7)
@pytest.mark.parametrize("format", ["safetensors", "torch"])
@pytest.mark.parametrize("name", OPTIONS)
def test_the_bits_are_the_same(tmp_path, name, format):
    whole = Run(name)
    for step in range(5):
        if step == 2:
            fnn.save(whole.state_dict(), tmp_path / "run", format=format)
        whole.step()
    expected = whole.state_dict()
    resumed = Run(name)
    resumed.step()  # a state that must be replaced
    resumed.load_state_dict(fnn.load(tmp_path / "run"))
    while resumed.steps < 5:
        resumed.step()
    assert same(resumed.state_dict()["model"], expected["model"])
    assert same(resumed.state_dict()["optimizer"]["state"], expected["optimizer"]["state"])
    assert same(resumed.state_dict()["dropout"], expected["dropout"])


PROGRAM = """
import sys
import fnn
from tests.checkpoint.test_resume import Run
folder = sys.argv[1]
run = Run("AdamW")
manager = fnn.checkpoint.Manager(folder, keep=2)
saved = manager.load()
if saved is not None:
    run.load_state_dict(saved.state)
while run.steps < 30:
    run.step()
    manager.save(run.steps, run.state_dict())
    print(run.steps, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_run_that_is_killed(tmp_path):
    command = [sys.executable, "-c", PROGRAM]
    root = Path(fnn.__file__).parents[1]

    def run(folder):
        return subprocess.Popen(
            [*command, str(folder)], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def end(process):
        _, error = process.communicate()
        assert process.returncode == 0, error

    end(run(tmp_path / "whole"))
    process = run(tmp_path / "killed")
    for line in process.stdout:
        if int(line) >= 11:
            break
    time.sleep(0.003)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    end(run(tmp_path / "killed"))
    whole, killed = (fnn.checkpoint.Manager(tmp_path / name).load() for name in ("whole", "killed"))
    assert whole.step == killed.step == 30
    assert same(whole.state["model"], killed.state["model"])
    assert same(whole.state["optimizer"]["state"], killed.state["optimizer"]["state"])
