"""A line search for the strong Wolfe conditions, traceable."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class _Point(NamedTuple):
    """A trial step ``t`` with the loss, the gradient and the directional derivative there."""

    t: jax.Array
    f: jax.Array
    g: jax.Array
    slope: jax.Array


class _Search(NamedTuple):
    """What both phases of the search carry; ``a`` and ``b`` end as the bracket, the lower end first.

    ``kept`` says whether the lower end is the older of the two places, which wins a tie.
    """

    a: _Point
    b: _Point
    iterations: jax.Array
    evals: jax.Array
    stop: jax.Array
    found: jax.Array
    stalled: jax.Array
    kept: jax.Array


def _select(condition: jax.Array, a: _Point, b: _Point) -> _Point:
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)


def _cubic_minimum(a: _Point, b: _Point, low: jax.Array, high: jax.Array) -> jax.Array:
    """Where the cubic through two points and slopes is least, kept within the bounds; their middle if it has no minimum."""
    left, right = _select(a.t <= b.t, a, b), _select(a.t <= b.t, b, a)
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    d2 = jnp.sqrt(jnp.where(square >= 0, square, 0))
    at = right.t - (right.t - left.t) * ((right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2))
    return jnp.where(square >= 0, jnp.clip(at, low, high), (low + high) / 2)


def strong_wolfe(
    evaluate: Callable[[jax.Array], tuple[jax.Array, jax.Array]],
    x: jax.Array,
    t: jax.Array,
    d: jax.Array,
    f: jax.Array,
    g: jax.Array,
    slope: jax.Array,
    tolerance_change: jax.Array,
    max_ls: jax.Array,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """A step that satisfies the strong Wolfe conditions; returns loss, gradient, step and evaluations."""

    def trial(t: jax.Array) -> _Point:
        value, grad = evaluate(x + t * d)
        return _Point(t, value, grad, jnp.vdot(grad, d))

    no = jnp.zeros((), bool)
    origin = _Point(jnp.zeros_like(t), f, g, slope)

    def flat_enough(p: _Point) -> jax.Array:
        return jnp.abs(p.slope) <= -c2 * slope

    def bracketing(c: _Search) -> _Search:
        before, here = c.a, c.b
        crossed = (here.f > f + c1 * here.t * slope) | ((c.iterations > 1) & (here.f >= before.f))
        found = ~crossed & flat_enough(here)
        stop = crossed | found | (here.slope >= 0)

        def extend(_: None) -> _Search:
            low, high = here.t + 0.01 * (here.t - before.t), here.t * 10
            point = trial(_cubic_minimum(before, here, low, high))
            return c._replace(a=here, b=point, iterations=c.iterations + 1, evals=c.evals + 1)

        return jax.lax.cond(stop, lambda _: c._replace(stop=stop, found=found), extend, None)

    zero, one = jnp.zeros((), jnp.int32), jnp.ones((), jnp.int32)
    c = _Search(origin, trial(t), zero, one, no, no, no, no)
    c = jax.lax.while_loop(lambda c: ~c.stop & (c.iterations < max_ls), bracketing, c)
    c = c._replace(a=_select(c.iterations >= max_ls, origin, c.a))
    # From here on `a` is the lower end; where the search has ended it is the result.
    lower = (c.a.f <= c.b.f) & ~c.found
    c = c._replace(a=_select(lower, c.a, c.b), b=_select(lower, c.b, c.a), stop=c.found, kept=lower)
    width = jnp.max(jnp.abs(d))

    def wide_enough(c: _Search) -> jax.Array:
        return ~(jnp.abs(c.b.t - c.a.t) * width < tolerance_change)

    def zoom(c: _Search) -> _Search:
        least, most = jnp.minimum(c.a.t, c.b.t), jnp.maximum(c.a.t, c.b.t)
        t = _cubic_minimum(c.a, c.b, least, most)
        # A trial too near an end of the bracket is let pass once, then moved inside by a tenth.
        margin = 0.1 * (most - least)
        near = jnp.minimum(most - t, t - least) < margin
        pushed = near & (c.stalled | (t >= most) | (t <= least))
        inside = jnp.where(jnp.abs(t - most) < jnp.abs(t - least), most - margin, least + margin)
        point = trial(jnp.where(pushed, inside, t))
        worse = (point.f > f + c1 * point.t * slope) | (point.f >= c.a.f)
        found = ~worse & flat_enough(point)
        turned = ~worse & ~found & (point.slope * (c.b.t - c.a.t) >= 0)
        a = _select(worse, c.a, point)
        b = _select(worse, point, _select(turned, c.a, c.b))
        # A trial that fails the first condition may still be lower than the lower end.
        swap = worse & jnp.where(c.kept, b.f < a.f, b.f <= a.f)
        a, b = _select(swap, b, a), _select(swap, a, b)
        return _Search(a, b, c.iterations + 1, c.evals + 1, found, found, near & ~pushed, c.kept ^ swap)

    c = jax.lax.while_loop(lambda c: ~c.stop & (c.iterations < max_ls) & wide_enough(c), zoom, c)
    return c.a.f, c.a.g, c.a.t, c.evals
