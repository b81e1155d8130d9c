"""The base class of the optimizer objects: groups, hooks, state dicts and their hooks, copies, errors that change nothing."""

from __future__ import annotations

import copy
import pickle
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import optim
from fnn.nn import Parameter
from fnn.optim import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from fnn.optim.optimizer import ParamGroup, required
from tests.oracle import needs_torch, rand


def make(cls=optim.SGD, count=2, **options):
    ps = [Parameter(rand(i, 3)) for i in range(count)]
    return cls(ps, **(options or {"lr": 0.1})), ps


def set_grads(ps, value=1.0):
    for p in ps:
        p.grad = np.full(p.shape, value)


# Groups


def test_groups_have_their_own_options_and_the_defaults_for_the_rest():
    w, b, c = Parameter(np.ones(2)), Parameter(np.ones(1)), Parameter(np.ones(1))
    optimizer = optim.SGD([{"params": w}, {"params": [b], "lr": 1e-3, "extra": "kept"}], lr=1e-2)
    optimizer.add_param_group({"params": [c], "lr": 0.5, "maximize": True})
    assert [g["lr"] for g in optimizer.param_groups] == [1e-2, 1e-3, 0.5]
    assert optimizer.param_groups[0]["params"][0] is w
    assert optimizer.param_groups[1]["extra"] == "kept"
    set_grads([w, b, c])
    optimizer.step()
    np.testing.assert_allclose(w.numpy(), 0.99)
    np.testing.assert_allclose(b.numpy(), 0.999)
    np.testing.assert_allclose(c.numpy(), 1.5)
    assert optimizer.defaults["lr"] == 1e-2


def test_named_parameters():
    model = fnn.nn.Linear(2, 1, dtype=np.float64)
    optimizer = optim.SGD(model.named_parameters(), lr=0.1, momentum=0.9)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    loss = optimizer.step(lambda: model(np.ones((1, 2))).sum())
    assert np.isfinite(float(loss))
    unnamed = optim.SGD(model.parameters(), lr=0.1)
    unnamed.load_state_dict(optimizer.state_dict())
    assert unnamed.param_groups[0]["momentum"] == 0.9
    assert unnamed.param_groups[0]["param_names"] == ["weight", "bias"]
    optimizer.load_state_dict(optim.SGD(model.parameters(), lr=0.1, momentum=0.9).state_dict())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


# Groups of parameters named by a letter, or not, and whether torch takes them.
NAMINGS = [
    ([["a:", "b:"]], True),
    ([["", ""]], True),
    ([["a:", ""]], False),
    ([["", "b:"]], False),
    ([["a:"], ["b:"]], True),
    ([[""], [""]], True),
    ([["a:"], [""]], False),
    ([[""], ["b:"]], False),
]


@needs_torch
@pytest.mark.parametrize(("groups", "taken"), NAMINGS)
def test_all_parameters_are_named_or_none_as_in_torch(groups, taken):
    import torch

    def make(cls, parameter):
        named = [[(name[0], parameter()) if name else parameter() for name in group] for group in groups]
        return cls([{"params": group} for group in named], lr=0.1)

    for cls, parameter in (
        (torch.optim.SGD, lambda: torch.ones(1, requires_grad=True)),
        (optim.SGD, lambda: Parameter(np.ones(1))),
    ):
        if taken:
            names = [group.get("param_names") for group in make(cls, parameter).param_groups]
            assert names == [[name[0] for name in group] if group[0] else None for group in groups]
        else:
            with pytest.raises(ValueError, match="names"):
                make(cls, parameter)


def test_bad_groups_change_nothing():
    optimizer, ps = make()
    before = list(optimizer.param_groups)
    with pytest.raises(TypeError, match="param_group must be a dict, got "):
        optimizer.add_param_group([Parameter(np.ones(1))])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [ps[0]]})
    with pytest.raises(TypeError, match="can only optimize Parameters, got float"):
        optimizer.add_param_group({"params": [1.0]})
    with pytest.raises(TypeError, match="ordered collection"):
        optimizer.add_param_group({"params": {Parameter(np.ones(1))}})
    with pytest.raises(ValueError, match="lr must be a number at least 0"):
        optimizer.add_param_group({"params": [Parameter(np.ones(1))], "lr": -1.0})
    assert optimizer.param_groups == before


