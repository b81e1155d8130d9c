"""Recurrent networks over time, in layers and directions, as functions of their weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, known
from fnn.functional.checks import (
    as_array,
    as_int,
    as_optional_array,
    check_choice,
    check_floating,
    check_integer,
    check_probability,
    check_same_dtype,
    check_shape,
    fail,
)
from fnn.functional.dropout import dropout as drop
from fnn.functional.explained import explained
from fnn.functional.rnn.common import project, split_gru_bias, state_pair
from fnn.kernels.recurrent import recurrence
from fnn.random.generator import next_key

__all__ = [
    "gru",
    "lstm",
    "rnn",
]

_GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}


class _Stack(NamedTuple):
    """The structure of a stack of recurrent layers."""

    mode: str
    layers: int
    directions: int
    per_cell: int  # weights of one layer and direction
    projected: bool

    @property
    def has_bias(self) -> bool:
        return self.per_cell - self.projected == 4

    def cell(self, weights: Sequence[Any], layer: int, direction: int) -> tuple[Any, ...]:
        """(w_ih, w_hh, b_ih, b_hh, w_hr) of one layer and direction, None for what there is not."""
        start = (layer * self.directions + direction) * self.per_cell
        mine = list(weights[start : start + self.per_cell])
        projection = mine.pop() if self.projected else None
        return (*mine, *([] if self.has_bias else [None, None]), projection)


@partial(jax.jit, static_argnames="stack")
def _run(
    x: Any, h0: Any, c0: Any, weights: Any, lengths: Any, rate: Any, key: Any, stack: _Stack
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """The stack over (T, B, I): outputs of the last layer, last hidden and cell states."""
    mask = None if lengths is None else jnp.arange(x.shape[0])[:, None] < lengths
    if mask is not None:
        # The gradient multiplies the padding by zero, which would keep a NaN or an infinity that lies there.
        x = jnp.where(mask[..., None], x, 0)
    last_h: list[jax.Array] = []
    last_c: list[jax.Array] = []
    for layer in range(stack.layers):
        outputs = []
        for direction in range(stack.directions):
            w_ih, w_hh, b_ih, b_hh, projection = stack.cell(weights, layer, direction)
            number = layer * stack.directions + direction
            joined, of_n = split_gru_bias(b_hh) if stack.mode == "gru" else (b_hh, None)
            hs, c = recurrence(
                stack.mode,
                project(x, w_ih, b_ih, joined),
                h0[number],
                None if c0 is None else c0[number],
                w_hh,
                of_n,
                projection,
                mask,
                direction == 1,
            )
            last_h.append(hs[0] if direction else hs[-1])
            if c is not None:
                last_c.append(c)
            outputs.append(hs)
        x = outputs[0] if len(outputs) == 1 else jnp.concatenate(outputs, -1)
        if key is not None and layer < stack.layers - 1:
            key, mine = jax.random.split(key)
            x = drop(x, rate, rng=mine)
    if mask is not None:
        x = jnp.where(mask[..., None], x, 0)
    return x, jnp.stack(last_h), None if c0 is None else jnp.stack(last_c)


def _stack(
    name: str,
    mode: str,
    input: ArrayLike,
    hx: Any,
    weights: Sequence[ArrayLike],
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
    dropout: float,
    training: bool,
    proj_size: int,
    lengths: ArrayLike | None,
    rng: Any,
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    x = as_array(name, "input", input)
    if x.ndim not in (2, 3):
        fail(ValueError, name, "input", "2-D (unbatched) or 3-D", x)
    batched = x.ndim == 3
    x = x[:, None] if not batched else x.swapaxes(0, 1) if batch_first else x
    if x.shape[0] == 0:
        fail(ValueError, name, "input", "of at least one time step", input)
    stack, flat = _weights(name, mode, weights, x.shape[-1], num_layers, bidirectional, proj_size)
    hidden = flat[1].shape[0] // _GATES[mode]
    rows = stack.layers * stack.directions
    sizes = {"hx": proj_size or hidden} if mode != "lstm" else {"hx[0]": proj_size or hidden, "hx[1]": hidden}
    given = state_pair(name, hx) if mode == "lstm" else (hx,)
    states: dict[str, Any] = {}
    for (argument, size), state in zip(sizes.items(), given, strict=True):
        shape = (rows, x.shape[1], size) if batched else (rows, size)
        array = jnp.zeros(shape, x.dtype) if state is None else as_array(name, argument, state)
        check_shape(name, argument, array, shape, "(layers * directions, batch, features)")
        states[argument] = array if batched else array[:, None]
    arrays = {"input": x, **states, **{f"weights[{i}]": w for i, w in enumerate(flat)}}
    check_floating(name, **arrays)
    check_same_dtype(name, **arrays)
    check_probability(name, "dropout", dropout)
    drops = training and num_layers > 1 and known(dropout) != 0
    key = next_key(name, rng) if drops else None
    steps = _lengths(name, lengths, x, batched)
    h0, c0 = (*states.values(), None)[:2]
    output, h, c = _run(x, h0, c0, tuple(flat), steps, dropout, key, stack)
    if not batched:
        return output[:, 0], h[:, 0], None if c is None else c[:, 0]
    return output.swapaxes(0, 1) if batch_first else output, h, c


def _lengths(name: str, lengths: ArrayLike | None, x: jax.Array, batched: bool) -> jax.Array | None:
    steps = as_optional_array(name, "lengths", lengths)
    if steps is None:
        return None
    if not batched:
        fail(ValueError, name, "lengths", "None for an unbatched input", steps)
    check_integer(name, lengths=steps)
    check_shape(name, "lengths", steps, (x.shape[1],), "one a sequence")
    values = known(steps)
    if values is not None and values.size and (values.min() < 1 or values.max() > x.shape[0]):
        fail(ValueError, name, "lengths", f"between 1 and {x.shape[0]}, the number of time steps", values.tolist())
    return steps


def _weights(
    name: str,
    mode: str,
    weights: Sequence[ArrayLike],
    width: int,
    num_layers: int,
    bidirectional: bool,
    proj_size: int,
) -> tuple[_Stack, list[jax.Array]]:
    """The structure that the number of weights tells, and the weights, checked."""
    layers = as_int(name, "num_layers", num_layers, 1)
    projection = as_int(name, "proj_size", proj_size, 0)
    directions = 1 + bool(bidirectional)
    flat = [as_array(name, f"weights[{i}]", w) for i, w in enumerate(weights)]
    per_cell, rest = divmod(len(flat), layers * directions)
    allowed = (3, 5) if projection else (2, 4)
    if rest or per_cell not in allowed:
        raise ValueError(
            f"{name}: weights must be {' or '.join(str(layers * directions * n) for n in allowed)} arrays for {layers} "
            f"layers in {directions} directions{' with a projection' if projection else ''}, got {len(flat)}"
        )
    stack = _Stack(mode, layers, directions, per_cell, projection > 0)
    if flat[0].ndim != 2 or flat[0].shape[0] % _GATES[mode]:
        fail(ValueError, name, "weights[0]", f"2-D with a multiple of {_GATES[mode]} rows", flat[0])
    if flat[0].shape[1] != width:
        raise ValueError(f"{name}: input must have {flat[0].shape[1]} features, as weights[0] has columns, got {width}")
    rows = flat[0].shape[0]
    hidden = rows // _GATES[mode]
    out = projection or hidden
    for i, array in enumerate(flat):
        layer, slot = i // (per_cell * directions), i % per_cell
        columns = width if layer == 0 else out * directions
        shape: tuple[int, ...] = ((rows, columns), (rows, out), (rows,), (rows,))[min(slot, 3)]
        if projection and slot == per_cell - 1:
            shape = (projection, hidden)
        check_shape(name, f"weights[{i}]", array, shape)
    return stack, flat


@explained
def rnn(
    input: ArrayLike,
    hx: ArrayLike | None,
    weights: Sequence[ArrayLike],
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    nonlinearity: str = "tanh",
    lengths: ArrayLike | None = None,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """An Elman network over time: stacked layers of ``rnn_cell``, in one or both directions.

    Args:
        input: the sequences.
        hx: the first hidden states; zeros if None.
        weights: w_ih, w_hh, and both or none of b_ih and b_hh, of each layer and direction in turn.
        num_layers: layers, each fed with the output of the one below.
        bidirectional: whether each layer also runs backward in time; its outputs follow the forward ones.
        batch_first: whether input and output are (batch, time, features).
        dropout: probability with which elements of the output of each layer but the last are dropped in training.
        training: whether to drop.
        nonlinearity: 'tanh' or 'relu'.
        lengths: of each sequence, how many time steps count; the outputs after them are zero.
        rng: a JAX PRNG key for the dropout; without it the ambient source gives one.

    Shape:
        - input: (T, B, I), (B, T, I) with ``batch_first``, or (T, I). D = 2 if bidirectional, else 1.
        - hx: (num_layers * D, B, H), or (num_layers * D, H) for 2-D input.
        - lengths: (B).
        - output: (T, B, D * H) and hx's shape.

    Returns:
        the outputs of the last layer, and the last hidden state of every layer and direction.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes, the number of weights or an option do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.RNN.html

    Example:
        >>> import jax.numpy as jnp
        >>> output, h = rnn(jnp.ones((3, 1, 2)), None, [jnp.ones((4, 2)), jnp.ones((4, 4))])
        >>> output.shape, h.shape
        ((3, 1, 4), (1, 1, 4))
    """
    check_choice("rnn", "nonlinearity", nonlinearity, ("tanh", "relu"))
    options = (num_layers, bidirectional, batch_first, dropout, training, 0, lengths, rng)
    output, h, _ = _stack("rnn", nonlinearity, input, hx, weights, *options)
    return output, h


@explained
def lstm(
    input: ArrayLike,
    hx: tuple[ArrayLike, ArrayLike] | None,
    weights: Sequence[ArrayLike],
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    proj_size: int = 0,
    lengths: ArrayLike | None = None,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Long short-term memory over time: stacked layers of ``lstm_cell``, in one or both directions.

    Args:
        input: the sequences.
        hx: the pair of first hidden and cell states; zeros if None.
        weights: w_ih, w_hh, both or none of b_ih and b_hh, and w_hr with ``proj_size``, of each layer and direction.
        num_layers: layers, each fed with the output of the one below.
        bidirectional: whether each layer also runs backward in time; its outputs follow the forward ones.
        batch_first: whether input and output are (batch, time, features).
        dropout: probability with which elements of the output of each layer but the last are dropped in training.
        training: whether to drop.
        proj_size: if positive, the size to which w_hr projects the hidden state (Sak et al., 2014).
        lengths: of each sequence, how many time steps count; the outputs after them are zero.
        rng: a JAX PRNG key for the dropout; without it the ambient source gives one.

    Shape:
        - input: (T, B, I), (B, T, I) with ``batch_first``, or (T, I). D = 2 if bidirectional, else 1; P is
          ``proj_size`` or else H.
        - hx: (num_layers * D, B, P) and (num_layers * D, B, H), without B for 2-D input.
        - lengths: (B).
        - output: (T, B, D * P), and hx's shapes.

    Returns:
        the outputs of the last layer, and the pair of last hidden and cell states of every layer and direction.

    Raises:
        TypeError: if the dtypes differ or are not floating, or ``hx`` is no pair.
        ValueError: if shapes, the number of weights or an option do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LSTM.html

    Example:
        >>> import jax.numpy as jnp
        >>> output, (h, c) = lstm(jnp.ones((3, 1, 2)), None, [jnp.ones((16, 2)), jnp.ones((16, 4))])
        >>> output.shape, h.shape, c.shape
        ((3, 1, 4), (1, 1, 4), (1, 1, 4))
    """
    options = (num_layers, bidirectional, batch_first, dropout, training, proj_size, lengths, rng)
    output, h, c = _stack("lstm", "lstm", input, hx, weights, *options)
    assert c is not None
    return output, (h, c)


