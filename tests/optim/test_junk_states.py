"""What is no state of an optimizer or scheduler is refused with a reason, and changes nothing; what torch takes is taken."""

import copy
import warnings

import jax
import numpy as np
import pytest

from fnn import nn, optim
from fnn.optim import lr_scheduler


def shown(owner):
    return repr(
        jax.tree.map(lambda v: np.asarray(v).tolist(), owner.state_dict(), is_leaf=lambda v: hasattr(v, "shape"))
    )


def make(name):
    """An optimizer that has made a step."""
    parameter = nn.Parameter(np.array([1.0, -2.0], np.float32))
    optimizer = getattr(optim, name)([parameter], lr=0.1)
    optimizer.step(lambda: (parameter * parameter).sum())
    return optimizer


def refused(owner, state, kind, message):
    before = shown(owner)
    with pytest.raises(kind, match=message):
        owner.load_state_dict(state)
    assert shown(owner) == before


NUMBERS = r"must be a dict with the numbers of its parameters in a list under 'params', got"


@pytest.mark.parametrize("name", ["SGD", "Adam", "LBFGS"])
@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"param_groups": [{}]}, TypeError, rf"state_dict\['param_groups'\]\[0\] {NUMBERS} {{}}"),
        ({"param_groups": [{"params": None}]}, TypeError, NUMBERS),
        ({"param_groups": [{"params": [[]]}]}, TypeError, NUMBERS),
        ({"param_groups": [1]}, TypeError, r"state_dict\['param_groups'\]\[0\] must be a dict, got 1"),
        ({"param_groups": None}, TypeError, r"state_dict\['param_groups'\] must be a list of dicts, got None"),
        ({"param_groups": {}}, TypeError, r"state_dict\['param_groups'\] must be a list of dicts, got {}"),
        ({"param_groups": []}, ValueError, "different number of parameter groups, expected 1, got 0"),
        ({"state": None}, TypeError, r"state_dict\['state'\] must be a dict, got None"),
        ({"state": [1]}, TypeError, r"state_dict\['state'\] must be a dict, got \[1\]"),
        ({"state": {0: 1}}, TypeError, r"state_dict\['state'\]\[0\] must be a dict, got 1"),
        ({"state": {7: {"a": 1}}}, ValueError, "state of parameter 7, which is in no group"),
    ],
    ids=str,
)
def test_optimizers(name, change, kind, message):
    optimizer = make(name)
    refused(optimizer, {**optimizer.state_dict(), **change}, kind, rf"^{name}\.load_state_dict: .*{message}")


@pytest.mark.parametrize(
    ("name", "change", "kind", "message"),
    [
        ("Adam", {"exp_avg": "x"}, TypeError, "exp_avg must be an array, got 'x'"),
        ("Adam", {"exp_avg": np.ones(2) * 1j}, TypeError, "exp_avg of parameter 0 must be of real numbers"),
        ("Adam", {"exp_avg": np.ones(3)}, ValueError, r"exp_avg of parameter 0 must have shape \(2,\), got \(3,\)"),
        ("Adam", {"exp_avg": jax.random.key(0)}, TypeError, "exp_avg must be an array of numbers"),
        ("Adam", {"step": np.nan}, ValueError, "step of parameter 0 must be a number at least 0, got nan"),
        ("Adam", {"step": -1}, ValueError, "step of parameter 0 must be a number at least 0, got -1"),
        ("Adam", {"step": "x"}, TypeError, "step must be an array, got 'x'"),
        ("LBFGS", {"n_iter": "x"}, TypeError, "n_iter must be an array, got 'x'"),
        ("LBFGS", {"n_iter": np.nan}, ValueError, "n_iter of parameter 0 must be a number at least 0, got nan"),
        ("LBFGS", {"func_evals": -2}, ValueError, "func_evals of parameter 0 must be a number at least 0, got -2"),
        ("LBFGS", {"d": np.zeros(5)}, ValueError, r"d of parameter 0 must have shape \(2,\), got \(5,\)"),
        ("LBFGS", {"d": np.zeros(2) * 1j}, TypeError, "d of parameter 0 must be of real numbers"),
        ("LBFGS", {"old_dirs": 5}, TypeError, "old_dirs must be a list of arrays"),
        ("LBFGS", {"old_stps": []}, TypeError, "old_stps must be a list of arrays, as many as in the other histories"),
        ("LBFGS", {"old_dirs": ["a", "a"]}, TypeError, r"old_dirs"),
        ("LBFGS", {"ro": [np.zeros(3)] * 2}, (TypeError, ValueError), "ro|old_dirs"),
    ],
    ids=str,
)
def test_states_of_parameters(name, change, kind, message):
    optimizer = make(name)
    state = optimizer.state_dict()
    state["state"] = {0: {**state["state"][0], **change}}
    refused(optimizer, state, kind, rf"^{name}\.load_state_dict: .*({message})")


