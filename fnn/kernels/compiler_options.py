"""The compiler options that ``fnn.jit`` chooses for a program on the CPU: of ``fnn.kernels.library``, and one for memory.

At each call of a program XLA allocates the memory of its intermediate arrays, as one block. glibc takes blocks of more than
32 MiB from the system and gives them back at once, so that every page of them is cleared anew at each call: a third of a
training step that is bound by memory. Blocks of less it keeps, as far as it can. One option bounds the blocks' size.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import jax
from jax.extend.core import Var

from fnn.kernels.library import known, library_options, uses_library
from fnn.kernels.operation import inner_jaxprs, lowered_jaxpr

__all__ = ["memory_options", "options_for"]

_BLOCK = "xla_multiheap_size_constraint_per_heap"

# Bytes. Of blocks from 8 to 32 MiB these were kept best. XLA warns of each array that is larger than a block.
_USUAL, _LARGEST = 20 << 20, 30 << 20

# Of programs with more at a time the blocks are given back in part all the same, and what several threads keep is much.
_MOST = 256 << 20


def options_for(jaxpr: Any, given: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """The options to compile a program with: the ones given, or without any those that are best for it."""
    if given is not None or jax.default_backend() != "cpu":
        return given
    library = library_options() if uses_library(jaxpr) else None
    return {**(library or {}), **(memory_options(jaxpr) or {})} or None


def memory_options(jaxpr: Any) -> dict[str, Any] | None:
    """The option by which memory is kept from call to call; ``None`` where it does nothing or is of no use."""
    largest, together = _sizes(jaxpr)
    # Half as much again, for arrays that only XLA's own lowering has.
    block = max(_USUAL, largest + largest // 2)
    useful = block <= min(together, _LARGEST) and together <= _MOST
    return {_BLOCK: block} if useful and _knows_blocks() else None


@cache
def _knows_blocks() -> bool:
    return known({_BLOCK: _USUAL}) is not None


def _sizes(jaxpr: Any, found: dict[Any, tuple[int, int]] | None = None) -> tuple[int, int]:
    """Bytes of the largest array that the CPU may make for a jaxpr, and of the most that there are at one time.

    Args:
        jaxpr: of the program, or of a part of it.
        found: what was found for parts before: one may be called in many places.
    """
    found = {} if found is None else found
    if jaxpr not in found:
        found[jaxpr] = _sizes_of_equations(jaxpr, found)
    return found[jaxpr]


def _sizes_of_equations(jaxpr: Any, found: dict[Any, tuple[int, int]]) -> tuple[int, int]:
    ends = {v: i for i, equation in enumerate(jaxpr.eqns) for v in equation.invars if isinstance(v, Var)}
    ends.update((v, len(jaxpr.eqns)) for v in jaxpr.outvars if isinstance(v, Var))
    largest = together = now = 0
    ending: dict[int, int] = {}
    for i, equation in enumerate(jaxpr.eqns):
        lowered = lowered_jaxpr(equation)
        inner = [_sizes(j, found) for j in (inner_jaxprs(equation) if lowered is None else (lowered.jaxpr,))]
        outs = [_size(out.aval) for out in equation.outvars]
        largest = max([largest, *outs, *(one for one, _ in inner)])
        together = max([together, now + sum(outs), *(now + most for _, most in inner)])
        for out, size in zip(equation.outvars, outs, strict=True):
            end = ends.get(out, i)
            ending[end] = ending.get(end, 0) + size
        now += sum(outs) - ending.pop(i, 0)
    return largest, together


def _size(aval: Any) -> int:
    """Bytes; 0 for what is no array, and for one whose shape is not known."""
    shape, dtype = getattr(aval, "shape", ()), getattr(aval, "dtype", None)
    return 0 if dtype is None or not all(isinstance(n, int) for n in shape) else prod(shape) * dtype.itemsize
