"""Every schedule against torch.optim.lr_scheduler over 100 counts, on Python ints and on traced counts."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.optim import schedule as S
from tests.optim.scheduler_cases import COUNTS, CYCLIC, ONE_CYCLE, SIMPLE
from tests.oracle import needs_torch

BASE = 0.3


def optimizer(lr=BASE):
    import torch

    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)


def torch_sequence(make, key="lr", lr=BASE):
    """The values that torch's scheduler gives its optimizer."""
    opt = optimizer(lr)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = make(opt)
        out = []
        for _ in range(COUNTS):
            out.append(float(opt.param_groups[0][key]))
            opt.step()
            scheduler.step()
    return out


def check(schedule, expected, traced=True):
    ours = [schedule(i) for i in range(COUNTS)]
    assert all(type(v) is float for v in ours)
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)
    if traced:
        counts = jnp.arange(COUNTS, dtype=jnp.int32)
        np.testing.assert_allclose(jax.jit(jax.vmap(schedule))(counts), expected, rtol=1e-11, atol=1e-12)
        assert jax.eval_shape(schedule, jnp.int32(17)).shape == ()


@needs_torch
@pytest.mark.parametrize("case", range(len(SIMPLE)), ids=lambda i: f"{SIMPLE[i][1]}{i}")
def test_simple_schedules(case):
    from torch.optim import lr_scheduler

    ours, name, options = SIMPLE[case]
    expected = torch_sequence(lambda opt: getattr(lr_scheduler, name)(opt, **options))
    check(ours(BASE, **options), expected)


@needs_torch
@pytest.mark.parametrize("options", ONE_CYCLE)
@pytest.mark.parametrize("key", ["lr", "momentum"])
def test_one_cycle(options, key):
    from torch.optim import lr_scheduler

    expected = torch_sequence(lambda opt: lr_scheduler.OneCycleLR(opt, max_lr=0.7, **options), key)
    check(S.one_cycle_lr(0.7, **options, returns=key), expected)


@needs_torch
@pytest.mark.parametrize("options", CYCLIC)
@pytest.mark.parametrize("key", ["lr", "momentum"])
def test_cyclic(options, key):
    from torch.optim import lr_scheduler

    expected = torch_sequence(lambda opt: lr_scheduler.CyclicLR(opt, base_lr=0.1, **options), key)
    check(S.cyclic_lr(0.1, **options, returns=key), expected)


@needs_torch
def test_chained():
    from torch.optim import lr_scheduler as L

    def make(opt):
        return L.ChainedScheduler([L.ConstantLR(opt, 0.1, 20), L.ExponentialLR(opt, 0.9), L.StepLR(opt, 7, 0.5)])

    parts = [S.constant_lr(1.0, 0.1, 20), S.exponential_lr(1.0, 0.9), S.step_lr(1.0, 7, 0.5)]
    check(S.chained(BASE, parts), torch_sequence(make))
    check(S.chained(BASE, *parts), torch_sequence(make))


@needs_torch
@pytest.mark.parametrize("milestones", [[20, 60], [1, 2], [5, 99], [50, 200]])
def test_sequential(milestones):
    from torch.optim import lr_scheduler as L

    def make(opt):
        parts = [L.LinearLR(opt, 0.1, 1.0, 10), L.CosineAnnealingLR(opt, 40, 0.01), L.ExponentialLR(opt, 0.9)]
        return L.SequentialLR(opt, parts, milestones)

    parts = [S.linear_lr(BASE, 0.1, 1.0, 10), S.cosine_annealing_lr(BASE, 40, 0.01), S.exponential_lr(BASE, 0.9)]
    check(S.sequential(parts, milestones), torch_sequence(make))


