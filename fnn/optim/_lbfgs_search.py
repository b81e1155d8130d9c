"""L-BFGS evaluation by evaluation: it is told the loss and its gradient at one point, and names the next."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._scalars import start
from fnn.optim._strong_wolfe import Bounds, Point, Search, advance as advance_search, begin as begin_search


class LBFGSState(NamedTuple):
    """The state of ``lbfgs``; vectors hold all parameters one after the other, histories the oldest pair first.

    Args:
        step: calls so far.
        func_evals: evaluations of the loss.
        n_iter: iterations.
        d: the last direction.
        t: the last step length.
        old_dirs: changes of the gradient.
        old_stps: changes of the parameters.
        ro: one over the products of the two.
        num_old: how many of them are kept.
        H_diag: scale of the first approximation of the inverse Hessian.
        prev_flat_grad: gradient of the iteration before.
        prev_loss: loss of the iteration before.
        loss: the value at the start of the last call.
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


class Numbers(NamedTuple):
    """The hyperparameters that may be traced, in the dtype of the parameters.

    Attributes:
        lr: step length, or first trial of the search.
        tolerance_grad: see ``lbfgs``.
        tolerance_change: see ``lbfgs``.
    """

    lr: jax.Array
    tolerance_grad: jax.Array
    tolerance_change: jax.Array


class Call(NamedTuple):
    """What a call keeps between two evaluations.

    Attributes:
        trial: the point that is to be evaluated next.
        x: the point of the iteration.
        loss: the loss there.
        grad: the gradient there.
        slope: the derivative along the direction.
        search: the line search.
        iterations: iterations of this call.
        evals: evaluations of this call.
        done: whether the call has ended, at ``x``.
        state: the state that outlasts the call.
    """

    trial: jax.Array
    x: jax.Array
    loss: jax.Array
    grad: jax.Array
    slope: jax.Array
    search: Search
    iterations: jax.Array
    evals: jax.Array
    done: jax.Array
    state: LBFGSState


