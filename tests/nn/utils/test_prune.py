"""Pruning, against PyTorch."""

import copy
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.nn.utils import parametrizations, prune
from tests.oracle import assert_close, needs_torch, rand

X = rand(5, 2, 3)


def linear():
    m = nn.Linear(3, 4).double()
    m.weight.data, m.bias.data = rand(0, 4, 3), rand(1, 4)
    return m


def pair(kind, *args):
    import torch

    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(*args).double()
    ours = getattr(nn, kind)(*args).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def same_state(ours, theirs):
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        assert_close(ours.state_dict()[key], value.numpy(), 0, 0, key)
        assert ours.state_dict()[key].dtype == value.numpy().dtype


@needs_torch
@pytest.mark.parametrize("name", prune.__all__)
def test_signatures(name):
    import torch.nn.utils.prune as torch_prune

    ours, theirs = getattr(prune, name), getattr(torch_prune, name)
    pairs = [(ours, theirs)]
    if inspect.isclass(ours):
        methods = [k for k, v in vars(theirs).items() if callable(v) or isinstance(v, classmethod)]
        pairs += [(getattr(ours, k), getattr(theirs, k)) for k in methods]
        assert getattr(ours, "PRUNING_TYPE", None) == getattr(theirs, "PRUNING_TYPE", None)
    for a, b in pairs:
        a, b = (inspect.signature(f).parameters.values() for f in (a, b))
        assert [(p.name, p.default, p.kind) for p in a] == [(p.name, p.default, p.kind) for p in b]


# Chosen by value: the same elements as torch's


SCORES = rand(7, 5, 4, 3)
MASK = np.arange(5 * 4 * 3).reshape(5, 4, 3) % 3 > 0


@needs_torch
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("identity", {}),
        ("l1_unstructured", {"amount": 0.3}),
        ("l1_unstructured", {"amount": 7, "importance_scores": SCORES}),
        ("l1_unstructured", {"amount": 0}),
        ("l1_unstructured", {"amount": 1.0}),
        ("ln_structured", {"amount": 2, "n": 2, "dim": 0}),
        ("ln_structured", {"amount": 0.5, "n": 1, "dim": -1}),
        ("ln_structured", {"amount": 1, "n": float("inf"), "dim": 1}),
        ("ln_structured", {"amount": 1, "n": -float("inf"), "dim": 1, "importance_scores": SCORES}),
        ("ln_structured", {"amount": 0.7, "n": "fro", "dim": 2}),
        ("ln_structured", {"amount": 1, "n": "nuc", "dim": 2}),
        ("ln_structured", {"amount": 1, "n": 3.5, "dim": 0}),
        ("custom_from_mask", {"mask": MASK}),
    ],
)
def test_same_elements_as_torch(name, options):
    import torch.nn.utils.prune

    ours, theirs = pair("Conv1d", 4, 5, 3)
    wanted = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    original = ours.weight
    assert getattr(prune, name)(ours, "weight", **options) is ours
    getattr(torch.nn.utils.prune, name)(theirs, "weight", **wanted)
    same_state(ours, theirs)
    assert ours.weight_orig is original
    assert_close(ours.weight, theirs.weight.detach().numpy(), 0, 0)
    assert len(ours._forward_pre_hooks) == len(theirs._forward_pre_hooks) == 1
    assert prune.remove(ours, "weight") is ours
    torch.nn.utils.prune.remove(theirs, "weight")
    same_state(ours, theirs)
    assert ours.weight is original
    assert type(ours) is nn.Conv1d
    assert not ours._forward_pre_hooks
    assert not prune.is_pruned(ours)


@needs_torch
def test_one_after_another():
    import torch.nn.utils.prune as torch_prune

    ours, theirs = pair("Conv1d", 4, 5, 3)
    for module, library in ((ours, prune), (theirs, torch_prune)):
        library.l1_unstructured(module, "weight", amount=0.25)
        library.ln_structured(module, "weight", amount=1, n=2, dim=0)
        library.ln_structured(module, "weight", amount=0.5, n=1, dim=0)
        library.l1_unstructured(module, "weight", amount=5)
        library.l1_unstructured(module, "bias", amount=2)
        library.identity(module, "weight")
    same_state(ours, theirs)
    container = ours._computed_weights["weight"]
    assert isinstance(container, prune.PruningContainer)
    kinds = ["L1Unstructured", "LnStructured", "LnStructured", "L1Unstructured", "Identity"]
    assert [type(m).__name__ for m in container] == kinds
    assert len(container) == 5
    assert container[1].dim == 0
    assert len(ours._forward_pre_hooks) == 2
    mask = np.arange(60).reshape(5, 4, 3) % 2
    prune.custom_from_mask(ours, "weight", mask)
    assert not np.asarray(ours.weight)[mask == 0].any()
    assert_close(ours.weight, np.asarray(theirs.weight.detach()) * mask, 0, 0)


