"""What all schedulers have from their base class: attributes, warnings, loading, errors."""

from __future__ import annotations

import ast
import copy
import re

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.optim import lr_scheduler as S
from tests.optim.lr_scheduler.runs import our_optimizer, their_optimizer, values, without_warnings
from tests.optim.scheduler_cases import SINGLE, STEP, Factor, chained, sequential, simple
from tests.oracle import needs_torch


def test_attributes():
    optimizer = our_optimizer()
    scheduler = S.CyclicLR(optimizer, 0.1, 0.5, 10, mode="triangular2")
    assert scheduler.base_lrs == [0.1, 0.1]
    assert scheduler.max_lrs == [0.5, 0.5]
    assert (scheduler.total_size, scheduler.step_ratio, scheduler.scale_mode) == (20.0, 0.5, "cycle")
    assert optimizer.param_groups[1]["initial_lr"] == 0.1
    assert optimizer.param_groups[1]["max_momentum"] == 0.9
    assert scheduler.optimizer is optimizer
    assert scheduler.last_epoch == 0
    scheduler.get_last_lr()[0] = 7.0
    assert scheduler.get_last_lr() == [0.1, 0.1]
    assert issubclass(S._LRScheduler, S.LRScheduler)


def test_print_lr(capsys):
    scheduler = S.StepLR(our_optimizer(), 2)
    scheduler.print_lr(False, 0, 0.1)
    scheduler.print_lr(True, 1, 0.05)
    scheduler.print_lr(True, 0, 0.3, 7)
    scheduler.print_lr(True, 0, 0.3, 7.5)
    assert capsys.readouterr().out.splitlines() == [
        "Adjusting learning rate of group 1 to 5.0000e-02.",
        "Epoch 00007: adjusting learning rate of group 0 to 3.0000e-01.",
        "Epoch 7.50: adjusting learning rate of group 0 to 3.0000e-01.",
    ]


def test_order_of_the_two_steps():
    optimizer = our_optimizer()
    scheduler = S.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match="before optimizer.step"):
        scheduler.step()
    scheduler.step()

    optimizer = our_optimizer()
    scheduler = S.StepLR(optimizer, 2)
    optimizer.step()  # without gradients, which leaves no state
    scheduler.step()

    # A compiled step marks the optimizer that it was traced with; the state of the others tells.
    @fnn.jit
    def train(optimizer):
        optimizer.step(lambda: (optimizer.param_groups[0]["params"][0] ** 2).sum())

    for _ in range(2):
        optimizer = our_optimizer(rates=(0.1,))
        scheduler = S.StepLR(optimizer, 2)
        train(optimizer)
        scheduler.step()
    assert train._cache_size() == 1


def test_other_warnings():
    optimizer = our_optimizer()
    scheduler = S.ExponentialLR(optimizer, 0.5)
    with pytest.warns(UserWarning, match="get_last_lr"):
        assert scheduler.get_lr() == [0.15, 0.025]
    optimizer.step()
    with pytest.warns(UserWarning, match="epoch argument"):
        scheduler.step(3)
    with pytest.warns(UserWarning, match="epoch argument"):
        S.ReduceLROnPlateau(optimizer).step(1.0, 3)


def test_rates_that_are_arrays_stay_arrays():
    optimizer = optim.SGD([nn.Parameter(np.ones(1))], lr=jnp.float32(0.5))
    scheduler = S.CosineAnnealingWarmRestarts(optimizer, 2)
    scheduler.step()
    rate = optimizer.param_groups[0]["lr"]
    assert rate.dtype == jnp.float32
    assert float(rate) == 0.25
    assert scheduler.state_dict()["_last_lr"] == [0.25]
    plateau = S.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    plateau.step(1.0)
    plateau.step(1.0)
    assert optimizer.param_groups[0]["lr"].dtype == jnp.float32
    assert float(optimizer.param_groups[0]["lr"]) == 0.125


def test_loading_leaves_the_given_dict_alone():
    for make in (simple("LambdaLR", Factor(0.5)), simple("CyclicLR", 0.1, 0.2, 4), chained(STEP), sequential([], STEP)):
        state = make(S, our_optimizer()).state_dict()
        before = copy.deepcopy(state)
        make(S, our_optimizer()).load_state_dict(state)
        assert state == before


def test_callable_objects_are_loaded():
    scheduler = S.LambdaLR(our_optimizer(), [Factor(0.5), lambda e: 1.0])
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [{"base": 0.5}, None]
    other = S.LambdaLR(our_optimizer(), [Factor(0.1), lambda e: 1.0])
    other.load_state_dict(state)
    assert other.lr_lambdas[0].base == 0.5
    scheduler = S.CyclicLR(our_optimizer(), 0.1, 0.2, scale_fn=Factor(0.5))
    other = S.CyclicLR(our_optimizer(), 0.1, 0.2, scale_fn=Factor(0.1))
    other.load_state_dict(scheduler.state_dict())
    assert other.scale_fn(2) == 0.25