@explained
def gru(
    input: ArrayLike,
    hx: ArrayLike | None,
    weights: Sequence[ArrayLike],
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    lengths: ArrayLike | None = None,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Gated recurrent units over time: stacked layers of ``gru_cell``, in one or both directions.

    Args:
        input: the sequences.
        hx: the first hidden states; zeros if None.
        weights: w_ih, w_hh, and both or none of b_ih and b_hh, of each layer and direction in turn.
        num_layers: layers, each fed with the output of the one below.
        bidirectional: whether each layer also runs backward in time; its outputs follow the forward ones.
        batch_first: whether input and output are (batch, time, features).
        dropout: probability with which elements of the output of each layer but the last are dropped in training.
        training: whether to drop.
        lengths: of each sequence, how many time steps count; the outputs after them are zero.
        rng: a JAX PRNG key for the dropout; without it the ambient source gives one.

    Shape:
        - input: (T, B, I), (B, T, I) with ``batch_first``, or (T, I). D = 2 if bidirectional, else 1.
        - hx: (num_layers * D, B, H), or (num_layers * D, H) for 2-D input.
        - lengths: (B).
        - output: (T, B, D * H) and hx's shape.

    Returns:
        the outputs of the last layer, and the last hidden state of every layer and direction.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes, the number of weights or an option do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.GRU.html

    Example:
        >>> import jax.numpy as jnp
        >>> output, h = gru(jnp.ones((3, 1, 2)), None, [jnp.ones((12, 2)), jnp.ones((12, 4))])
        >>> output.shape, h.shape
        ((3, 1, 4), (1, 1, 4))
    """
    options = (num_layers, bidirectional, batch_first, dropout, training, 0, lengths, rng)
    output, h, _ = _stack("gru", "gru", input, hx, weights, *options)
    return output, h
