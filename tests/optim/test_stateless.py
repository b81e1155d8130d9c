"""Parameters and state of an optimizer exchanged for a while, against torch's."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from fnn import optim
from fnn.nn import Parameter
from fnn.optim import swap_in_optimizer_params_and_state
from tests.oracle import assert_close, needs_torch, rand, to_torch


def stepped():
    params = [Parameter(rand(i, 3)) for i in range(2)]
    optimizer = optim.Adam([{"params": [params[0]], "lr": 0.5}, {"params": [params[1]]}], lr=0.1)
    optimizer.step(lambda: sum((p**2).sum() for p in params))
    return params, optimizer


@needs_torch
def test_steps_within_act_on_what_is_put_in_and_the_optimizer_is_as_before(double):
    import torch

    params, optimizer = stepped()
    given = optimizer.state_dict()
    given["param_groups"][0]["lr"] = 0.25
    others = [Parameter(rand(7 + i, 3)) for i in range(2)]
    mine = [torch.tensor(p.numpy(), requires_grad=True) for p in params]
    theirs = torch.optim.Adam([{"params": [mine[0]], "lr": 0.5}, {"params": [mine[1]]}], lr=0.1)
    theirs.load_state_dict(to_torch(optimizer.state_dict()))
    swapped = [torch.tensor(p.numpy(), requires_grad=True) for p in others]
    before = copy.deepcopy(optimizer.state_dict())

    def step(parameters, theirs_too):
        optimizer.step(lambda: sum((p**3).sum() for p in parameters))
        theirs.zero_grad()
        sum((p**3).sum() for p in theirs_too).backward()
        theirs.step()

    names = ("a", "b")
    with (
        swap_in_optimizer_params_and_state(optimizer, dict(zip(names, others, strict=True)), given),
        torch.optim.swap_in_optimizer_params_and_state(theirs, dict(zip(names, swapped, strict=True)), to_torch(given)),
    ):
        assert optimizer.param_groups[0]["params"][0] is others[0]
        assert optimizer.param_groups[0]["lr"] == 0.25
        for _ in range(2):
            step(others, swapped)
        assert float(optimizer.state[others[0]]["step"]) == 3
    for a, b in zip(others, swapped, strict=True):
        assert_close(a.data, b.detach(), 1e-9, 1e-9)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for number, named in before["state"].items():
        for key, value in named.items():
            assert_close(after["state"][number][key], value, 0, 0, key)
    step(params, mine)
    for a, b in zip(params, mine, strict=True):
        assert_close(a.data, b.detach(), 1e-9, 1e-9)


def test_the_optimizer_is_as_before_after_an_error():
    params, optimizer = stepped()
    with (
        pytest.raises(KeyError),
        swap_in_optimizer_params_and_state(
            optimizer, {"a": Parameter(np.ones(3)), "b": Parameter(np.ones(3))}, optimizer.state_dict()
        ),
    ):
        raise KeyError
    assert optimizer.param_groups[1]["params"][0] is params[1]
    assert set(optimizer.state) == set(params)


BAD = {
    "no dict": lambda s: [],
    "a state that is no dict": lambda s: {**s, "state": []},
    "a state of no dicts": lambda s: {**s, "state": {0: 1}},
    "groups that are no list": lambda s: {**s, "param_groups": {}},
    "one group": lambda s: {**s, "param_groups": s["param_groups"][:1]},
    "a group that is no dict": lambda s: {**s, "param_groups": [1, 2]},
    "no numbers": lambda s: {**s, "param_groups": [{**g, "params": None} for g in s["param_groups"]]},
    "more parameters": lambda s: {**s, "param_groups": [{**g, "params": [0, 1]} for g in s["param_groups"]]},
    "another option": lambda s: {**s, "param_groups": [{**g, "new": 1} for g in s["param_groups"]]},
    "another parameter": lambda s: {**s, "state": {**s["state"], 7: {}}},
}


@needs_torch
@pytest.mark.parametrize("name", sorted(BAD))
def test_what_does_not_fit_is_refused_as_in_torch(name):
    import torch

    params, optimizer = stepped()
    mine = [torch.tensor(p.numpy(), requires_grad=True) for p in params]
    theirs = torch.optim.Adam([{"params": [mine[0]], "lr": 0.5}, {"params": [mine[1]]}], lr=0.1)
    theirs.load_state_dict(to_torch(optimizer.state_dict()))
    bad = BAD[name](optimizer.state_dict())
    with (
        pytest.raises(RuntimeError),
        torch.optim.swap_in_optimizer_params_and_state(theirs, dict(enumerate(mine)), to_torch(bad)),
    ):
        pass
    with (
        pytest.raises(RuntimeError, match="swap_in_optimizer_params_and_state"),
        swap_in_optimizer_params_and_state(optimizer, {str(i): p for i, p in enumerate(params)}, bad),
    ):
        pass


def test_parameters_that_do_not_fit_are_refused():
    params, optimizer = stepped()
    saved = optimizer.state_dict()
    with (
        pytest.raises(RuntimeError, match="as many"),
        swap_in_optimizer_params_and_state(optimizer, {"a": params[0]}, saved),
    ):
        pass
    arrays = {str(i): p.data for i, p in enumerate(params)}
    with (
        pytest.raises(TypeError, match="must be Parameters"),
        swap_in_optimizer_params_and_state(optimizer, arrays, saved),
    ):
        pass
    fresh = optim.SGD([Parameter(np.ones(1))])
    with (
        pytest.raises(RuntimeError, match="no step"),
        swap_in_optimizer_params_and_state(fresh, {}, fresh.state_dict()),
    ):
        pass
