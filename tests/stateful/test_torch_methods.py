"""Errors of methods that torch's tensors have: torch itself says which names those are."""

import importlib.util

import jax
import jax.numpy as jnp
import pytest

import fnn
from fnn import nn
from fnn.stateful.torch_methods import _MISSING

REMEDY = "Remedies: python -m fnn explain a-method-of-tensors"
LINES = """x.permute(0, 2, 1); x.view(2, -1); x.view(2, 3, 2, 2); x.size(1); x.dim(); x.mean(dim=1); x.flatten(1); x.unsqueeze(0)
    x.float(); x.softmax(-1); x.transpose(1, 2); x.contiguous(); x.masked_fill(x > 0, 0.0); x.detach(); x.to("cpu"); x.expand(3)
    x.sum(1, keepdim=True); x.repeat(2, 1, 1); x.chunk(2, 0); x.numel(); x.std(dim=0); x.max(dim=1); x.split(2, dim=2); x.topk(2)
    jnp.mean(x, dim=1); x.std(0, unbiased=False); x.norm(); x.clamp(min=0)""".replace("\n", ";").split(";")


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def notes_of(call):
    with pytest.raises((AttributeError, TypeError, ValueError, NotImplementedError)) as info:
        call()
    return getattr(info.value, "__notes__", [])


def written(line, tmp_path):
    """A function of a file, as a user has it: its text can be read."""
    file = tmp_path / "theirs.py"
    file.write_text(f"import jax.numpy as jnp\n\n\ndef function(x):\n    return {line.strip()}\n")
    spec = importlib.util.spec_from_file_location("theirs", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.function


@pytest.mark.parametrize("line", LINES, ids=str.strip)
def test_a_method_of_torchs_gets_the_remedy_once(line, tmp_path):
    x, function = jnp.ones((2, 3, 4), "float32"), written(line, tmp_path)
    model = nn.Sequential(Net(function))
    for call in (model, fnn.jit(model), fnn.jit(lambda x: function(x)), jax.jit(model)):
        assert notes_of(lambda call=call: call(x)).count(REMEDY) == 1
    assert "in Sequential.0 (Net)" in notes_of(lambda: model(x))


def test_a_loss_too(tmp_path):
    layer, function = nn.Linear(2, 2), written("x.mean(dim=1).sum()", tmp_path)
    assert REMEDY in notes_of(lambda: fnn.backward(lambda: function(layer(jnp.ones((1, 2), "float32"))), layer))


@pytest.mark.parametrize(
    "line", ["x.shpae", "len(3)", "x @ jnp.ones(7)", "len(x.shape)(x)", "x.reshape(5)", "[].permute(1)"]
)
def test_other_errors_stay(line, tmp_path):
    x = jnp.ones((2, 3), "float32")
    assert not any(REMEDY in note for note in notes_of(lambda: Net(written(line, tmp_path))(x)))


def test_the_names_are_torchs_and_no_array_has_them():
    assert [name for name in _MISSING if hasattr(jax.Array, name) or hasattr(jnp.ones(1), name)] == []
    torch = pytest.importorskip("torch")
    assert [name for name in _MISSING if not hasattr(torch.Tensor, name)] == []
