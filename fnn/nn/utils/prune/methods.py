"""The methods of pruning."""

from __future__ import annotations

import math
from typing import ClassVar

import jax

from fnn.functional.arrays import ArrayLike
from fnn.nn.array_box import to_array
from fnn.nn.modules.module import Module
from fnn.nn.utils.prune.base import BasePruningMethod
from fnn.nn.utils.prune.masks import (
    check_amount,
    check_dim,
    draw,
    host,
    how_many,
    magnitudes,
    norms,
    smallest,
    without,
    without_slices,
)


class Identity(BasePruningMethod):
    """Prunes nothing; the parameter gets a mask of ones.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.Identity.html

    Example:
        >>> import jax.numpy as jnp
        >>> Identity().prune(jnp.arange(3.0)).tolist()
        [0.0, 1.0, 2.0]
    """

    PRUNING_TYPE: ClassVar[str] = "unstructured"

    def compute_mask(self, t: jax.Array, default_mask: jax.Array) -> jax.Array:
        """The mask as it is.

        Args:
            t: scores by which elements are chosen.
            default_mask: the mask so far.

        Returns:
            the new mask.
        """
        return default_mask

    @classmethod
    def apply(cls, module: Module, name: str) -> BasePruningMethod:  # type: ignore[override]
        """Gives a parameter its mask.

        Args:
            module: the module that has the parameter.
            name: name of the parameter.

        Returns:
            the method, or the container of all methods applied to the parameter so far.
        """
        return super().apply(module, name)


class RandomUnstructured(BasePruningMethod):
    """Prunes elements at random.

    Args:
        amount: how many: an int, or a share in [0, 1] as a float.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.RandomUnstructured.html

    Example:
        >>> import jax.numpy as jnp
        >>> RandomUnstructured(0.75).prune(jnp.ones(8)).sum().item()
        2.0
    """

    PRUNING_TYPE: ClassVar[str] = "unstructured"

    def __init__(self, amount: float) -> None:
        check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: jax.Array, default_mask: jax.Array) -> jax.Array:
        """The mask without as many elements as ``amount`` says.

        Args:
            t: scores by which elements are chosen.
            default_mask: the mask so far.

        Returns:
            the new mask.
        """
        size = math.prod(t.shape)
        count = how_many(self.amount, size)
        return without(smallest(draw("random_unstructured", size), count), default_mask) if count else default_mask

    @classmethod
    def apply(cls, module: Module, name: str, amount: float) -> BasePruningMethod:  # type: ignore[override]
        """Prunes a parameter.

        Args:
            module: the module that has the parameter.
            name: name of the parameter.
            amount: how many of those that are left: an int, or a share in [0, 1] as a float.

        Returns:
            the method, or the container of all methods applied to the parameter so far.
        """
        return super().apply(module, name, amount=amount)


class L1Unstructured(BasePruningMethod):
    """Prunes the elements of smallest magnitude; of equal ones the first.

    Args:
        amount: how many: an int, or a share in [0, 1] as a float.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.L1Unstructured.html

    Example:
        >>> import jax.numpy as jnp
        >>> L1Unstructured(2).prune(jnp.array([3.0, -1.0, 2.0, -4.0])).tolist()
        [3.0, -0.0, 0.0, -4.0]
    """

    PRUNING_TYPE: ClassVar[str] = "unstructured"

    def __init__(self, amount: float) -> None:
        check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: jax.Array, default_mask: jax.Array) -> jax.Array:
        """The mask without as many elements as ``amount`` says.

        Args:
            t: scores by which elements are chosen.
            default_mask: the mask so far.

        Returns:
            the new mask.
        """
        count = how_many(self.amount, math.prod(t.shape))
        return without(smallest(magnitudes(host("t", t)), count), default_mask) if count else default_mask

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: Module, name: str, amount: float, importance_scores: ArrayLike | None = None
    ) -> BasePruningMethod:
        """Prunes a parameter.

        Args:
            module: the module that has the parameter.
            name: name of the parameter.
            amount: how many of those that are left: an int, or a share in [0, 1] as a float.
            importance_scores: of the parameter's shape, in its place; what scores least is pruned.

        Returns:
            the method, or the container of all methods applied to the parameter so far.
        """
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


