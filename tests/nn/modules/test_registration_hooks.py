"""What the global registration hooks are called with, against torch."""

from __future__ import annotations

import numpy as np
import pytest

from fnn import nn
from tests.oracle import needs_torch


def calls_of(package, kind, act):
    seen = []
    register = getattr(package.modules.module, f"register_module_{kind}_registration_hook")
    handle = register(lambda module, name, value: seen.append((name, value is None)))
    try:
        act(package)
    finally:
        handle.remove()
    return seen


def by_assignment(package):
    module = package.Linear(2, 3)
    module.bias = None
    module.bias = package.Parameter(module.weight[0])
    module.register_parameter("other", None)
    module.child = package.ReLU()
    module.child = None
    module.add_module("second", None)
    module.register_buffer("mean", None)


ACTS = {
    "a bias": lambda package: package.Linear(2, 3),
    "no bias": lambda package: package.Linear(2, 3, bias=False),
    "no bias of a convolution": lambda package: package.Conv2d(2, 3, 2, bias=False),
    "no affine": lambda package: package.BatchNorm1d(2, affine=False),
    "no statistics": lambda package: package.BatchNorm1d(2, track_running_stats=False),
    "attention": lambda package: package.MultiheadAttention(4, 2, bias=False),
    "norm without elements": lambda package: package.LayerNorm(2, elementwise_affine=False),
    "by assignment": by_assignment,
}


@needs_torch
@pytest.mark.parametrize("kind", ["parameter", "buffer", "module"])
@pytest.mark.parametrize("name", ACTS)
def test_hooks_are_called_as_in_torch(name, kind):
    import torch

    assert calls_of(nn, kind, ACTS[name]) == calls_of(torch.nn, kind, ACTS[name])


def test_what_a_parameter_hook_returns_takes_the_parameters_place():
    ones = nn.Parameter(np.ones((3, 2), np.float32))
    handle = nn.modules.module.register_module_parameter_registration_hook(
        lambda module, name, value: ones if name == "weight" else None
    )
    try:
        module = nn.Linear(2, 3, bias=False)
    finally:
        handle.remove()
    assert module.weight is ones
    assert module.bias is None
