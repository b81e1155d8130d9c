"""Checks of hyperparameters."""

from __future__ import annotations

import math
import numbers
from typing import Any

import jax
import numpy as np

from fnn.functional.arrays import known
from fnn.functional.checks import fail
from fnn.stateful.boxes import Box

_INF = math.inf


def check_number(
    function: str,
    argument: str,
    value: Any,
    minimum: float = -_INF,
    maximum: float = _INF,
    *,
    below: float = _INF,
    above: float = -_INF,
) -> None:
    """Raises ValueError unless a concrete hyperparameter is one number in range; tracers and schedules pass.

    ``minimum`` and ``maximum`` belong to the range, ``below`` and ``above`` do not.
    """
    if callable(value):
        return
    bounds = [f"at least {minimum}"] if minimum > -_INF else []
    bounds += [f"at most {maximum}"] if maximum < _INF else []
    bounds += [f"above {above}"] if above > -_INF else []
    bounds += [f"below {below}"] if below < _INF else []
    expected = "a number " + " and ".join(bounds)
    if value is None or isinstance(value, str | bytes | list | tuple | dict):
        fail(TypeError, function, argument, expected, value)
    values = known(value)
    if values is None:
        return
    if values.size != 1:
        fail(ValueError, function, argument, expected, value)
    number = float(values.reshape(()))
    inside = minimum <= number <= maximum
    # NaN is in no range.
    if not (inside and (below == _INF or number < below) and (above == -_INF or number > above)):
        fail(ValueError, function, argument, expected, number)


def check_divisor(function: str, argument: str, value: Any) -> None:
    """Raises ValueError of a concrete number that is 0, where it would be divided by."""
    if (
        isinstance(value, numbers.Real | Box | jax.Array | np.ndarray | np.generic)
        and (held := known(value)) is not None
    ):
        if held.size == 1 and held.item() == 0:
            fail(ValueError, function, argument, "different from 0", value)


def check_lr(function: str, lr: Any) -> None:
    """Raises ValueError unless the learning rate is at least 0, an array of one number, or a schedule."""
    check_number(function, "lr", lr, minimum=0)


def check_betas(function: str, betas: Any) -> None:
    """Raises ValueError unless there are two betas, each in [0, 1)."""
    check_tuple(function, "betas", betas, 2)
    for i, beta in enumerate(betas):
        check_number(function, f"betas[{i}]", beta, minimum=0, below=1)


def check_tuple(function: str, argument: str, value: Any, length: int) -> None:
    """Raises ValueError unless the value is a sequence of that many items."""
    try:
        right = len(value) == length
    except TypeError:
        right = False
    if not right:
        fail(ValueError, function, argument, f"{length} numbers", value)


def check_minimums(function: str, **values: Any) -> None:
    """Raises ValueError unless each hyperparameter is at least 0."""
    for argument, value in values.items():
        check_number(function, argument, value, minimum=0)


def need_params(function: str, params: Any) -> None:
    """Raises ValueError if the rule was called without the parameters that it reads."""
    if params is None:
        raise ValueError(f"{function}: params must be given: update(grads, state, params)")
