"""An optimizer's parameters and state, exchanged for others for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fnn.nn.parameter import Parameter
from fnn.optim._param_groups import ParamGroup, WatchedList, plain_option
from fnn.optim.optimizer import Optimizer
from fnn.stateful.structure import structure_changed

_NAME = "swap_in_optimizer_params_and_state"


@contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Optimizer, swapin_parameters: Mapping[str, Parameter], swapin_optim_state: Mapping[str, Any]
) -> Iterator[None]:
    """Within it, an optimizer has other parameters, state and options; then its own again.

    Unlike ``load_state_dict`` it puts in the parameters too. What steps within it do to the state is lost with it, unless it
    is read there by ``optimizer.state_dict()``.

    Args:
        optimizer: an optimizer that has made a step.
        swapin_parameters: as many Parameters as it has, in its order; their names are not looked at.
        swapin_optim_state: what ``state_dict`` of an optimizer with the same groups returned.

    Returns:
        a context manager.

    Raises:
        RuntimeError: if the optimizer has made no step, or the state or the parameters do not fit it.
        TypeError: if a value of ``swapin_parameters`` is no Parameter.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.swap_in_optimizer_params_and_state.html.

    Example:
        >>> import fnn, numpy as np
        >>> p, other = fnn.nn.Parameter(np.ones(1)), fnn.nn.Parameter(np.ones(1))
        >>> optimizer = fnn.optim.SGD([p], lr=0.5, momentum=0.5)
        >>> _ = optimizer.step(lambda: p.sum())
        >>> with swap_in_optimizer_params_and_state(optimizer, {"p": other}, optimizer.state_dict()):
        ...     _ = optimizer.step(lambda: other.sum())
        >>> p.tolist(), other.tolist()
        ([0.5], [0.25])
    """
    if not optimizer.state:
        raise RuntimeError(f"{_NAME}: the optimizer must have state, got one that has made no step")
    state, saved = _parts(swapin_optim_state)
    if len(saved) != len(optimizer.param_groups):
        raise RuntimeError(
            f"{_NAME}: the state must have as many parameter groups as the optimizer ({len(optimizer.param_groups)}), got "
            f"{len(saved)}"
        )
    given = iter(swapin_parameters.values())
    groups: list[ParamGroup] = []
    parameters: dict[Any, Parameter] = {}
    for i, (group, new) in enumerate(zip(optimizer.param_groups, saved, strict=True)):
        numbers = _numbers(i, group, new)
        members = [value for _, value in zip(numbers, given, strict=False)]
        if len(members) < len(numbers):
            raise RuntimeError(
                f"{_NAME}: swapin_parameters must be as many as the optimizer's, got {len(swapin_parameters)}"
            )
        for member in members:
            if not isinstance(member, Parameter):
                raise TypeError(f"{_NAME}: swapin_parameters must be Parameters, got {type(member).__name__}")
        parameters.update(zip(numbers, members, strict=True))
        groups.append(ParamGroup({key: plain_option(value) for key, value in new.items() if key != "params"}))
        dict.__setitem__(groups[-1], "params", WatchedList(members))
    extra = [key for key in state if key not in parameters]
    if extra:
        raise RuntimeError(f"{_NAME}: the state must be of parameters in a group, got that of {extra!r} too")
    slots = optimizer._load_slots(_NAME, state, parameters, groups)
    restore = optimizer._stateful_snapshot_()
    try:
        for group, new in zip(optimizer.param_groups, groups, strict=True):
            dict.clear(group)
            dict.update(group, new)
        optimizer._slots = slots
        structure_changed()
        yield
    finally:
        restore()


def _parts(given: Any) -> tuple[Mapping[Any, Any], Sequence[Any]]:
    if not isinstance(given, Mapping):
        raise RuntimeError(
            f"{_NAME}: swapin_optim_state must be a state_dict of an optimizer, got {type(given).__name__}"
        )
    state, groups = given.get("state"), given.get("param_groups")
    if not isinstance(state, Mapping) or not all(isinstance(v, Mapping) for v in state.values()):
        raise RuntimeError(f"{_NAME}: swapin_optim_state['state'] must be a dict of dicts by number, got {state!r:.80}")
    if not isinstance(groups, list):
        raise RuntimeError(f"{_NAME}: swapin_optim_state['param_groups'] must be a list, got {type(groups).__name__}")
    return state, groups


def _numbers(i: int, group: ParamGroup, new: Any) -> list[int]:
    numbers = new.get("params") if isinstance(new, Mapping) else None
    if not isinstance(numbers, list) or not all(isinstance(number, int) for number in numbers):
        raise RuntimeError(
            f"{_NAME}: group {i} of the state must be a dict with the parameters' numbers under 'params'"
        )
    if len(numbers) != len(group["params"]):
        raise RuntimeError(
            f"{_NAME}: group {i} of the state must have as many parameters as the optimizer's ({len(group['params'])}), got "
            f"{len(numbers)}"
        )
    if set(new) != set(group):
        raise RuntimeError(
            f"{_NAME}: group {i} of the state must have the options of the optimizer's, {sorted(group)}, got {sorted(new)}"
        )
    return numbers
