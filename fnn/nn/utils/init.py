"""``skip_init``: a Module without the draws of its initialization."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from fnn.nn.init import skipped
from fnn.nn.modules.module import Module

__all__ = ["skip_init"]

M = TypeVar("M", bound=Module)


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
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
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"skip_init: module_cls must be a Module class, got {module_cls!r}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError(f"skip_init: the constructor of {module_cls.__name__} must take a device argument")
    with skipped():
        return module_cls(*args, **kwargs)
