"""Distances between vectors as layers."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(Module):
    r"""Cosine of the angle between vectors.

    .. math:: \frac{x_1 \cdot x_2}{\max(\|x_1\|, \epsilon) \max(\|x_2\|, \epsilon)}

    Args:
        dim: the axis along which the vectors lie.
        eps: :math:`\epsilon`, the least length that is divided by.

    Shape:
        - x1: (*, D, *) with D elements along ``dim``.
        - x2: as x1, or of a shape that broadcasts with it.
        - output: (*, *), the common shape without ``dim``.

    Raises:
        TypeError: at the call, if the dtypes differ or are not floating.
        ValueError: at the call, if the shapes do not broadcast.
        IndexError: at the call, if there is no axis ``dim``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.CosineSimilarity.html

    Example:
        >>> import numpy as np
        >>> CosineSimilarity()(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0]])).tolist()
        [1.0]
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: ArrayLike, x2: ArrayLike) -> jax.Array:
        """The similarity of each pair of vectors.

        Args:
            x1: first vectors.
            x2: second vectors.
        """
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    r"""Distance between vectors along the last axis.

    .. math:: \|x_1 - x_2 + \epsilon\|_p = \Big(\sum_i |x_{1 i} - x_{2 i} + \epsilon|^p\Big)^{1 / p}

    Args:
        p: order of the norm.
        eps: :math:`\epsilon`, added to every difference, so that the distance is not 0 where its gradient is undefined.
        keepdim: whether the last axis stays, with length 1.

    Attributes:
        norm (float): ``p``.

    Shape:
        - x1: (N, D) or (D).
        - x2: as x1, or of a shape that broadcasts with it.
        - output: (N) or (); (N, 1) or (1) with ``keepdim``.

    Raises:
        TypeError: at the call, if the dtypes differ or are not floating.
        ValueError: at the call, if the shapes do not broadcast.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.PairwiseDistance.html

    Example:
        >>> import numpy as np
        >>> PairwiseDistance(eps=0.0)(np.array([[3.0, 0.0]]), np.array([[0.0, 4.0]])).tolist()
        [5.0]
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: ArrayLike, x2: ArrayLike) -> jax.Array:
        """The distance of each pair of vectors.

        Args:
            x1: first vectors.
            x2: second vectors.
        """
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