class RandomStructured(BasePruningMethod):
    """Prunes whole slices along an axis, at random.

    Args:
        amount: how many: an int, or a share in [0, 1] as a float.
        dim: the axis of which each index is a slice.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.RandomStructured.html

    Example:
        >>> import jax.numpy as jnp
        >>> sorted(RandomStructured(1, dim=0).prune(jnp.ones((2, 3))).sum(1).tolist())
        [0.0, 3.0]
    """

    PRUNING_TYPE: ClassVar[str] = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        check_amount(amount)
        self.amount = amount
        self.dim = dim

    def compute_mask(self, t: jax.Array, default_mask: jax.Array) -> jax.Array:
        """The mask without as many slices as ``amount`` says.

        Args:
            t: scores by which elements are chosen.
            default_mask: the mask so far.

        Returns:
            the new mask.
        """
        dim = check_dim(t.shape, self.dim)
        count = how_many(self.amount, t.shape[dim])
        if not count:
            return default_mask
        return without_slices(smallest(draw("random_structured", t.shape[dim]), count), dim, default_mask)

    @classmethod
    def apply(cls, module: Module, name: str, amount: float, dim: int = -1) -> BasePruningMethod:  # type: ignore[override]
        """Prunes a parameter.

        Args:
            module: the module that has the parameter.
            name: name of the parameter.
            amount: how many of those that are left: an int, or a share in [0, 1] as a float.
            dim: the axis of which each index is a slice.

        Returns:
            the method, or the container of all methods applied to the parameter so far.
        """
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(BasePruningMethod):
    """Prunes the slices of smallest n-norm along an axis; of equal ones the first.

    Args:
        amount: how many: an int, or a share in [0, 1] as a float.
        n: order of the norm: a number, inf, -inf, "fro" (2), or "nuc" for slices that are matrices.
        dim: the axis of which each index is a slice.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.LnStructured.html

    Example:
        >>> import jax.numpy as jnp
        >>> LnStructured(1, n=2, dim=0).prune(jnp.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
        [[0.0, 0.0], [2.0, 0.0]]
    """

    PRUNING_TYPE: ClassVar[str] = "structured"

    def __init__(self, amount: float, n: float | str, dim: int = -1) -> None:
        check_amount(amount)
        self.amount = amount
        self.n = n
        self.dim = dim

    def compute_mask(self, t: jax.Array, default_mask: jax.Array) -> jax.Array:
        """The mask without as many slices as ``amount`` says.

        Args:
            t: scores by which elements are chosen.
            default_mask: the mask so far.

        Returns:
            the new mask.
        """
        dim = check_dim(t.shape, self.dim)
        count = how_many(self.amount, t.shape[dim])
        if not count:
            return default_mask
        return without_slices(smallest(norms(host("t", t), self.n, dim), count), dim, default_mask)

    @classmethod
    def apply(  # type: ignore[override]
        cls,
        module: Module,
        name: str,
        amount: float,
        n: float | str,
        dim: int,
        importance_scores: ArrayLike | None = None,
    ) -> BasePruningMethod:
        """Prunes a parameter.

        Args:
            module: the module that has the parameter.
            name: name of the parameter.
            amount: how many of those that are left: an int, or a share in [0, 1] as a float.
            n: order of the norm: a number, inf, -inf, "fro" (2), or "nuc" for slices that are matrices.
            dim: the axis of which each index is a slice.
            importance_scores: of the parameter's shape, in its place; what scores least is pruned.

        Returns:
            the method, or the container of all methods applied to the parameter so far.
        """
        return super().apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)


class CustomFromMask(BasePruningMethod):
    """Prunes where a given mask is zero.

    Args:
        mask: zeros and ones (or booleans) of the parameter's shape.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.CustomFromMask.html

    Example:
        >>> import jax.numpy as jnp
        >>> CustomFromMask(jnp.array([1, 0, 1])).prune(jnp.ones(3)).tolist()
        [1.0, 0.0, 1.0]
    """

    PRUNING_TYPE: ClassVar[str] = "global"

    def __init__(self, mask: ArrayLike) -> None:
        self.mask = mask

    def compute_mask(self, t: jax.Array, default_mask: jax.Array) -> jax.Array:
        """The product of both masks.

        Args:
            t: scores by which elements are chosen.
            default_mask: the mask so far.

        Returns:
            the new mask.

        Raises:
            AssertionError: if the two masks differ in shape.
        """
        mask = to_array(self.mask, "mask")
        if mask.shape != default_mask.shape:
            raise AssertionError(f"mask must be of the shape of default_mask, {default_mask.shape}, got {mask.shape}")
        return default_mask * mask.astype(default_mask.dtype)

    @classmethod
    def apply(cls, module: Module, name: str, mask: ArrayLike) -> BasePruningMethod:  # type: ignore[override]
        """Prunes a parameter.

        Args:
            module: the module that has the parameter.
            name: name of the parameter.
            mask: zeros and ones (or booleans) of the parameter's shape.

        Returns:
            the method, or the container of all methods applied to the parameter so far.
        """
        return super().apply(module, name, mask=mask)
