"""Pruning by function: the same elements as torch, several times and over several modules."""

import inspect

import numpy as np
import pytest

from fnn import nn
from fnn.nn.utils import prune
from tests.nn.utils.prune.cases import X, linear, pair, same_state
from tests.oracle import assert_close, needs_torch, rand


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


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (TypeError, "amount must be a number, got '1'", lambda m: prune.l1_unstructured(m, "weight", amount="1")),
        (
            ValueError,
            r"amount must be a float in the range.*got 1.1",
            lambda m: prune.l1_unstructured(m, "weight", amount=1.1),
        ),
        (
            ValueError,
            r"amount must be a float in the range",
            lambda m: prune.random_unstructured(m, "weight", amount=-1),
        ),
        (
            ValueError,
            r"amount must be a float in the range.*got nan",
            lambda m: prune.random_structured(m, "weight", np.nan, 0),
        ),
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
            r"mask must be of the shape of default_mask, \(4, 3\), got \(2,\)",
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
        (TypeError, "parameters must be an iterable", lambda m: prune.global_unstructured(1, prune.Identity)),
        (ValueError, "parameters must not be empty", lambda m: prune.global_unstructured([], prune.Identity)),
        (
            TypeError,
            "importance_scores must be a dict",
            lambda m: prune.global_unstructured([(m, "bias")], prune.Identity, 3),
        ),
        (
            TypeError,
            'Only "unstructured" PRUNING_TYPE supported',
            lambda m: prune.global_unstructured([(m, "weight")], prune.RandomStructured, amount=1),
        ),
        (TypeError, "args must be a BasePruningMethod", lambda m: prune.PruningContainer(3)),
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
