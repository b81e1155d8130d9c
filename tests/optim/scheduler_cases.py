"""What is tried of every scheduler and of its pure schedule. One that is new needs an entry here and no other change."""

from __future__ import annotations

import jax.numpy as jnp

from fnn.optim import lr_scheduler, schedule


class Factor:
    """A callable with state, which torch's state_dict keeps."""

    def __init__(self, base):
        self.base = base

    def __call__(self, epoch):
        return self.base**epoch


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
# Those that can be resumed, in both libraries, by torch's rule for `last_epoch`.
SINGLE = [(name, make) for name, make in CONFIGURATIONS if name.split("-")[0] in lr_scheduler.__all__]

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

# The pure schedules, each with the class of torch and its options

COUNTS = 100
# (ours(base, ...), torch's class, torch's options)
SIMPLE = [
    *[
        (schedule.constant_lr, "ConstantLR", {"factor": f, "total_iters": t})
        for f, t in [(1 / 3, 5), (0.5, 1), (1.0, 10), (0.1, 40), (0.25, 200)]
    ],
    *[
        (schedule.step_lr, "StepLR", {"step_size": s, "gamma": g})
        for s, g in [(30, 0.1), (1, 0.9), (7, 0.5), (10, 1.1), (200, 0.1)]
    ],
    *[
        (schedule.multi_step_lr, "MultiStepLR", {"milestones": m, "gamma": g})
        for m, g in [([30, 80], 0.1), ([1], 0.5), ([5, 5, 9], 0.5), ([90, 10, 50], 0.3), ([], 0.1), ([200], 0.1)]
    ],
    *[(schedule.exponential_lr, "ExponentialLR", {"gamma": g}) for g in [0.9, 0.99, 1.0, 0.5, 1.01]],
    *[
        (schedule.linear_lr, "LinearLR", {"start_factor": a, "end_factor": b, "total_iters": t})
        for a, b, t in [
            (1 / 3, 1.0, 5),
            (0.1, 1.0, 50),
            (1.0, 0.0, 99),
            (1.0, 0.2, 30),
            (0.5, 0.6, 1),
            (0.01, 1.0, 150),
        ]
    ],
    *[
        (schedule.polynomial_lr, "PolynomialLR", {"total_iters": t, "power": p})
        for t, p in [(5, 1.0), (50, 2.0), (99, 0.5), (150, 3.0), (20, 0.9)]
    ],
    *[
        (schedule.cosine_annealing_lr, "CosineAnnealingLR", {"T_max": t, "eta_min": m})
        for t, m in [(100, 0.0), (10, 0.0), (10, 0.01), (33, 0.1), (150, 0.05), (7, 0.2), (50, 0.4)]
    ],
    *[
        (schedule.cosine_annealing_warm_restarts, "CosineAnnealingWarmRestarts", {"T_0": t, "T_mult": m, "eta_min": e})
        for t, m, e in [(10, 1, 0.0), (10, 2, 0.0), (1, 2, 0.01), (7, 3, 0.1), (1, 1, 0.0), (200, 1, 0.05), (3, 2, 0.0)]
    ],
    *[
        (schedule.lambda_lr, "LambdaLR", {"lr_lambda": f})
        for f in [lambda e: 0.95**e, lambda e: 1 / (1 + e), lambda e: 1.0 + 0.0 * e]
    ],
    *[
        (schedule.multiplicative_lr, "MultiplicativeLR", {"lr_lambda": f})
        for f in [lambda e: 0.95, lambda e: 1 - 1 / (2 + e), lambda e: 0.9 + 0.001 * e]
    ],
]

ONE_CYCLE = [
    {"total_steps": COUNTS},
    {"total_steps": COUNTS, "anneal_strategy": "linear"},
    {"total_steps": COUNTS, "three_phase": True},
    {"total_steps": COUNTS, "three_phase": True, "anneal_strategy": "linear", "pct_start": 0.4},
    {"epochs": 10, "steps_per_epoch": 12, "pct_start": 0.1},
    {"total_steps": 150, "div_factor": 10.0, "final_div_factor": 100.0, "base_momentum": 0.5, "max_momentum": 0.8},
    {"total_steps": COUNTS, "pct_start": 0.5, "three_phase": False},
    {"total_steps": COUNTS, "pct_start": 0.0},
]

CYCLIC = [
    {"max_lr": 1.0, "step_size_up": 10},
    {"max_lr": 1.0, "step_size_up": 10, "step_size_down": 25},
    {"max_lr": 1.0, "step_size_up": 8, "mode": "triangular2"},
    {"max_lr": 1.0, "step_size_up": 8, "step_size_down": 3, "mode": "exp_range", "gamma": 0.97},
    {"max_lr": 0.5, "step_size_up": 2000},
    {"max_lr": 0.5, "step_size_up": 5, "scale_fn": lambda x: 1 / x, "scale_mode": "cycle"},
    {"max_lr": 0.5, "step_size_up": 5, "scale_fn": lambda x: 0.99**x, "scale_mode": "iterations"},
    {"max_lr": 0.5, "step_size_up": 1, "step_size_down": 1, "base_momentum": 0.2, "max_momentum": 0.7},
]