@needs_torch
def test_global():
    import torch.nn.utils.prune

    ours, theirs = (nn.Sequential, torch.nn.Sequential)
    a, ta = pair("Linear", 3, 4)
    b, tb = pair("Linear", 4, 2)
    ours, theirs = ours(a, b), theirs(ta, tb)
    scores = rand(3, 2, 4)
    for m, library, score in ((ours, prune, scores), (theirs, torch.nn.utils.prune, torch.tensor(scores))):
        names = [(m[0], "weight"), (m[1], "weight"), (m[1], "bias")]
        library.l1_unstructured(m[0], "weight", amount=2)
        library.global_unstructured(names[:2], library.L1Unstructured, amount=0.4)
        library.global_unstructured(names, library.L1Unstructured, {(m[1], "weight"): score}, amount=3)
    same_state(ours, theirs)
    assert_close(ours(X), theirs(torch.tensor(X)).detach().numpy())
    before = sum(int(m.weight_mask.sum()) for m in ours)
    prune.global_unstructured([(m, "weight") for m in ours], prune.RandomUnstructured, amount=4)
    assert sum(int(m.weight_mask.sum()) for m in ours) == before - 4


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


@needs_torch
def test_hooks_are_found_as_in_torch():
    import torch.nn.utils.prune

    def inspect_hooks(library, m):
        library.l1_unstructured(m, "weight", amount=2)
        first = next(iter(m._forward_pre_hooks.values()))
        assert isinstance(first, library.L1Unstructured)
        assert first._tensor_name == "weight"
        yield first.apply_mask(m)
        yield first.compute_mask(m.weight_orig, m.weight_mask)
        yield first.prune(m.weight_orig)
        library.l1_unstructured(m, "weight", amount=2)
        container = library.LnStructured.apply(m, "weight", 1, 2, dim=0)
        library.identity(m, "bias")
        hooks = list(m._forward_pre_hooks.values())
        assert all(isinstance(hook, library.BasePruningMethod) for hook in hooks)
        assert hooks[0] is container
        assert [type(method) for method in container] == [library.L1Unstructured] * 2 + [library.LnStructured]
        assert library.L1Unstructured.apply(m, "weight", amount=1) is container
        assert [hook._tensor_name for hook in m._forward_pre_hooks.values()] == ["bias", "weight"]
        yield m.weight_mask
        container.remove(m)
        yield m.weight

    ours, theirs = pair("Linear", 3, 4)
    for a, b in zip(inspect_hooks(prune, ours), inspect_hooks(torch.nn.utils.prune, theirs), strict=True):
        assert_close(a, b.detach().numpy(), 0, 0)


def test_ties_go_in_order():
    m = linear()
    m.weight.data = jnp.asarray([[1.0, -1, 1], [2, 1, 1], [1, 1, -2], [3, -1, 1]])
    prune.l1_unstructured(m, "weight", amount=4)
    assert m.weight_mask.tolist() == [[0, 0, 0], [1, 0, 1], [1, 1, 1], [1, 1, 1]]
    prune.remove(m, "weight").weight.data = jnp.ones((4, 3)).at[2].set(np.nan)
    prune.ln_structured(m, "weight", amount=2, n=2, dim=0)
    assert m.weight_mask[:, 0].tolist() == [0, 0, 1, 1]
    t = np.array([np.nan, 2, np.nan, 1])
    assert prune.L1Unstructured(3).compute_mask(t, np.ones(4)).tolist() == [0, 0, 1, 0]


# Drawn at random


def test_random_draws():
    def masks():
        m = nn.Conv1d(4, 5, 3)
        prune.random_unstructured(m, "weight", amount=0.5)
        first = np.asarray(m.weight_mask)
        prune.random_structured(m, "weight", amount=1, dim=1)
        prune.random_structured(m, "weight", amount=1, dim=1)
        return first, np.asarray(m.weight_mask)

    fnn.manual_seed(0)
    first, second = masks()
    assert first.sum() == 30
    assert (second.sum((0, 2)) == 0).sum() == 2
    assert not (second[first == 0]).any()
    kept = second.sum((0, 2)) > 0
    assert_close(second[:, kept], first[:, kept], 0, 0)
    fnn.manual_seed(0)
    for a, b in zip(masks(), (first, second), strict=True):
        assert_close(a, b, 0, 0)
    assert any((a != b).any() for a, b in zip(masks(), (first, second), strict=True))


# Under transformations


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


def test_half_types_and_frozen_parameters():
    m = linear().to(jnp.bfloat16)
    m.weight.requires_grad_(False)
    prune.ln_structured(m, "weight", amount=1, n=2, dim=0)
    assert m.weight.dtype == m.weight_mask.dtype == jnp.bfloat16
    assert not m.weight_orig.requires_grad
    assert (np.asarray(m.weight, np.float32).any(1)).sum() == 3


# A method of one's own, and arrays


class EverySecond(prune.BasePruningMethod):
    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        return default_mask.reshape(-1).at[::2].set(0).reshape(default_mask.shape)


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


