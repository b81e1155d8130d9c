"""The compiler options by which Eigen, of XLA's libraries for the CPU, computes dense convolutions, and who may count on it.

Options belong to a whole program, so that only whoever compiles one can set them: ``fnn.jit`` does. While it traces, the
functions choose the forms that are best with Eigen; if any did, the program is compiled with the options.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jax
from jax.extend.core import Jaxpr

from fnn.kernels.operation import Operation, inner_jaxprs, selection

__all__ = ["choose_eigen", "counts_on_eigen", "known", "eigen_forms", "eigen_options", "eigen_selected"]

Options = dict[str, Any]

# XLA hands products, sums over axes and convolutions to YNNPACK. Without convolutions, which then go to Eigen, dense 3x3 ones
# are 1.3 to 2.5 times faster, forward and backward; see benchmarks/results/ops.md.
_OPTIONS: Options = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE",
}


def known(options: Options) -> Options | None:
    """The options; ``None`` where this XLA does not know them or the default device is no CPU."""
    if jax.default_backend() != "cpu":
        return None
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return None
    return options


@cache
def eigen_options() -> Options | None:
    """The options, if they are ``known``."""
    return known(_OPTIONS)


@contextmanager
def eigen_forms(selected: bool = True) -> Iterator[None]:
    """Within it, functions may choose forms that count on the options."""
    before, selection.eigen = selection.eigen, selected
    try:
        yield
    finally:
        selection.eigen = before


def choose_eigen(selected: bool) -> None:
    """Sets, for the rest of the running context, whether functions may choose forms that count on the options."""
    selection.eigen = selected


def eigen_selected() -> bool:
    """Whether the caller's program will be compiled with the options if it asks for them."""
    return selection.eigen and eigen_options() is not None


def counts_on_eigen(jaxpr: Jaxpr) -> bool:
    """Whether some operation in a jaxpr counts on the options."""
    for equation in jaxpr.eqns:
        if any(isinstance(value, Operation) and value.eigen for value in equation.params.values()):
            return True
        if any(map(counts_on_eigen, inner_jaxprs(equation))):
            return True
    return False
