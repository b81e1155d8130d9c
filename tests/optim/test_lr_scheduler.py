"""Every scheduler object against torch's over 100 steps, resumed, exchanged, and under fnn.jit."""

from __future__ import annotations

import contextlib
import copy
import inspect
import pickle
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.optim import lr_scheduler as S
from fnn.stateful.protocol import walk
from fnn.stateful.structure import structure
from tests.oracle import needs_torch

STEPS = 100
RATES = (0.3, 0.05)


class Factor:
    """A callable with state, which torch's state_dict keeps."""

    def __init__(self, base):
        self.base = base

    def __call__(self, epoch):
        return self.base**epoch


def our_optimizer(kind="sgd", rates=RATES):
    groups = [{"params": [nn.Parameter(np.ones(2))], "lr": rate} for rate in rates]
    return optim.SGD(groups, lr=0.1, momentum=0.9) if kind == "sgd" else optim.Adam(groups, lr=0.1)


def their_optimizer(kind="sgd", rates=RATES):
    import torch

    groups = [{"params": [torch.nn.Parameter(torch.ones(2))], "lr": rate} for rate in rates]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    return torch.optim.Adam(groups, lr=0.1)


@contextlib.contextmanager
def without_warnings():
    """The schedulers are stepped alone here, and by epoch: both warn, in both libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def values(optimizer):
    """Rate, momentum and betas of every group."""
    rows = []
    for group in optimizer.param_groups:
        momentum = (group["momentum"],) if "momentum" in group else tuple(group["betas"])
        rows.append([float(group["lr"]), *map(float, momentum)])
    return rows


def sequence(optimizer, scheduler, steps=STEPS, arguments=lambda i: ()):
    rows = [values(optimizer)]
    with without_warnings():
        for i in range(steps):
            scheduler.step(*arguments(i))
            rows.append(values(optimizer))
            np.testing.assert_array_equal(np.asarray(scheduler.get_last_lr(), float), np.asarray(rows[-1])[:, 0])
    return np.array(rows)


def simple(name, *args, **options):
    return lambda L, opt: getattr(L, name)(opt, *args, **options)


def named(name, table):
    return [(f"{name}-{i}", simple(name, *args, **options)) for i, (args, options) in enumerate(table)]


def chained(*parts):
    return lambda L, opt: L.ChainedScheduler([part(L, opt) for part in parts], optimizer=opt)


def sequential(milestones, *parts):
    return lambda L, opt: L.SequentialLR(opt, [part(L, opt) for part in parts], milestones=list(milestones))


def stacked(*parts):
    """Schedulers that the user steps one after the other."""

    class Both:
        def __init__(self, schedulers):
            self.schedulers = schedulers

        def step(self, *args):
            for scheduler in self.schedulers:
                scheduler.step(*args)

        def get_last_lr(self):
            return self.schedulers[-1].get_last_lr()

    return lambda L, opt: Both([part(L, opt) for part in parts])


EXPONENTIAL, COSINE = simple("ExponentialLR", 0.95), simple("CosineAnnealingLR", 30, 0.01)
CONSTANT, LINEAR, STEP = simple("ConstantLR", 0.1, 10), simple("LinearLR", 0.1, 1.0, 20), simple("StepLR", 15, 0.5)

CONFIGURATIONS = [
    *named("LambdaLR", [((lambda e: 0.95**e,), {}), ((lambda e: 1 / (1 + e),), {}), ((Factor(0.9),), {})]),
    ("LambdaLR-list", simple("LambdaLR", [lambda e: e // 30, Factor(0.97)])),
    *named("MultiplicativeLR", [((lambda e: 0.95,), {}), ((lambda e: 1 + 0.1 * (-1) ** e,), {})]),
    ("MultiplicativeLR-list", simple("MultiplicativeLR", (lambda e: 0.99, Factor(0.999)))),
    *named("StepLR", [((30,), {}), ((1, 0.9), {}), ((7, 1.1), {}), ((200,), {"gamma": 0.5})]),
    *named(
        "MultiStepLR",
        [(([30, 80],), {}), (([5, 5, 9], 0.5), {}), (([90, 10, 50], 0.3), {}), (([], 0.1), {}), (([0, 3],), {})],
    ),
    *named("ConstantLR", [((), {}), ((0.5, 1), {}), ((1.0, 10), {}), ((0.25, 200), {}), ((0.3, 0), {})]),
    *named(
        "LinearLR", [((), {}), ((0.1, 1.0, 50), {}), ((1.0, 0.0, 99), {}), ((1.0, 0.2, 30), {}), ((0.01, 1.0, 150), {})]
    ),
    *named("PolynomialLR", [((), {}), ((50, 2.0), {}), ((99, 0.5), {}), ((150, 3.0), {}), ((20, 0.9), {})]),
    *named("ExponentialLR", [((0.9,), {}), ((0.99,), {}), ((1.01,), {})]),
    *named(
        "CosineAnnealingLR",
        [
            ((100,), {}),
            ((10,), {}),
            ((10, 0.01), {}),
            ((33, 0.1), {}),
            ((7,), {"eta_min": 0.2}),
            ((1,), {}),
            ((2.5,), {}),
        ],
    ),
    *named(
        "CosineAnnealingWarmRestarts",
        [((10,), {}), ((10, 2), {}), ((1, 2, 0.01), {}), ((7, 3), {"eta_min": 0.1}), ((1, 1), {}), ((200,), {})],
    ),
    *named(
        "CyclicLR",
        [
            ((0.1, 0.5), {"step_size_up": 10}),
            ((0.1, 0.5, 7, 13), {"mode": "triangular2"}),
            ((0.1, 0.5, 7), {"mode": "exp_range", "gamma": 0.97}),
            (([0.1, 0.02], [0.5, 0.3], 9, 4), {}),
            ((0.1, 0.5, 8), {"scale_fn": lambda x: 0.9**x}),
            ((0.1, 0.5, 8), {"scale_fn": Factor(0.98), "scale_mode": "iterations"}),
            ((0.1, 0.5, 6), {"cycle_momentum": False}),
            ((0.1, 0.5, 6, 3), {"base_momentum": [0.7, 0.6], "max_momentum": [0.95, 0.8], "mode": "triangular2"}),
        ],
    ),
    *named(
        "OneCycleLR",
        [
            ((0.5,), {"total_steps": 101}),
            ((0.5, 101), {"three_phase": True}),
            ((0.5,), {"epochs": 11, "steps_per_epoch": 10, "anneal_strategy": "linear"}),
            (([0.5, 0.1], 150), {"pct_start": 0.5, "div_factor": 10.0, "final_div_factor": 1e2}),
            ((0.5, 101), {"cycle_momentum": False, "pct_start": 0.1}),
            ((0.5, 120), {"base_momentum": [0.8, 0.7], "max_momentum": [0.9, 0.99], "three_phase": True}),
            ((0.5, 101), {"pct_start": 1.0}),
        ],
    ),
    ("chained-1", chained(CONSTANT, EXPONENTIAL)),
    ("chained-2", chained(LINEAR, STEP, COSINE)),
    ("chained-3", chained(simple("MultiplicativeLR", lambda e: 0.99), simple("PolynomialLR", 60, 2.0))),
    ("chained-4", chained(simple("CosineAnnealingWarmRestarts", 10), EXPONENTIAL)),
    ("chained-nested", chained(chained(CONSTANT, STEP), EXPONENTIAL)),
    ("sequential-1", sequential([20], LINEAR, COSINE)),
    ("sequential-2", sequential([10, 50], CONSTANT, COSINE, EXPONENTIAL)),
    (
        "sequential-3",
        sequential([5], simple("LambdaLR", lambda e: (e + 1) / 5), simple("CosineAnnealingWarmRestarts", 9, 2)),
    ),
    ("sequential-4", sequential([0, 40], EXPONENTIAL, STEP, simple("PolynomialLR", 50))),
    ("sequential-5", sequential([30, 30], STEP, COSINE, EXPONENTIAL)),
    ("sequential-one", sequential([], COSINE)),
    ("sequential-chained", sequential([25], chained(CONSTANT, EXPONENTIAL), STEP)),
    ("sequential-nested", sequential([40], sequential([10], LINEAR, STEP), EXPONENTIAL)),
    ("sequential-multistep", sequential([12], simple("MultiStepLR", [3, 8]), simple("MultiStepLR", [0, 20, 60], 0.5))),
    ("chained-sequential", chained(sequential([10], LINEAR, COSINE), EXPONENTIAL)),
    ("stacked-1", stacked(EXPONENTIAL, STEP)),
    ("stacked-2", stacked(LINEAR, COSINE, simple("MultiStepLR", [20, 60], 0.5))),
    ("stacked-3", stacked(CONSTANT, simple("PolynomialLR", 80, 0.5))),
    ("stacked-cyclic", stacked(simple("CyclicLR", 0.1, 0.5, 10), EXPONENTIAL)),
]
NAMES = [name for name, _ in CONFIGURATIONS]
# Those that can be resumed, in both libraries, by torch's rule for `last_epoch`.
SINGLE = [(name, make) for name, make in CONFIGURATIONS if name.split("-")[0] in S.__all__]


assert len(CONFIGURATIONS) >= 80


def torch_schedulers():
    from torch.optim import lr_scheduler

    return lr_scheduler


@needs_torch
@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize(("name", "make"), CONFIGURATIONS, ids=NAMES)
def test_sequences_equal_torch(name, make, kind):
    ours, theirs = our_optimizer(kind), their_optimizer(kind)
    with without_warnings():
        actual = sequence(ours, make(S, ours))
        expected = sequence(theirs, make(torch_schedulers(), theirs))
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


@needs_torch
@pytest.mark.parametrize(("name", "make"), SINGLE, ids=[name for name, _ in SINGLE])
def test_steps_to_an_epoch_equal_torch(name, make):
    """The closed forms, where torch has them, and chainable steps from there on."""
    epochs = [5, 0, 12, None, None, 30, 31, 7, None, 60, 2, None]

    def arguments(i):
        return () if epochs[i] is None else (epochs[i],)

    ours, theirs = our_optimizer(), their_optimizer()
    actual = sequence(ours, make(S, ours), len(epochs), arguments)
    expected = sequence(theirs, make(torch_schedulers(), theirs), len(epochs), arguments)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


@needs_torch
def test_warm_restarts_at_fractions_of_an_epoch_equal_torch():
    def arguments(i):
        return (i / 7,)

    for growth in (1, 2, 3):
        ours, theirs = our_optimizer(), their_optimizer()
        actual = sequence(ours, S.CosineAnnealingWarmRestarts(ours, 3, growth, 0.01), STEPS, arguments)
        expected = sequence(
            theirs, torch_schedulers().CosineAnnealingWarmRestarts(theirs, 3, growth, 0.01), STEPS, arguments
        )
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


@needs_torch
@pytest.mark.parametrize(("name", "make"), SINGLE, ids=[name for name, _ in SINGLE])
@pytest.mark.parametrize("last_epoch", [0, 7])
def test_resuming_by_last_epoch_equals_torch(name, make, last_epoch):
    ours, theirs = our_optimizer(), their_optimizer()
    rows = []
    for optimizer, library in ((ours, S), (theirs, torch_schedulers())):
        sequence(optimizer, make(library, optimizer), last_epoch)
        kind = name.split("-")[0]

        class Resuming:
            """The library with one scheduler, told where it was."""

        setattr(
            Resuming,
            kind,
            lambda *args, library=library, kind=kind, **options: getattr(library, kind)(
                *args, **{**options, "last_epoch": last_epoch}
            ),
        )
        rows.append(sequence(optimizer, make(Resuming, optimizer), 30))
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-12, atol=1e-15)


def same_layout(actual, expected, path=""):
    """Equal keys and kinds of values, all the way down, and equal numbers."""
    assert set(actual) == set(expected), path
    for key, value in expected.items():
        mine = actual[key]
        if isinstance(value, dict):
            assert isinstance(mine, dict)
            if all(isinstance(k, str) for k in value):
                same_layout(mine, value, f"{path}.{key}")
            else:
                assert mine == value
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for i, (a, b) in enumerate(zip(mine, value, strict=True)):
                same_layout(a, b, f"{path}.{key}[{i}]")
        elif isinstance(value, float | list) and value != []:
            assert type(mine) is type(value), (path, key)
            if any(v is None or isinstance(v, dict) for v in (value if isinstance(value, list) else [])):
                assert mine == value
            else:
                np.testing.assert_allclose(np.array(mine, float), np.array(value, float), rtol=1e-12, atol=1e-15)
        else:
            assert mine == value, (path, key)


EXCHANGED = [(name, make) for name, make in CONFIGURATIONS if not name.startswith("stacked")]


@needs_torch
@pytest.mark.parametrize(("name", "make"), EXCHANGED, ids=[name for name, _ in EXCHANGED])
def test_state_dicts_have_torchs_layout_and_are_exchanged(name, make):
    ours, theirs = our_optimizer(), their_optimizer()
    with without_warnings():
        mine, reference = make(S, ours), make(torch_schedulers(), theirs)
        sequence(ours, mine, 13)
        sequence(theirs, reference, 13)
        same_layout(mine.state_dict(), reference.state_dict())

        new_ours, new_theirs = our_optimizer(), their_optimizer()
        new_mine, new_reference = make(S, new_ours), make(torch_schedulers(), new_theirs)
        new_mine.load_state_dict(pickle.loads(pickle.dumps(reference.state_dict())))
        new_reference.load_state_dict(pickle.loads(pickle.dumps(mine.state_dict())))
        for old, new in ((ours, new_theirs), (theirs, new_ours)):
            for group, saved in zip(new.param_groups, old.param_groups, strict=True):
                group.update({k: v for k, v in saved.items() if k != "params"})
        expected = sequence(theirs, reference, 40)
        np.testing.assert_allclose(sequence(new_ours, new_mine, 40), expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(sequence(new_theirs, new_reference, 40), expected, rtol=1e-12, atol=1e-15)


METRICS = np.abs(np.cumsum(np.random.default_rng(0).normal(size=STEPS))) + 0.1
PLATEAUS = [
    {},
    {"patience": 2},
    {"mode": "max", "patience": 3, "factor": 0.5},
    {"patience": 1, "threshold_mode": "abs", "threshold": 0.3},
    {"mode": "max", "patience": 1, "threshold_mode": "abs", "threshold": 0.3, "factor": 0.7},
    {"patience": 0, "cooldown": 4, "factor": 0.8},
    {"patience": 0, "factor": 0.5, "min_lr": 0.02},
    {"patience": 0, "factor": 0.5, "min_lr": [0.1, 0.001]},
    {"patience": 1, "factor": 0.5, "eps": 0.02},
    {"patience": 2, "cooldown": 1, "threshold": 0.0, "factor": 0.9},
]


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


def test_plateau_after_a_group_is_added():
    optimizer = our_optimizer()
    one, each = S.ReduceLROnPlateau(optimizer, min_lr=0.1), S.ReduceLROnPlateau(optimizer, min_lr=[0.1, 0.2])
    optimizer.add_param_group({"params": [nn.Parameter(np.ones(1))], "lr": 1.0})
    one.step(1.0)
    assert one.min_lrs == [0.1] * 3
    with pytest.raises(RuntimeError, match="min_lrs"):
        each.step(1.0)


# What torch does not test for us


@needs_torch
def test_names_and_signatures_are_torchs():
    theirs = torch_schedulers()
    assert set(S.__all__) == set(theirs.__all__)
    for name in S.__all__:
        wanted = inspect.signature(getattr(theirs, name).__init__).parameters
        got = inspect.signature(getattr(S, name).__init__).parameters
        assert list(got) == list(wanted), name
        for parameter in wanted:
            assert got[parameter].default == wanted[parameter].default, (name, parameter)


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


# Under fnn.jit

TRACED = [
    simple("LambdaLR", lambda e: 0.95**e),
    simple("MultiplicativeLR", lambda e: 1 - 0.01 * e),
    STEP,
    simple("MultiStepLR", [3, 3, 20]),
    CONSTANT,
    LINEAR,
    simple("PolynomialLR", 25, 2.0),
    EXPONENTIAL,
    COSINE,
    simple("CosineAnnealingLR", 7, 0.1),
    simple("CosineAnnealingWarmRestarts", 3, 2),
    simple("CyclicLR", 0.1, 0.5, 4, 7, mode="triangular2"),
    simple("CyclicLR", 0.1, 0.5, 4, scale_fn=lambda x: jnp.exp(-x)),
    simple("OneCycleLR", 0.5, 45, three_phase=True),
    chained(LINEAR, STEP, simple("CosineAnnealingWarmRestarts", 10)),
    sequential([5, 12], LINEAR, simple("CosineAnnealingWarmRestarts", 4, 2), EXPONENTIAL),
    sequential([20], sequential([5], CONSTANT, STEP), simple("PolynomialLR", 10)),
]


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


# Errors


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
        (ValueError, "eta_min must be", lambda: S.CosineAnnealingWarmRestarts(sgd, 2, eta_min="0")),
        (ValueError, "epoch must be at least 0", lambda: S.CosineAnnealingWarmRestarts(sgd, 2).step(-1)),
        (ValueError, "mode must be one of", lambda: S.CyclicLR(sgd, 0.1, 0.2, mode="square")),
        (ValueError, "base_lr must have the same length", lambda: S.CyclicLR(sgd, [0.1], 0.2)),
        (ValueError, "max_lr must have the same length", lambda: S.CyclicLR(sgd, 0.1, [0.2] * 3)),
        (ValueError, "max_momentum must have the same length", lambda: S.CyclicLR(sgd, 0.1, 0.2, max_momentum=[0.9])),
        (ValueError, "total_steps, or epochs", lambda: S.OneCycleLR(sgd, 0.1, epochs=3)),
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
        (TypeError, "schedulers\\[0\\] must have an attribute optimizer", lambda: S.ChainedScheduler([3])),
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
def test_a_composite_cannot_begin_at_a_milestone():
    for library, optimizer in ((S, our_optimizer()), (torch_schedulers(), their_optimizer())):
        with without_warnings():
            scheduler = sequential([1], STEP, chained(STEP))(library, optimizer)
            with pytest.raises(NotImplementedError):
                scheduler.step()


def test_one_cycle_ends():
    scheduler = S.OneCycleLR(our_optimizer(), 0.1, total_steps=2)
    with without_warnings():
        scheduler.step()
        scheduler.step()
    with pytest.raises(ValueError, match="total_steps=2, got step 3"):
        scheduler.step()


def test_errors_under_transformations():
    optimizer = our_optimizer()
    scheduler, plateau = STEP(S, optimizer), S.ReduceLROnPlateau(optimizer)
    hidden = {"scheduler": scheduler}
    with pytest.raises(RuntimeError, match="StepLR scheduler was used"):
        fnn.jit(lambda: hidden["scheduler"].step())()
    with pytest.raises(RuntimeError, match="metrics is traced, but"):
        jax.jit(plateau.step)(1.0)
    restarts = S.CosineAnnealingWarmRestarts(optimizer, 2)
    with pytest.raises(TypeError, match="epoch must be a Python number"):
        fnn.jit(lambda epoch: restarts.step(epoch))(1)
    with pytest.raises(ValueError, match="metrics must be one number"):
        fnn.jit(lambda metric: plateau.step(metric))(jnp.ones(2))
    assert (plateau.last_epoch, restarts.last_epoch) == (0, 0)
