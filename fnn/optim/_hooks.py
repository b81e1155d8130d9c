"""Hooks of optimizers: functions that run before or after a step, or the saving and loading of the state."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from fnn.functional.explained import explained
from fnn.nn.modules.hooks import RemovableHandle, add_hook

if TYPE_CHECKING:
    from fnn.optim.optimizer import Optimizer

# What a step is called with.
StepArguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]

before_every_step: OrderedDict[int, Any] = OrderedDict()
after_every_step: OrderedDict[int, Any] = OrderedDict()


@explained
def register_optimizer_step_pre_hook(
    hook: Callable[[Optimizer, tuple[Any, ...], dict[str, Any]], StepArguments | None],
) -> RemovableHandle:
    """Registers a function to run before the step of every optimizer.

    Args:
        hook: ``hook(optimizer, args, kwargs)``; it may return new arguments of the step, ``(args, kwargs)``.

    Returns:
        A handle whose ``remove()`` takes the hook away.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.register_step_pre_hook.html.

    Example:
        >>> import fnn, numpy as np
        >>> with register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: print("before")):
        ...     fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))]).step()
        before
    """
    return add_hook(before_every_step, hook)


@explained
def register_optimizer_step_post_hook(
    hook: Callable[[Optimizer, tuple[Any, ...], dict[str, Any]], None],
) -> RemovableHandle:
    """Registers a function to run after the step of every optimizer.

    Args:
        hook: ``hook(optimizer, args, kwargs)``.

    Returns:
        A handle whose ``remove()`` takes the hook away.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.register_step_post_hook.html.

    Example:
        >>> import fnn, numpy as np
        >>> with register_optimizer_step_post_hook(lambda optimizer, args, kwargs: print("after")):
        ...     fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))]).step()
        after
    """
    return add_hook(after_every_step, hook)


class Hooks:
    """The registries of one optimizer, and the methods that fill them."""

    def _start_hooks(self) -> None:
        self._pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._state_dict_hooks: dict[str, OrderedDict[int, Any]] = {
            kind: OrderedDict() for kind in ("state_pre", "state_post", "load_pre", "load_post")
        }

    @explained
    def register_step_pre_hook(
        self, hook: Callable[[Self, tuple[Any, ...], dict[str, Any]], StepArguments | None]
    ) -> RemovableHandle:
        """Registers a function to run before each step.

        Args:
            hook: ``hook(optimizer, args, kwargs)``; it may return new arguments of the step, ``(args, kwargs)``.

        Returns:
            A handle whose ``remove()`` takes the hook away.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.register_step_pre_hook.html.

        Example:
            >>> import fnn, numpy as np
            >>> optimizer = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))])
            >>> _ = optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: print("before"))
            >>> optimizer.step()
            before
        """
        return add_hook(self._pre_hooks, hook)

    @explained
    def register_step_post_hook(self, hook: Callable[[Self, tuple[Any, ...], dict[str, Any]], None]) -> RemovableHandle:
        """Registers a function to run after each step.

        Args:
            hook: ``hook(optimizer, args, kwargs)``.

        Returns:
            A handle whose ``remove()`` takes the hook away.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.register_step_post_hook.html.

        Example:
            >>> import fnn, numpy as np
            >>> optimizer = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))])
            >>> _ = optimizer.register_step_post_hook(lambda optimizer, args, kwargs: print("after"))
            >>> optimizer.step()
            after
        """
        return add_hook(self._post_hooks, hook)

    @explained
    def register_state_dict_pre_hook(self, hook: Callable[[Self], None], prepend: bool = False) -> RemovableHandle:
        """Registers a function to run before ``state_dict``.

        Args:
            hook: ``hook(optimizer)``.
            prepend: whether it runs before those registered so far.

        Returns:
            A handle whose ``remove()`` takes the hook away.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.register_state_dict_pre_hook.html.

        Example:
            >>> import fnn, numpy as np
            >>> optimizer = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))])
            >>> _ = optimizer.register_state_dict_pre_hook(lambda optimizer: print("before"))
            >>> _ = optimizer.state_dict()
            before
        """
        return add_hook(self._state_dict_hooks["state_pre"], hook, prepend)

    @explained
    def register_state_dict_post_hook(
        self, hook: Callable[[Self, dict[str, Any]], dict[str, Any] | None], prepend: bool = False
    ) -> RemovableHandle:
        """Registers a function to run after ``state_dict``.

        Args:
            hook: ``hook(optimizer, state_dict)``; it may return another dict.
            prepend: whether it runs before those registered so far.

        Returns:
            A handle whose ``remove()`` takes the hook away.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.register_state_dict_post_hook.html.

        Example:
            >>> import fnn, numpy as np
            >>> optimizer = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))])
            >>> _ = optimizer.register_state_dict_post_hook(lambda optimizer, state: {**state, "version": 2})
            >>> optimizer.state_dict()["version"]
            2
        """
        return add_hook(self._state_dict_hooks["state_post"], hook, prepend)

    @explained
    def register_load_state_dict_pre_hook(
        self, hook: Callable[[Self, dict[str, Any]], dict[str, Any] | None], prepend: bool = False
    ) -> RemovableHandle:
        """Registers a function to run before ``load_state_dict``.

        Args:
            hook: ``hook(optimizer, state_dict)``; it may return another dict.
            prepend: whether it runs before those registered so far.

        Returns:
            A handle whose ``remove()`` takes the hook away.

        Source:
            https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.register_load_state_dict_pre_hook.html.

        Example:
            >>> import fnn, numpy as np
            >>> optimizer = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))])
            >>> _ = optimizer.register_load_state_dict_pre_hook(lambda optimizer, state: print(sorted(state)))
            >>> optimizer.load_state_dict(optimizer.state_dict())
            ['param_groups', 'state']
        """
        return add_hook(self._state_dict_hooks["load_pre"], hook, prepend)

    @explained
    def register_load_state_dict_post_hook(
        self, hook: Callable[[Self], None], prepend: bool = False
    ) -> RemovableHandle:
        """Registers a function to run after ``load_state_dict``.

        Args:
            hook: ``hook(optimizer)``.
            prepend: whether it runs before those registered so far.

        Returns:
            A handle whose ``remove()`` takes the hook away.

        Source:
            https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.register_load_state_dict_post_hook.html.

        Example:
            >>> import fnn, numpy as np
            >>> optimizer = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))])
            >>> _ = optimizer.register_load_state_dict_post_hook(lambda optimizer: print("loaded"))
            >>> optimizer.load_state_dict(optimizer.state_dict())
            loaded
        """
        return add_hook(self._state_dict_hooks["load_post"], hook, prepend)
