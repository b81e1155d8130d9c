"""The input projection, the biases of a GRU and the state of an LSTM."""

from __future__ import annotations

from typing import Any

import jax

from fnn.functional.checks import (
    fail,
)


def project(x: jax.Array, w: jax.Array, *biases: jax.Array | None) -> jax.Array:
    """``x @ w.T`` and the biases that there are."""
    out = x @ w.T
    for bias in biases:
        out = out if bias is None else out + bias
    return out


def split_gru_bias(bias: jax.Array | None) -> tuple[jax.Array | None, jax.Array | None]:
    """The hidden biases of a GRU: those that may join the input's, and that of n, which r multiplies."""
    if bias is None:
        return None, None
    size = bias.shape[0] // 3
    return bias.at[2 * size :].set(0), bias[2 * size :]


def state_pair(name: str, hx: Any) -> tuple[Any, Any]:
    if hx is None:
        return None, None
    if not isinstance(hx, tuple | list) or len(hx) != 2:
        fail(TypeError, name, "hx", "a pair (h, c) or None", hx)
    return hx[0], hx[1]
