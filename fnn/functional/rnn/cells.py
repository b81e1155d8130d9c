"""Single steps of recurrent networks as functions of their weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import (
    as_array,
    as_optional_array,
    check_choice,
    check_floating,
    check_same_dtype,
    check_shape,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.rnn.common import project, split_gru_bias, state_pair
from fnn.kernels.recurrent import gru_step, lstm_step, rnn_step

__all__ = [
    "gru_cell",
    "lstm_cell",
    "rnn_cell",
]


def _cell_arguments(
    name: str,
    gates: int,
    input: ArrayLike,
    states: Sequence[tuple[str, ArrayLike | None]],
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None,
    b_hh: ArrayLike | None,
) -> tuple[Any, ...]:
    """The checked arrays: input and states as batches, weights, biases; and whether the input was a batch."""
    x = as_array(name, "input", input)
    weights = {"w_ih": as_array(name, "w_ih", w_ih), "w_hh": as_array(name, "w_hh", w_hh)}
    for argument, w in weights.items():
        if w.ndim != 2 or w.shape[0] % gates:
            fail(ValueError, name, argument, f"2-D with a multiple of {gates} rows", w)
    size = weights["w_hh"].shape[1]
    check_shape(name, "w_hh", weights["w_hh"], (gates * size, size))
    check_shape(name, "w_ih", weights["w_ih"], (gates * size, None))
    biases = {"b_ih": as_optional_array(name, "b_ih", b_ih), "b_hh": as_optional_array(name, "b_hh", b_hh)}
    for argument, bias in biases.items():
        if bias is not None:
            check_shape(name, argument, bias, (gates * size,))
    if x.ndim not in (1, 2) or x.shape[-1] != weights["w_ih"].shape[1]:
        fail(ValueError, name, "input", f"(N, I) or (I) with I = {weights['w_ih'].shape[1]}", x)
    batch = x.shape[:-1]
    arrays: dict[str, Any] = {}
    for argument, state in states:
        arrays[argument] = jnp.zeros((*batch, size), x.dtype) if state is None else as_array(name, argument, state)
        check_shape(name, argument, arrays[argument], (*batch, size))
    present = {k: v for k, v in {"input": x, **arrays, **weights, **biases}.items() if v is not None}
    check_floating(name, **present)
    check_same_dtype(name, **present)
    return x, tuple(arrays.values()), (*weights.values(), *biases.values())


@partial(jax.jit, static_argnames="mode")
def _rnn_cell(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, mode: str) -> jax.Array:
    return rnn_step(project(x, w_ih, b_ih, b_hh), h, w_hh, mode)


@jax.jit
def _lstm_cell(x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple[jax.Array, jax.Array]:
    return lstm_step(project(x, w_ih, b_ih, b_hh), h, c, w_hh, None)[:2]


@jax.jit
def _gru_cell(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> jax.Array:
    joined, of_n = split_gru_bias(b_hh)
    return gru_step(project(x, w_ih, b_ih, joined), h, w_hh, of_n)[0]


@explained
def rnn_cell(
    input: ArrayLike,
    hx: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
    nonlinearity: str = "tanh",
) -> jax.Array:
    """One step of an Elman network, ``tanh(w_ih x + b_ih + w_hh h + b_hh)``, or relu in place of tanh.

    Args:
        input: x.
        hx: h; zero if None.
        w_ih: input weights.
        w_hh: hidden weights.
        b_ih: input bias.
        b_hh: hidden bias.
        nonlinearity: 'tanh' or 'relu'.

    Shape:
        - input: (N, I) or (I); hx and output: (N, H) or (H).
        - w_ih: (H, I); w_hh: (H, H); b_ih and b_hh: (H).

    Returns:
        the next hidden state.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes do not fit or ``nonlinearity`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.RNNCell.html

    Example:
        >>> import jax.numpy as jnp
        >>> rnn_cell(jnp.ones((1, 2)), None, jnp.ones((3, 2)), jnp.ones((3, 3)), nonlinearity="relu").tolist()
        [[2.0, 2.0, 2.0]]
    """
    check_choice("rnn_cell", "nonlinearity", nonlinearity, ("tanh", "relu"))
    x, (h,), weights = _cell_arguments("rnn_cell", 1, input, [("hx", hx)], w_ih, w_hh, b_ih, b_hh)
    return _rnn_cell(x, h, *weights, nonlinearity)


@explained
def lstm_cell(
    input: ArrayLike,
    hx: tuple[ArrayLike, ArrayLike] | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> tuple[jax.Array, jax.Array]:
    """One step of long short-term memory (Hochreiter and Schmidhuber, 1997).

    With i, f, o = sigmoid and g = tanh of ``w_ih x + b_ih + w_hh h + b_hh``: ``c' = f c + i g``, ``h' = o tanh(c')``.

    Args:
        input: x.
        hx: the pair h, c; zeros if None.
        w_ih: input weights, rows by gates i, f, g, o.
        w_hh: hidden weights, likewise.
        b_ih: input bias.
        b_hh: hidden bias.

    Shape:
        - input: (N, I) or (I); h and c: (N, H) or (H).
        - w_ih: (4 H, I); w_hh: (4 H, H); b_ih and b_hh: (4 H).

    Returns:
        the next pair (h, c).

    Raises:
        TypeError: if the dtypes differ or are not floating, or ``hx`` is no pair.
        ValueError: if shapes do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LSTMCell.html

    Example:
        >>> import jax.numpy as jnp
        >>> h, c = lstm_cell(jnp.ones((1, 2)), None, jnp.zeros((12, 2)), jnp.zeros((12, 3)))
        >>> h.shape, c.shape
        ((1, 3), (1, 3))
    """
    h, c = state_pair("lstm_cell", hx)
    states = [("hx[0]", h), ("hx[1]", c)]
    x, (h, c), weights = _cell_arguments("lstm_cell", 4, input, states, w_ih, w_hh, b_ih, b_hh)
    return _lstm_cell(x, h, c, *weights)


@explained
def gru_cell(
    input: ArrayLike,
    hx: ArrayLike | None,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> jax.Array:
    """One step of a gated recurrent unit (Cho et al., 2014).

    r, z = sigmoid of ``w_ih x + b_ih + w_hh h + b_hh``, n = tanh(w_in x + b_in + r (w_hn h + b_hn)):
    ``h' = (1 - z) n + z h``.

    Args:
        input: x.
        hx: h; zero if None.
        w_ih: input weights, rows by gates r, z, n.
        w_hh: hidden weights, likewise.
        b_ih: input bias.
        b_hh: hidden bias.

    Shape:
        - input: (N, I) or (I); hx and output: (N, H) or (H).
        - w_ih: (3 H, I); w_hh: (3 H, H); b_ih and b_hh: (3 H).

    Returns:
        the next hidden state.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.GRUCell.html

    Example:
        >>> import jax.numpy as jnp
        >>> gru_cell(jnp.ones((1, 2)), jnp.ones((1, 3)), jnp.zeros((9, 2)), jnp.zeros((9, 3))).tolist()
        [[0.5, 0.5, 0.5]]
    """
    x, (h,), weights = _cell_arguments("gru_cell", 3, input, [("hx", hx)], w_ih, w_hh, b_ih, b_hh)
    return _gru_cell(x, h, *weights)
