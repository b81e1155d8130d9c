"""Recurrence over time: the hidden half of RNN, LSTM and GRU, whose weight gradient is one product after the loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.operation import Arrays, Backward, Forward, Operation, Plain, is_sharded, varying_as

__all__ = ["Kind", "gru_step", "lstm_step", "recurrence", "recurrence_operation", "rnn_step"]

State = TypeVar("State")
Pair = tuple[jax.Array, jax.Array]
Slices = tuple[jax.Array, jax.Array | None]


class Kind(NamedTuple):
    """What a recurrence is compiled for.

    Attributes:
        mode: "lstm", "gru", "tanh" or "relu".
        hidden_bias: whether a GRU has a bias of the hidden part of n.
        projected: whether an LSTM has a projection.
        masked: whether the state may stay as it is.
        reverse: whether time runs backward.
    """

    mode: str
    hidden_bias: bool
    projected: bool
    masked: bool
    reverse: bool


def rnn_step(x: jax.Array, h: jax.Array, w: jax.Array, mode: str) -> jax.Array:
    """``tanh(x + h @ w.T)``, or relu in place of tanh."""
    pre = x + h @ w.T
    return jnp.tanh(pre) if mode == "tanh" else jax.nn.relu(pre)


def lstm_step(
    x: jax.Array, h: jax.Array, c: jax.Array, w: jax.Array, projection: jax.Array | None
) -> tuple[jax.Array, jax.Array, tuple[jax.Array, ...]]:
    """The next ``h`` and ``c``, and the gates i, f, g, o; ``x`` is the input's part of their arguments."""
    i, f, g, o = jnp.split(x + h @ w.T, 4, -1)
    i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
    c = f * c + i * g
    h = o * jnp.tanh(c)
    return (h if projection is None else h @ projection.T), c, (i, f, g, o)


