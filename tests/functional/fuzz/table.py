"""The table of functions: how a random call of each is made, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fnn import functional as F
from tests.functional.fuzz.draws import Maker


@dataclass(frozen=True)
class Row:
    """A function: how calls of it are made, torch's function, and the property that stands for equality of random results."""

    name: str
    make: Maker
    their: Callable[..., Any] | None = None
    property: Callable[..., None] | None = None
    gradients: bool = True

    def ours(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(F, self.name)(*args, **kwargs)

    def theirs(self, *args: Any, **kwargs: Any) -> Any:
        if self.their is not None:
            return self.their(*args, **kwargs)
        import torch

        return getattr(torch.nn.functional, self.name)(*args, **kwargs)


def table() -> dict[str, Row]:
    """All rows by name."""
    from tests.functional.fuzz import (
        activations,
        attention,
        convolutions,
        dense,
        losses,
        norms,
        pooling,
        randoms,
        recurrent,
        vision,
    )

    families = (activations, losses, pooling, norms, vision, convolutions, dense, attention, recurrent, randoms)
    rows = [row for family in families for row in family.ROWS]
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row for row in rows}