class Halving(Optimizer):
    """A rule of the user's own, with a required option."""

    def __init__(self, params, factor=required):
        super().__init__(params, {"factor": factor})

    def _transform(self, group):
        def update(grads, state, params=None):
            return jax.tree.map(lambda g: -group["factor"] * g, grads), state._replace(step=state.step + 1)

        return optim.Transform(optim.sgd().init, update)


def test_subclasses_and_required_options():
    p = Parameter(np.ones(2))
    with pytest.raises(ValueError, match="did not specify a value of required option factor"):
        Halving([p])
    optimizer = Halving([p], factor=0.5)
    set_grads([p])
    optimizer.step()
    assert p.numpy().tolist() == [0.5, 0.5]
    with pytest.raises(NotImplementedError, match="must set _rule"):
        Optimizer([p], {})


def test_param_group_is_a_dict():
    group = ParamGroup({"lr": 0.1})
    group.update({"momentum": 0.5}, nesterov=True)
    assert group.setdefault("lr", 3) == 0.1
    assert group.setdefault("weight_decay", 0.0) == 0.0
    assert group.pop("nesterov") is True
    del group["momentum"]
    assert dict(group) == {"lr": 0.1, "weight_decay": 0.0}


# Gradients and the step


def test_zero_grad():
    optimizer, ps = make()
    set_grads(ps)
    optimizer.zero_grad(set_to_none=False)
    assert [p.grad.tolist() for p in ps] == [[0, 0, 0]] * 2
    optimizer.zero_grad()
    assert [p.grad for p in ps] == [None, None]


def test_step_without_gradients_does_nothing():
    optimizer, ps = make(optim.Adam)
    before = [p.numpy().copy() for p in ps]
    assert optimizer.step() is None
    assert all(np.array_equal(p.numpy(), b) for p, b in zip(ps, before, strict=True))
    assert not optimizer.state


def test_frozen_parameters_rest():
    optimizer, ps = make()
    ps[0].requires_grad = False
    before = ps[0].numpy().copy()
    loss, aux = optimizer.step(lambda: ((ps[0] * ps[1]).sum(), "aux"), has_aux=True)
    assert loss.shape == ()
    assert aux == "aux"
    assert np.array_equal(ps[0].numpy(), before)
    assert not np.array_equal(ps[1].numpy(), rand(1, 3))


def test_hyperparameters_of_float32_parameters_stay_float32():
    p = Parameter(np.ones(2, np.float32))
    optimizer = optim.AdamW([p], lr=jnp.array(0.1))
    set_grads([p])
    optimizer.step()
    assert p.dtype == np.float32
    assert {v.dtype for k, v in optimizer.state[p].items() if k != "step"} == {np.dtype(np.float32)}
    assert float(p.data[0]) == pytest.approx(1 - 0.1 - 0.001, abs=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_closure_that_raises_changes_nothing(compiled):
    model = fnn.nn.Sequential(fnn.nn.Linear(3, 3), fnn.nn.BatchNorm1d(3), fnn.nn.Dropout(0.5))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    x = np.ones((4, 3), np.float32)

    def fails():
        model(x)
        raise KeyError("no")

    def step():
        return optimizer.step(fails)

    fnn.manual_seed(3)
    before, key = jax.tree.map(np.asarray, dict(model.state_dict())), fnn.random.get_rng_state()
    with pytest.raises(KeyError):
        (fnn.jit(step) if compiled else step)()
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())
    assert np.array_equal(np.asarray(fnn.random.get_rng_state()), np.asarray(key))
    assert optimizer.state_dict()["state"] == {}
    assert not optimizer.state


def test_an_optimizer_that_jit_did_not_find():
    optimizer = make()[0]
    hidden = weakref.ref(optimizer)
    with pytest.raises(RuntimeError, match="SGD optimizer was used by the traced function but"):
        fnn.jit(lambda: hidden().step())()


