"""The optimizer object of L-BFGS, whose step evaluates its closure many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp

from fnn.kernels.row_sparse import RowSparse
from fnn.nn.parameter import Parameter, to_array
from fnn.optim._objects_state import Cohort, ParamGroup, Slot
from fnn.optim.lbfgs import LBFGSState, lbfgs
from fnn.optim.optimizer import Optimizer
from fnn.optim.transform import Transform, apply_updates
from fnn.stateful import Scope, is_eager, setting, structure_changed
from fnn.transforms.backward import value_and_grad

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """L-BFGS, with a fixed step or a search for the strong Wolfe conditions (Nocedal and Wright, chapters 3 and 7).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.LBFGS.html.

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
        params: Any,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds the one group that L-BFGS has.

        Raises:
            ValueError: if there is a group already.
        """
        if self.param_groups:
            raise ValueError("LBFGS: parameter groups are not supported, all parameters share one set of options")
        super().add_param_group(param_group)

    # State: one for all parameters, kept with the first

    def _wanting(self, group: ParamGroup) -> list[Parameter]:
        return [] if group["params"][0] in self._slots else group["params"][:1]

    def _covered(self, parameter: Parameter, group: Mapping[str, Any]) -> list[Parameter]:
        return group["params"]

    def _create_slots(self, transform: Transform, parameters: list[Parameter]) -> list[Parameter]:
        group = self.param_groups[0]
        wanting = self._wanting(group)
        if wanting:
            state = transform.init([p.data for p in group["params"]])
            shared = {name: self._state_box(name, value) for name, value in state._asdict().items()}
            self._slots[wanting[0]] = Slot(Cohort(shared), {})
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
        group = self.param_groups[0]
        parameters: list[Parameter] = group["params"]
        transform = self._transform(group)
        self._create_slots(transform, parameters)
        boxes = self._slots[parameters[0]].cohort.shared
        values = [p.data for p in parameters]
        eager, compiles = is_eager(), not setting("jax_disable_jit")
        with Scope("LBFGS.step") as scope:
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
            owned = {id(p) for p in parameters}
            written = [(box, value) for box, value in scope.written() if id(box) not in owned]
        for box, value in [*written, *zip(parameters, new, strict=True)]:
            box.data = value
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
