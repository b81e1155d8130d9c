"""Adaptive softmax over classes of very unequal frequency."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fnn import functional as F
from fnn.functional.arrays import ArrayLike, known
from fnn.functional.checks import as_array, check_index_range, check_integer, check_rank, check_shape, fail
from fnn.functional.explained import is_number
from fnn.nn.modules.container import ModuleList, Sequential
from fnn.nn.modules.linear import Linear
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import check_sizes
from fnn.nn.placement import Device, DType

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class ASMoutput(NamedTuple):
    """What ``AdaptiveLogSoftmaxWithLoss`` returns.

    Attributes:
        output (jax.Array): the log-probability of each target, (N) or ().
        loss (jax.Array): minus their mean, ().
    """

    output: jax.Array
    loss: jax.Array


class AdaptiveLogSoftmaxWithLoss(Module):
    r"""Softmax over very many classes of very unequal frequency, and its loss.

    .. math:: \log p(c) = \log p_{head}(c), \quad \text{or } \log p_{head}(k) + \log p_k(c) \text{ for c in cluster k}

    Classes are numbered by decreasing frequency. The first ones, the shortlist, have their logits in the head, together
    with one logit for each cluster of the others; a cluster works in fewer dimensions. The clusters' logits are never
    held all at once for the loss (see ``F.linear_cross_entropy``).

    Args:
        in_features: features of the input.
        n_classes: number of classes.
        cutoffs: increasing class numbers at which a new cluster begins; the first is the size of the shortlist.
        div_value: cluster i = 0, 1, ... works in floor(in_features / div_value^(i + 1)) dimensions.
        head_bias: whether the head has a bias.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        head (Linear): from in_features to the shortlist and the clusters.
        tail (ModuleList): for each cluster a ``Sequential`` of two ``Linear`` without bias.
        cutoffs (list[int]): with ``n_classes`` at its end.

    Shape:
        - input: (N, in_features) or (in_features).
        - target: (N) or (), integers from 0 to n_classes - 1.
        - output: (N) or ().
        - loss: ().

    Returns:
        the call returns the named tuple ``(output, loss)``: the log-probability of each target, and minus their mean.

    Raises:
        ValueError: if ``cutoffs`` is empty or not increasing within 1 to n_classes - 1.

    Source: Grave et al., Efficient softmax approximation for GPUs, 2017;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveLogSoftmaxWithLoss.html

    Example:
        >>> import jax.numpy as jnp
        >>> layer = AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10], div_value=2.0)
        >>> layer(jnp.ones((3, 8), jnp.float32), jnp.array([1, 7, 19])).output.shape
        (3,)
    """

    head: Linear
    tail: ModuleList[Sequential]
    cutoffs: list[int]
    shortlist_size: int
    n_clusters: int
    head_size: int

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        cuts = list(cutoffs)
        bounds = [0, *cuts, n_classes]
        if not cuts or any(int(c) != c for c in cuts) or any(low >= high for low, high in pairwise(bounds)):
            raise ValueError(
                "AdaptiveLogSoftmaxWithLoss: cutoffs must be unique, increasing integers between 1 and n_classes - 1 = "
                f"{n_classes - 1}, at least one, got {cuts}"
            )
        check_sizes("AdaptiveLogSoftmaxWithLoss", in_features=in_features)
        if not is_number(div_value) or (value := known(div_value)) is None or not value > 0:
            fail(ValueError, "AdaptiveLogSoftmaxWithLoss", "div_value", "a number above 0", div_value)
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cuts, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, device, dtype)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            width = int(in_features // div_value ** (i + 1))
            down = Linear(in_features, width, False, device, dtype)
            self.tail.append(Sequential(down, Linear(width, high - low, False, device, dtype)))

    def reset_parameters(self) -> None:
        """Draws all parameters anew, as ``Linear`` does."""
        self.head.reset_parameters()
        for cluster in self.tail:
            for linear in cluster:
                linear.reset_parameters()

    def forward(self, input_: ArrayLike, target_: ArrayLike) -> ASMoutput:
        """The log-probability of each target, and the loss.

        Args:
            input_: features, (N, in_features) or (in_features).
            target_: class numbers, (N) or (). Out of range they give NaN under a JAX transformation.

        Returns:
            the named tuple ``(output, loss)``.

        Raises:
            ValueError: if shapes do not fit.
            TypeError: if the target is not of integers.
            IndexError: if a concrete target is out of range.
        """
        name = type(self).__name__
        x, target = as_array(name, "input_", input_), as_array(name, "target_", target_)
        check_rank(name, "target_", target, 0, 1)
        check_shape(name, "input_", x, (*target.shape, self.in_features), f"for a {target.ndim}-D target")
        check_integer(name, target_=target)
        check_index_range(name, "target_", target, self.n_classes)
        rows, labels = (x, target) if target.ndim else (x[None], target[None])
        in_head = labels
        output = jnp.zeros(labels.shape, x.dtype)
        for i, (cluster, (low, high)) in enumerate(zip(self.tail, pairwise(self.cutoffs), strict=True)):
            inside = (labels >= low) & (labels < high)
            within = jnp.where(inside, labels - low, -100)
            output = output - F.linear_cross_entropy(
                cluster[0](rows), cluster[1].weight, within, linear_bias=cluster[1].bias, reduction="none"
            )
            in_head = jnp.where(inside, self.shortlist_size + i, in_head)
        # A target out of range is no class of the head either, so that it gives NaN.
        in_head = jnp.where((labels < 0) | (labels >= self.n_classes), self.head_size, in_head)
        output = output - F.nll_loss(F.log_softmax(self.head(rows), 1), in_head, reduction="none")
        return ASMoutput(output if target.ndim else output[0], -output.mean())

    def _full_log_prob(self, input: jax.Array, head_output: jax.Array) -> jax.Array:
        head = F.log_softmax(head_output, 1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            parts.append(F.log_softmax(cluster(input), 1) + head[:, self.shortlist_size + i, None])
        return jnp.concatenate(parts, 1)

    def log_prob(self, input: ArrayLike) -> jax.Array:
        """The log-probabilities of all classes.

        Args:
            input: features, (N, in_features).

        Returns:
            (N, n_classes).

        Raises:
            ValueError: if the shape does not fit.
        """
        rows = self._rows("log_prob", input)
        return self._full_log_prob(rows, self.head(rows))

    def predict(self, input: ArrayLike) -> jax.Array:
        """The most probable class of each row; clusters are looked at only where the head points to one.

        Args:
            input: features, (N, in_features).

        Returns:
            class numbers, (N).

        Raises:
            ValueError: if the shape does not fit.
        """
        rows = self._rows("predict", input)
        scores = self.head(rows)
        best = jnp.argmax(scores, 1)
        outside = best >= self.shortlist_size

        def search() -> jax.Array:
            return jnp.where(outside, jnp.argmax(self._full_log_prob(rows, scores), 1), best)

        # The clusters are computed only if the head points at one.
        return jax.lax.cond(jnp.any(outside), search, lambda: best)

    def _rows(self, method: str, input: ArrayLike) -> jax.Array:
        name = f"{type(self).__name__}.{method}"
        rows = as_array(name, "input", input)
        check_shape(name, "input", rows, (None, self.in_features))
        return rows
