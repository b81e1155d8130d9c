"""How a method that torch lets change a tensor writes its result into the box."""

from __future__ import annotations

from typing import Any, Self

from fnn.nn.placement import beside
from fnn.stateful.boxes import Box
from fnn.tensor.promotion import can_cast

__all__ = ["Writing"]


class Writing(Box):
    """The base of the methods that write."""

    __slots__ = ()

    def _set_in_place(self, function: str, value: Any, *, owned: bool = False) -> Self:
        """Writes the result of an operation, cast to the box's dtype, as torch casts it.

        Raises:
            ValueError: if its shape is another than the box's.
            RuntimeError: if its dtype is of a later kind, such as a floating one for a box of integers.
        """
        old = self.peek()
        if value.shape != old.shape:
            raise ValueError(
                f"{function}: the result must have the shape of {self.describe()}, but the arguments broadcast to "
                f"{list(value.shape)}"
            )
        if not can_cast(value.dtype, old.dtype):
            raise RuntimeError(
                f"{function}: the result is of dtype {value.dtype}, which cannot be cast to that of "
                f"{self.describe()}, {old.dtype}"
            )
        return self._reshape_in_place(value, owned=owned)

    def _reshape_in_place(self, value: Any, *, owned: bool = False) -> Self:
        """Writes an array of any shape, cast to the box's dtype; ``owned``: nobody else can hold its memory."""
        old = self.peek()
        self.write(beside(value.astype(old.dtype), old), owned=owned)
        return self
