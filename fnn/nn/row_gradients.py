"""Row taps: how ``fnn.backward`` differentiates by the looked-up rows of an embedding table and not by the table."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.parameter import Parameter
from fnn.stateful.tracing import trace_state
from fnn.tensor.row_sparse import RowSparse

__all__ = ["RowTaps", "looked_up_rows", "row_gradients", "wants_row_gradients"]


_active: ContextVar[tuple[RowTaps, ...]] = ContextVar("fnn_row_taps", default=())


def wants_row_gradients(parameter: Parameter) -> bool:
    """Whether a layer with ``sparse=True`` holds this table."""
    return getattr(parameter, "__dict__", {}).get("row_gradients", False)


class RowTaps:
    """Records the lookups of some tables and adds to the rows of each a tap: zeros by which one can differentiate.

    Enter it in the trace in which the lookups are to be recorded; those in an inner one (a scan, a vmap) are not.

    Args:
        tables: the parameters whose lookups it records.
        taps: arrays for the lookups of each table in their order; without them, nothing is added.
    """

    def __init__(self, tables: Iterable[Parameter], taps: list[list[jax.Array]] | None = None) -> None:
        self.tables: list[Parameter] = list(tables)
        self.order: dict[int, int] = {id(p): i for i, p in enumerate(self.tables)}
        self.taps: list[list[jax.Array]] | None = taps
        self.indices: list[list[jax.Array]] = [[] for _ in self.tables]
        self.trace: Any = None

    def __enter__(self) -> RowTaps:
        self.trace = trace_state()
        _active.set((*_active.get(), self))
        return self

    def __exit__(self, *exc_info: object) -> None:
        _active.set(tuple(taps for taps in _active.get() if taps is not self))

    def look_up(self, parameter: Parameter, indices: jax.Array, padding_idx: int | None) -> jax.Array:
        """The rows at 1-D indices, tapped; an index equal to ``padding_idx`` gets no gradient."""
        table = parameter.peek()
        rows = F.embedding(indices, table)
        number = self.order[id(parameter)]
        seen = self.indices[number]
        if self.taps is not None:
            rows = rows + self.taps[number][len(seen)]
        seen.append(indices if padding_idx is None else jnp.where(indices == padding_idx, table.shape[0], indices))
        return rows


def row_gradients(
    tables: Iterable[Parameter], indices: Iterable[list[jax.Array]], of_taps: Iterable[list[jax.Array]]
) -> list[RowSparse]:
    """The gradient of each table from the indices of its lookups and the gradients of its taps."""
    return [
        RowSparse(jnp.concatenate(rows), jnp.concatenate(values), table.shape)
        for table, rows, values in zip(tables, indices, of_taps, strict=True)
    ]


def looked_up_rows(parameter: Parameter, input: ArrayLike, padding_idx: int | None) -> jax.Array | None:
    """The rows at ``input``, flattened, if the running ``fnn.backward`` takes row gradients of this table, else ``None``."""
    for taps in reversed(_active.get()):
        if id(parameter) in taps.order:
            if taps.trace != trace_state():
                return None
            return taps.look_up(parameter, jnp.asarray(input).reshape(-1), padding_idx)
    return None
