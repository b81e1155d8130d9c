"""``explain_compiles``: when and why functions of ``fnn.jit`` are compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fnn.functional.checks import fail
from fnn.tools import table
from fnn.transforms.jit.compiles import Compile, compile_listeners, kept_by_jax
from fnn.transforms.jit.function import BoundJit, JitFunction

__all__ = ["Compile", "Compiles", "explain_compiles"]


class Compiles:
    """What ``explain_compiles`` returns: a context manager that collects, and prints, a ``Compile`` for each compilation.

    Attributes:
        found: the compilations so far.
        placements: how often JAX compiled a program once more, for arrays that lie elsewhere; known at the end.
    """

    def __init__(self, function: JitFunction[..., Any] | None, show: Callable[[str], Any] | None) -> None:
        self.found: list[Compile] = []
        self.placements: int = 0
        self._function = function
        self._show = show
        self._before: dict[int, int] = {}

    def __enter__(self) -> Compiles:
        self._before = self._counts()
        compile_listeners.append(self._note)
        return self

    def __exit__(self, *exc_info: object) -> None:
        compile_listeners.remove(self._note)
        again = sum(count - max(self._before.get(key, 1), 1) for key, count in self._counts().items() if count > 1)
        self.placements += again
        if again and self._show is not None:
            name = getattr(self._function, "__qualname__", "the function")
            self._show(f"{name}: compiled {again} times more by JAX, for arrays that lie elsewhere (device, sharding)")

    def __iter__(self) -> Iterator[Compile]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, i: int) -> Compile:
        return self.found[i]

    def _counts(self) -> dict[int, int]:
        programs = [] if self._function is None else list(self._function._programs.values())
        return {id(program): kept_by_jax(program) for program in programs}

    def _note(self, compile: Compile) -> None:
        if self._function is None or compile.function is self._function:
            self.found.append(compile)
            if self._show is not None:
                self._show(repr(compile))

    def _rows(self) -> list[list[str]]:
        return [[c.name, str(c.number), f"{c.seconds:.2f} s", "; ".join(c.causes)] for c in self.found]

    def __repr__(self) -> str:
        return table.as_text(_HEAD, self._rows(), 4) if self.found else "nothing was compiled"

    def _repr_html_(self) -> str:
        return table.as_html(_HEAD, self._rows(), 4)


_HEAD = ("function", "program", "time", "what is other")


def explain_compiles(step: Callable[..., Any] | None = None, *, show: Callable[[str], Any] | None = print) -> Compiles:
    """Tells when and why a function of ``fnn.jit`` is compiled: which argument, name, mode, shape or setting is other.

    The cause is what distinguishes the call from the most similar program that is there. A look costs nothing outside of the
    ``with`` block, and little in it.

    Args:
        step: what ``fnn.jit`` returned; without it, all such functions are looked at.
        show: is called with a line for each compilation; ``None`` shows nothing.

    Returns:
        a context manager; in and after its block it is a sequence of ``Compile`` with ``name``, ``number``, ``causes``,
        ``seconds`` and ``kept``.

    Raises:
        TypeError: if ``step`` is no function of ``fnn.jit``.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> model = fnn.nn.Linear(2, 2)
        >>> run = fnn.jit(lambda x: model(x))
        >>> with fnn.tools.explain_compiles(run, show=None) as compiles:
        ...     for rows in (3, 3, 4):
        ...         y = run(jnp.ones((rows, 2), jnp.float32))
        ...     model.weight.requires_grad_(False)
        ...     y = run(y)
        Parameter containing:
        ...
        >>> for compile in compiles:
        ...     print(compile.causes)
        ['the first call']
        ['argument x: float32[3, 2] -> float32[4, 2]']
        ['Linear.weight.requires_grad: True -> False']
    """
    function = step.__func__ if isinstance(step, BoundJit) else step
    if function is not None and not isinstance(function, JitFunction):
        fail(TypeError, "explain_compiles", "step", "a function made by fnn.jit, or None", step)
    return Compiles(function, show)