def test_optimizers_of_equal_structure_but_another_order_do_not_share_a_program():
    """Slots are kept in the order in which parameters first had a gradient."""
    for order in ((0, 1), (1, 0)):
        optimizer, ps = make(optim.SGD, lr=0.1, momentum=0.9)
        for i in order:
            ps[i].requires_grad = False
        for i in order:
            ps[i].requires_grad = True
            set_grads([ps[i]], 1.0 + i)
            optimizer.step()
            optimizer.zero_grad()
        for p in ps:
            p.grad = np.zeros(3)
        before = [p.numpy().copy() for p in ps]
        optimizer.step()
        moved = [b - p.numpy() for p, b in zip(ps, before, strict=True)]
        np.testing.assert_allclose(moved, [[0.09] * 3, [0.18] * 3])


# Hooks


def test_step_hooks():
    optimizer, ps = make()
    set_grads(ps)
    calls = []
    handles = [
        register_optimizer_step_pre_hook(lambda o, a, k: calls.append("global pre")),
        register_optimizer_step_post_hook(lambda o, a, k: calls.append("global post")),
        optimizer.register_step_pre_hook(lambda o, a, k: calls.append(("pre", o is optimizer, a, k))),
        optimizer.register_step_post_hook(lambda o, a, k: calls.append("post")),
    ]
    optimizer.step()
    assert calls == ["global pre", ("pre", True, (), {}), "post", "global post"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(calls) == 4


def test_step_pre_hook_may_replace_the_closure():
    optimizer, ps = make()
    handle = optimizer.register_step_pre_hook(lambda o, a, k: ((lambda: (2 * ps[0]).sum(),), {}))
    loss = optimizer.step(lambda: ps[0].sum())
    np.testing.assert_allclose(float(loss), 2 * rand(0, 3).sum())
    handle.remove()
    optimizer.register_step_pre_hook(lambda o, a, k: 5)
    with pytest.raises(RuntimeError, match=r"must return None or \(new_args, new_kwargs\), got 5"):
        optimizer.step()


def test_state_dict_hooks():
    optimizer, _ = make()
    calls = []
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("pre"))
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, d: {**d, "note": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, d: {k: v for k, v in d.items() if k != "note"})
    optimizer.register_load_state_dict_post_hook(lambda o: calls.append("loaded"))
    saved = optimizer.state_dict()
    assert saved["note"] == 1
    optimizer.load_state_dict(saved)
    assert calls == ["first", "pre", "loaded"]


# State


def test_state_dict_layout_and_state():
    a, b, c = (Parameter(rand(i, 2)) for i in range(3))
    optimizer = optim.Adam([{"params": [a, b]}, {"params": [c], "lr": 0.5}], lr=0.1)
    set_grads([a, c])
    optimizer.step()
    saved = optimizer.state_dict()
    assert list(saved) == ["state", "param_groups"]
    assert list(saved["state"]) == [0, 2]
    assert [g["params"] for g in saved["param_groups"]] == [[0, 1], [2]]
    assert saved["state"][0]["step"].dtype == np.float32
    assert set(optimizer.state) == {a, c}
    np.testing.assert_allclose(optimizer.state[a]["exp_avg"], 0.1)
    with pytest.raises(ValueError, match=r"state: exp_avg must have shape \(2,\), got \(\)"):
        optimizer.state[c]["exp_avg"] = 0
    optimizer.state[c]["exp_avg"] = np.ones(2)
    assert optimizer.state[c]["exp_avg"].tolist() == [1.0, 1.0]


def test_a_saved_state_outlives_later_steps():
    optimizer, ps = make(optim.SGD, lr=0.1, momentum=0.9)
    set_grads(ps)
    optimizer.step()
    saved = optimizer.state_dict()
    optimizer.step()
    assert saved["state"][0]["momentum_buffer"].tolist() == [1, 1, 1]
    optimizer.load_state_dict(saved)
    assert optimizer.state_dict()["state"][0]["momentum_buffer"].tolist() == [1, 1, 1]


