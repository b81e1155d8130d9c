# pyright: strict
"""A user's script: containers filled, changed, passed on and replaced as torch code does it; layers that override ``forward``."""

from __future__ import annotations

from collections import OrderedDict
from typing import assert_type

import jax
import numpy as np
from jax.typing import ArrayLike

from fnn import nn


class Scaled(nn.Linear):
    def forward(self, input: ArrayLike) -> jax.Array:
        return super().forward(input) * 2


class Body(nn.Module):
    def __init__(self, depth: int, norm: type[nn.Module] = nn.BatchNorm1d) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4)])
        for _ in range(depth):
            self.layers.append(nn.ReLU())
        self.layers += [norm(4)]
        self.stem = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.heads = nn.ModuleDict({"a": nn.Linear(4, 1)})
        self.heads["b"] = nn.Sequential(OrderedDict([("fc", nn.Linear(4, 1)), ("act", nn.Tanh())]))

    def forward(self, x: ArrayLike) -> jax.Array:
        return self.heads["a"](self.stem(x))


def count(module: nn.Sequential | nn.ModuleList) -> int:
    return len(module)


def stack(n: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(n):
        layers += [nn.Linear(4, 4), nn.ReLU()]
    return nn.Sequential(*layers)


body = Body(2)
body.stem = nn.Sequential(nn.Identity(), nn.Dropout(0.1))
body.stem.append(nn.Softmax(-1))
body.stem[0] = nn.Flatten()
assert_type(body.stem[0], nn.Module)
assert_type(body.stem[:1], nn.Sequential)
assert_type(stack(1) + stack(2), nn.Sequential)
assert_type(nn.ModuleList([nn.Linear(1, 1)])[0], nn.Linear)
assert_type(Scaled(4, 2)(np.ones((1, 4), np.float32)), jax.Array)
print(count(body.stem), count(nn.ModuleList([nn.Linear(1, 1)])), [name for name, _ in body.heads.items()])