def test_own_scheduler():
    class Inverse(S.LRScheduler):
        def __init__(self, optimizer, speed, last_epoch=-1):
            self.speed = speed
            super().__init__(optimizer, last_epoch)

        def get_lr(self):
            return [base / (1 + self.speed * self.last_epoch) for base in self.base_lrs]

    optimizer = our_optimizer()
    scheduler = Inverse(optimizer, 0.5)
    step = fnn.jit(lambda: scheduler.step())
    for i in range(1, 4):
        step()
        np.testing.assert_allclose(values(optimizer)[0][0], 0.3 / (1 + 0.5 * i), rtol=1e-12)
    assert scheduler.state_dict()["speed"] == 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda sgd, f: S.LambdaLR(sgd, f),
        lambda sgd, f: S.MultiplicativeLR(sgd, f),
        lambda sgd, f: S.CyclicLR(sgd, 0.1, 0.2, 2, scale_fn=f, cycle_momentum=False),
    ],
)
def test_a_function_that_fails_leaves_the_scheduler_as_it_was(make):
    def function(at):
        if broken:
            raise KeyError(at)
        return 0.5

    broken = False
    sgd = our_optimizer()
    scheduler = make(sgd, function)
    sgd.step()
    scheduler.step()
    before, rates = scheduler.state_dict(), [group["lr"] for group in sgd.param_groups]
    broken = True
    with pytest.raises(KeyError):
        scheduler.step()
    assert scheduler.state_dict() == before
    assert [group["lr"] for group in sgd.param_groups] == rates


@pytest.mark.parametrize("factor", ["a", None, [0.5], np.ones(2)])
@pytest.mark.parametrize("name", ["LambdaLR", "MultiplicativeLR"])
def test_factors_are_numbers(name, factor):
    given = 0.5
    sgd = our_optimizer()
    scheduler = getattr(S, name)(sgd, lambda epoch: given)
    sgd.step()
    given = factor
    with pytest.raises(TypeError, match=f"{name}: lr_lambda must be a function that returns a number, got"):
        scheduler.step()


def test_errors():
    sgd, plain = our_optimizer(), optim.Adagrad([nn.Parameter(np.ones(1))]) if hasattr(optim, "Adagrad") else None
    cases = [
        (TypeError, "StepLR: optimizer must be an Optimizer, got", lambda: S.StepLR([1], 2)),
        (TypeError, "CyclicLR: optimizer", lambda: S.CyclicLR(None, 0.1, 0.2)),
        (TypeError, "OneCycleLR: optimizer", lambda: S.OneCycleLR(None, 0.1, 5)),
        (TypeError, "ReduceLROnPlateau: optimizer", lambda: S.ReduceLROnPlateau(None)),
        (KeyError, "initial_lr.*param_groups\\[0\\]", lambda: S.StepLR(our_optimizer(), 2, last_epoch=3)),
        (ValueError, "LambdaLR: lr_lambda must have the same length", lambda: S.LambdaLR(sgd, [len])),
        (TypeError, "LambdaLR: lr_lambda must be a function", lambda: S.LambdaLR(sgd, 0.5)),
        (TypeError, "MultiplicativeLR: lr_lambda must be a function", lambda: S.MultiplicativeLR(sgd, [len, 2])),
        (ValueError, "ConstantLR: factor must be", lambda: S.ConstantLR(sgd, 1.5)),
        (ValueError, "ConstantLR: factor must be", lambda: S.ConstantLR(sgd, -0.1)),
        (ValueError, "LinearLR: start_factor must be", lambda: S.LinearLR(sgd, 0.0)),
        (ValueError, "LinearLR: start_factor must be", lambda: S.LinearLR(sgd, 1.1)),
        (ValueError, "LinearLR: end_factor must be", lambda: S.LinearLR(sgd, 0.5, 1.1)),
        (ValueError, "T_0 must be a positive integer, got 0", lambda: S.CosineAnnealingWarmRestarts(sgd, 0)),
        (ValueError, "T_0 must be a positive integer", lambda: S.CosineAnnealingWarmRestarts(sgd, 2.5)),
        (ValueError, "T_mult must be", lambda: S.CosineAnnealingWarmRestarts(sgd, 2, 0)),
        (TypeError, "eta_min must be", lambda: S.CosineAnnealingWarmRestarts(sgd, 2, eta_min="0")),
        (ValueError, "epoch must be at least 0", lambda: S.CosineAnnealingWarmRestarts(sgd, 2).step(-1)),
        (ValueError, "mode must be one of", lambda: S.CyclicLR(sgd, 0.1, 0.2, mode="square")),
        (ValueError, "base_lr must have the same length", lambda: S.CyclicLR(sgd, [0.1], 0.2)),
        (ValueError, "max_lr must have the same length", lambda: S.CyclicLR(sgd, 0.1, [0.2] * 3)),
        (ValueError, "max_momentum must have the same length", lambda: S.CyclicLR(sgd, 0.1, 0.2, max_momentum=[0.9])),
        (ValueError, "total_steps must be given, or else epochs", lambda: S.OneCycleLR(sgd, 0.1, epochs=3)),
        (ValueError, "total_steps must be a positive", lambda: S.OneCycleLR(sgd, 0.1, 0)),
        (ValueError, "epochs must be a positive", lambda: S.OneCycleLR(sgd, 0.1, epochs=-1, steps_per_epoch=2)),
        (ValueError, "steps_per_epoch must be", lambda: S.OneCycleLR(sgd, 0.1, epochs=1, steps_per_epoch=2.5)),
        (ValueError, "pct_start must be a float", lambda: S.OneCycleLR(sgd, 0.1, 5, pct_start=1)),
        (ValueError, "pct_start must be a float", lambda: S.OneCycleLR(sgd, 0.1, 5, pct_start=1.5)),
        (ValueError, "anneal_strategy must be one of", lambda: S.OneCycleLR(sgd, 0.1, 5, anneal_strategy="exp")),
        (ValueError, "factor must be a number below 1", lambda: S.ReduceLROnPlateau(sgd, factor=1.0)),
        (ValueError, "mode must be one of", lambda: S.ReduceLROnPlateau(sgd, "least")),
        (ValueError, "threshold_mode must be one of", lambda: S.ReduceLROnPlateau(sgd, threshold_mode="x")),
        (ValueError, "min_lr must have the same length", lambda: S.ReduceLROnPlateau(sgd, min_lr=[0.1])),
        (ValueError, "metrics must be one number", lambda: S.ReduceLROnPlateau(sgd).step(jnp.ones(2))),
        (ValueError, "at least one", lambda: S.ChainedScheduler([])),
        (ValueError, "at least one", lambda: S.SequentialLR(sgd, [], [])),
        (TypeError, "schedulers must be a sequence of LRSchedulers", lambda: S.ChainedScheduler([3])),
        (ValueError, "must not be a ReduceLROnPlateau", lambda: S.ChainedScheduler([S.ReduceLROnPlateau(sgd)])),
        (ValueError, "must not be a ReduceLROnPlateau", lambda: S.SequentialLR(sgd, [S.ReduceLROnPlateau(sgd)], [])),
        (ValueError, "same optimizer.*index 1", lambda: S.ChainedScheduler([STEP(S, sgd), STEP(S, our_optimizer())])),
        (ValueError, "same optimizer.*index 0", lambda: S.SequentialLR(sgd, [STEP(S, our_optimizer())], [])),
        (ValueError, "milestones must be one fewer", lambda: S.SequentialLR(sgd, [STEP(S, sgd)], [3])),
        (NotImplementedError, "get_lr", lambda: S.LRScheduler(sgd)),
        (TypeError, "got a schedule", lambda: STEP(S, optim.SGD([nn.Parameter(np.ones(1))], lr=lambda count: 0.1))),
    ]
    if plain is not None:
        cases.append((ValueError, "momentum or betas", lambda: S.OneCycleLR(plain, 0.1, 5)))
    for kind, message, act in cases:
        with pytest.raises(kind, match=message):
            act()