def gru_step(
    x: jax.Array, h: jax.Array, w: jax.Array, bias: jax.Array | None
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """The next ``h``; the gates r, z, n and the hidden part of n's argument, to which ``bias`` belongs."""
    size = h.shape[-1]
    hidden = h @ w.T
    r = jax.nn.sigmoid(x[..., :size] + hidden[..., :size])
    z = jax.nn.sigmoid(x[..., size : 2 * size] + hidden[..., size : 2 * size])
    part = hidden[..., 2 * size :] if bias is None else hidden[..., 2 * size :] + bias
    n = jnp.tanh(x[..., 2 * size :] + r * part)
    return (1 - z) * n + z * h, (r, z, n, part)


def recurrence(
    mode: str,
    x: jax.Array,
    h: jax.Array,
    c: jax.Array | None,
    w: jax.Array,
    bias: jax.Array | None = None,
    projection: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, jax.Array | None]:
    """Runs a cell over time.

    Args:
        mode: "lstm", "gru", "tanh" or "relu".
        x: the input's part of the gates' arguments, biases included.
        h: the first hidden state.
        c: the first cell state of an LSTM.
        w: the hidden weights.
        bias: of a GRU, what is added to the hidden part of n's argument.
        projection: of an LSTM, the matrix that makes the hidden state.
        mask: where false, the state stays as it is.
        reverse: whether time runs backward.

    Shape:
        - x: (T, B, G * H), G the number of gates; h: (B, P), P the projected size or H; c: (B, H).
        - w: (G * H, P); bias: (H); projection: (P, H); mask: (T, B).

    Returns:
        the hidden state after each step, (T, B, P), at the place of its input; and the last cell state of an LSTM.

    Example:
        >>> import jax.numpy as jnp
        >>> recurrence("tanh", jnp.zeros((3, 1, 2)), jnp.ones((1, 2)), None, jnp.zeros((2, 2)))[0].shape
        (3, 1, 2)
    """
    kind = Kind(mode, bias is not None, projection is not None, mask is not None, reverse)
    state = (h,) if c is None else (h, c)
    out = recurrence_operation(kind)(x, *state, w, *(a for a in (bias, projection, mask) if a is not None))
    return out if mode == "lstm" else (out, None)


class _Arguments(NamedTuple):
    x: jax.Array
    h: jax.Array
    c: jax.Array | None
    w: jax.Array
    bias: jax.Array | None
    projection: jax.Array | None
    mask: jax.Array | None

    @staticmethod
    def of(kind: Kind, args: Arrays) -> _Arguments:
        rest = iter(args)
        present = (True, True, kind.mode == "lstm", True, kind.hidden_bias, kind.projected, kind.masked)
        every: list[Any] = [next(rest) if there else None for there in present]
        return _Arguments(*every)


def _keep(mask: jax.Array | None, new: jax.Array, old: jax.Array) -> jax.Array:
    return new if mask is None else jnp.where(mask[:, None], new, old)


@lru_cache(maxsize=64)
def recurrence_operation(kind: Kind) -> Operation:
    """The recurrence of one kind; its arguments are those of ``recurrence`` that the kind has, in their order."""
    if kind.mode == "lstm":
        return Operation(_plain_lstm(kind), *_lstm(kind))
    return Operation(_plain(kind), *(_gru(kind) if kind.mode == "gru" else _rnn(kind)))


def _start(step: Callable[[State, Slices], tuple[State, jax.Array]], state: State, arguments: _Arguments) -> State:
    """The state of the type that a step leaves it with, which ``scan`` asks for: varying and sharded alike."""
    state = jax.tree.map(lambda value: varying_as(value, arguments), state)
    if not is_sharded(arguments.x):
        return state
    after, _ = step(state, jax.tree.map(lambda x: x[0], (arguments.x, arguments.mask)))
    return jax.tree.map(lambda before, after: before + jnp.zeros_like(after), state, after)


def _plain(kind: Kind) -> Plain:
    def run(*args: jax.Array) -> jax.Array:
        a = _Arguments.of(kind, args)

        def step(h: jax.Array, xs: Slices) -> Pair:
            x, mask = xs
            new = gru_step(x, h, a.w, a.bias)[0] if kind.mode == "gru" else rnn_step(x, h, a.w, kind.mode)
            h = _keep(mask, new, h)
            return h, h

        xs = a.x, a.mask
        return lax.scan(step, _start(step, a.h, a), xs, reverse=kind.reverse)[1]

    return run


def _plain_lstm(kind: Kind) -> Plain:
    def run(*args: jax.Array) -> Pair:
        a = _Arguments.of(kind, args)
        assert a.c is not None

        def step(state: Pair, xs: Slices) -> tuple[Pair, jax.Array]:
            (h, c), (x, mask) = state, xs
            new_h, new_c, _ = lstm_step(x, h, c, a.w, a.projection)
            state = _keep(mask, new_h, h), _keep(mask, new_c, c)
            return state, state[0]

        xs = a.x, a.mask
        (_, c), hs = lax.scan(step, _start(step, (a.h, a.c), a), xs, reverse=kind.reverse)
        return hs, c

    return run


def _scan_in_place(
    step: Callable[[State, jax.Array, Any], tuple[State, jax.Array, Any]],
    state: State,
    x: jax.Array,
    xs: Any,
    reverse: bool,
) -> tuple[State, jax.Array, Any]:
    """``lax.scan`` of ``step(state, x, xs) -> (state, new_x, ys)``, the slices of ``x`` replaced by ``new_x``.

    Results that take the place of what is no longer needed save memory, and with it the time in which the system clears it:
    for a long LSTM that is a quarter of the whole.
    """

    def one(carry: tuple[State, jax.Array], slices: tuple[jax.Array, Any]) -> tuple[tuple[State, jax.Array], Any]:
        (state, x), (t, rest) = carry, slices
        state, new, ys = step(state, lax.dynamic_index_in_dim(x, t, keepdims=False), rest)
        return (state, lax.dynamic_update_index_in_dim(x, new, t, 0)), ys

    (state, x), ys = lax.scan(one, (state, x), (jnp.arange(x.shape[0]), xs), reverse=reverse)
    return state, x, ys


def _before(states: jax.Array, first: jax.Array, reverse: bool) -> jax.Array:
    """The state before each step, from that after each."""
    parts = [states[1:], first[None]] if reverse else [first[None], states[:-1]]
    return jnp.concatenate(parts)


def _product(left: jax.Array, right: jax.Array) -> jax.Array:
    """``sum over time and batch of left[:, :, None] * right[:, None]``, the gradient of a matrix."""
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])


