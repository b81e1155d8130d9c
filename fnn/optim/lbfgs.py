"""L-BFGS with a strong-Wolfe line search, whole and traceable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.extend
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from fnn.functional.checks import as_int, fail
from fnn.nn.array_box import to_array
from fnn.nn.lifting.loops import Carried, Undiscovered, finish
from fnn.nn.parameter import Parameter
from fnn.optim._checks import check_lr, need_params
from fnn.optim._explained import explained_rule
from fnn.optim._lbfgs_search import Call, LBFGSState as LBFGSState, Method, Numbers, minimize
from fnn.optim._param_groups import ParamGroup, options
from fnn.optim._scalars import rate, wide
from fnn.optim._slots import SharedState, Slot
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree
from fnn.random.generator import can_draw, count_draws, settle_draws
from fnn.stateful.scopes import Scope, note_part
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import is_eager
from fnn.tensor.row_sparse import RowSparse
from fnn.transforms.backward import value_and_grad

__all__ = ["LBFGS", "LBFGSState", "lbfgs"]


@explained_rule
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

    method = Method(max_iter, limit, history_size, line_search_fn is not None)

    def init(params: PyTree) -> LBFGSState:
        return method.init(_flatten(params)[0])

    def update(
        grads: Any, state: LBFGSState, params: Any = None, *, value_fn: Callable[[Any], Any] | None = None
    ) -> tuple[Any, LBFGSState]:
        need_params("lbfgs", params)
        if value_fn is None:
            raise ValueError("lbfgs: value_fn must be given: update(grads, state, params, value_fn=loss)")
        x, unravel = _flatten(params)
        if x.size == 0:
            return params, state._replace(step=state.step + 1)

        def evaluate(x: jax.Array, carried: Any) -> tuple[jax.Array, jax.Array, tuple[()], Any]:
            return *jax.value_and_grad(lambda flat: jnp.asarray(value_fn(unravel(flat))).reshape(()))(x), (), carried

        numbers = _numbers(x.dtype, state.step, lr, tolerance_grad, tolerance_change)
        end, _, _ = minimize(method, evaluate, x, state, numbers, ())
        return unravel(end.x - x), end.state

    return Transform(init, update)


def _numbers(dtype: Any, step: jax.Array, lr: Any, tolerance_grad: Any, tolerance_change: Any) -> Numbers:
    values = (rate(lr, step), wide(tolerance_grad), wide(tolerance_change))
    return Numbers(*(jnp.asarray(value).astype(dtype) for value in values))


def _flatten(params: PyTree) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    for p in jax.tree.leaves(params):
        if not jnp.issubdtype(jnp.asarray(p).dtype, jnp.floating):
            fail(TypeError, "lbfgs", "params", "of a real floating dtype", p)
    return ravel_pytree(params)


_SIMPLE = ("func_evals", "n_iter", "d", "t", "H_diag", "prev_flat_grad", "prev_loss")
_HISTORIES = ("old_dirs", "old_stps", "ro")


class LBFGS(Optimizer):
    """L-BFGS, with a fixed step or a search for the strong Wolfe conditions; the rule is ``lbfgs``.

    ``step(closure)`` needs a closure that returns the loss; JAX computes its gradients. Outside ``fnn.jit`` the closure
    runs as Python at each evaluation, as in torch; inside, the whole search is one program, which carries what the closure
    writes (a norm's statistics, the draws of a dropout) from each evaluation to the next. The state belongs to all
    parameters together, under the first of them.

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
        name_of = "LBFGS.load_state_dict"
        if not {*named} & {*_SIMPLE, *_HISTORIES}:
            fail(ValueError, name_of, "state_dict", "one of LBFGS, whose state has 'n_iter' and others", [*named])
        example = jax.eval_shape(self._transform(group).init, [p.data for p in group["params"]])
        out: dict[str, Any] = {name: jnp.zeros(v.shape, v.dtype) for name, v in example._asdict().items()}
        kept = {name: named.get(name, ()) for name in _HISTORIES}
        for name, rows in kept.items():
            if not isinstance(rows, list | tuple) or len(rows) != len(kept["ro"]):
                fail(TypeError, name_of, name, "a list of arrays, as many as in the other histories", rows)
        size = min(group["history_size"], len(kept["ro"]))
        for name, rows in kept.items():
            arrays = [to_array(row, f"{name_of}: {name}[{i}]") for i, row in enumerate(rows)][len(rows) - size :]
            expected = out[name].shape[1:]
            for array in arrays:
                if array.shape != expected:
                    raise ValueError(f"{name_of}: {name} must have rows of {expected}, got {array.shape}")
                if jnp.iscomplexobj(array) and not jnp.iscomplexobj(out[name]):
                    fail(TypeError, name_of, name, "of real numbers", array)
            if arrays:
                out[name] = out[name].at[:size].set(jnp.stack(arrays).astype(out[name].dtype))
        out |= {name: named[name] for name in _SIMPLE if name in named}
        return {**out, "num_old": size, "step": 1}

    def _by_layer(self, transform: Transform[Any], parameters: Sequence[Parameter]) -> Transform[Any]:
        return transform  # one vector of all numbers

    # The step

    def _step(self, closure: Callable[[], Any] | None, has_aux: bool) -> Any:
        if closure is None:
            raise TypeError("LBFGS.step: closure must be given, a function that returns the loss")
        if len(self.param_groups) != 1:
            raise AssertionError(f"LBFGS.step: there must be one parameter group, got {len(self.param_groups)}")
        group = self.param_groups[0]
        parameters: list[Parameter] = group["params"]
        self._create_slots(self._transform(group), parameters)
        boxes = self._slots[parameters[0]].shared.boxes
        scope = Scope("LBFGS.step")

        def body() -> tuple[Any, ...]:
            values = [p.data for p in parameters]
            x, unravel = _flatten(values)
            state = LBFGSState(**{name: box.data for name, box in boxes.items()})
            evaluation = _Evaluation(closure, has_aux, parameters, scope, unravel)
            numbers = _numbers(x.dtype, state.step, *(group[k] for k in ("lr", "tolerance_grad", "tolerance_change")))
            method = Method(
                group["max_iter"], group["max_eval"], group["history_size"], group["line_search_fn"] is not None
            )
            # Outside fnn.jit the closure runs as Python at each evaluation, and what is between them is one small program.
            run = _minimize_eagerly if is_eager() else _minimize_traced
            end, results = run(method, evaluation, x, state, numbers)
            count_draws(scope)
            written = [(holder, value) for holder, value in scope.written() if holder.place() not in scope.owned]
            return results, end.state, unravel(end.x), written

        results, state, new, written = scope.run(body)
        for holder, value in written:
            holder.write(value)
        for parameter, value in zip(parameters, new, strict=True):
            parameter.data = value
        for name, value in state._asdict().items():
            boxes[name].data = value
        return results if has_aux else results[0]


class _Evaluation:
    """The closure as a function of all parameters, one after the other in one vector."""

    def __init__(
        self,
        closure: Callable[[], Any],
        has_aux: bool,
        parameters: list[Parameter],
        scope: Scope,
        unravel: Callable[[jax.Array], list[jax.Array]],
    ) -> None:
        self.closure = closure
        self.has_aux = has_aux
        self.parameters = parameters
        self.trained = [p for p in parameters if p.requires_grad]
        self.scope = scope
        self.unravel = unravel

    def run(self, x: jax.Array, scope: Scope | None = None) -> tuple[jax.Array, jax.Array, tuple[Any, Any]]:
        """The loss at a point, its gradient, and what the closure returned."""
        values = self.unravel(x)
        for parameter, value in zip(self.parameters, values, strict=True):
            (scope or self.scope).own(parameter, value)
        loss, aux, grads = value_and_grad("LBFGS.step", self.closure, self.trained, self.has_aux)
        of = dict(zip(map(id, self.trained), grads, strict=True))
        dense = []
        for parameter, value in zip(self.parameters, values, strict=True):
            grad = of.get(id(parameter))
            grad = grad.to_dense() if isinstance(grad, RowSparse) else grad
            dense.append(jnp.zeros_like(value) if grad is None else grad.astype(value.dtype))
        return loss, ravel_pytree(dense)[0].astype(x.dtype), (loss, aux)


_begin = jax.jit(Method.begin, static_argnums=0)
_advance = jax.jit(Method.advance, static_argnums=0)


def _minimize_eagerly(
    method: Method, evaluation: _Evaluation, x: jax.Array, state: LBFGSState, numbers: Numbers
) -> tuple[Call, Any]:
    call, results = _begin(method, x, state), None
    while not call.done:
        loss, grad, more = evaluation.run(call.trial)
        results = more if results is None else results
        call = _advance(method, call, loss, grad, numbers)
    return call, results


def _minimize_traced(
    method: Method, evaluation: _Evaluation, x: jax.Array, state: LBFGSState, numbers: Numbers
) -> tuple[Call, Any]:
    # What the closure writes, statistics of a norm and draws, goes from each evaluation to the next. It is traced until all of
    # that is known, most often once; that trace tells what it returns, and is what the loop then runs.
    settle_draws()
    draws = can_draw()
    carried = Carried("LBFGS.step")
    places = {p.place() for p in evaluation.parameters}

    def run(x: jax.Array, contents: list[Any]) -> tuple[Any, ...]:
        scope = Scope("LBFGS.step")
        scope.may_draw = draws

        def body() -> tuple[Any, ...]:
            carried.open(scope, contents)
            out = evaluation.run(x, scope)
            finish("LBFGS.step", scope, "return it from the closure, with has_aux=True")
            for box in scope.made.values():
                raise RuntimeError(
                    f"LBFGS.step: {box.describe()} would be made within it, once more at each evaluation; make it before, by "
                    "one call outside"
                )
            unknown = carried.unknown(scope, places)
            if unknown:
                raise Undiscovered(unknown)
            return *out, carried.close(scope)

        return scope.run(body)

    while True:
        start = carried.start()
        try:
            traced, shapes = jax.make_jaxpr(run, return_shape=True)(x, start)
            break
        except Undiscovered as found:
            carried.add(found.holders)
    tree = jax.tree.structure(shapes)
    function = jax.extend.core.jaxpr_as_fun(traced)

    def evaluate(x: jax.Array, contents: list[Any]) -> Any:
        return jax.tree.unflatten(tree, function(x, *jax.tree.leaves(contents)))

    extra = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes[2])
    end, results, contents = minimize(method, evaluate, x, state, numbers, extra, start)
    carried.publish(contents)
    return end, results
