"""The scheduler that goes by a metric."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.optim import lr_scheduler as S
from tests.optim.lr_scheduler.runs import STEPS, our_optimizer, same_layout, their_optimizer, torch_schedulers, values
from tests.optim.scheduler_cases import PLATEAUS
from tests.oracle import needs_torch

METRICS = np.abs(np.cumsum(np.random.default_rng(0).normal(size=STEPS))) + 0.1


@needs_torch
@pytest.mark.parametrize("options", PLATEAUS, ids=range(len(PLATEAUS)))
def test_plateau_equals_torch(options):
    ours, theirs = our_optimizer(), their_optimizer()
    mine, reference = S.ReduceLROnPlateau(ours, **options), torch_schedulers().ReduceLROnPlateau(theirs, **options)
    metrics = METRICS.copy()
    metrics[40] = np.nan
    actual, expected = [], []
    for i, metric in enumerate(metrics):
        mine.step(jnp.asarray(metric) if i % 3 else float(metric))
        reference.step(metric)
        actual.append([*mine.get_last_lr(), mine.best, mine.num_bad_epochs, mine.cooldown_counter, mine.in_cooldown])
        expected.append(
            [*reference.get_last_lr(), reference.best, reference.num_bad_epochs, reference.cooldown_counter]
            + [reference.in_cooldown]
        )
        if i == 50:  # change the scheduler for one that has loaded the other library's state
            same_layout(mine.state_dict(), reference.state_dict())
            state = reference.state_dict()
            mine = S.ReduceLROnPlateau(ours)
            mine.load_state_dict(state)
    np.testing.assert_allclose(np.array(actual, float), np.array(expected, float), rtol=1e-12)
    assert mine.last_epoch == STEPS


@needs_torch
@pytest.mark.parametrize("options", PLATEAUS, ids=range(len(PLATEAUS)))
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_metrics_that_are_no_numbers_are_no_improvement_for_good(options, bad):
    ours, theirs = our_optimizer(), their_optimizer()
    mine, reference = S.ReduceLROnPlateau(ours, **options), torch_schedulers().ReduceLROnPlateau(theirs, **options)
    for metric in [bad, bad, *METRICS[:6], bad, bad, bad, *METRICS[6:12]]:
        mine.step(jnp.asarray(metric))
        reference.step(metric)
        assert [*mine.get_last_lr(), mine.best, mine.num_bad_epochs] == pytest.approx(
            [*reference.get_last_lr(), reference.best, reference.num_bad_epochs], nan_ok=True
        )


def test_plateau_after_a_group_is_added():
    optimizer = our_optimizer()
    one, each = S.ReduceLROnPlateau(optimizer, min_lr=0.1), S.ReduceLROnPlateau(optimizer, min_lr=[0.1, 0.2])
    optimizer.add_param_group({"params": [nn.Parameter(np.ones(1))], "lr": 1.0})
    one.step(1.0)
    assert one.min_lrs == [0.1] * 3
    with pytest.raises(RuntimeError, match="min_lrs"):
        each.step(1.0)


def test_plateau_under_jit_with_a_traced_metric():
    optimizer, other = our_optimizer(), our_optimizer()
    options = {"patience": 1, "cooldown": 2, "factor": 0.5, "min_lr": [0.01, 0.02]}
    plateau, eager = S.ReduceLROnPlateau(optimizer, **options), S.ReduceLROnPlateau(other, **options)

    @fnn.jit
    def step(metric):
        plateau.step(metric)

    for metric in METRICS[:30]:
        step(metric)
        eager.step(metric)
        np.testing.assert_allclose(values(optimizer), values(other), rtol=1e-12)
    assert step._cache_size() <= 2
    same_layout(plateau.state_dict(), eager.state_dict())
    assert values(optimizer)[0][0] < 0.1
