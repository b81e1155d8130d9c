"""A line search for the strong Wolfe conditions, trial by trial: it is told the loss at one step and names the next to try."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Point(NamedTuple):
    """A trial step ``t`` with the loss, the gradient and the directional derivative there."""

    t: jax.Array
    f: jax.Array
    g: jax.Array
    slope: jax.Array


class Search(NamedTuple):
    """What a search keeps between two trials; ``a`` and ``b`` end as the bracket, the lower end first.

    Attributes:
        a: one end; where the search has ended, the result.
        b: the other end.
        iterations: trials after the first.
        evals: trials.
        zooming: whether there is a bracket, which is being narrowed.
        found: whether ``a`` satisfies the conditions.
        stalled: whether the last trial was let pass too near an end of the bracket.
        kept: whether the lower end is the older of the two places, which wins a tie.
    """

    a: Point
    b: Point
    iterations: jax.Array
    evals: jax.Array
    zooming: jax.Array
    found: jax.Array
    stalled: jax.Array
    kept: jax.Array


class Bounds(NamedTuple):
    """What stays the same in a search.

    Attributes:
        origin: the point at which it begins.
        width: the largest component of the direction.
        tolerance_change: the search ends when the parameters would change less.
        most: how many iterations it may take.
    """

    origin: Point
    width: jax.Array
    tolerance_change: jax.Array
    most: jax.Array


_C1, _C2 = 1e-4, 0.9


def begin(origin: Point) -> Search:
    """A search of which no trial has been made."""
    no, zero = jnp.zeros((), bool), jnp.zeros((), jnp.int32)
    return Search(origin, origin, zero - 1, zero, no, no, no, no)


def advance(s: Search, point: Point, bounds: Bounds) -> tuple[Search, jax.Array, jax.Array]:
    """Takes in a trial; returns the search, the next step to try, and whether the search has ended, with ``a``."""
    s = s._replace(iterations=s.iterations + 1, evals=s.evals + 1)
    return jax.lax.cond(s.zooming, _narrow, _bracket, s, point, bounds)


def _select(condition: jax.Array, a: Point, b: Point) -> Point:
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)


def _too_high(p: Point, bounds: Bounds) -> jax.Array:
    return p.f > bounds.origin.f + _C1 * p.t * bounds.origin.slope


def _flat_enough(p: Point, bounds: Bounds) -> jax.Array:
    return jnp.abs(p.slope) <= -_C2 * bounds.origin.slope


def _cubic_minimum(a: Point, b: Point, low: jax.Array, high: jax.Array) -> jax.Array:
    """Where the cubic through two points and slopes is least, kept within the bounds; their middle if it has no minimum."""
    left, right = _select(a.t <= b.t, a, b), _select(a.t <= b.t, b, a)
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    d2 = jnp.sqrt(jnp.where(square >= 0, square, 0))
    at = right.t - (right.t - left.t) * ((right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2))
    return jnp.where(square >= 0, jnp.clip(at, low, high), (low + high) / 2)


def _bracket(s: Search, here: Point, bounds: Bounds) -> tuple[Search, jax.Array, jax.Array]:
    """Goes further until a step is too far, or satisfies the conditions."""
    before = s.b
    more = s.iterations < bounds.most
    crossed = _too_high(here, bounds) | ((s.iterations > 1) & (here.f >= before.f))
    found = more & ~crossed & _flat_enough(here, bounds)
    extends = more & ~crossed & ~found & ~(here.slope >= 0)

    def extend(_: None) -> tuple[Search, jax.Array, jax.Array]:
        low, high = here.t + 0.01 * (here.t - before.t), here.t * 10
        return s._replace(a=before, b=here), _cubic_minimum(before, here, low, high), jnp.zeros((), bool)

    def close(_: None) -> tuple[Search, jax.Array, jax.Array]:
        start = _select(more, before, bounds.origin)
        lower = (start.f <= here.f) & ~found
        a, b = _select(lower, start, here), _select(lower, here, start)
        return _next_inside(s._replace(a=a, b=b, zooming=jnp.ones((), bool), found=found, kept=lower), bounds)

    return jax.lax.cond(extends, extend, close, None)


def _narrow(s: Search, point: Point, bounds: Bounds) -> tuple[Search, jax.Array, jax.Array]:
    """Replaces an end of the bracket by a trial inside it."""
    worse = _too_high(point, bounds) | (point.f >= s.a.f)
    found = ~worse & _flat_enough(point, bounds)
    turned = ~worse & ~found & (point.slope * (s.b.t - s.a.t) >= 0)
    a = _select(worse, s.a, point)
    b = _select(worse, point, _select(turned, s.a, s.b))
    # A trial that fails the first condition may still be lower than the lower end.
    swap = worse & jnp.where(s.kept, b.f < a.f, b.f <= a.f)
    a, b = _select(swap, b, a), _select(swap, a, b)
    return _next_inside(s._replace(a=a, b=b, found=found, kept=s.kept ^ swap), bounds)


def _next_inside(s: Search, bounds: Bounds) -> tuple[Search, jax.Array, jax.Array]:
    """The next trial inside the bracket, if there is to be one."""
    ended = s.found | (s.iterations >= bounds.most)
    ended |= jnp.abs(s.b.t - s.a.t) * bounds.width < bounds.tolerance_change
    least, most = jnp.minimum(s.a.t, s.b.t), jnp.maximum(s.a.t, s.b.t)
    t = _cubic_minimum(s.a, s.b, least, most)
    # A trial too near an end of the bracket is let pass once, then moved inside by a tenth.
    margin = 0.1 * (most - least)
    near = jnp.minimum(most - t, t - least) < margin
    pushed = near & (s.stalled | (t >= most) | (t <= least))
    inside = jnp.where(jnp.abs(t - most) < jnp.abs(t - least), most - margin, least + margin)
    return s._replace(stalled=near & ~pushed), jnp.where(pushed, inside, t), ended
