"""Types of what optimizers and schedules are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
from jax.typing import ArrayLike

__all__ = ["LearningRate", "Number", "PyTree", "Schedule"]

# A pytree of arrays: what it is made of is the user's choice, and Python's types cannot name it.
PyTree: TypeAlias = Any
# A hyperparameter: a Python number, or an array of one number, traced or not.
Number: TypeAlias = float | jax.Array
# What the functions of ``fnn.optim.schedule`` return: count to value.
Schedule: TypeAlias = Callable[[Number], Number]
# What ``lr`` may be; a schedule is called with the count of updates so far.
LearningRate: TypeAlias = Number | Callable[[jax.Array], ArrayLike]
