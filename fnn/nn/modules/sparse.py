"""Embedding tables."""

from __future__ import annotations

from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.array_box import Data, to_array
from fnn.nn.init import normal_
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import check_sizes
from fnn.nn.parameter import Parameter
from fnn.nn.placement import Device, DType, beside, empty
from fnn.nn.row_gradients import looked_up_rows, wants_row_gradients

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """The table of rows that both layers look up in, and its options."""

    weight: Parameter

    def _make_table(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Data | None,
        freeze: bool,
        device: Device,
        dtype: DType,
    ) -> None:
        name = type(self).__name__
        check_sizes(name, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None:
            if not isinstance(padding_idx, int | np.integer):
                raise TypeError(f"{name}: padding_idx must be an int or None, got {padding_idx!r}")
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"{name}: padding_idx must be within num_embeddings ({num_embeddings}), got {padding_idx}"
                )
            padding_idx %= num_embeddings
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if weight is None:
            self.weight = Parameter(empty((num_embeddings, embedding_dim), device, dtype), not freeze)
            self.reset_parameters()
        else:
            array = to_array(weight, f"{name}: _weight")
            if array.shape != (num_embeddings, embedding_dim):
                raise ValueError(
                    f"{name}: _weight must have shape {(num_embeddings, embedding_dim)}, got {tuple(array.shape)}"
                )
            self.weight = weight if isinstance(weight, Parameter) else Parameter(array, not freeze)
        if sparse:
            self.weight.__dict__["row_gradients"] = True

    def _sparse_rows(self, input: ArrayLike) -> jax.Array | None:
        """The looked-up rows, one after another, where the running ``fnn.backward`` wants their gradients alone."""
        if not (self.sparse and wants_row_gradients(self.weight)):
            return None
        if self.scale_grad_by_freq:
            raise RuntimeError(
                f"{type(self).__name__}: scale_grad_by_freq must be False with sparse gradients, got True"
            )
        return looked_up_rows(self.weight, input, self.padding_idx)

    def reset_parameters(self) -> None:
        """Draws the rows from the standard normal distribution; the padding row is zero."""
        normal_(self.weight)
        if self.padding_idx is not None:
            rows = self.weight.peek()
            if isinstance(rows, Tracer) or len(rows.sharding.device_set) > 1:
                self.weight[self.padding_idx] = jnp.zeros(())
            else:
                host = np.array(rows)
                host[self.padding_idx] = 0
                self.weight.write(beside(jax.device_put(host), rows), owned=True)

    def _renormalize(self, indices: ArrayLike) -> None:
        if self.max_norm is not None:
            if not isinstance(self.weight, Parameter):
                raise RuntimeError(
                    f"{type(self).__name__}: with max_norm the weight must be a Parameter, whose rows can be scaled in "
                    f"place, got a computed {type(self.weight).__name__}"
                )
            self.weight.write(F.embedding_renorm(self.weight.peek(), indices, self.max_norm, self.norm_type))

    def _described_sizes(self) -> list[str]:
        """For ``repr``: the sizes, and what both layers show of the options that differ from the defaults."""
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        if self.max_norm is not None:
            parts.append(f"max_norm={self.max_norm}")
        if self.norm_type != 2:
            parts.append(f"norm_type={self.norm_type}")
        if self.scale_grad_by_freq is not False:
            parts.append(f"scale_grad_by_freq={self.scale_grad_by_freq}")
        return parts


