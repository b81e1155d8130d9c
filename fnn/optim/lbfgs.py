"""L-BFGS with a strong-Wolfe line search, whole and traceable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from fnn.functional.checks import as_int, fail
from fnn.functional.explained import explained
from fnn.nn.array_box import to_array
from fnn.nn.parameter import Parameter
from fnn.optim._checks import check_lr, need_params
from fnn.optim._param_groups import ParamGroup, options
from fnn.optim._scalars import rate, start, wide
from fnn.optim._slots import SharedState, Slot
from fnn.optim._strong_wolfe import strong_wolfe
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform, apply_updates
from fnn.optim.typing import LearningRate, Number, PyTree
from fnn.random.generator import count_draws
from fnn.stateful.scopes import Scope, note_part
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import is_eager, setting
from fnn.tensor.row_sparse import RowSparse
from fnn.transforms.backward import value_and_grad

__all__ = ["LBFGS", "LBFGSState", "lbfgs"]


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


class _Iterate(NamedTuple):
    """What the outer loop carries: the point, its loss and gradient, and the counters of this call."""

    x: jax.Array
    loss: jax.Array
    grad: jax.Array
    iterations: jax.Array
    evals: jax.Array
    done: jax.Array
    state: LBFGSState


@explained
def lbfgs(
    lr: LearningRate = 1,
    max_iter: int = 20,
    max_eval: int | None = None,
    tolerance_grad: Number = 1e-7,
    tolerance_change: Number = 1e-9,
    history_size: int = 100,
    line_search_fn: str | None = None,
) -> Transform[LBFGSState]:
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

    Shape:
        - updates: as the parameters.
        - ``d``, ``prev_flat_grad``: :math:`(n)`, the number of all their elements.
        - ``old_dirs``, ``old_stps``: :math:`(history_size, n)`.

    Returns:
        A ``Transform`` with state ``LBFGSState``.

    Raises:
        ValueError: if a hyperparameter is out of range, or ``value_fn`` is missing at ``update``.
        RuntimeError: if ``line_search_fn`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.LBFGS.html; Nocedal and Wright, Numerical
    Optimization, chapters 3 and 7.

    Example:
        >>> import jax.numpy as jnp
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

    def init(params: PyTree) -> LBFGSState:
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
            shorter = 1 / jnp.sum(jnp.abs(c.grad))
            s = s._replace(
                prev_flat_grad=c.grad,
                prev_loss=c.loss,
                t=jnp.where(first & (shorter < 1), shorter, 1) * gamma,  # 1 where a component is NaN
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
                    value, grad, t, spent = strong_wolfe(
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


def _flatten(params: PyTree) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
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


class LBFGS(Optimizer):
    """L-BFGS, with a fixed step or a search for the strong Wolfe conditions; the rule is ``lbfgs``.

    ``step(closure)`` needs a closure that returns the loss; JAX computes its gradients. Outside ``fnn.jit`` the closure
    runs as Python at each evaluation, as in torch; inside, the whole search is one program, in which the closure must
    not change buffers or draw random numbers. The state belongs to all parameters together, under the first of them.

    Args:
        params: Parameters, or one group of them.
        lr: step length, or first trial of the search.
        max_iter: most iterations in a step.
        max_eval: most evaluations in a step; ``max_iter * 5 // 4`` if ``None``.
        tolerance_grad: a step ends when no element of the gradient exceeds it.
        tolerance_change: a step ends when loss or parameters change less.
        history_size: pairs of changes that are kept.
        line_search_fn: 'strong_wolfe' or ``None``.

    Raises:
        ValueError: if an option is out of range, or there is more than one group.
        RuntimeError: if ``line_search_fn`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.LBFGS.html; Nocedal and Wright, Numerical
    Optimization, chapters 3 and 7.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.array([3.0, -2.0]))
        >>> loss = LBFGS([p], line_search_fn="strong_wolfe").step(lambda: ((p - 1) ** 2).sum())
        >>> float(loss), p.numpy().round(4).tolist()
        (13.0, [1.0, 1.0])
    """

    _rule = staticmethod(lbfgs)
    _static_options = frozenset({"max_iter", "max_eval", "history_size"})

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: Number = 1e-7,
        tolerance_change: Number = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, options(locals()))
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS: parameter groups are not supported, all parameters share one set of options")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group; L-BFGS has one, made by the constructor, and does not step with more.

        Args:
            param_group: the Parameters under ``params``, and options.

        Raises:
            TypeError: if the group is no dict, or ``params`` holds something else than Parameters.
            ValueError: if a parameter is in the optimizer already.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.LBFGS.html.

        Example:
            >>> import fnn, numpy as np
            >>> optimizer = LBFGS([fnn.nn.Parameter(np.ones(1))])
            >>> optimizer.add_param_group({"params": [fnn.nn.Parameter(np.ones(1))]})
            >>> try:
            ...     optimizer.step(lambda: optimizer.param_groups[0]["params"][0].sum())
            ... except AssertionError:
            ...     print("one group only")
            one group only
        """
        super().add_param_group(param_group)

    # State: one for all parameters, kept with the first

    def _wanting(self, group: ParamGroup) -> list[Parameter]:
        first = self.param_groups[0]["params"][0]
        return [] if first in self._slots or group is not self.param_groups[0] else [first]

    def _covered(self, parameter: Parameter, group: Mapping[str, Any]) -> list[Parameter]:
        return group["params"]

    def _create_slots(self, transform: Transform[Any], parameters: list[Parameter]) -> list[Parameter]:
        group = self.param_groups[0]
        wanting = self._wanting(group)
        if wanting:
            note_part(self, "the state of LBFGS")
            state = transform.init([p.data for p in group["params"]])
            shared = {name: self._state_box(name, value) for name, value in state._asdict().items()}
            self._slots[wanting[0]] = Slot(SharedState(shared), {})
            structure_changed()
        return wanting

    def _export_state(self, named: dict[str, Any]) -> dict[str, Any]:
        kept = LBFGSState(**named)
        out: dict[str, Any] = {"func_evals": int(kept.func_evals), "n_iter": int(kept.n_iter)}
        if not out["n_iter"]:
            return out
        count = int(kept.num_old)
        out["d"], out["t"] = kept.d, float(kept.t)
        for name in ("old_dirs", "old_stps", "ro"):
            out[name] = [named[name][i] for i in range(count)]
        out["H_diag"], out["prev_flat_grad"], out["prev_loss"] = kept.H_diag, kept.prev_flat_grad, float(kept.prev_loss)
        if out["n_iter"] > 1:
            # torch's scratch space, which it expects of a state that has gone beyond the first iteration
            out["al"] = [None] * kept.ro.shape[0]
        return out

    def _import_state(self, named: dict[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
        example = jax.eval_shape(self._transform(group).init, [p.data for p in group["params"]])
        out: dict[str, Any] = {name: jnp.zeros(v.shape, v.dtype) for name, v in example._asdict().items()}
        size = group["history_size"]
        kept = {name: list(named.get(name, ()))[-size:] for name in ("old_dirs", "old_stps", "ro")}
        for name, rows in kept.items():
            if not rows:
                continue
            block = jnp.stack([to_array(row) for row in rows]).astype(out[name].dtype)
            if block.shape[1:] != out[name].shape[1:]:
                expected = out[name].shape[1:]
                raise ValueError(f"LBFGS.load_state_dict: {name} must have rows of {expected}, got {block.shape[1:]}")
            out[name] = out[name].at[: len(rows)].set(block)
        simple = ("func_evals", "n_iter", "d", "t", "H_diag", "prev_flat_grad", "prev_loss")
        out |= {name: to_array(named[name]) for name in simple if name in named}
        return {**out, "num_old": len(kept["ro"]), "step": 1}

    # The step

    def _step(self, closure: Callable[[], Any] | None, has_aux: bool) -> Any:
        if closure is None:
            raise TypeError("LBFGS.step: closure must be given, a function that returns the loss")
        if len(self.param_groups) != 1:
            raise AssertionError(f"LBFGS.step: there must be one parameter group, got {len(self.param_groups)}")
        group = self.param_groups[0]
        parameters: list[Parameter] = group["params"]
        transform = self._transform(group)
        self._create_slots(transform, parameters)
        boxes = self._slots[parameters[0]].shared.boxes
        values = [p.data for p in parameters]
        eager, compiles = is_eager(), not setting("jax_disable_jit")
        scope = Scope("LBFGS.step")

        def body() -> tuple[Any, ...]:
            evaluation = _Evaluation(closure, has_aux, parameters, scope, compiles)
            # Outside fnn.jit the control flow of the search runs in Python, so that no step compiles the closure anew.
            with jax.disable_jit() if eager else nullcontext():
                updates, state = transform.update(
                    None,
                    LBFGSState(**{name: box.data for name, box in boxes.items()}),
                    values,
                    value_fn=evaluation.differentiable(),
                )
                new = apply_updates(values, updates)
            if not evaluation.results:
                evaluation.run(values)
            count_draws(scope)
            written = [(holder, value) for holder, value in scope.written() if holder.place() not in scope.owned]
            return evaluation, state, new, written

        evaluation, state, new, written = scope.run(body)
        for holder, value in written:
            holder.write(value)
        for parameter, value in zip(parameters, new, strict=True):
            parameter.data = value
        for name, value in state._asdict().items():
            boxes[name].data = value
        loss, aux = evaluation.results[0]
        return (loss, aux) if has_aux else loss


class _Evaluation:
    """The closure as a function of the parameters' arrays; ``results`` holds what its first run returned."""

    def __init__(
        self, closure: Callable[[], Any], has_aux: bool, parameters: list[Parameter], scope: Scope, compiles: bool
    ) -> None:
        self.closure = closure
        self.has_aux = has_aux
        self.parameters = parameters
        self.trained = [p for p in parameters if p.requires_grad]
        self.scope = scope
        self.compiles = compiles
        self.results: list[tuple[Any, Any]] = []

    def run(self, values: list[Any]) -> tuple[Any, list[Any]]:
        """The loss at the given parameters, and its gradients."""
        with jax.disable_jit(not self.compiles):
            for parameter, value in zip(self.parameters, values, strict=True):
                self.scope.own(parameter, value)
            loss, aux, grads = value_and_grad("LBFGS.step", self.closure, self.trained, self.has_aux)
            if not self.results:
                self.results.append((loss, aux))
            of = dict(zip(map(id, self.trained), grads, strict=True))
            dense = []
            for parameter, value in zip(self.parameters, values, strict=True):
                grad = of.get(id(parameter))
                grad = grad.to_dense() if isinstance(grad, RowSparse) else grad
                dense.append(jnp.zeros_like(value) if grad is None else grad)
            return loss, dense

    def differentiable(self) -> Callable[[list[Any]], Any]:
        """The loss as a function that JAX differentiates by way of ``run``."""

        @jax.custom_vjp
        def value(values: list[Any]) -> Any:
            return self.run(values)[0]

        value.defvjp(self.run, lambda grads, slope: ([(g * slope).astype(g.dtype) for g in grads],))
        return value
