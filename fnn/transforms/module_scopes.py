"""Names of Modules in traces: while watched, the operations of each call carry the Module's path, which tools read back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from fnn.nn.modules.module import Module
from fnn.stateful.watching import Watch

__all__ = ["CallPaths", "ModuleScopes", "Where"]


class CallPaths:
    """The Modules being called, outermost first, and the path of the innermost: ``Net.block.fc``."""

    def __init__(self) -> None:
        self._stack: list[tuple[Module, str]] = []
        self._names: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._stack)

    def push(self, module: Module) -> str:
        """Notes that a Module is called; returns its path."""
        if not self._stack:
            self._names = {id(part): name for name, part in module.named_modules()}
        path = self.path_of(module)
        self._stack.append((module, path))
        return path

    def path_of(self, module: Module) -> str:
        """The path of a Module that is called now."""
        if not self._stack:
            return type(module).__name__
        name = self._names.get(id(module))
        return f"{self._stack[0][1]}.{name}" if name else f"{self._stack[-1][1]}.{type(module).__name__}"

    def pop(self) -> None:
        """Notes that the innermost call is over."""
        self._stack.pop()


class Where(NamedTuple):
    """Whose operation it is: the path of a Module, "" outside of all; and whether it computes gradients."""

    path: str
    backward: bool


class ModuleScopes(Watch):
    """Gives each Module's operations its path, by ``jax.named_scope``.

    Args:
        called: is given the path and a function that runs the call, and returns its output.
    """

    def __init__(self, called: Callable[[str, Any, Callable[[], Any]], Any] | None = None) -> None:
        self.paths: CallPaths = CallPaths()
        self.known: set[str] = set()
        self._called = called

    def call(self, module: Any, run: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the call in the scope of the Module's path."""
        path = self.paths.push(module)
        self.known.add(path)
        try:
            with jax.named_scope(path):
                return run() if self._called is None else self._called(path, module, run)
        finally:
            self.paths.pop()

    def where(self, stack: str, around: Where | None = None) -> Where:
        """What a stack of names says, as an equation or an operation of XLA has it.

        Args:
            stack: such as ``jit(step)/transpose(jvp(Net.fc))/mul``.
            around: what the equation says that this one is within.
        """
        words = re.findall(r"[^/()]+", stack)
        path = next((word for word in reversed(words) if word in self.known), around.path if around else "")
        return Where(path, "transpose(" in stack or (around is not None and around.backward))
