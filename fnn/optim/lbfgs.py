"""L-BFGS with a strong-Wolfe line search, whole and traceable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from fnn.functional.checks import as_int, fail
from fnn.optim._common import check_lr, need_params, rate, start, wide
from fnn.optim.transform import Transform

__all__ = ["LBFGSState", "lbfgs"]


class LBFGSState(NamedTuple):
    """The state of ``lbfgs``; vectors hold all parameters one after the other, histories the oldest pair first.

    ``step`` counts the calls, ``n_iter`` the iterations, ``func_evals`` the evaluations of the loss; ``d`` and ``t`` are
    the last direction and step length, ``old_dirs`` the changes of the gradient, ``old_stps`` those of the
    parameters, ``ro`` one over their products, ``num_old`` how many are kept; ``loss`` is the value at the start of the
    last call.
    """

    step: jax.Array
    func_evals: jax.Array
    n_iter: jax.Array
    d: jax.Array
    t: jax.Array
    old_dirs: jax.Array
    old_stps: jax.Array
    ro: jax.Array
    num_old: jax.Array
    H_diag: jax.Array
    prev_flat_grad: jax.Array
    prev_loss: jax.Array
    loss: jax.Array


class _Iterate(NamedTuple):
    """What the outer loop carries: the point, its loss and gradient, and the counters of this call."""

    x: jax.Array
    loss: jax.Array
    grad: jax.Array
    iterations: jax.Array
    evals: jax.Array
    done: jax.Array
    state: LBFGSState


def lbfgs(
    lr: Any = 1,
    max_iter: int = 20,
    max_eval: int | None = None,
    tolerance_grad: Any = 1e-7,
    tolerance_change: Any = 1e-9,
    history_size: int = 100,
    line_search_fn: str | None = None,
) -> Transform:
    r"""L-BFGS: each call runs up to ``max_iter`` iterations :math:`p \leftarrow p + t d`.

    The direction :math:`d = -H g` comes from the two-loop recursion over the last ``history_size`` pairs of changes of
    parameters and gradient; the step :math:`t` is ``lr``, or found by a search for the strong Wolfe conditions.

    ``update(grads, state, params, *, value_fn)``: ``value_fn(params)`` returns the loss, and is differentiated and
    evaluated as often as needed. ``grads`` are not read and may be ``None``: the value at ``params`` is computed with them.

    Args:
        lr: step length, or first trial of the search: a number, an array or a schedule ``count -> lr``.
        max_iter: most iterations in a call.
        max_eval: most evaluations in a call; ``max_iter * 5 // 4`` if ``None``.
        tolerance_grad: the call ends when no element of the gradient exceeds it.
        tolerance_change: the call ends when loss or parameters change less.
        history_size: pairs that are kept.
        line_search_fn: 'strong_wolfe' or ``None``.

    Returns:
        A ``Transform`` with state ``LBFGSState``.

    Raises:
        ValueError: if a hyperparameter is out of range, or ``value_fn`` is missing at ``update``.
        RuntimeError: if ``line_search_fn`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.LBFGS.html; Nocedal and Wright, Numerical
    Optimization, chapters 3 and 7.

    Example:
        >>> tx, p = lbfgs(line_search_fn="strong_wolfe"), jnp.array([3.0, -2.0])
        >>> updates, state = tx.update(None, tx.init(p), p, value_fn=lambda p: jnp.sum((p - 1) ** 2))
        >>> (p + updates).round(3).tolist()
        [1.0, 1.0]
    """
    check_lr("lbfgs", lr)
    max_iter = as_int("lbfgs", "max_iter", max_iter)
    limit = max_iter * 5 // 4 if max_eval is None else as_int("lbfgs", "max_eval", max_eval)
    history_size = as_int("lbfgs", "history_size", history_size, minimum=1)
    if line_search_fn not in (None, "strong_wolfe"):
        fail(RuntimeError, "lbfgs", "line_search_fn", "None or 'strong_wolfe'", line_search_fn)

    def init(params: Any) -> LBFGSState:
        flat = _flatten(params)[0]
        zero = jnp.zeros((), flat.dtype)
        vector = jnp.zeros_like(flat)
        history = jnp.zeros((history_size, flat.size), flat.dtype)
        return LBFGSState(
            step=start(),
            func_evals=start(),
            n_iter=start(),
            d=vector,
            t=zero,
            old_dirs=history,
            old_stps=jnp.zeros_like(history),
            ro=jnp.zeros(history_size, flat.dtype),
            num_old=start(),
            H_diag=zero + 1,
            prev_flat_grad=jnp.zeros_like(vector),
            prev_loss=zero,
            loss=zero,
        )

    def update(
        grads: Any, state: LBFGSState, params: Any = None, *, value_fn: Callable[[Any], Any] | None = None
    ) -> tuple[Any, LBFGSState]:
        need_params("lbfgs", params)
        if value_fn is None:
            raise ValueError("lbfgs: value_fn must be given: update(grads, state, params, value_fn=loss)")
        x0, unravel = _flatten(params)
        dtype = x0.dtype
        if x0.size == 0:
            return params, state._replace(step=state.step + 1)

        def scalar(value: Any) -> jax.Array:
            return jnp.asarray(value).astype(dtype)

        gamma = scalar(rate(lr, state.step))
        tol_grad, tol_change = scalar(wide(tolerance_grad)), scalar(wide(tolerance_change))

        def evaluate(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            value, slope = jax.value_and_grad(lambda flat: jnp.asarray(value_fn(unravel(flat))).reshape(()))(x)
            return value.astype(dtype), slope

        def iterate(c: _Iterate) -> _Iterate:
            s = _with_direction(c.state, c.grad, history_size)
            first = s.n_iter == 1
            s = s._replace(
                prev_flat_grad=c.grad,
                prev_loss=c.loss,
                t=jnp.where(first, jnp.minimum(1, 1 / jnp.sum(jnp.abs(c.grad))), 1) * gamma,
            )
            iterations = c.iterations + 1
            slope = jnp.vdot(c.grad, s.d)

            def move(_: None) -> _Iterate:
                if line_search_fn is None:
                    x = c.x + s.t * s.d
                    last = iterations == max_iter
                    value, grad = jax.lax.cond(last, lambda: (c.loss, c.grad), lambda: evaluate(x))
                    t, spent = s.t, jnp.where(last, 0, 1).astype(jnp.int32)
                else:
                    value, grad, t, spent = _strong_wolfe(
                        evaluate, c.x, s.t, s.d, c.loss, c.grad, slope, tol_change, limit - c.evals
                    )
                    x = c.x + t * s.d
                evals = c.evals + spent
                done = (iterations == max_iter) | (evals >= limit) | (jnp.max(jnp.abs(grad)) <= tol_grad)
                done |= (jnp.max(jnp.abs(s.d * t)) <= tol_change) | (jnp.abs(value - c.loss) < tol_change)
                return _Iterate(
                    x, value, grad, iterations, evals, done, s._replace(t=t, func_evals=s.func_evals + spent)
                )

            def stop(_: None) -> _Iterate:
                return c._replace(iterations=iterations, done=jnp.ones((), bool), state=s)

            return jax.lax.cond(slope > -tol_change, stop, move, None)

        value, grad = evaluate(x0)
        state = state._replace(step=state.step + 1, func_evals=state.func_evals + 1, loss=value)
        one = jnp.ones((), jnp.int32)
        solved = jnp.max(jnp.abs(grad)) <= tol_grad
        begin = _Iterate(x0, value, grad, jnp.zeros_like(one), one, solved | (max_iter < 1), state)
        end = jax.lax.while_loop(lambda c: ~c.done, iterate, begin)
        return unravel(end.x - x0), end.state

    return Transform(init, update)


def _flatten(params: Any) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    for p in jax.tree.leaves(params):
        if not jnp.issubdtype(jnp.asarray(p).dtype, jnp.floating):
            fail(TypeError, "lbfgs", "params", "of a real floating dtype", p)
    return ravel_pytree(params)


def _with_direction(s: LBFGSState, grad: jax.Array, size: int) -> LBFGSState:
    """The state with the newest pair of changes taken in and the direction of this iteration."""

    def remember(s: LBFGSState) -> LBFGSState:
        y, change = grad - s.prev_flat_grad, s.d * s.t
        product = jnp.vdot(y, change)

        def store(s: LBFGSState) -> LBFGSState:
            full = s.num_old == size
            slot = jnp.minimum(s.num_old, size - 1)

            def push(history: jax.Array, newest: jax.Array) -> jax.Array:
                shifted = jax.lax.cond(full, lambda h: jnp.roll(h, -1, 0), lambda h: h, history)
                return shifted.at[slot].set(newest)

            return s._replace(
                old_dirs=push(s.old_dirs, y),
                old_stps=push(s.old_stps, change),
                ro=push(s.ro, 1 / product),
                num_old=jnp.minimum(s.num_old + 1, size),
                H_diag=product / jnp.vdot(y, y),
            )

        return jax.lax.cond(product > 1e-10, store, lambda s: s, s)

    def quasi_newton(s: LBFGSState) -> LBFGSState:
        s = remember(s)

        def backward(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            q, al = carry
            k = s.num_old - 1 - i
            a = jnp.vdot(s.old_stps[k], q) * s.ro[k]
            return q - a * s.old_dirs[k], al.at[k].set(a)

        q, al = jax.lax.fori_loop(0, s.num_old, backward, (-grad, jnp.zeros(size, grad.dtype)))

        def forward(k: jax.Array, r: jax.Array) -> jax.Array:
            return r + s.old_stps[k] * (al[k] - jnp.vdot(s.old_dirs[k], r) * s.ro[k])

        return s._replace(d=jax.lax.fori_loop(0, s.num_old, forward, q * s.H_diag))

    s = s._replace(n_iter=s.n_iter + 1)
    return jax.lax.cond(s.n_iter == 1, lambda s: s._replace(d=-grad), quasi_newton, s)


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


def _strong_wolfe(
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
