"""Runs of schedulers of this library and of torch, and comparisons of what they leave."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np

from fnn import nn, optim

STEPS = 100

RATES = (0.3, 0.05)


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


def torch_schedulers():
    from torch.optim import lr_scheduler

    return lr_scheduler


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
