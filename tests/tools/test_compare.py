"""compare: what agrees with torch agrees, and the first layer that does not is named."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.tools import Comparison, compare
from tests.oracle import needs_torch

pytestmark = [needs_torch, pytest.mark.filterwarnings("ignore:.*nested_tensor|.*non-writable")]


def twins(make):
    """The same constructor in both libraries."""
    import torch

    theirs = make(torch.nn)
    return theirs, make(nn)


def block(nn):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
    )


X = np.random.default_rng(0).normal(size=(2, 3, 8, 8))


@pytest.mark.parametrize("train", [False, True])
def test_twins_agree(capsys, train):
    theirs, ours = twins(block)
    theirs.double()
    ours.double()
    theirs[5].weight.requires_grad_(False)
    before = {k: v.clone() for k, v in theirs.state_dict().items()}
    ours.eval()
    out = compare(theirs, ours, X, train=train)
    assert isinstance(out, Comparison)
    assert out.first is None
    assert out.tolerance == 1e-8
    assert (out.only_torch, out.only_fnn) == ((), ())
    assert [one.name for one in out.layers] == ["0", "1", "2", "3", "4", "5", ""]
    assert [one.kind for one in out.layers][:3] == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert out.layers[0].shape == (2, 4, 6, 6)
    assert all(one.output.relative < 1e-12 and one.gradient.relative < 1e-12 for one in out.layers)
    assert out.layers[0].weights.relative < 1e-12
    assert out.layers[2].weights is None
    printed = capsys.readouterr().out
    assert printed == f"{out}\n"
    assert "no layer departs by more than 1e-08" in printed
    assert repr(out) == "Comparison(of 7 layers, first=None, tolerance=1e-08)"
    # both models are as they were, but for the weights of ours
    assert theirs.training
    assert not ours.training
    assert all((v == before[k]).all() for k, v in theirs.state_dict().items())
    assert all((np.asarray(v) == before[k].numpy()).all() for k, v in ours.state_dict().items())
    assert not theirs[0]._forward_hooks
    assert theirs[0].weight.grad is None


def test_the_first_layer_that_departs_is_named():
    theirs, ours = twins(block)
    ours[1].eps = 1e-2
    out = compare(theirs, ours, X)
    assert out.first == "1"
    assert out.layers[0].output.relative < 1e-5
    assert out.layers[1].output.relative > 1e-4
    # what is said is what is so: the largest difference of the two outputs, by the largest of torch's
    import torch

    with torch.no_grad():
        whole = theirs.eval()(torch.from_numpy(X).float()).numpy()
    mine = np.asarray(ours.eval()(jnp.asarray(X, jnp.float32)))
    assert out.layers[-1].output.largest == pytest.approx(np.abs(whole - mine).max(), rel=1e-3)
    assert out.layers[-1].output.scale == pytest.approx(np.abs(whole).max(), rel=1e-6)
    assert compare(theirs, ours, X, tolerance=10.0).first is None


def test_a_gradient_that_departs():
    """Where the outputs agree, gradients are looked at from the end."""

    @jax.custom_jvp
    def doubled(x):
        return x

    doubled.defjvp(lambda primals, tangents: (primals[0], 2 * tangents[0]))

    class Wrong(nn.Module):
        def forward(self, x):
            return doubled(x)

    import torch

    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Identity(), torch.nn.Linear(4, 2))
    out = compare(theirs, nn.Sequential(nn.Linear(3, 4), Wrong(), nn.Linear(4, 2)), np.ones((2, 3)))
    assert out.first == "0"  # whose output got the wrong gradient: the one before the culprit
    assert out.layers[0].gradient.relative == pytest.approx(1)
    assert out.layers[1].gradient.relative < 1e-5
    assert out.layers[1].note == "fnn's is Wrong"


MODELS = {
    "transformer": (lambda nn: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), (2, 5, 8)),
    "lstm": (lambda nn: nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True), (2, 5, 3)),
    "attention": (lambda nn: nn.MultiheadAttention(8, 2, batch_first=True), [(2, 5, 8)] * 3),
    "no parameters": (lambda nn: nn.Sequential(nn.ReLU(inplace=True), nn.Softmax(-1)), (2, 5)),
    "pool with indices": (lambda nn: nn.MaxPool1d(2, return_indices=True), (1, 2, 6)),
    "groups": (lambda nn: nn.Sequential(nn.Conv1d(4, 4, 3, groups=2), nn.GroupNorm(2, 4), nn.SiLU()), (2, 4, 9)),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", MODELS)
def test_many_models(name):
    make, shapes = MODELS[name]
    theirs, ours = twins(make)
    shapes = shapes if isinstance(shapes, list) else [shapes]
    inputs = [np.random.default_rng(i).normal(size=shape) for i, shape in enumerate(shapes)]
    out = compare(theirs.double(), ours.double(), *inputs, train=True)
    assert out.first is None
    assert out.layers[-1].output.relative < 1e-10
    assert out.layers[-1].gradient.relative < 1e-10


def test_calls_that_repeat_and_parts_that_one_does_not_call():
    import torch

    def make(base, nn, skip):
        class Net(base):
            def __init__(self):
                super().__init__()
                self.embed = nn.Embedding(5, 3)
                self.fc = nn.Linear(3, 3)
                self.act = nn.Tanh()

            def forward(self, tokens, scale):
                x = self.fc(self.fc(self.embed(tokens)))
                return {"b": (x if skip else self.act(x)) * scale, "a": [x, x], "n": None}

        return Net()

    theirs = make(torch.nn.Module, torch.nn, False)
    tokens = np.array([[0, 4], [2, 2]])
    same = compare(theirs, make(nn.Module, nn, False), tokens, scale=2.0)
    assert same.first is None
    assert [one.name for one in same.layers] == ["embed", "fc", "fc (call 2)", "act", ""]
    other = compare(theirs, make(nn.Module, nn, True), torch.from_numpy(tokens), scale=2.0)
    assert other.only_torch == ("act",)
    assert other.first == ""
    assert "called by torch's model only: act" in str(other)
    assert "the first that departs by more than 1e-04: (whole)" in str(other)


def test_other_shapes_and_nan():
    import torch

    class Wrong(nn.Module):
        def forward(self, x):
            return x[:1]

    class Nan(nn.Module):
        def forward(self, x):
            return x * jnp.nan

    out = compare(torch.nn.Identity(), Wrong(), np.ones((2, 3)))
    assert out.first == ""
    assert "torch gives shapes [(2, 3)], fnn [(1, 3)]" in str(out)
    assert compare(torch.nn.Identity(), Nan(), np.ones(2)).layers[0].output.largest == float("inf")


def test_half_precision():
    theirs, ours = twins(lambda nn: nn.Linear(16, 4))
    assert compare(theirs.bfloat16(), ours.bfloat16(), np.random.default_rng(0).normal(size=(3, 16))).tolerance == 5e-2


def test_what_is_refused(monkeypatch):
    theirs, ours = twins(lambda nn: nn.Linear(2, 3))
    with pytest.raises(TypeError, match=r"compare: torch_model must be a torch\.nn\.Module, got 'Linear'"):
        compare(ours, ours, np.ones(2))
    with pytest.raises(TypeError, match="fnn_model must be"):
        compare(theirs, theirs, np.ones(2))
    with pytest.raises(RuntimeError, match="weight"):
        compare(theirs, nn.Linear(3, 3), np.ones(2))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="compare: needs torch"):
        compare(theirs, ours, np.ones(2))


def test_it_is_where_it_is_looked_for():
    assert fnn.tools.compare is compare