PLATEAU = [
    {},
    {"patience": 2},
    {"patience": 0, "factor": 0.5},
    {"mode": "max", "patience": 3},
    {"patience": 1, "cooldown": 4},
    {"patience": 1, "threshold": 0.1, "threshold_mode": "abs"},
    {"mode": "max", "patience": 1, "threshold": 0.2, "threshold_mode": "abs", "cooldown": 1},
    {"patience": 1, "min_lr": 0.01},
    {"patience": 0, "eps": 1e-3},
]


@needs_torch
@pytest.mark.parametrize("options", PLATEAU)
def test_reduce_on_plateau(options):
    from torch.optim import lr_scheduler

    rng = np.random.default_rng(0)
    metrics = [float(m) for m in 1 / (1 + np.arange(COUNTS) * 0.1) + 0.3 * rng.uniform(size=COUNTS)]
    metrics[40] = float("nan")
    opt = optimizer()
    theirs = lr_scheduler.ReduceLROnPlateau(opt, **options)
    plateau = S.reduce_lr_on_plateau(BASE, **options)
    state = plateau.init()
    traced_state = jax.tree.map(jnp.asarray, plateau.init())
    traced_update = jax.jit(plateau.update)
    for metric in metrics:
        theirs.step(metric)
        lr, state = plateau.update(metric, state)
        traced_lr, traced_state = traced_update(metric, traced_state)
        assert type(lr) is float
        np.testing.assert_allclose([lr, traced_lr], opt.param_groups[0]["lr"], rtol=1e-12)
    assert state.lr < BASE


def test_python_ints_are_float64_exact_with_x64_off():
    with jax.enable_x64(False):
        value = S.cosine_annealing_lr(0.1, 7)(3)
        assert value == 0.1 * (1 + np.cos(np.pi * 3 / 7)) / 2
        assert S.step_lr(0.1, 2)(np.int64(4)) == 0.1 * 0.1**2.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: S.constant_lr(1.0, 1.5), "constant_lr: factor"),
        (lambda: S.linear_lr(1.0, 0.0), "linear_lr: start_factor"),
        (lambda: S.linear_lr(1.0, 0.5, 1.5), "linear_lr: end_factor"),
        (lambda: S.step_lr(1.0, 0), "step_lr: step_size"),
        (lambda: S.polynomial_lr(1.0, 0), "polynomial_lr: total_iters"),
        (lambda: S.cosine_annealing_lr(1.0, 0), "cosine_annealing_lr: T_max"),
        (lambda: S.cosine_annealing_warm_restarts(1.0, 0), "T_0"),
        (lambda: S.cosine_annealing_warm_restarts(1.0, 1, 0), "T_mult"),
        (lambda: S.one_cycle_lr(1.0), "total_steps must be given, or else epochs"),
        (lambda: S.one_cycle_lr(1.0, 10, pct_start=2.0), "pct_start"),
        (lambda: S.one_cycle_lr(1.0, 10, anneal_strategy="sin"), "anneal_strategy"),
        (lambda: S.one_cycle_lr(1.0, 10)(11), "count must be at most total_steps"),
        (lambda: S.cyclic_lr(0.1, 1.0, mode="square"), "mode"),
        (lambda: S.cyclic_lr(0.1, 1.0, returns="beta"), "returns"),
        (lambda: S.cyclic_lr(0.1, 1.0, 0), "step_size_up"),
        (lambda: S.chained(1.0, []), "at least one schedule"),
        (lambda: S.chained(1.0), "at least one schedule"),
        (lambda: S.sequential([S.exponential_lr(1.0, 0.9)], [3]), "one fewer"),
        (lambda: S.sequential([S.exponential_lr(1.0, 0.9)] * 3, [3, 1]), "increasing"),
        (lambda: S.reduce_lr_on_plateau(1.0, factor=1.0), "factor"),
        (lambda: S.reduce_lr_on_plateau(1.0, mode="low"), "mode"),
        (lambda: S.reduce_lr_on_plateau(1.0, threshold_mode="both"), "threshold_mode"),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(ValueError, match=message):
        make()
