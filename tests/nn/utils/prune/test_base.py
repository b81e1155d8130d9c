"""A pruned module: its gradients, traces, copies, own methods, and what a failure leaves."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.nn.utils import parametrizations, prune
from tests.nn.utils.prune.cases import EverySecond, X, linear, pair
from tests.oracle import assert_close, needs_torch, rand


@needs_torch
def test_gradients_and_steps_as_torch():
    import torch.nn.utils.prune

    ours, theirs = pair("Linear", 3, 4)
    prune.l1_unstructured(ours, "weight", amount=5)
    torch.nn.utils.prune.l1_unstructured(theirs, "weight", amount=5)
    mine = optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)
    other = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        mine.step(lambda: (ours(X) ** 2).sum())
        other.zero_grad()
        (theirs(torch.tensor(X)) ** 2).sum().backward()
        other.step()
    for key, value in theirs.state_dict().items():
        assert_close(ours.state_dict()[key], value.numpy(), 1e-10, what=key)


def test_transformations_leave_nothing_behind():
    m = prune.l1_unstructured(linear(), "weight", amount=5)
    params, buffers = fnn.state(m)
    assert set(params) == {"bias", "weight_orig"}
    assert set(buffers) == {"weight_mask"}
    expected = X @ (np.asarray(m.weight_orig) * np.asarray(m.weight_mask)).T + np.asarray(m.bias)
    assert_close(m(X), expected, 1e-12)

    @jax.jit
    def loss(params, buffers, x):
        return (fnn.functional_call(m, params, buffers, x)[0] ** 2).sum()

    grads = jax.grad(loss)(params, buffers, X)
    assert not np.asarray(grads["weight_orig"])[np.asarray(m.weight_mask) == 0].any()
    assert_close(loss(params, {"weight_mask": jnp.zeros((4, 3))}, X), 2 * (np.asarray(m.bias) ** 2).sum())
    assert_close(fnn.jit(m)(X), expected, 1e-12)
    assert_close(jax.vmap(m)(X), expected, 1e-12)
    fnn.backward(lambda: (m(X) ** 2).sum(), m)
    assert_close(m.weight_orig.grad, grads["weight_orig"], 1e-10)
    assert not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(m.__dict__))
    assert "weight" not in m.__dict__
    m.weight_orig.data = -m.weight_orig.data
    assert_close(m(X), -expected + 2 * np.asarray(m.bias), 1e-12)


def test_training_under_fnn_jit_and_pruning_between_steps():
    m = linear()
    optimizer = optim.Adam(m.parameters(), lr=0.03)

    @fnn.jit
    def step(x):
        return optimizer.step(lambda: ((m(x) - 1) ** 2).mean())

    losses = [float(step(X))]
    prune.random_unstructured(m, "weight", amount=3)
    losses += [float(step(X)) for _ in range(5)]
    pruned = np.asarray(m.weight) == 0
    assert pruned.sum() == 3
    prune.l1_unstructured(m, "weight", amount=2)
    step(X)
    assert (np.asarray(m.weight) == 0).sum() == 5
    prune.remove(m, "weight")
    assert isinstance(m.weight, nn.Parameter)
    step(X)
    assert (np.asarray(m.weight) == 0).sum() == 0
    assert losses[-1] < losses[1]


def test_pruning_is_refused_under_a_trace():
    m = linear()

    @fnn.jit
    def f(x):
        prune.l1_unstructured(m, "weight", amount=1)
        return m(x)

    with pytest.raises(RuntimeError, match="prune: pruning changes the structure of a module"):
        f(X)
    assert list(m.state_dict()) == ["weight", "bias"]
    assert type(m) is nn.Linear
    prune.identity(m, "weight")
    with pytest.raises(RuntimeError, match="prune: removal changes the structure of a module"):
        jax.jit(lambda x: prune.remove(m, "weight")(x))(X)
    with pytest.raises(RuntimeError, match="prune: t is traced"):
        jax.jit(prune.L1Unstructured(1).prune)(X)
    assert prune.is_pruned(m)
    assert_close(m(X), linear()(X), 0, 0)


@pytest.mark.parametrize("again", [False, True])
def test_copies(again):
    m = prune.l1_unstructured(linear(), "weight", amount=4)
    if again:
        prune.random_unstructured(m, "weight", amount=2)
    for twin in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert type(twin) is type(m)
        assert prune.is_pruned(nn.Sequential(twin))
        assert_close(twin(X), m(X), 0, 0)
        twin.weight_orig.data = 3 * twin.weight_orig.data
        assert float(abs(twin(X) - m(X)).max()) > 0
        prune.remove(twin, "weight")
        assert not twin._forward_pre_hooks
        assert type(twin) is nn.Linear
    assert prune.is_pruned(m)
    fresh = prune.identity(linear(), "weight")
    fresh.load_state_dict(m.state_dict())
    assert_close(fresh(X), m(X), 0, 0)


def test_in_layers_of_many_weights():
    lstm = prune.l1_unstructured(nn.LSTM(3, 4).double(), "weight_ih_l0", amount=1.0)
    assert_close(lstm(rand(0, 5, 2, 3))[0], lstm(rand(1, 5, 2, 3))[0], 0, 0)
    m = parametrizations.weight_norm(linear())
    prune.l1_unstructured(m.parametrizations.weight, "original1", amount=4)
    assert (np.asarray(m.weight) == 0).sum() == 4


def test_own_method():
    m = linear()
    EverySecond.apply(m, "bias")
    assert m.bias_mask.tolist() == [0, 1, 0, 1]
    EverySecond.apply(m, "bias")
    assert m.bias_mask.tolist() == [0, 0, 0, 1]
    with pytest.raises(TypeError, match="abstract"):
        prune.BasePruningMethod()

    class Unknown(EverySecond):
        PRUNING_TYPE = "other"

    with pytest.raises(ValueError, match="Unrecognized PRUNING_TYPE other"):
        Unknown.apply(m, "bias")
    assert m.bias_mask.tolist() == [0, 0, 0, 1]
    assert len(m._forward_pre_hooks) == 1

    class Misshapen(EverySecond):
        def compute_mask(self, t, default_mask):
            return default_mask[:1]

    with pytest.raises(ValueError, match=r"mask must have the shape \(4, 3\) of 'weight', got \(1, 3\)"):
        Misshapen.apply(m, "weight")
    assert isinstance(m.weight, nn.Parameter)


def test_a_failure_leaves_everything_as_it_was():
    class Failing(EverySecond):
        def apply_mask(self, module):
            raise NotImplementedError("no")

    class Incomputable(EverySecond):
        def compute_mask(self, t, default_mask):
            raise NotImplementedError("no")

    m = linear()
    for method in (Failing, Incomputable):
        with pytest.raises(NotImplementedError, match="no"):
            method.apply(m, "weight")
        assert list(m.state_dict()) == ["weight", "bias"]
        assert not m._forward_pre_hooks
        assert type(m) is nn.Linear
    for members in (1, 2):
        container = EverySecond.apply(m, "weight")
        expected = m.weight
        with pytest.raises(NotImplementedError, match="no"):
            Incomputable.apply(m, "weight")
        assert [*m._forward_pre_hooks.values()] == [container]
        assert_close(m.weight, expected, 0, 0)
        assert members == 1 or len(container) == members


def test_arrays():
    t = rand(0, 3, 4)
    assert_close(prune.L1Unstructured(0.5).prune(t), np.where(abs(t) > np.median(abs(t)), t, 0), 0, 0)
    scores, mask = rand(1, 3, 4), np.ones((3, 4)) * [1, 1, 1, 0]
    out = prune.LnStructured(1, n=1, dim=0).prune(t, default_mask=mask, importance_scores=scores)
    rows = abs(scores).sum(1)
    assert_close(out, np.where((rows > rows.min())[:, None], t * mask, 0), 0, 0)
    assert_close(jax.jit(prune.CustomFromMask(mask).prune)(t), t * mask, 0, 0)


def test_errors_of_containers():
    m = prune.identity(prune.identity(linear(), "weight"), "bias")
    a, b = (m._computed_weights[name] for name in ("weight", "bias"))
    with pytest.raises(ValueError, match=r"acting on the parameter named 'weight' to PruningContainer .* Found 'bias'"):
        prune.PruningContainer(a, b)
    with pytest.raises(AttributeError, match=r"Linear.weight is computed by Identity and cannot be set"):
        m.weight = X
    taken = linear()
    taken.weight_mask = 3
    with pytest.raises(KeyError, match="prune: attribute 'weight_mask' already exists"):
        prune.identity(taken, "weight")
    assert isinstance(taken.weight, nn.Parameter)