class Embedding(_Table):
    r"""A table of vectors, looked up by number.

    .. math:: y = W_{x}, \text{ row } x \text{ of the table for each number}

    Args:
        num_embeddings: number of rows.
        embedding_dim: length of a row.
        padding_idx: a row that starts at zero and gets no gradient; a negative number counts from the end.
        max_norm: rows looked up whose norm is larger are scaled down to it, in the table itself; ``None`` scales none.
        norm_type: order of that norm.
        scale_grad_by_freq: whether a row's gradient is divided by how often it was looked up in the call.
        sparse: whether ``fnn.backward`` leaves a ``RowSparse`` in ``weight.grad``, the gradients of the looked-up rows
            alone, for the optimizers that take one.
        _weight: the table itself, (num_embeddings, embedding_dim), in place of a drawn one.
        _freeze: whether the table gets no gradients.
        device: where the table is put; ``None`` is JAX's default device.
        dtype: dtype of the table; ``None`` is float32.

    Attributes:
        weight (Parameter): :math:`W`, (num_embeddings, embedding_dim), drawn from N(0, 1).

    Shape:
        - input: (*), integers.
        - output: (*, embedding_dim).

    Raises:
        TypeError: if a size or ``padding_idx`` is no int; at the call, if the input is not of integers.
        ValueError: if ``padding_idx`` is out of range, or ``_weight`` has another shape.
        IndexError: at the call, if a concrete number is out of range. Where numbers are traced, the result is NaN
            there.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Embedding.html

    Example:
        >>> import numpy as np
        >>> Embedding(10, 3)(np.array([[1, 2], [4, 5]])).shape
        (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Data | None = None,
        _freeze: bool = False,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        self._make_table(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            _freeze,
            device,
            dtype,
        )

    def forward(self, input: ArrayLike) -> jax.Array:
        """The rows at some numbers.

        Args:
            input: the numbers, (*).

        Returns:
            (*, embedding_dim).
        """
        self._renormalize(input)
        rows = self._sparse_rows(input)
        if rows is not None:
            return rows.reshape(*jnp.shape(input), self.embedding_dim)
        return F.embedding(
            input, self.weight, self.padding_idx, scale_grad_by_freq=self.scale_grad_by_freq, sparse=self.sparse
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: ArrayLike,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A layer over a given table.

        Args:
            embeddings: the table, (num_embeddings, embedding_dim).
            freeze: whether it gets no gradients.
            padding_idx: a row that gets no gradient; a negative number counts from the end.
            max_norm: rows looked up whose norm is larger are scaled down to it, in the table itself; ``None`` scales
                none.
            norm_type: order of that norm.
            scale_grad_by_freq: whether a row's gradient is divided by how often it was looked up in the call.
            sparse: whether ``fnn.backward`` leaves the gradients of the looked-up rows alone.

        Returns:
            the layer.

        Raises:
            ValueError: if ``embeddings`` is not 2-D.

        Example:
            >>> import numpy as np
            >>> Embedding.from_pretrained(np.eye(2, dtype=np.float32))(np.array([1])).tolist()
            [[0.0, 1.0]]
        """
        table = _check_table("Embedding", embeddings)
        return cls(
            *table.shape,
            _weight=table,
            _freeze=freeze,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
        )

    def extra_repr(self) -> str:
        parts = self._described_sizes()
        if self.padding_idx is not None:
            parts.insert(1, f"padding_idx={self.padding_idx}")
        if self.sparse is not False:
            parts.append("sparse=True")
        return ", ".join(parts)


def _check_table(name: str, embeddings: ArrayLike) -> jax.Array:
    table = to_array(embeddings, f"{name}.from_pretrained: embeddings")
    if table.ndim != 2:
        raise ValueError(f"{name}.from_pretrained: embeddings must be 2-D, got shape {tuple(table.shape)}")
    return table


