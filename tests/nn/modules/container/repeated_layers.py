"""Layers with parts of all kinds, in a Sequential and repeated."""

import jax.numpy as jnp
import numpy as np

import fnn
from fnn import nn
from tests.oracle import rand

N = 3
X = jnp.asarray(rand(0, 5, 4))


class Block(nn.Module):
    """Parts of all kinds: a tied parameter, a buffer that is not saved, a frozen one, a child."""

    def __init__(self, p=0.0):
        super().__init__()
        self.linear1 = nn.Linear(4, 4)
        self.linear2 = nn.Linear(4, 4)
        self.linear2.weight = self.linear1.weight
        self.norm = nn.BatchNorm1d(4)
        self.dropout = nn.Dropout(p)
        self.scale = nn.Parameter(np.full(4, 2.0), requires_grad=False)
        self.register_buffer("shift", np.zeros(4), persistent=False)

    def forward(self, x, extra=None, *, bias=None):
        x = self.norm(self.linear2(jnp.tanh(self.linear1(x)))) * self.scale + self.shift
        x = x if extra is None else x + extra
        return self.dropout(x if bias is None else x + bias)


def layers(n=N, seed=0, make=Block):
    fnn.manual_seed(seed)
    return [make().double() for _ in range(n)]


def twins(n=N):
    made = layers(n)
    return nn.Sequential(*made), nn.Repeated.of(made)


def full(model):
    return {name: np.asarray(value) for name, value in model.state_dict().items()}


def assert_as_before(model, before):
    for name, value in full(model).items():
        np.testing.assert_array_equal(value, before[name], name)
