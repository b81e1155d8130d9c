"""Every public callable with a dozen kinds of wrong value in the place of each argument: what comes is accepted, or its error
names the function, the argument, what was expected and what came, is raised by this library, and changed nothing."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.nn import functional as F
from tests.wrong_arguments import functional_calls, other_calls
from tests.wrong_arguments.kinds import KINDS, TRACED, fault, outcome, to_trace, traced
from tests.wrong_arguments.left import LEFT, NOT_CALLED


def _call(name: str) -> other_calls.Call:
    if name.startswith("F."):
        return other_calls.Call(getattr(F, name[2:]), functional_calls.CALLS[name[2:]]())
    return other_calls.CALLS[name]()


def _run(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """The call by name, but for what stands before ``*args``, which is given by position."""
    rest, before = dict(arguments), []
    parameters = inspect.signature(function).parameters.values()
    for p in parameters if any(p.kind is p.VAR_POSITIONAL for p in parameters) else ():
        if p.kind is p.VAR_POSITIONAL:
            before += rest.pop(p.name, ())
        elif p.kind is p.POSITIONAL_OR_KEYWORD and p.name in rest:
            before.append(rest.pop(p.name))
    for p in parameters:
        if p.kind is p.VAR_KEYWORD:
            rest |= rest.pop(p.name, {})
    return function(*before, **rest)


def _contents(value: Any) -> Any:
    """What the state of an object is, by identity where it is an array."""
    if isinstance(value, nn.Module):
        return {k: id(b._held()) for k, b in [*value.named_parameters(), *value.named_buffers()]}, repr(value)
    if isinstance(value, fnn.optim.Optimizer):
        slots = {k: jax.tree.map(lambda a: np.asarray(a).tolist(), s) for k, s in value.state_dict()["state"].items()}
        groups = [{k: v for k, v in g.items() if k not in ("params", "initial_lr")} for g in value.param_groups]
        return slots, repr(groups), [len(g["params"]) for g in value.param_groups]
    return id(value._held()) if hasattr(value, "_held") else None


def _faults(name: str) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the errors of a callable: argument, kind, fault."""
    call = _call(name)
    functional = name.startswith("F.")
    assert (traced if functional else outcome)(lambda: _run(call.function, call.arguments)) is None
    parameters = inspect.signature(call.function).parameters
    call = _call(name)
    traceable = functional or traced(lambda: _run(call.function, call.arguments)) is None
    names = [part for part in name.replace("()", "").split(".") if part not in ("F", "nn")]
    if name.endswith("()"):
        names += ["forward", *functional_calls.CALLS, *(n.removeprefix("nn.") for n in LAYERS)]  # what the layer calls
    for argument, parameter in parameters.items():
        several = parameter.kind is parameter.VAR_POSITIONAL
        if parameter.kind is parameter.VAR_KEYWORD or (several and argument in ("args", "input")):
            continue
        for kind in [*KINDS, TRACED] if traceable else KINDS:
            call = _call(name)
            right = call.arguments.get(argument, parameter.default)
            right = (right[0] if right and right is not parameter.empty else None) if several else right

            def run(
                wrong: Any, call: other_calls.Call = call, argument: str = argument, several: bool = several
            ) -> Any:
                return _run(call.function, {**call.arguments, argument: (wrong,) if several else wrong})

            before = [_contents(w) for w in call.watched]
            if kind == TRACED:
                error = traced(run, to_trace(right))
            else:
                wrong = KINDS[kind](right)
                error = (traced if functional else outcome)(lambda run=run, wrong=wrong: run(wrong))
            if error is None:
                continue
            found = fault(error, names, argument, kind, list(parameters))
            if found is None and [_contents(w) for w in call.watched] != before:
                found = "changed the state of an object"
            if found is not None:
                yield argument, kind, f"{found}: {type(error).__name__}: {error}"


FUNCTIONS = [f"F.{name}" for name in functional_calls.CALLS]
LAYERS = [name for name in other_calls.CALLS if name.startswith("nn.")]
OTHERS = [name for name in other_calls.CALLS if not name.startswith("nn.")]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A string in the place of a path names a file in a folder of the test's own."""
    monkeypatch.chdir(other_calls.FOLDER)


def _check(name: str) -> None:
    found = [f for f in _faults(name) if not any(key in LEFT for key in ((name, f[0]), (name, f[0], f[1])))]
    assert not found, "\n".join(" | ".join(f) for f in found)


@pytest.mark.one_in(20)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    _check(name)


@pytest.mark.one_in(80)
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    _check(name)


@pytest.mark.one_in(40)
@pytest.mark.parametrize("name", OTHERS)
def test_the_rest(name: str) -> None:
    _check(name)


# That there is a call of every public name

PLACES = {
    "fnn.nn.functional": "F.{}",
    "fnn.nn": "nn.{}",
    "fnn.nn.init": "init.{}",
    "fnn.nn.utils": "{}",
    "fnn.nn.utils.rnn": "rnn.{}",
    "fnn.nn.utils.parametrizations": "parametrizations.{}",
    "fnn.nn.utils.parametrize": "parametrize.{}",
    "fnn.nn.utils.prune": "prune.{}",
    "fnn.optim": "optim.{}",
    "fnn.optim.schedule": "schedule.{}",
    "fnn.optim.lr_scheduler": "lr_scheduler.{}",
    "fnn.optim.swa_utils": "swa_utils.{}",
    "fnn.random": "random.{}",
    "fnn.amp": "amp.{}",
    "fnn.checkpoint": "checkpoint.{}",
    "fnn.parallel": "parallel.{}",
}


def _is_public(value: Any) -> bool:
    return callable(value) and str(getattr(value, "__module__", "")).startswith("fnn") and not inspect.ismodule(value)


@pytest.mark.parametrize("place", PLACES)
def test_every_public_callable_is_called(place: str) -> None:
    module = importlib.import_module(place)
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    called = {*FUNCTIONS, *other_calls.CALLS}
    forms = {n: PLACES[place].format(n) for n in names if _is_public(getattr(module, n))}
    assert forms
    missing = {n for n, form in forms.items() if form not in called and n not in called and not n.endswith("State")}
    assert not missing - NOT_CALLED