@needs_torch
@pytest.mark.parametrize(("name", "make"), SINGLE, ids=[name for name, _ in SINGLE])
def test_what_repr_says_is_what_torch_has_after_as_many_steps(name, make):
    import torch

    scheduler, reference = make(S, our_optimizer()), make(torch.optim.lr_scheduler, their_optimizer())
    with without_warnings():
        for _ in range(2):
            scheduler.step()
            reference.step()
    kind, shown = re.fullmatch(r"(\w+)\((.*)\)", repr(scheduler)).groups()
    assert kind == type(reference).__name__
    kept = {"lr": reference.get_last_lr(), **vars(reference)}
    pairs = re.findall(r"(\w+)=(\[.*?\]|'\w+'|[^,]+)", shown)
    assert [key for key, _ in pairs[-2:]] == ["last_epoch", "lr"]
    for key, text in pairs:
        expected = next(kept[k] for k in (key, f"{key}s", f"_{key}") if k in kept)
        if key == "milestones":
            expected = sorted(expected.elements())
        if key == "lr_lambda":
            assert text.count(",") == len(expected) - 1
        elif isinstance(expected, str):
            assert ast.literal_eval(text) == expected
        elif isinstance(expected, list):
            np.testing.assert_allclose(ast.literal_eval(text), expected, rtol=1e-12)
        else:
            assert ast.literal_eval(text) == pytest.approx(expected, rel=1e-12)


def test_repr_of_parts_of_functions_and_of_an_own_class():
    def halve(epoch):
        return 0.5**epoch

    class Own(S.LRScheduler):
        def get_lr(self):
            return [1.0, 2.0]

    optimizer = our_optimizer()
    assert repr(Own(optimizer)) == "Own(last_epoch=0, lr=[1.0, 2.0])"
    function = S.LambdaLR(our_optimizer(), halve)
    name = halve.__qualname__
    assert repr(function) == f"LambdaLR(lr_lambda=[{name}, {name}], last_epoch=0, lr=[0.3, 0.05])"
    both = S.ChainedScheduler([function], function.optimizer)
    assert repr(both) == f"ChainedScheduler(schedulers=[{function!r}], lr=[0.3, 0.05])"
