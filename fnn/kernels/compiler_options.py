"""The compiler options that ``fnn.jit`` chooses for a program on the CPU: those for Eigen, and one for memory.

At each call of a program XLA allocates the memory of its intermediate arrays, as one block. glibc takes blocks of more than
32 MiB from the system and gives them back at once, so that every page of them is cleared anew at each call: a third of a
training step that is bound by memory. Blocks of less it keeps, as far as it can. One option bounds the blocks' size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import jax
from jax.extend.core import Jaxpr, Var

from fnn.kernels.eigen import Options, counts_on_eigen, eigen_options, known
from fnn.kernels.operation import cpu_jaxpr, inner_jaxprs

__all__ = ["Bounds", "memory_options", "options_for", "sizes_of"]


@dataclass(frozen=True)
class Bounds:
    """Bytes by which the size of blocks is chosen, and the name of the option.

    Attributes:
        usual: a block, unless an array is larger. Of blocks from 8 to 32 MiB these were kept best.
        largest: a block with which it is still kept. XLA warns of each array that is larger than a block.
        most: of programs with more at a time the blocks are given back in part all the same, and what several threads keep
            is much.
        option: the option that bounds the size of blocks.
    """

    usual: int = 20 << 20
    largest: int = 30 << 20
    most: int = 256 << 20
    option: str = "xla_multiheap_size_constraint_per_heap"


BOUNDS = Bounds()


def options_for(jaxpr: Jaxpr, given: Options | None = None, *, bounds: Bounds = BOUNDS) -> Options | None:
    """The options to compile a program with: the ones given, or without any those that are best for it."""
    if given is not None or jax.default_backend() != "cpu":
        return given
    eigen = eigen_options() if counts_on_eigen(jaxpr) else None
    return {**(eigen or {}), **(memory_options(jaxpr, bounds=bounds) or {})} or None


def memory_options(jaxpr: Jaxpr, *, bounds: Bounds = BOUNDS) -> Options | None:
    """The option by which memory is kept from call to call; ``None`` where it does nothing or is of no use."""
    largest, together = sizes_of(jaxpr)
    # Half as much again, for arrays that only XLA's own lowering has.
    block = max(bounds.usual, largest + largest // 2)
    useful = block <= min(together, bounds.largest) and together <= bounds.most
    return {bounds.option: block} if useful and _is_known(bounds.option) else None


@cache
def _is_known(option: str) -> bool:
    return known({option: BOUNDS.usual}) is not None


def sizes_of(jaxpr: Jaxpr, found: dict[Jaxpr, tuple[int, int]] | None = None) -> tuple[int, int]:
    """Bytes of the largest array that the CPU may make for a jaxpr, and of the most that there are at one time.

    Args:
        jaxpr: of the program, or of a part of it.
        found: what was found for parts before: one may be called in many places.
    """
    found = {} if found is None else found
    if jaxpr not in found:
        found[jaxpr] = _sizes_of_equations(jaxpr, found)
    return found[jaxpr]


def _sizes_of_equations(jaxpr: Jaxpr, found: dict[Jaxpr, tuple[int, int]]) -> tuple[int, int]:
    ends = {v: i for i, equation in enumerate(jaxpr.eqns) for v in equation.invars if isinstance(v, Var)}
    ends.update((v, len(jaxpr.eqns)) for v in jaxpr.outvars if isinstance(v, Var))
    largest = together = now = 0
    ending: dict[int, int] = {}
    for i, equation in enumerate(jaxpr.eqns):
        lowered = cpu_jaxpr(equation)
        inner = [sizes_of(j, found) for j in (inner_jaxprs(equation) if lowered is None else (lowered,))]
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