class Method(NamedTuple):
    """The options that decide what is compiled. The loss is evaluated at one place in the program, however long the search.

    Attributes:
        max_iter: most iterations in a call.
        max_eval: most evaluations in a call.
        history_size: pairs that are kept.
        searches: whether there is a line search.
    """

    max_iter: int
    max_eval: int
    history_size: int
    searches: bool

    def init(self, flat: jax.Array) -> LBFGSState:
        """The state before the first call."""
        zero = jnp.zeros((), flat.dtype)
        history = jnp.zeros((self.history_size, flat.size), flat.dtype)
        return LBFGSState(
            step=start(),
            func_evals=start(),
            n_iter=start(),
            d=jnp.zeros_like(flat),
            t=zero,
            old_dirs=history,
            old_stps=jnp.zeros_like(history),
            ro=jnp.zeros(self.history_size, flat.dtype),
            num_old=start(),
            H_diag=zero + 1,
            prev_flat_grad=jnp.zeros_like(flat),
            prev_loss=zero,
            loss=zero,
        )

    def begin(self, x: jax.Array, state: LBFGSState) -> Call:
        """A call whose first evaluation is to come, at ``x``."""
        zero, none = jnp.zeros((), x.dtype), jnp.zeros((), jnp.int32)
        grad = jnp.zeros_like(x)
        search = begin_search(Point(zero, zero, grad, zero))
        state = state._replace(step=state.step + 1)
        return Call(x, x, zero, grad, zero, search, none, none, jnp.zeros((), bool), state)

    def advance(self, c: Call, loss: jax.Array, grad: jax.Array, numbers: Numbers) -> Call:
        """Takes in the loss and the gradient at ``c.trial``."""
        loss, first = loss.astype(c.x.dtype), c.evals == 0
        if self.searches:
            c, ready = jax.lax.cond(first, self._open, self._search, c, loss, grad, numbers)
        else:
            c, ready = jax.lax.cond(first, self._open, self._move, c, loss, grad, numbers)
        return jax.lax.cond(ready & ~c.done, self._iterate, lambda c, _: c, c, numbers)

    def _open(self, c: Call, loss: jax.Array, grad: jax.Array, numbers: Numbers) -> tuple[Call, jax.Array]:
        """The first evaluation of a call."""
        yes = jnp.ones((), bool)
        done = (jnp.max(jnp.abs(grad), initial=0) <= numbers.tolerance_grad) | (self.max_iter < 1)
        state = c.state._replace(func_evals=c.state.func_evals + 1, loss=loss)
        return c._replace(loss=loss, grad=grad, evals=c.evals + 1, done=done, state=state), yes

    def _move(self, c: Call, loss: jax.Array, grad: jax.Array, numbers: Numbers) -> tuple[Call, jax.Array]:
        """The evaluation after a step of fixed length."""
        one = jnp.ones((), jnp.int32)
        return self._arrive(c, Point(c.state.t, loss, grad, c.slope), one, numbers), jnp.ones((), bool)

    def _search(self, c: Call, loss: jax.Array, grad: jax.Array, numbers: Numbers) -> tuple[Call, jax.Array]:
        """A trial of the line search."""
        d, zero = c.state.d, jnp.zeros_like(c.loss)
        point = Point(c.state.t, loss, grad, jnp.vdot(grad, d))
        origin = Point(zero, c.loss, c.grad, c.slope)
        bounds = Bounds(origin, jnp.max(jnp.abs(d), initial=0), numbers.tolerance_change, self.max_eval - c.evals)
        search, t, ended = advance_search(c.search, point, bounds)

        def further(c: Call) -> Call:
            return c._replace(search=search, trial=c.x + t * d, state=c.state._replace(t=t))

        def arrive(c: Call) -> Call:
            return self._arrive(c, search.a, search.evals, numbers)

        return jax.lax.cond(ended, arrive, further, c), ended

    def _arrive(self, c: Call, to: Point, spent: jax.Array, numbers: Numbers) -> Call:
        """The end of an iteration."""
        evals, d = c.evals + spent, c.state.d
        done = (c.iterations == self.max_iter) | (evals >= self.max_eval)
        done |= jnp.max(jnp.abs(to.g), initial=0) <= numbers.tolerance_grad
        done |= jnp.max(jnp.abs(d * to.t), initial=0) <= numbers.tolerance_change
        done |= jnp.abs(to.f - c.loss) < numbers.tolerance_change
        state = c.state._replace(t=to.t, func_evals=c.state.func_evals + spent)
        return c._replace(x=c.x + to.t * d, loss=to.f, grad=to.g, evals=evals, done=done, state=state)

    def _iterate(self, c: Call, numbers: Numbers) -> Call:
        """The beginning of an iteration: direction, first trial, or the end if nothing is to be won."""
        s = _with_direction(c.state, c.grad, self.history_size)
        shorter = 1 / jnp.sum(jnp.abs(c.grad))
        t = jnp.where((s.n_iter == 1) & (shorter < 1), shorter, 1) * numbers.lr  # 1 where a component is NaN
        s = s._replace(prev_flat_grad=c.grad, prev_loss=c.loss, t=t)
        slope, trial, iterations = jnp.vdot(c.grad, s.d), c.x + t * s.d, c.iterations + 1
        stop = slope > -numbers.tolerance_change
        c = c._replace(iterations=iterations, slope=slope, trial=trial, state=s, done=stop)
        if self.searches:
            return c._replace(search=begin_search(Point(jnp.zeros_like(t), c.loss, c.grad, slope)))
        # As in torch the last step is made without an evaluation behind it.
        last = iterations == self.max_iter
        return c._replace(x=jnp.where(last & ~stop, trial, c.x), done=stop | last)


def minimize(
    method: Method, evaluate: Any, x: jax.Array, state: LBFGSState, numbers: Numbers, extra: Any, carried: Any = ()
) -> tuple[Call, Any, Any]:
    """A whole call as one loop around one evaluation.

    Args:
        method: the options.
        evaluate: of a point and what is carried; returns the loss, the gradient, more, and what is carried on.
        x: the point to begin at.
        state: the state.
        numbers: the hyperparameters.
        extra: arrays like what ``evaluate`` returns as third.
        carried: what the first evaluation is given.

    Returns:
        the call at its end, what the first evaluation returned as third, and what the last one carried on.
    """

    def step(carry: tuple[Call, Any, Any]) -> tuple[Call, Any, Any]:
        c, extra, carried = carry
        loss, grad, more, carried = evaluate(c.trial, carried)
        first = c.evals == 0
        extra = jax.tree.map(lambda old, new: jnp.where(first, new, old), extra, more)
        return method.advance(c, loss, grad, numbers), extra, carried

    return jax.lax.while_loop(lambda carry: ~carry[0].done, step, (method.begin(x, state), extra, carried))


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
