"""``features``: what submodules give, beside what the model gives."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import jax
from jax.core import Tracer

from fnn.functional.checks import fail
from fnn.nn.modules.module import HasForward, Module
from fnn.stateful.tracing import trace_state
from fnn.stateful.watching import Watch, watching

__all__ = ["Features", "features"]

Output = TypeVar("Output")


class _Capture(Watch):
    """Keeps what the Modules of some ids return."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self.found: dict[str, tuple[Any, Any]] = {}

    def call(self, module: Any, run: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the call, and keeps its output if it is asked for."""
        output = run()
        name = self._names.get(id(module))
        if name is not None:
            self.found[name] = output, trace_state()
        return output


class Features(Module, Generic[Output]):
    """What ``features`` returns: a Module with the model's own parameters, buffers, names and mode."""

    def __init__(self, model: HasForward[..., Output], names: Sequence[str]) -> None:
        super().__init__()
        whole: Any = model
        object.__setattr__(self, "model", whole)  # unregistered: the names of the parameters stay the model's
        self.names: tuple[str, ...] = tuple(names)
        self.train(whole.training)

    model: Any

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Output, dict[str, Any]]:
        """The model's output, and a dict of the outputs of the submodules by name."""
        parts = {name: self.model.get_submodule(name) for name in self.names}
        capture = _Capture({id(part): name for name, part in parts.items()})
        with watching(capture):
            output = self.model(*args, **kwargs)
        state = trace_state()
        found = {}
        for name, part in parts.items():
            name_of_call = capture._names[id(part)]  # one of several names of a shared Module
            if name_of_call not in capture.found:
                raise RuntimeError(
                    f"features: the model did not call its submodule '{name}', or JAX took its trace from an earlier call"
                )
            found[name], origin = capture.found[name_of_call]
            if origin != state and any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(found[name])):
                raise RuntimeError(
                    f"features: the model calls its submodule '{name}' inside a JAX transformation of its own (jax.checkpoint, "
                    "lax.scan, ...), out of which the output of that submodule does not come; name one that holds the whole of it"
                )
        return output, found

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Those of the model."""
        return self.model.named_modules(memo, prefix, remove_duplicate)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Those of the model."""
        return self.model.named_children()

    def get_submodule(self, target: str) -> Module:
        """That of the model."""
        return self.model.get_submodule(target)

    def train(self, mode: bool = True) -> Features[Output]:
        """Sets the mode of the model."""
        self.training = mode
        self.model.train(mode)
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """That of the model."""
        return self.model.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Loads into the model."""
        return self.model.load_state_dict(*args, **kwargs)

    def __repr__(self) -> str:
        return f"features({self.model!r}, {list(self.names)})"


def features(model: HasForward[..., Output], names: Sequence[str]) -> Features[Output]:
    """Makes a callable that returns the model's output and those of some of its submodules.

    It is what forward hooks with a list to append to are for in torch, and works compiled too, where such a list would be left
    with traced arrays. It shares the model's parameters and buffers, under the same names.

    Args:
        model: the Module.
        names: dotted names of submodules, as ``model.named_modules()`` has them.

    Returns:
        a Module whose call takes what the model's does and returns ``(output, found)``, ``found`` a dict from each name to what
        that submodule returned, at its last call if there are several. It works eagerly, in ``fnn.jit``, ``fnn.backward`` and
        ``fnn.functional_call(extract, *fnn.state(model), x)``.

    Raises:
        TypeError: if ``model`` is no Module, or a name no string.
        ValueError: if the model has no submodule of a name.
        RuntimeError: at a call, if the model did not call a submodule, or did inside a transformation of its own.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> model = fnn.nn.Sequential(fnn.nn.Linear(3, 4), fnn.nn.ReLU(), fnn.nn.Linear(4, 2))
        >>> extract = fnn.tools.features(model, ["0", "1"])
        >>> out, found = fnn.jit(extract)(jnp.ones((5, 3), jnp.float32))
        >>> out.shape, {name: value.shape for name, value in found.items()}
        ((5, 2), {'0': (5, 4), '1': (5, 4)})
    """
    if not isinstance(model, Module):
        fail(TypeError, "features", "model", "an fnn.nn.Module", type(model).__name__)
    if isinstance(names, str):
        fail(TypeError, "features", "names", "a sequence of names", names)
    known = [name for name, _ in model.named_modules(remove_duplicate=False)]
    for name in names:
        if not isinstance(name, str):
            fail(TypeError, "features", "names", "strings", name)
        if name not in known:
            near = difflib.get_close_matches(name, known, 3, 0.4) or [n for n in known if n][:3]
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise ValueError(f"features: {type(model).__name__} has no submodule named {name!r}{hint}")
    return Features(model, names)
