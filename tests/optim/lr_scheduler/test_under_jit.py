"""Schedulers under fnn.jit and other transformations."""

from __future__ import annotations

import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn.optim import lr_scheduler as S
from fnn.stateful.protocol import walk
from fnn.stateful.structure import structure
from tests.optim.lr_scheduler.runs import our_optimizer, same_layout, values, without_warnings
from tests.optim.scheduler_cases import STEP, TRACED, Factor, chained, simple


def test_schedulers_step_under_jit_as_eagerly():
    """All in one program, that is compiled for the numbers of the start and for the arrays that it returns."""
    kinds = ["sgd", "adam"]
    eager, compiled = ([our_optimizer(kinds[i % 2]) for i in range(len(TRACED))] for _ in range(2))
    with without_warnings():
        eager_schedulers = [make(S, optimizer) for make, optimizer in zip(TRACED, eager, strict=True)]
        schedulers = [make(S, optimizer) for make, optimizer in zip(TRACED, compiled, strict=True)]
        traces = []

        @fnn.jit
        def step(schedulers):
            traces.append(1)
            for scheduler in schedulers:
                scheduler.step()

        for i in range(40):
            step(schedulers)
            for scheduler in eager_schedulers:
                scheduler.step()
            for number, (a, b) in enumerate(zip(compiled, eager, strict=True)):
                np.testing.assert_allclose(values(a), values(b), rtol=1e-9, atol=1e-12, err_msg=f"{number} at {i}")
        assert len(traces) <= 2
        for scheduler, other in zip(schedulers, eager_schedulers, strict=True):
            same_layout(rounded(scheduler.state_dict()), rounded(other.state_dict()))
        # and back to eager steps
        for scheduler, other in zip(schedulers, eager_schedulers, strict=True):
            scheduler.step()
            other.step()
            np.testing.assert_allclose(
                np.array(scheduler.get_last_lr(), float), other.get_last_lr(), rtol=1e-9, atol=1e-12
            )
            assert type(scheduler.__dict__.get("last_epoch", 0)) is int


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.9g}") if abs(value) > 1e-12 else 0.0
    if type(value) is list:
        return [rounded(v) for v in value]
    if type(value) is dict:
        return {k: rounded(v) for k, v in value.items() if k != "_scale_fn_custom"}
    return value


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_eager_steps_change_numbers_only(kind):
    """So that a compiled training step is neither searched nor compiled anew."""
    for make in [*TRACED, simple("ReduceLROnPlateau", patience=0)]:
        optimizer = our_optimizer(kind)
        with without_warnings():
            scheduler = make(S, optimizer)
            before, keys = structure.version, [obj._stateful_key_() for obj in walk([scheduler])]
            for _ in range(12):
                scheduler.step(*[1.0] * isinstance(scheduler, S.ReduceLROnPlateau))
        assert structure.version == before
        assert [obj._stateful_key_() for obj in walk([scheduler])] == keys


def test_resuming_under_jit():
    optimizer = our_optimizer()
    scheduler = STEP(S, optimizer)
    step = fnn.jit(lambda: scheduler.step())
    for _ in range(10):
        step()
    state = scheduler.state_dict()
    assert type(state["last_epoch"]) is int
    assert [type(rate) for rate in state["_last_lr"]] == [float, float]
    other_optimizer = our_optimizer()
    other = STEP(S, other_optimizer)
    other.load_state_dict(state)
    with without_warnings():
        for _ in range(6):
            other.step()
            step()
    assert other.last_epoch == 16
    np.testing.assert_allclose(values(other_optimizer), values(optimizer), rtol=1e-12)


def test_loaded_callable_objects_are_traced_anew():
    optimizer = our_optimizer(rates=(1.0,))
    scheduler = S.LambdaLR(optimizer, Factor(0.5))
    step = fnn.jit(lambda: scheduler.step())
    step()
    assert float(optimizer.param_groups[0]["lr"]) == 0.5
    scheduler.load_state_dict({**scheduler.state_dict(), "lr_lambdas": [{"base": 0.1}]})
    step()
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.01)


@pytest.mark.parametrize(
    "make",
    [
        simple("LambdaLR", lambda e: 1.0 if e < 5 else 0.5),
        simple("MultiplicativeLR", lambda e: float(e)),
        simple("CyclicLR", 0.1, 0.5, scale_fn=lambda x: 2 ** int(x)),
        chained(simple("LambdaLR", lambda e: [1, 2, 3][e])),
    ],
)
def test_functions_that_cannot_be_traced(make):
    optimizer = our_optimizer()
    scheduler = make(S, optimizer)
    before = scheduler.state_dict(), values(optimizer)
    with pytest.raises(RuntimeError, match="from a traced epoch"):
        fnn.jit(lambda: scheduler.step())()
    assert (scheduler.state_dict(), values(optimizer)) == before


def test_one_cycle_stays_at_its_end_under_jit():
    optimizer = our_optimizer()
    scheduler = S.OneCycleLR(optimizer, 0.5, total_steps=3)
    step = fnn.jit(lambda: scheduler.step())
    for _ in range(3):
        step()
    end = values(optimizer)
    step()
    np.testing.assert_allclose(values(optimizer), end, rtol=1e-12)


def test_errors_under_transformations():
    optimizer = our_optimizer()
    scheduler, plateau = STEP(S, optimizer), S.ReduceLROnPlateau(optimizer)
    hidden = weakref.ref(scheduler)
    with pytest.raises(RuntimeError, match="StepLR scheduler was used"):
        fnn.jit(lambda: hidden().step())()
    with pytest.raises(RuntimeError, match=r"ReduceLROnPlateau\.step: .* inside a JAX transformation"):
        jax.jit(plateau.step)(1.0)
    restarts = S.CosineAnnealingWarmRestarts(optimizer, 2)
    with pytest.raises(TypeError, match="epoch must be a Python number"):
        fnn.jit(lambda epoch: restarts.step(epoch))(1)
    with pytest.raises(ValueError, match="metrics must be one number"):
        fnn.jit(lambda metric: plateau.step(metric))(jnp.ones(2))
    assert (plateau.last_epoch, restarts.last_epoch) == (0, 0)