# Errors


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (TypeError, "Invalid type for amount: '1'", lambda m: prune.l1_unstructured(m, "weight", amount="1")),
        (ValueError, r"amount=1.1 should either", lambda m: prune.l1_unstructured(m, "weight", amount=1.1)),
        (ValueError, r"amount=-1 should either", lambda m: prune.random_unstructured(m, "weight", amount=-1)),
        (ValueError, r"amount=nan should either", lambda m: prune.random_structured(m, "weight", np.nan, 0)),
        (ValueError, r"amount=13 should be smaller than .*=12", lambda m: prune.l1_unstructured(m, "weight", 13)),
        (ValueError, r"amount=4 should be smaller than .*=3", lambda m: prune.ln_structured(m, "weight", 4, 2, 1)),
        (ValueError, r"n must be a number.* got 'x'", lambda m: prune.ln_structured(m, "weight", 1, "x", 1)),
        (ValueError, r"n='nuc' needs slices with 2 axes", lambda m: prune.ln_structured(m, "weight", 1, "nuc", 1)),
        (IndexError, r"dim=2 for tensor of size \(4, 3\)", lambda m: prune.random_structured(m, "weight", 1, 2)),
        (ValueError, r"multidimensional tensors.* 1 dims", lambda m: prune.random_structured(m, "bias", 1, 0)),
        (
            AssertionError,
            r"importance_scores should have the same shape as parameter bias of Linear.* vs \(4,\)",
            lambda m: prune.l1_unstructured(m, "bias", 1, X),
        ),
        (
            AssertionError,
            r"default_mask shape \(4, 3\) must match self.mask shape \(2,\)",
            lambda m: prune.custom_from_mask(m, "weight", np.ones(2)),
        ),
        (AttributeError, "no attribute 'w'", lambda m: prune.identity(m, "w")),
        (
            TypeError,
            "'in_features' of Linear.* must be a Parameter, got int",
            lambda m: prune.identity(m, "in_features"),
        ),
        (TypeError, "must be a Parameter, got NoneType", lambda m: prune.identity(nn.Linear(2, 2, bias=False), "bias")),
        (ValueError, "'weight' of .* is uninitialized", lambda m: prune.identity(nn.LazyLinear(2), "weight")),
        (ValueError, "'weight' of module Linear.* has to be pruned before", lambda m: prune.remove(m, "weight")),
        (TypeError, "parameters is not an Iterable", lambda m: prune.global_unstructured(1, prune.Identity)),
        (ValueError, "parameters must not be empty", lambda m: prune.global_unstructured([], prune.Identity)),
        (
            TypeError,
            "importance_scores must be of type dict",
            lambda m: prune.global_unstructured([(m, "bias")], prune.Identity, 3),
        ),
        (
            TypeError,
            'Only "unstructured" PRUNING_TYPE supported',
            lambda m: prune.global_unstructured([(m, "weight")], prune.RandomStructured, amount=1),
        ),
        (TypeError, "is not a BasePruningMethod subclass", lambda m: prune.PruningContainer(3)),
    ],
)
def test_errors(error, match, call):
    m = linear()
    with pytest.raises(error, match=match):
        call(m)
    assert list(m.state_dict()) == ["weight", "bias"]
    assert type(m) is nn.Linear


def container_of_l1(library):
    method = library.L1Unstructured(1)
    method._tensor_name = "weight"
    return library.PruningContainer(method)


def structured_without_dim(library):
    return type("Structured", (library.L1Unstructured,), {"PRUNING_TYPE": "structured"})


@needs_torch
@pytest.mark.parametrize(
    "call",
    [
        lambda library, m, ones: library.l1_unstructured(m, "weight", "1"),
        lambda library, m, ones: library.l1_unstructured(m, "weight", 1.5),
        lambda library, m, ones: library.l1_unstructured(m, "weight", 100),
        lambda library, m, ones: library.l1_unstructured(m, "w", 1),
        lambda library, m, ones: library.identity(m, "buffer"),
        lambda library, m, ones: library.l1_unstructured(m, "weight", 1, importance_scores=ones),
        lambda library, m, ones: library.L1Unstructured(1).prune(m.weight, importance_scores=ones),
        lambda library, m, ones: library.custom_from_mask(m, "weight", ones),
        lambda library, m, ones: library.ln_structured(m, "bias", 1, 2, 0),
        lambda library, m, ones: library.random_structured(m, "weight", 1, 2),
        lambda library, m, ones: structured_without_dim(library).apply(library.identity(m, "bias"), "bias", 1),
        lambda library, m, ones: container_of_l1(library).add_pruning_method(
            container_of_l1(library)[0].apply(m, "bias", 1)
        ),
        lambda library, m, ones: container_of_l1(library).add_pruning_method(3),
        lambda library, m, ones: library.remove(m, "weight"),
        lambda library, m, ones: library.global_unstructured(3, library.L1Unstructured),
    ],
)
def test_errors_are_of_the_kinds_of_torch(call):
    import torch
    import torch.nn.utils.prune

    ours, theirs = linear(), torch.nn.Linear(3, 4)
    ours.register_buffer("buffer", np.ones(2)), theirs.register_buffer("buffer", torch.ones(2))
    with pytest.raises(Exception) as expected:
        call(torch.nn.utils.prune, theirs, torch.ones(2))
    with pytest.raises(expected.type):
        call(prune, ours, np.ones(2))


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
