"""Schedulers that multiply the rates by the user's functions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from fnn.functional.checks import fail
from fnn.functional.explained import is_number
from fnn.optim.lr_scheduler.scheduler import LRScheduler, callable_key, callable_state, check_optimizer, per_group
from fnn.optim.optimizer import Optimizer
from fnn.optim.typing import Number
from fnn.stateful.structure import structure_changed

__all__ = ["LambdaLR", "MultiplicativeLR"]

Factor = Callable[[Any], Any]


class _ByFunction(LRScheduler):
    """A scheduler by the user's functions; ``state_dict`` has the attributes of callable objects only."""

    lr_lambdas: list[Factor]

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        self.lr_lambdas = per_group(self, "lr_lambda", optimizer, lr_lambda)
        for function in self.lr_lambdas:
            if not callable(function):
                fail(TypeError, type(self).__name__, "lr_lambda", "a function", function)
        super().__init__(optimizer, last_epoch)

    def _factors(self) -> list[Any]:
        factors = [function(self.last_epoch) for function in self.lr_lambdas]
        for factor in factors:
            if not is_number(factor):
                fail(TypeError, type(self).__name__, "lr_lambda", "a function that returns a number", factor)
        return factors

    def state_dict(self) -> dict[str, Any]:
        """Every attribute but the optimizer; of the functions, only what objects with ``__call__`` hold."""
        state = super().state_dict()
        del state["lr_lambdas"]
        return {**state, "lr_lambdas": [callable_state(f) for f in self.lr_lambdas]}

    def _check_state(self, function: str, state_dict: Any) -> None:
        super()._check_state(function, state_dict)
        attributes, count = state_dict.get("lr_lambdas"), len(self.lr_lambdas)
        right = isinstance(attributes, list | tuple) and len(attributes) == count
        if not right or not all(a is None or isinstance(a, dict) for a in attributes):
            expected = f"a dict with 'lr_lambdas', a list of {count}, each None or a dict"
            fail(ValueError, function, "state_dict", expected, state_dict)

    def _take_state(self, state_dict: Mapping[str, Any]) -> None:
        super()._take_state({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for function, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                function.__dict__.update(attributes)
        structure_changed()

    def _stateful_key_(self) -> Hashable:
        return super()._stateful_key_(), tuple(callable_key(f) for f in self.lr_lambdas)


class LambdaLR(_ByFunction):
    """Sets each rate to the initial one times ``lr_lambda(epoch)``.

    Args:
        optimizer: the optimizer.
        lr_lambda: the factor of an epoch, or a list of one such function a group. Under ``fnn.jit`` the epoch is traced.
        last_epoch: the epoch to resume after.

    Raises:
        ValueError: if the list has not one function a group.
        TypeError: if one is not callable, or does not return a number.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LambdaLR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
        >>> LambdaLR(sgd, lr_lambda=lambda epoch: 1 / (2 + epoch)).get_last_lr()
        [0.25]
    """

    def get_lr(self) -> list[Number]:
        """The initial rates times the factor of the epoch.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        return [base * f for f, base in zip(self._factors(), self.base_lrs, strict=True)]


class MultiplicativeLR(_ByFunction):
    """Multiplies each rate by ``lr_lambda(epoch)`` at every step.

    Args:
        optimizer: the optimizer.
        lr_lambda: the factor of an epoch, or a list of one such function a group. Under ``fnn.jit`` the epoch is traced.
        last_epoch: the epoch to resume after.

    Raises:
        ValueError: if the list has not one function a group.
        TypeError: if one is not callable, or does not return a number.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.MultiplicativeLR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
        >>> scheduler = MultiplicativeLR(sgd, lr_lambda=lambda epoch: 0.5)
        >>> sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    def get_lr(self) -> list[Number]:
        """The rates times the factor of the epoch.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        if self._is_initial:
            return self._rates()
        return [rate * f for f, rate in zip(self._factors(), self._rates(), strict=True)]