class EmbeddingBag(_Table):
    r"""Sums, means or maxima of bags of table rows, in one step.

    .. math:: y_b = \sum_{i \in \mathrm{bag}_b} a_i W_{x_i}

    or the mean or the maximum over the bag; a is ``per_sample_weights``.

    Args:
        num_embeddings: number of rows.
        embedding_dim: length of a row.
        max_norm: rows looked up whose norm is larger are scaled down to it, in the table itself; ``None`` scales none.
        norm_type: order of that norm.
        scale_grad_by_freq: whether a row's gradient is divided by how often it was looked up in the call.
        mode: "sum", "mean" or "max"; an empty bag gives zeros.
        sparse: whether ``fnn.backward`` leaves a ``RowSparse`` in ``weight.grad``, the gradients of the looked-up rows
            alone, for the optimizers that take one.
        _weight: the table itself, (num_embeddings, embedding_dim), in place of a drawn one.
        include_last_offset: whether ``offsets`` has one number more, the total length.
        padding_idx: a row that counts for nothing in a bag; a negative number counts from the end.
        device: where the table is put; ``None`` is JAX's default device.
        dtype: dtype of the table; ``None`` is float32.

    Attributes:
        weight (Parameter): :math:`W`, (num_embeddings, embedding_dim), drawn from N(0, 1).

    Shape:
        - input: (B, N), a bag a row, or (N) with ``offsets``; integers.
        - offsets: (B), or (B + 1) with ``include_last_offset``; integers.
        - per_sample_weights: as input.
        - output: (B, embedding_dim).

    Raises:
        TypeError: if a size or ``padding_idx`` is no int; at the call, if input or offsets are not of integers.
        ValueError: if ``padding_idx`` is out of range, or ``_weight`` has another shape; at the call, if ``mode`` is
            unknown, does not go with another option, or the offsets do not suit the input.
        IndexError: at the call, if a concrete number is out of range. Where numbers are traced, the bag is NaN.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.EmbeddingBag.html

    Example:
        >>> import numpy as np
        >>> EmbeddingBag(10, 3)(np.array([1, 2, 4, 5]), np.array([0, 2])).shape
        (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Data | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        self._make_table(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            False,
            device,
            dtype,
        )
        self.mode = mode
        self.include_last_offset = include_last_offset

    def forward(
        self, input: ArrayLike, offsets: ArrayLike | None = None, per_sample_weights: ArrayLike | None = None
    ) -> jax.Array:
        """One vector a bag.

        Args:
            input: numbers of rows: (B, N), a bag a row, or (N), cut into bags by ``offsets``.
            offsets: where each bag begins in a 1-D input.
            per_sample_weights: a factor for each number; in mode "sum" only.

        Returns:
            (B, embedding_dim).
        """
        self._renormalize(input)
        table: ArrayLike = self.weight
        padding_idx = self.padding_idx
        rows = self._sparse_rows(input)
        if rows is not None:
            # The bags of the table are those of its looked-up rows, by position; the padding row comes after them.
            count = rows.shape[0]
            where = jnp.arange(count).reshape(jnp.shape(input))
            if padding_idx is not None:
                where = jnp.where(jnp.asarray(input) == padding_idx, count, where)
                rows = jnp.concatenate([rows, jnp.zeros_like(rows, shape=(1, self.embedding_dim))])
                padding_idx = count
            table, input = rows, where
        return F.embedding_bag(
            input,
            table,
            offsets,
            scale_grad_by_freq=self.scale_grad_by_freq,
            mode=self.mode,
            sparse=self.sparse,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=padding_idx,
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: ArrayLike,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """A layer over a given table.

        Args:
            embeddings: the table, (num_embeddings, embedding_dim).
            freeze: whether it gets no gradients.
            max_norm: rows looked up whose norm is larger are scaled down to it, in the table itself; ``None`` scales
                none.
            norm_type: order of that norm.
            scale_grad_by_freq: whether a row's gradient is divided by how often it was looked up in the call.
            mode: "sum", "mean" or "max".
            sparse: whether ``fnn.backward`` leaves the gradients of the looked-up rows alone.
            include_last_offset: whether ``offsets`` has one number more, the total length.
            padding_idx: a row that counts for nothing in a bag; a negative number counts from the end.

        Returns:
            the layer.

        Raises:
            ValueError: if ``embeddings`` is not 2-D.

        Example:
            >>> import numpy as np
            >>> table = np.eye(2, dtype=np.float32)
            >>> EmbeddingBag.from_pretrained(table, mode="sum")(np.array([[0, 1]])).tolist()
            [[1.0, 1.0]]
        """
        table = _check_table("EmbeddingBag", embeddings)
        bag = cls(
            *table.shape,
            _weight=table,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            mode=mode,
            sparse=sparse,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )
        bag.weight.requires_grad = not freeze
        return bag

    def extra_repr(self) -> str:
        parts = [*self._described_sizes(), f"mode={self.mode!r}"]
        if self.padding_idx is not None:
            parts.append(f"padding_idx={self.padding_idx}")
        return ", ".join(parts)
