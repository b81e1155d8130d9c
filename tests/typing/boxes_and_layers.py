# pyright: strict
"""A user's script: arithmetic of Parameters and Buffers, and what layers and containers return."""

from __future__ import annotations

from typing import Any, assert_type

import jax
import jax.numpy as jnp
import numpy as np

import fnn.nn.functional as F
from fnn import nn


def ones(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A loader gives numpy arrays."""
    return np.ones(shape, np.float32)


class Affine(nn.Module):
    weight: nn.Parameter
    running: nn.Buffer

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(ones(features, features))
        self.bias = nn.Parameter(ones(features) - 1, requires_grad=False)
        self.running = nn.Buffer(ones(features))
        self.register_buffer("mask", ones(features), persistent=False)

    def forward(self, x: jax.Array, flip: bool = False) -> tuple[jax.Array, jax.Array]:
        y = x @ self.weight + self.bias
        assert_type(y, jax.Array)
        z = self.weight @ self.weight.T - 2 * self.weight / 3
        assert_type(z, jax.Array)
        assert_type(self.weight[0], jax.Array)
        assert_type(-self.weight, jax.Array)
        assert_type(self.weight > 0, jax.Array)
        assert_type(jnp.exp(self.weight), jax.Array)
        assert_type(jnp.matmul(x, self.weight), jax.Array)
        self.running += 1
        assert_type(self.weight.shape, tuple[int, ...])
        assert_type(self.weight.size(0), int)
        assert_type(self.weight.data, jax.Array)
        assert_type(self.weight.copy_(z), nn.Parameter)
        assert_type(self.weight.mul_(0.5).add_(z, alpha=0.1), nn.Parameter)
        assert_type(self.running.normal_(0.0, 0.02), nn.Buffer)
        assert_type(self.weight.std(1, unbiased=False), jax.Array)
        assert_type(self.weight.max(), jax.Array)
        assert_type(self.weight.max(1).indices, jax.Array)
        assert_type(self.weight.sort(dim=0, descending=True)[0], jax.Array)
        assert_type(self.weight.view(-1, 1).shape, tuple[int, ...])
        assert_type(self.weight.transpose(0, 1), jax.Array)
        assert_type(self.weight.float(), jax.Array)
        assert_type(self.weight.split(1), tuple[jax.Array, ...])
        assert_type(self.weight.unique(), jax.Array)
        assert_type(self.weight.numel(), int)
        assert_type(self.weight.size(), tuple[int, ...])
        assert_type(self.weight.is_floating_point(), bool)
        assert_type(self.weight.at[0].set(0), jax.Array)
        return (z if flip else y), z


layer = Affine(3)
assert_type(layer(jnp.exp(ones(2, 3)), flip=True), tuple[jax.Array, jax.Array])

x = jnp.exp(ones(2, 4, 8))
assert_type(nn.Linear(8, 2)(x), jax.Array)
assert_type(nn.LazyLinear(2)(x), jax.Array)
assert_type(nn.BatchNorm1d(4).eval()(x), jax.Array)
assert_type(nn.MaxPool1d(2)(x), jax.Array)
assert_type(nn.MaxPool1d(2, return_indices=True)(x), tuple[jax.Array, jax.Array])
assert_type(nn.LSTM(8, 3)(x), tuple[jax.Array, tuple[jax.Array, jax.Array]])
assert_type(nn.GRU(8, 3)(x), tuple[jax.Array, jax.Array])
assert_type(nn.LSTMCell(8, 3)(x[0]), tuple[jax.Array, jax.Array])
assert_type(nn.Embedding(4, 3)(np.zeros(2, np.int32)), jax.Array)
assert_type(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2), 2)(x), jax.Array)
assert_type(nn.CrossEntropyLoss()(x[0], np.zeros(4, np.int32)), jax.Array)
output, weights = nn.MultiheadAttention(8, 2)(x, x, x)
assert_type(output, jax.Array)
assert_type(weights, jax.Array)
_, no_weights = nn.MultiheadAttention(8, 2)(x, x, x, need_weights=False)
assert_type(no_weights, None)
cache = F.KeyValueCache.zeros((4, 2, 5, 4))
output, some_weights, cache = nn.MultiheadAttention(8, 2)(x, x, x, need_weights=False, cache=cache)
assert_type(some_weights, jax.Array | None)
assert_type(cache, F.KeyValueCache)
q = cache.key[:, :, :1]
assert_type(F.scaled_dot_product_attention(q, q, q, is_causal=True, window=2), jax.Array)
assert_type(F.scaled_dot_product_attention(q, q, q, cache=cache), tuple[jax.Array, F.KeyValueCache])
assert_type(F.cache_update(cache, q, q), F.KeyValueCache)
assert_type(F.rotary_embedding(q, cache.positions(1), frequencies=F.rotary_frequencies(4)), jax.Array)

layers = nn.ModuleList([nn.Linear(1, 2), nn.Linear(2, 3)])
assert_type(layers[0], nn.Linear)
assert_type(layers[:1], nn.ModuleList[nn.Linear])
assert_type(layers[0].weight, nn.Parameter)
assert_type(layers[0].bias, nn.Parameter | Any)
nn.init.zeros_(layers[0].bias)
if layers[1].bias is not None:
    nn.init.constant_(layers[1].bias, 0.5)
norm = nn.BatchNorm2d(3)
nn.init.ones_(norm.weight)
print(norm.running_mean.shape)
heads = nn.ModuleDict({"a": nn.Linear(1, 2)})
assert_type(heads["a"], nn.Linear)


class Holder(nn.Module):
    layers: nn.ModuleList
    body: nn.Sequential

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.ReLU(), nn.Linear(1, 1)])
        self.body = nn.Sequential(nn.ReLU(), nn.Linear(1, 1))

    def forward(self, x: Any) -> Any:
        return self.body(x)


assert_type(layer.eval(), Affine)
assert_type(layer.to("cpu").float(), Affine)
nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
nn.init.zeros_(layer.bias)