def test_a_state_with_nothing_of_lbfgs():
    optimizer = make("LBFGS")
    state = {**optimizer.state_dict(), "state": {0: {"a": 1}}}
    refused(optimizer, state, ValueError, "LBFGS.load_state_dict: state_dict must be one of LBFGS")


SCHEDULERS = {
    "StepLR": lambda S, o: S.StepLR(o, 3),
    "LambdaLR": lambda S, o: S.LambdaLR(o, lambda epoch: 1.0),
    "MultiStepLR": lambda S, o: S.MultiStepLR(o, [2, 4]),
    "CyclicLR": lambda S, o: S.CyclicLR(o, 0.1, 0.2),
    "OneCycleLR": lambda S, o: S.OneCycleLR(o, 0.2, 10),
    "CosineAnnealingWarmRestarts": lambda S, o: S.CosineAnnealingWarmRestarts(o, 3),
    "ReduceLROnPlateau": lambda S, o: S.ReduceLROnPlateau(o),
    "ChainedScheduler": lambda S, o: S.ChainedScheduler([S.StepLR(o, 3)]),
    "SequentialLR": lambda S, o: S.SequentialLR(o, [S.StepLR(o, 3), S.StepLR(o, 2)], [2]),
}


def scheduler_of(name):
    return SCHEDULERS[name](lr_scheduler, optim.SGD([nn.Parameter(np.ones(2))], lr=0.1, momentum=0.9))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_schedulers(name):
    scheduler = scheduler_of(name)
    whole = scheduler.state_dict()
    title = rf"^{name}\.load_state_dict: "
    refused(scheduler, {}, ValueError, title + f"state_dict must be one of {name}, with ")
    refused(scheduler, {"a": 1}, ValueError, title + f"state_dict must be one of {name}, with ")
    refused(scheduler, 5, TypeError, title + "state_dict must be a dict, got 5")
    refused(scheduler, None, TypeError, title + "state_dict must be a dict, got None")
    for value in (3, [1.0, 2.0], ["a"]):
        refused(
            scheduler, {**whole, "_last_lr": value}, TypeError, title + r"state_dict\['_last_lr'\] must be a list of 1"
        )
    if "last_epoch" in whole:
        for state in ({**whole, "last_epoch": "x"}, {"last_epoch": None}, {"last_epoch": [1]}):
            refused(scheduler, state, TypeError, title + r"state_dict\['last_epoch'\] must be a number, got")
    scheduler.load_state_dict(whole)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("LambdaLR", {"lr_lambdas": []}, r"state_dict\['lr_lambdas'\] must be a list of 1|'lr_lambdas', a list of 1"),
        ("LambdaLR", {"lr_lambdas": [5]}, "'lr_lambdas', a list of 1, each None or a dict"),
        ("CyclicLR", {"_scale_fn_custom": 5}, "'_scale_fn_custom', None or a dict"),
        ("MultiStepLR", {"milestones": 5}, r"state_dict\['milestones'\] must be a dict, got 5"),
        ("ChainedScheduler", {"_schedulers": [{}]}, r"_schedulers\[0\]: state_dict must be one of StepLR"),
        ("ChainedScheduler", {"_schedulers": 5}, r"state_dict\['_schedulers'\] must be a list of 1"),
        ("ReduceLROnPlateau", {"mode": 5}, r"state_dict\['mode'\] must be a string, got 5"),
    ],
)
def test_parts_of_schedulers(name, change, message):
    scheduler = scheduler_of(name)
    whole = {**scheduler.state_dict(), "last_epoch": 7}
    refused(scheduler, {**whole, **change}, (TypeError, ValueError), message)


@pytest.mark.parametrize("key", ["lr_lambdas", "_scale_fn_custom", "_schedulers"])
def test_a_part_that_is_missing(key):
    scheduler = scheduler_of({"lr_lambdas": "LambdaLR", "_scale_fn_custom": "CyclicLR"}.get(key, "SequentialLR"))
    whole = {**scheduler.state_dict(), "last_epoch": 7}
    del whole[key]
    refused(scheduler, whole, ValueError, f"a dict with '{key}'")


def test_no_part_is_loaded_where_a_later_one_is_no_state():
    scheduler = scheduler_of("SequentialLR")
    state = copy.deepcopy(scheduler.state_dict())
    state["_schedulers"][0]["gamma"] = 0.5
    state["_schedulers"][1]["gamma"] = "a"
    refused(scheduler, state, TypeError, r"_schedulers\[1\]: state_dict\['gamma'\] must be a number, got 'a'")


@pytest.mark.parametrize("name", SCHEDULERS)
def test_states_of_torch(name):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = SCHEDULERS[name](
            torch.optim.lr_scheduler, torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
        )
    scheduler = scheduler_of(name)
    scheduler.load_state_dict(theirs.state_dict())
    partial = {key: value for key, value in theirs.state_dict().items() if key in ("last_epoch", "_last_lr")}
    if not {"lr_lambdas", "_scale_fn_custom", "_schedulers"} & {*theirs.state_dict()}:
        scheduler.load_state_dict(partial)  # torch takes what there is
