"""torch's Tensor methods as pure functions of arrays, and its kinds of tensors that are no plain arrays."""

from fnn.tensor.row_sparse import RowSparse as RowSparse

__all__ = ["RowSparse"]