def _chosen(wanted: tuple[int, ...], kind: Kind, grads: dict[str, jax.Array], args: Arrays) -> list[jax.Array]:
    names = [
        name for name, value in zip(_Arguments._fields, _Arguments.of(kind, args), strict=True) if value is not None
    ]
    return [grads[names[i]] for i in wanted]


def _rnn(kind: Kind) -> tuple[Forward, Backward]:
    def forward(*args: jax.Array) -> tuple[Arrays, Arrays]:
        a = _Arguments.of(kind, args)
        w = _turned(a.w)

        def step(h: jax.Array, x: jax.Array, mask: jax.Array | None) -> tuple[jax.Array, jax.Array, None]:
            h = _keep(mask, rnn_step(x, h, w.T, kind.mode), h)
            return h, h, None

        return (_scan_in_place(step, a.h, a.x, a.mask, kind.reverse)[1],), ()

    def backward(
        wanted: tuple[int, ...], args: Arrays, outs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        a = _Arguments.of(kind, args)
        hs = outs[0]
        slopes = 1 - hs * hs if kind.mode == "tanh" else (hs > 0).astype(hs.dtype)

        def step(dh: jax.Array, slope: jax.Array, xs: Slices) -> tuple[jax.Array, jax.Array, None]:
            g, mask = xs
            dh = dh + g
            pre = dh * slope if mask is None else jnp.where(mask[:, None], dh * slope, 0)
            back = pre @ a.w
            return (back if mask is None else back + jnp.where(mask[:, None], 0, dh)), pre, None

        xs = (cotangents[0], a.mask)
        dh, pre, _ = _scan_in_place(step, jnp.zeros_like(a.h), slopes, xs, not kind.reverse)
        before = _before(hs, a.h, kind.reverse)
        return _chosen(wanted, kind, {"x": pre, "h": dh, "w": _product(pre, before)}, args)

    return forward, backward


def _turned(w: jax.Array) -> jax.Array:
    """The transpose, laid out once and not in each step."""
    return lax.optimization_barrier(w.T)


def _sigmoid_or_tanh(x: jax.Array, scale: jax.Array | float) -> jax.Array:
    """The sigmoid where ``scale`` is 0.5 and tanh where it is 1, as one function: ``sigmoid(x) = (tanh(x / 2) + 1) / 2``."""
    return jnp.tanh(x * scale) * scale + (1 - scale)


def _gru(kind: Kind) -> tuple[Forward, Backward]:
    def forward(*args: jax.Array) -> tuple[Arrays, Arrays]:
        a = _Arguments.of(kind, args)
        w, size = _turned(a.w), a.h.shape[-1]

        def step(h: jax.Array, x: jax.Array, mask: jax.Array | None) -> tuple[jax.Array, jax.Array, Pair]:
            hidden = h @ w
            # One loop over all three gates costs less than one over the two whose sigmoid is used.
            gates = lax.optimization_barrier(_sigmoid_or_tanh(x + hidden, 0.5))
            r, z = gates[:, :size], gates[:, size : 2 * size]
            part = hidden[:, 2 * size :] if a.bias is None else hidden[:, 2 * size :] + a.bias
            n = jnp.tanh(x[:, 2 * size :] + r * part)
            h = _keep(mask, (1 - z) * n + z * h, h)
            return h, jnp.concatenate([r, z, n], -1), (h, part)

        _, gates, (hs, part) = _scan_in_place(step, a.h, a.x, a.mask, kind.reverse)
        return (hs,), (gates, part)

    def backward(
        wanted: tuple[int, ...], args: Arrays, outs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        a = _Arguments.of(kind, args)
        before, (gates, part) = _before(outs[0], a.h, kind.reverse), residuals
        r, z, n = jnp.split(gates, 3, -1)
        # What the slopes of the gates are multiplied by in each step is made before the loop, of all steps at once.
        of_n = (1 - z) * (1 - n * n)
        of_gates = jnp.concatenate([of_n * part * r * (1 - r), (before - n) * z * (1 - z), of_n * r], -1)

        def step(dh: jax.Array, of_gates: jax.Array, xs: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
            z, g, mask = xs
            dh = dh + g
            live = dh if mask is None else jnp.where(mask[:, None], dh, 0)
            hidden = jnp.concatenate([live, live, live], -1) * of_gates
            back = hidden @ a.w + live * z
            return (back if mask is None else back + (dh - live)), hidden, live

        xs = (z, cotangents[0], a.mask)
        dh, hidden, live = _scan_in_place(step, jnp.zeros_like(a.h), of_gates, xs, not kind.reverse)
        size = a.h.shape[-1]
        dx = jnp.concatenate([hidden[..., : 2 * size], live * of_n], -1)
        bias = hidden[..., 2 * size :].sum((0, 1))
        return _chosen(wanted, kind, {"x": dx, "h": dh, "w": _product(hidden, before), "bias": bias}, args)

    return forward, backward


def _lstm(kind: Kind) -> tuple[Forward, Backward]:
    def forward(*args: jax.Array) -> tuple[Arrays, Arrays]:
        a = _Arguments.of(kind, args)
        assert a.c is not None
        w = _turned(a.w)
        scale = jnp.where(jnp.arange(a.w.shape[0]) // a.c.shape[-1] == 2, 1, 0.5).astype(a.w.dtype)

        def step(state: Pair, x: jax.Array, mask: jax.Array | None) -> tuple[Pair, jax.Array, Arrays]:
            h, c = state
            gates = lax.optimization_barrier(_sigmoid_or_tanh(x + h @ w, scale))
            i, f, g, o = jnp.split(gates, 4, -1)
            new_c = f * c + i * g
            new_h = o * jnp.tanh(new_c)
            if a.projection is not None:
                new_h = new_h @ a.projection.T
            state = _keep(mask, new_h, h), _keep(mask, new_c, c)
            return state, gates, (state[0], new_c, state[1]) if kind.masked else (state[0], new_c)

        (_, c), gates, (hs, *cells) = _scan_in_place(step, (a.h, a.c), a.x, a.mask, kind.reverse)
        return (hs, c), (gates, *cells)

    def backward(
        wanted: tuple[int, ...], args: Arrays, outs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        a = _Arguments.of(kind, args)
        assert a.c is not None
        saved, made, *kept = residuals  # the gates, the cell state that each step computed and, masked, the one it kept
        before = _before(kept[0] if kept else made, a.c, kind.reverse)
        i, f, g, o = jnp.split(saved, 4, -1)
        tanh = jnp.tanh(made)
        # As for a GRU; the slopes of i, f and g go with that of c, the one of o with that of h.
        factors = [g * i * (1 - i), before * f * (1 - f), i * (1 - g * g), tanh * o * (1 - o)]
        of_gates, of_c = jnp.concatenate(factors, -1), o * (1 - tanh * tanh)

        def step(carry: Pair, of_gates: jax.Array, xs: Any) -> tuple[Pair, jax.Array, jax.Array | None]:
            dh, dc = carry
            of_c, f, ct, mask = xs
            dh = dh + ct
            live_h = dh if mask is None else jnp.where(mask[:, None], dh, 0)
            live_c = dc if mask is None else jnp.where(mask[:, None], dc, 0)
            raw = live_h if a.projection is None else live_h @ a.projection
            whole = live_c + raw * of_c
            pre = jnp.concatenate([whole, whole, whole, raw], -1) * of_gates
            back_h, back_c = pre @ a.w, whole * f
            if mask is not None:
                back_h, back_c = back_h + (dh - live_h), back_c + (dc - live_c)
            return (back_h, back_c), pre, (None if a.projection is None else live_h)

        start, xs = (jnp.zeros_like(a.h), cotangents[1]), (of_c, f, cotangents[0], a.mask)
        (dh, dc), pre, live = _scan_in_place(step, start, of_gates, xs, not kind.reverse)
        grads = {"x": pre, "h": dh, "c": dc, "w": _product(pre, _before(outs[0], a.h, kind.reverse))}
        if a.projection is not None:
            grads["projection"] = _product(live, o * tanh)
        return _chosen(wanted, kind, grads, args)

    return forward, backward
