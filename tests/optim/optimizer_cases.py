"""What is tried of every optimizer. One that is new needs an entry here and no other change of the tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fnn import optim


def product(**options):
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


@dataclass(frozen=True)
class Case:
    """One optimizer.

    Args:
        rule: the pure function.
        options: what is run against torch.
        bad: what both refuse; the first option of each is the one that the error names.
        traced: options all of whose numbers are traced; none if the rule has tests of its own for that.
        in_bucket: options with which small parameters are updated end to end; ``None`` if the rule cannot do it.
        parameters: 'any', 'matrices', or 'rows' for gradients that are row-sparse.
    """

    rule: Callable[..., Any]
    options: list[dict[str, Any]]
    bad: list[dict[str, Any]]
    traced: dict[str, Any] = field(default_factory=dict)
    in_bucket: dict[str, Any] | None = None
    parameters: str = "any"


BAD_ADAM = [
    {"lr": -1.0},
    {"eps": -1.0},
    {"betas": (1.0, 0.9)},
    {"betas": (0.9, -0.1)},
    {"weight_decay": -1.0},
]
TRACED_ADAM = {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}

CASES = {
    "SGD": Case(
        optim.sgd,
        options=[
            *product(lr=[0.1], momentum=[0, 0.9], weight_decay=[0, 0.05], maximize=[False, True]),
            {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
            {"lr": 0.1, "dampening": 0.3},
            {"lr": 0.1, "momentum": 0.8, "nesterov": True},
            {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "maximize": True},
            {},
        ],
        bad=[
            {"lr": -1.0},
            {"momentum": -0.1},
            {"weight_decay": -0.1},
            {"nesterov": True},
            {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
        ],
        traced={"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.1},
        in_bucket={"momentum": 0.9, "nesterov": True},
    ),
    "Adam": Case(
        optim.adam,
        options=[
            *product(lr=[0.1], weight_decay=[0, 0.1], amsgrad=[False, True], maximize=[False, True]),
            {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-3},
            {"lr": 0.01, "betas": (0.0, 0.0)},
            {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True},
        ],
        bad=BAD_ADAM,
        traced=TRACED_ADAM,
        in_bucket={"amsgrad": True, "weight_decay": 0.1},
    ),
    "AdamW": Case(
        optim.adamw,
        options=[*product(lr=[0.1], weight_decay=[0, 0.2], amsgrad=[False, True], maximize=[False, True]), {}],
        bad=BAD_ADAM,
        traced=TRACED_ADAM,
        in_bucket={"maximize": True},
    ),
    "Adamax": Case(
        optim.adamax,
        options=[
            *product(lr=[0.1], weight_decay=[0, 0.1], maximize=[False, True]),
            {"betas": (0.5, 0.6), "eps": 0.1},
            {},
        ],
        bad=BAD_ADAM,
        traced=TRACED_ADAM,
        in_bucket={},
    ),
    "NAdam": Case(
        optim.nadam,
        options=[
            *product(lr=[0.1], weight_decay=[0, 0.1], decoupled_weight_decay=[False, True], maximize=[False, True]),
            {"momentum_decay": 0.1, "betas": (0.7, 0.8), "eps": 0.01},
        ],
        bad=[*BAD_ADAM, {"momentum_decay": -1.0}],
        traced={**TRACED_ADAM, "momentum_decay": 0.01},
        in_bucket={"decoupled_weight_decay": True},
    ),
    "RAdam": Case(
        optim.radam,
        options=[
            *product(lr=[0.1], weight_decay=[0, 0.1], decoupled_weight_decay=[False, True], maximize=[False, True]),
            {"betas": (0.7, 0.8), "eps": 0.01},
            {"betas": (0.7, 0.2)},
        ],
        bad=BAD_ADAM,
        traced=TRACED_ADAM,
        in_bucket={},
    ),
    "Adagrad": Case(
        optim.adagrad,
        options=[
            *product(lr=[0.1], lr_decay=[0, 0.1], weight_decay=[0, 0.1], maximize=[False, True]),
            {"initial_accumulator_value": 0.5, "eps": 0.1},
        ],
        bad=[{"lr": -1.0}, {"lr_decay": -1.0}, {"initial_accumulator_value": -1.0}, {"eps": -1.0}],
        traced={"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2, "eps": 1e-6},
        in_bucket={"lr_decay": 0.1},
    ),
    "Adadelta": Case(
        optim.adadelta,
        options=[*product(lr=[0.7], weight_decay=[0, 0.1], maximize=[False, True]), {"rho": 0.5, "eps": 1e-2}, {}],
        bad=[{"rho": 1.1}, {"eps": -1.0}],
        traced={"lr": 0.5, "rho": 0.8, "eps": 1e-5, "weight_decay": 0.1},
        in_bucket={},
    ),
    "Adafactor": Case(
        optim.adafactor,
        options=[
            *product(lr=[0.3], weight_decay=[0, 0.1], maximize=[False, True]),
            {"beta2_decay": -0.3, "eps": (1e-3, 1e-2), "d": 2.0},
            {},
        ],
        bad=[{"beta2_decay": 0.1}, {"eps": (-1.0, 1e-3)}, {"eps": (None, -1e-3)}, {"d": 0.5}],
        traced={"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-4, 1e-2), "d": 1.5, "weight_decay": 0.1},
    ),
    "RMSprop": Case(
        optim.rmsprop,
        options=[
            *product(lr=[0.02], weight_decay=[0, 0.1], momentum=[0, 0.9], centered=[False, True]),
            {"alpha": 0.5, "eps": 0.1, "maximize": True},
        ],
        bad=[{"alpha": -0.1}, {"momentum": -0.1}],
        traced={"lr": 0.02, "alpha": 0.8, "eps": 1e-6, "weight_decay": 0.1, "momentum": 0.5},
        in_bucket={"momentum": 0.9, "centered": True},
    ),
    "Rprop": Case(
        optim.rprop,
        options=[{}, {"lr": 0.2, "maximize": True}, {"etas": (0.3, 1.5), "step_sizes": (0.005, 0.02)}],
        bad=[{"etas": (1.1, 1.2)}, {"etas": (0.5, 0.9)}],
        traced={"lr": 0.1, "etas": (0.4, 1.3), "step_sizes": (1e-4, 1.0)},
        in_bucket={},
    ),
    "ASGD": Case(
        optim.asgd,
        options=[
            *product(lr=[0.1], weight_decay=[0, 0.1], maximize=[False, True]),
            {"lambd": 0.1, "alpha": 0.5, "t0": 5},
        ],
        bad=[{"weight_decay": -1.0}],
        traced={"lr": 0.1, "lambd": 0.01, "alpha": 0.6, "t0": 3.0, "weight_decay": 0.1},
        in_bucket={},
    ),
    "SparseAdam": Case(
        optim.sparse_adam,
        options=[{"lr": 0.1}, {"lr": 0.1, "betas": (0.5, 0.6), "eps": 0.1, "maximize": True}],
        bad=[{"lr": 0.0}, {"eps": 0.0}, {"betas": (0.9, 1.5)}],
        parameters="rows",
    ),
    "Muon": Case(
        optim.muon,
        options=[
            {"lr": 0.1},
            {"lr": 0.1, "nesterov": False, "weight_decay": 0.0},
            {"lr": 0.1, "adjust_lr_fn": "match_rms_adamw", "momentum": 0.5, "ns_steps": 3},
        ],
        bad=[{"momentum": -1.0}, {"adjust_lr_fn": "best"}],
        parameters="matrices",
    ),
}
RULES = {name: case.rule for name, case in CASES.items()}
BAD = [(name, options) for name, case in CASES.items() for options in case.bad]
