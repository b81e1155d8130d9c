"""``state_dict`` and ``load_state_dict``: the half of ``Module`` that gives and takes its arrays by name."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from fnn.functional.checks import fail
from fnn.functional.explained import explained
from fnn.nn.array_box import ArrayBox, to_array
from fnn.nn.modules.hooks import RemovableHandle, add_hook
from fnn.nn.modules.nearest_keys import suggestion
from fnn.nn.parameter import Buffer, Parameter, is_lazy
from fnn.nn.placement import beside
from fnn.stateful.protocol import Stateful
from fnn.stateful.scopes import current_scopes
from fnn.stateful.structure import structure_changed
from fnn.tensor.promotion import cast

__all__ = ["HasStateDict"]


class _IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` did not match: keys the module wants and did not get, and keys it does not know."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    __str__ = __repr__


def fitted(key: str, value: Any, shape: tuple[int, ...], dtype: Any, error_msgs: list[str]) -> jax.Array | None:
    """A value of a state dict as the array that goes into a place; ``None``, with what is wrong noted, if it does not fit.

    Args:
        key: its name.
        value: the value.
        shape: the shape of the place; one number may be given with an axis of length 1.
        dtype: that to which it is cast, or ``None`` to keep its own.
        error_msgs: what is wrong is added to these.
    """
    try:
        array = to_array(value, key)
        if array.shape == (1,) and shape == ():
            array = array.reshape(())
        if array.shape != shape:
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape {tuple(array.shape)} from checkpoint, the shape in "
                f"current model is {tuple(shape)}."
            )
            return None
        return array if dtype is None else cast(key, array, dtype)
    except TypeError:
        kind = type(value).__name__
        error_msgs.append(f'While copying the parameter named "{key}", expected an array, got {kind}')
    except (OverflowError, ValueError) as error:
        error_msgs.append(f"While copying the parameter named {error}")
    return None


class HasStateDict(Stateful):
    """What ``Module`` has for saving and loading; it relies on the registries that ``Module`` makes."""

    _version: int = 1
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Buffer | None]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]]

    if TYPE_CHECKING:

        def modules(self) -> Iterator[HasStateDict]: ...

    def get_extra_state(self) -> Any:
        """Extra state for the ``state_dict``; a subclass that has some overrides this and ``set_extra_state``."""
        raise RuntimeError(f"{type(self).__name__}.get_extra_state: not implemented; override it with set_extra_state")

    @explained
    def set_extra_state(self, state: Any) -> None:
        """Takes the extra state that ``load_state_dict`` found."""
        raise RuntimeError(f"{type(self).__name__}.set_extra_state: not implemented; override it with get_extra_state")

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, box in itertools.chain(self._parameters.items(), self._buffers.items()):
            if box is not None and not (name in self._buffers and name in self._non_persistent_buffers_set):
                destination[prefix + name] = box if keep_vars else box.data
        if type(self).get_extra_state is not HasStateDict.get_extra_state:
            destination[prefix + "_extra_state"] = self.get_extra_state()

    @explained
    def state_dict(
        self, *args: Any, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by dotted name, in torch's order and layout.

        Args:
            destination: a dict to add to.
            prefix: text put before each name.
            keep_vars: gives the boxes instead of their arrays.

        Returns:
            an ordered dict, with torch's ``_metadata``.
        """
        for value, key in zip(args, ("destination", "prefix", "keep_vars"), strict=False):
            destination = value if key == "destination" else destination
            prefix = value if key == "prefix" else prefix
            keep_vars = value if key == "keep_vars" else keep_vars
        out: Any = OrderedDict() if destination is None else destination
        if not hasattr(out, "_metadata") and isinstance(out, OrderedDict):
            setattr(out, "_metadata", OrderedDict())  # noqa: B010
        local = {"version": self._version}
        metadata: Any = getattr(out, "_metadata", None)
        if metadata is not None:
            metadata[prefix[:-1]] = local
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(out, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=out, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            result = hook(self, out, prefix, local)
            out = out if result is None else result
        return out

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        assign = local_metadata.get("assign_to_params_buffers", False)
        for hook in list(self._load_state_dict_pre_hooks.values()):
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        persistent = {k: v for k, v in self._buffers.items() if k not in self._non_persistent_buffers_set}
        for name, box in itertools.chain(self._parameters.items(), persistent.items()):
            if box is None:
                continue
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            self._load_box(name, box, key, state_dict[key], assign, error_msgs)
        extra_key = prefix + "_extra_state"
        if type(self).set_extra_state is not HasStateDict.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra_key:
                    head, dot, _ = key[len(prefix) :].partition(".")
                    known = head in self._modules if dot else (head in persistent or head in self._parameters)
                    if not known or (not dot and (persistent | self._parameters).get(head) is None):
                        unexpected_keys.append(key)

    def _load_box(self, name: str, box: ArrayBox, key: str, value: Any, assign: bool, error_msgs: list[str]) -> None:
        if is_lazy(value):
            if not is_lazy(box):
                error_msgs.append(f'"{key}" is uninitialized in the state_dict and initialized in the current model.')
            return
        array = fitted(key, value, box.shape, None if assign else box.dtype, error_msgs)
        if array is None:
            return
        if not assign:
            box.data = array if is_lazy(box) else beside(array, box.peek())
        elif isinstance(value, ArrayBox):
            setattr(self, name, value)
        else:
            try:
                box._check_dtype(array.dtype)
            except RuntimeError as error:
                error_msgs.append(f'While copying the parameter named "{key}": {error}')
                return
            box.data = array

    @explained
    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copies arrays by name into parameters and buffers, cast to their dtypes.

        Args:
            state_dict: names to arrays of jax, numpy or torch.
            strict: every name must match.
            assign: take the arrays with their own dtypes instead of casting.

        Returns:
            the missing and the unexpected keys.

        Raises:
            TypeError: if ``state_dict`` is no mapping, or a key of it no string.
            RuntimeError: listing every mismatch; the module is then as it was before.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected state_dict to be dict-like, got {type(state_dict).__name__}")
        for key in state_dict:
            if not isinstance(key, str):
                fail(
                    TypeError,
                    f"{type(self).__name__}.load_state_dict",
                    "state_dict",
                    "a dict with strings as keys",
                    key,
                )
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None)
        undo = [module._stateful_snapshot_() for module in self.modules()]
        contents = [(box, box._data) for module in self.modules() for box in module._stateful_boxes_()]
        try:
            self._load_tree(OrderedDict(state_dict), metadata, "", strict, assign, missing, unexpected, errors)
            if strict and unexpected:
                names = ", ".join(f'"{k}"' for k in unexpected)
                errors.insert(0, f"Unexpected key(s) in state_dict: {names}. ")
            if strict and missing:
                errors.insert(0, "Missing key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in missing)))
            advice = suggestion(missing, unexpected, state_dict) if strict else None
            if missing and not state_dict:
                advice = "state_dict must have the keys that state_dict() of such a module gives, got an empty one"
            if advice:
                errors.append(advice)
            if errors:
                listing = "\n\t".join(errors)
                raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listing}")
        except BaseException:
            for restore in undo:
                restore()
            for box, data in contents:
                if box._data is not data:
                    box.write(data) if current_scopes() else box._put(data)
            structure_changed()
            raise
        return _IncompatibleKeys(missing, unexpected)

    def _load_tree(
        self,
        state_dict: dict[str, Any],
        metadata: Any,
        prefix: str,
        strict: bool,
        assign: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        local = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
        if assign:
            local["assign_to_params_buffers"] = True
        self._load_from_state_dict(state_dict, prefix, local, True, missing, unexpected, errors)
        for name, child in self._modules.items():
            if child is not None:
                below = f"{prefix}{name}."
                mine = {k: v for k, v in state_dict.items() if k.startswith(below)}
                child._load_tree(mine, metadata, below, strict, assign, missing, unexpected, errors)
        report = _IncompatibleKeys(missing, unexpected)
        for hook in self._load_state_dict_post_hooks.values():
            if hook(self, report) is not None:
                raise AssertionError(
                    "hooks registered with register_load_state_dict_post_hook must change the incompatible keys in place "
                    "and return None"
                )

    @explained
    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Registers ``hook(module, prefix, keep_vars)`` to run before ``state_dict`` collects this module.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        return add_hook(self._state_dict_pre_hooks, hook)

    @explained
    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Registers ``hook(module, state_dict, prefix, local_metadata)`` to run after ``state_dict`` collected this module.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        return add_hook(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """torch's older name of ``register_state_dict_post_hook``."""
        return self.register_state_dict_post_hook(hook)

    @explained
    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Registers a hook to run before this module loads.

        Args:
            hook: ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``; it
                may change the dict and the lists in place.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        reference = weakref.ref(self)
        return add_hook(self._load_state_dict_pre_hooks, lambda *args: hook(reference(), *args))

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        """torch's older form, whose hook gets the module only on request."""
        if with_module:
            return self.register_load_state_dict_pre_hook(hook)
        return add_hook(self._load_state_dict_pre_hooks, hook)

    @explained
    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Registers ``hook(module, incompatible_keys)`` to run after this module loaded; it may change the lists in place.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        return add_hook(self._load_state_dict_post_hooks, hook)
