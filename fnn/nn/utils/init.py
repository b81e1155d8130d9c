"""``skip_init``: a Module without the draws of its initialization."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from fnn.functional.explained import explained
from fnn.nn.init.filling import skipped
from fnn.nn.modules.module import Module

__all__ = ["skip_init"]

M = TypeVar("M", bound=Module)
P = ParamSpec("P")


@explained
def skip_init(module_cls: Callable[P, M], *args: P.args, **kwargs: P.kwargs) -> M:
    """Constructs a Module whose initializers leave the parameters as they were allocated and draw no random number.

    Args:
        module_cls: the class, whose constructor takes ``device``.
        *args: arguments of the constructor.
        **kwargs: keyword arguments of the constructor.

    Returns:
        the Module, its parameters not initialized.

    Raises:
        RuntimeError: if ``module_cls`` is no Module class or its constructor takes no ``device``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.skip_init.html

    Example:
        >>> import fnn
        >>> skip_init(fnn.nn.Linear, 5, 1).weight.shape
        (1, 5)
    """
    kind: Any = module_cls
    if not (isinstance(kind, type) and issubclass(kind, Module)):
        raise RuntimeError(f"skip_init: module_cls must be a Module class, got {module_cls!r}")
    if "device" not in inspect.signature(kind).parameters:
        raise RuntimeError(f"skip_init: the constructor of {kind.__name__} must take a device argument")
    with skipped():
        return module_cls(*args, **kwargs)
