"""torch's Tensor methods that move elements and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fnn.functional.arrays import ArrayLike
from fnn.nn.tensor_methods.numpy_names import with_numpy_names
from fnn.stateful.boxes import Box
from fnn.tensor import shaping
from fnn.tensor.shaping import Sizes

__all__ = ["ShapingMethods"]


def _given(function: str, values: tuple[Any, ...], keyword: Any) -> tuple[Any, ...]:
    """What was given one by one, or in its place by keyword."""
    if keyword is None:
        return values
    if values:
        raise TypeError(f"{function}: sizes or axes must be given once, got them by place and by keyword")
    return (keyword,) if not isinstance(keyword, tuple) or len(keyword) != 1 else keyword


@with_numpy_names
class ShapingMethods(Box):
    """Views, axes and pieces; the results are arrays of their own, and writing to one does not write to the box."""

    __slots__ = ()

    def view(self, *shape: Any, size: Sequence[int] | None = None, dtype: DTypeLike | None = None) -> jax.Array:
        """The same elements in another shape, or, given a dtype, the same bits in that dtype (the last axis grows or shrinks).

        Writing to the result does not write to the box.
        """
        return shaping.view(self.data, *_given("view", shape, size if dtype is None else (dtype,)))

    def view_as(self, other: ArrayLike) -> jax.Array:
        """The same elements in the shape of another array."""
        return shaping.view(self.data, jnp.shape(other))

    def reshape(self, *sizes: Sizes, shape: Sequence[int] | None = None, order: str | None = None) -> jax.Array:
        """The same elements in another shape; one length may be -1. ``order`` is for ``jnp.reshape``, which calls this."""
        given = _given("reshape", sizes, shape)
        return shaping.reshape(self.data, *given) if order is None else self.data.reshape(*given, order=order)

    def reshape_as(self, other: ArrayLike) -> jax.Array:
        """The same elements in the shape of another array."""
        return shaping.reshape(self.data, jnp.shape(other))

    def ravel(self) -> jax.Array:
        """All axes as one."""
        return self.data.reshape(-1)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> jax.Array:
        """The axes from ``start_dim`` to ``end_dim`` as one."""
        return shaping.flatten(self.data, start_dim, end_dim)

    def unflatten(self, dim: int, sizes: Sequence[int]) -> jax.Array:
        """Axis ``dim`` as several, of which one length may be -1."""
        return shaping.unflatten(self.data, dim, sizes)

    def squeeze(self, dim: int | Sequence[int] | None = None) -> jax.Array:
        """Without axes of length 1: all of them, or those of ``dim`` that are."""
        return shaping.squeeze(self.data, dim)

    def unsqueeze(self, dim: int) -> jax.Array:
        """With a new axis of length 1 at ``dim``."""
        return shaping.unsqueeze(self.data, dim)

    def transpose(self, dim0: int, dim1: int) -> jax.Array:
        """With two axes exchanged."""
        return shaping.transpose(self.data, dim0, dim1)

    def swapaxes(self, dim0: int, dim1: int) -> jax.Array:
        """The same as ``transpose``."""
        return shaping.transpose(self.data, dim0, dim1)

    def swapdims(self, dim0: int, dim1: int) -> jax.Array:
        """The same as ``transpose``."""
        return shaping.transpose(self.data, dim0, dim1)

    def t(self) -> jax.Array:
        """A matrix with its axes exchanged; a vector as it is."""
        return shaping.t(self.data)

    def adjoint(self) -> jax.Array:
        """The last two axes exchanged, and the complex conjugate taken."""
        return shaping.adjoint(self.data)

    def permute(self, *axes: Sizes, dims: Sequence[int] | None = None) -> jax.Array:
        """The axes in another order."""
        return shaping.permute(self.data, *_given("permute", axes, dims))

    def movedim(self, source: Sizes, destination: Sizes) -> jax.Array:
        """The axes ``source`` at the places ``destination``, the others in their order."""
        return shaping.movedim(self.data, source, destination)

    def moveaxis(self, source: Sizes, destination: Sizes) -> jax.Array:
        """The same as ``movedim``."""
        return shaping.movedim(self.data, source, destination)

    @property
    def mT(self) -> jax.Array:
        """The last two axes exchanged."""
        return self.data.mT

    @property
    def mH(self) -> jax.Array:
        """The last two axes exchanged, and the complex conjugate taken."""
        return shaping.adjoint(self.data)

    @property
    def H(self) -> jax.Array:
        """A matrix with its axes exchanged, and the complex conjugate taken."""
        return shaping.adjoint(shaping.t(self.data).T)

    def expand(self, *sizes: Sizes, size: Sequence[int] | None = None, implicit: bool = False) -> jax.Array:
        """Axes of length 1 repeated to given lengths, of which -1 keeps one; new axes may come first."""
        return shaping.expand(self.data, *_given("expand", sizes, size))

    def expand_as(self, other: ArrayLike) -> jax.Array:
        """``expand`` to the shape of another array."""
        return shaping.expand(self.data, jnp.shape(other))

    def broadcast_to(self, *sizes: Sizes, size: Sequence[int] | None = None) -> jax.Array:
        """The same as ``expand``."""
        return shaping.expand(self.data, *_given("broadcast_to", sizes, size))

    def repeat(self, *sizes: Sizes, repeats: Sequence[int] | None = None) -> jax.Array:
        """The array laid side by side, as often as asked for along each axis; new axes may come first."""
        return shaping.repeat(self.data, *_given("repeat", sizes, repeats))

    def tile(self, *sizes: Sizes, dims: Sequence[int] | None = None) -> jax.Array:
        """``repeat``, in which missing numbers, those of the first axes, are 1."""
        return shaping.tile(self.data, *_given("tile", sizes, dims))

    def repeat_interleave(
        self, repeats: ArrayLike, dim: int | None = None, *, output_size: int | None = None
    ) -> jax.Array:
        """Each element (of the flattened array, or part along an axis) ``repeats`` times in a row."""
        return shaping.repeat_interleave(self.data, repeats, dim, output_size=output_size)

    def sum_to_size(self, *size: Sizes) -> jax.Array:
        """Sums over the axes that a broadcast from ``size`` would have made or stretched."""
        return shaping.sum_to_size(self.data, *size)

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[jax.Array, ...]:
        """Pieces of one length (the last may be shorter), or of the lengths in a list."""
        return shaping.split(self.data, split_size, dim)

    def split_with_sizes(self, split_sizes: Sequence[int], dim: int = 0) -> tuple[jax.Array, ...]:
        """Pieces of the lengths in a list."""
        return shaping.split(self.data, split_sizes, dim)

    def unsafe_split(self, split_size: int, dim: int = 0) -> tuple[jax.Array, ...]:
        """The same as ``split``."""
        return shaping.split(self.data, split_size, dim)

    def unsafe_split_with_sizes(self, split_sizes: Sequence[int], dim: int = 0) -> tuple[jax.Array, ...]:
        """The same as ``split``."""
        return shaping.split(self.data, split_sizes, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[jax.Array, ...]:
        """At most ``chunks`` pieces of one length, but for the last."""
        return shaping.chunk(self.data, chunks, dim)

    def unsafe_chunk(self, chunks: int, dim: int = 0) -> tuple[jax.Array, ...]:
        """The same as ``chunk``."""
        return shaping.chunk(self.data, chunks, dim)

    def tensor_split(self, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[jax.Array, ...]:
        """As many pieces as asked for, of lengths that differ by 1 at most, or the pieces between indices."""
        return shaping.tensor_split(self.data, indices_or_sections, dim)

    def hsplit(self, sections: int | Sequence[int]) -> tuple[jax.Array, ...]:
        """Equal pieces, or those between indices, of axis 1 (of a vector, axis 0)."""
        return shaping.split_along("hsplit", self.data, sections, 1, 0 if self.data.ndim == 1 else 1)

    def vsplit(self, sections: int | Sequence[int]) -> tuple[jax.Array, ...]:
        """Equal pieces, or those between indices, of axis 0."""
        return shaping.split_along("vsplit", self.data, sections, 2, 0)

    def dsplit(self, sections: int | Sequence[int]) -> tuple[jax.Array, ...]:
        """Equal pieces, or those between indices, of axis 2."""
        return shaping.split_along("dsplit", self.data, sections, 3, 2)

    def unbind(self, dim: int = 0) -> tuple[jax.Array, ...]:
        """The parts along an axis, without it."""
        return shaping.unbind(self.data, dim)

    def narrow(self, dim: int, start: ArrayLike, length: int) -> jax.Array:
        """The part of an axis that begins at ``start`` (which may be traced) and is ``length`` long."""
        return shaping.narrow(self.data, dim, start, length)

    def narrow_copy(self, dim: int, start: ArrayLike, length: int) -> jax.Array:
        """The same as ``narrow``."""
        return shaping.narrow(self.data, dim, start, length)

    def select(self, dim: int, index: int) -> jax.Array:
        """The part of an axis at one index, without the axis."""
        return shaping.select(self.data, dim, index)

    def unfold(self, dimension: int, size: int, step: int) -> jax.Array:
        """Windows of ``size`` elements of an axis, ``step`` apart; the new last axis is that within a window."""
        return shaping.unfold(self.data, dimension, size, step)

    def as_strided(self, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> jax.Array:
        """The elements at places ``storage_offset + sum(i * stride)`` of the flattened array."""
        return shaping.as_strided(self.data, size, stride, storage_offset)

    def as_strided_scatter(
        self, src: ArrayLike, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
    ) -> jax.Array:
        """The input with ``src`` in the place of ``as_strided(size, stride, storage_offset)``."""
        return shaping.as_strided_scatter(self.data, src, size, stride, storage_offset)

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> jax.Array:
        """The diagonal of two axes, as the last one."""
        return shaping.diagonal(self.data, offset, dim1, dim2)

    def diag(self, diagonal: int = 0) -> jax.Array:
        """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
        return shaping.diag(self.data, diagonal)

    def diagflat(self, offset: int = 0) -> jax.Array:
        """The matrix with the flattened array on its diagonal."""
        return shaping.diagflat(self.data, offset)

    def diag_embed(self, offset: int = 0, dim1: int = -2, dim2: int = -1) -> jax.Array:
        """Matrices, along axes ``dim1`` and ``dim2``, with the last axis on their diagonals."""
        return shaping.diag_embed(self.data, offset, dim1, dim2)

    def tril(self, diagonal: int = 0) -> jax.Array:
        """Zeros above a diagonal of the last two axes."""
        return shaping.tril(self.data, diagonal)

    def triu(self, diagonal: int = 0) -> jax.Array:
        """Zeros below a diagonal of the last two axes."""
        return shaping.triu(self.data, diagonal)

    def roll(self, shifts: Sizes, dims: Sizes | None = None) -> jax.Array:
        """Elements moved on along axes (in the flattened array without ``dims``); those that leave come in at the other end."""
        return shaping.roll(self.data, shifts, dims)

    def flip(self, *axes: Sizes, dims: Sizes | None = None) -> jax.Array:
        """Axes in reverse."""
        return shaping.flip(self.data, *_given("flip", axes, dims))

    def fliplr(self) -> jax.Array:
        """Axis 1 in reverse."""
        return shaping.flip(self.data, 1)

    def flipud(self) -> jax.Array:
        """Axis 0 in reverse."""
        return shaping.flip(self.data, 0)

    def rot90(self, k: int = 1, dims: Sequence[int] = (0, 1)) -> jax.Array:
        """Turned ``k`` times by 90 degrees, from the first of two axes towards the second."""
        return shaping.rot90(self.data, k, dims)

    def select_scatter(self, src: ArrayLike, dim: int, index: int) -> jax.Array:
        """The input with ``src`` in the place of ``select(dim, index)``."""
        return shaping.select_scatter(self.data, src, dim, index)

    def slice_scatter(
        self, src: ArrayLike, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
    ) -> jax.Array:
        """The input with ``src`` in the place of the slice ``start:end:step`` of an axis."""
        return shaping.slice_scatter(self.data, src, dim, start, end, step)

    def diagonal_scatter(self, src: ArrayLike, offset: int = 0, dim1: int = 0, dim2: int = 1) -> jax.Array:
        """The input with ``src`` in the place of its diagonal."""
        return shaping.diagonal_scatter(self.data, src, offset, dim1, dim2)