def test_state_of_an_unknown_parameter_or_without_a_field():
    optimizer, ps = make(optim.Adam)
    set_grads(ps)
    optimizer.step()
    saved = optimizer.state_dict()
    with pytest.raises(ValueError, match="state of parameter 7, which is in no group"):
        optimizer.load_state_dict({**saved, "state": {7: saved["state"][0]}})
    short = {0: {k: v for k, v in saved["state"][0].items() if k != "exp_avg"}}
    with pytest.raises(ValueError, match="state of parameter 0 lacks 'exp_avg'"):
        optimizer.load_state_dict({**saved, "state": short})
    bad = [{**saved["param_groups"][0], "lr": -1.0}]
    with pytest.raises(ValueError, match="lr must be"):
        optimizer.load_state_dict({**saved, "param_groups": bad})
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert optimizer.state_dict()["state"].keys() == saved["state"].keys()


@pytest.mark.parametrize("cls", [optim.SGD, optim.NAdam, optim.Adafactor, optim.LBFGS])
@pytest.mark.parametrize("way", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_go_on_by_themselves(cls, way):
    options = {optim.SGD: {"lr": 0.1, "momentum": 0.9}, optim.LBFGS: {"lr": 0.1, "max_iter": 2}}.get(cls, {"lr": 0.1})
    optimizer, ps = make(cls, **options)
    hooked = []
    optimizer.register_step_post_hook(lambda o, a, k: hooked.append(1))

    def step(o):
        mine = [p for group in o.param_groups for p in group["params"]]
        o.step(lambda: sum((p.data**2).sum() for p in mine))
        return [p.numpy().copy() for p in mine]

    step(optimizer)
    twin_ps, twin = way((ps, optimizer))
    assert twin.param_groups[0]["params"][0] is twin_ps[0]
    assert type(twin.param_groups[0]) is ParamGroup
    before = [p.numpy().copy() for p in ps]
    after = step(twin)
    assert all(np.array_equal(p.numpy(), b) for p, b in zip(ps, before, strict=True))
    assert len(hooked) == 1
    for a, b in zip(step(optimizer), after, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_repr():
    optimizer, _ = make(lr=0.5)
    assert repr(optimizer).splitlines()[:2] == ["SGD (", "Parameter Group 0"]
    assert "    lr: 0.5" in repr(optimizer)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", ["Adam", "momentum", "Adagrad"])
def test_what_is_taken_out_of_the_groups_in_place_is_trained_no_longer(kind, compiled):
    ps = [Parameter(np.ones(2)) for _ in range(4)]
    make = {"Adam": optim.Adam, "momentum": lambda g: optim.SGD(g, lr=0.1, momentum=0.9), "Adagrad": optim.Adagrad}[
        kind
    ]
    optimizer = make([{"params": ps[:2]}, {"params": ps[2:]}])

    def step():
        return optimizer.step(lambda: sum((p * p).sum() for p in ps))

    step = fnn.jit(step) if compiled else step

    def moved():
        before = [p.numpy().copy() for p in ps]
        step()
        return [bool((p.numpy() != old).any()) for p, old in zip(ps, before, strict=True)]

    assert moved() == moved() == [True] * 4
    optimizer.param_groups[0]["params"].pop(0)
    assert moved() == [False, True, True, True]
    removed = optimizer.param_groups.pop()
    assert moved() == [False, True, False, False]
    state = optimizer.state_dict()
    assert state["param_groups"][0]["params"] == [0]
    assert list(state["state"]) == [0]
    assert list(optimizer.state) == [ps[1]]
    optimizer.param_groups.append(removed)
    optimizer.param_groups[0]["params"] += [ps[0]]
    assert moved() == [True] * 4
    optimizer.param_groups = optimizer.param_groups[:1]
    optimizer.param_groups[0]["params"] = [ps[0]]
    assert moved() == [True, False, False, False]
    twin = pickle.loads(pickle.dumps(optimizer))
    twin.param_groups[0]["params"].clear()
    twin.step()
