"""The digits example: its three styles agree, and its training follows PyTorch's."""

import importlib.util
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from tests.oracle import assert_close, needs_torch

for package in ("sklearn", "matplotlib", "tqdm", "safetensors"):
    pytest.importorskip(package)

PATH = Path(__file__).parents[2] / "examples" / "digits.py"


@pytest.fixture(scope="module")
def digits():
    spec = importlib.util.spec_from_file_location("digits_example", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["digits_example"] = module
    spec.loader.exec_module(module)
    return module


def test_the_styles_give_the_same_losses(digits):
    assert digits.compare_styles(digits.load_data(), steps=3) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("style", ["object", "module", "functional"])
def test_each_style_runs_and_writes_its_files(digits, style, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["digits.py", "--style", style, "--epochs", "2", "--out", str(tmp_path)])
    digits.main()
    assert "best model" in capsys.readouterr().out
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {f"digits-{style}{end}" for end in (".safetensors", ".png")}


@pytest.mark.slow
@needs_torch
def test_twenty_steps_follow_torch(digits):
    """The network of the example, in float64 and from torch's weights, with dropout off."""
    import torch

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = torch.nn.Conv2d(1, 32, 3, padding=1)
            self.bn1 = torch.nn.BatchNorm2d(32)
            self.conv2 = torch.nn.Conv2d(32, 64, 3, padding=1)
            self.bn2 = torch.nn.BatchNorm2d(64)
            self.fc1 = torch.nn.Linear(64 * 4 * 4, 128)
            self.fc2 = torch.nn.Linear(128, 10)

        def forward(self, x):
            f = torch.nn.functional
            x = f.relu(self.bn1(self.conv1(x)))
            x = f.max_pool2d(f.relu(self.bn2(self.conv2(x))), 2)
            return self.fc2(f.relu(self.fc1(torch.flatten(x, 1))))

    torch.manual_seed(0)
    theirs = Theirs().double()
    ours = digits.Net(0.0).double()
    ours.load_state_dict(theirs.state_dict())
    data = digits.load_data()
    pairs = [(x[:16], y[:16]) for x, y in digits.training_batches(data)][:20]

    their_optimizer = torch.optim.AdamW(theirs.parameters(), lr=2e-3, weight_decay=1e-2)
    their_scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(their_optimizer, T_max=10)
    expected = []
    for x, y in pairs:
        their_optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(torch.from_numpy(x).double()), torch.from_numpy(y).long())
        loss.backward()
        their_optimizer.step()
        their_scheduler.step()
        expected.append(loss.item())

    criterion = nn.CrossEntropyLoss()
    optimizer = optim.AdamW(ours.parameters(), lr=2e-3, weight_decay=1e-2)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)

    @fnn.jit
    def step(x, y):
        return optimizer.step(lambda: criterion(ours(x), y))

    losses = []
    for x, y in pairs:
        losses.append(float(step(jnp.asarray(x, jnp.float64), y)))
        scheduler.step()
    assert_close(np.array(losses), np.array(expected), 1e-9)
    assert_close(ours.bn1.running_var, theirs.bn1.running_var.numpy(), 1e-7)
