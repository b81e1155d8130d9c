"""Multi-head attention as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import jax
import jax.numpy as jnp

from fnn.functional import attention as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.attention.cache import KeyValueCache
from fnn.functional.attention.multi_head import merged_mask
from fnn.functional.checks import as_array
from fnn.nn import init
from fnn.nn.modules.linear import NonDynamicallyQuantizableLinear
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import check_sizes
from fnn.nn.parameter import OptionalParameter, Parameter
from fnn.nn.placement import Device, DType, empty

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    r"""Attention in several heads of learned projections.

    .. math:: \mathrm{head}_h = \mathrm{softmax}(q_h k_h^T / \sqrt{d} + \mathrm{mask}) \, v_h

    Query, key and value are projected to ``embed_dim`` features, which the heads share out, :math:`d` each; the heads'
    results, put together again, go through ``out_proj``. In training mode weights are dropped with probability
    ``dropout`` and the others scaled by ``1 / (1 - dropout)``.

    Args:
        embed_dim: features of query and output, and of all heads together.
        num_heads: number of heads; divides ``embed_dim``.
        dropout: in training mode, probability with which an attention weight is dropped; 0 drops none.
        bias: whether the projections, those of the input and ``out_proj``, have biases.
        add_bias_kv: whether one learned key and value are added at the end of the sequence.
        add_zero_attn: whether one key and value of zeros are added at the end of the sequence.
        kdim: features of key, ``embed_dim`` if not given.
        vdim: features of value, ``embed_dim`` if not given.
        batch_first: whether query, key, value and output are (N, L, E), not (L, N, E).
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        in_proj_weight (Parameter | None): the three projections, one below the other, (3 E, E); ``None`` if ``kdim`` or
            ``vdim`` differs from E.
        q_proj_weight (Parameter | None): (E, E), only where ``in_proj_weight`` is ``None``.
        k_proj_weight (Parameter | None): (E, kdim), likewise.
        v_proj_weight (Parameter | None): (E, vdim), likewise.
        in_proj_bias (Parameter | None): (3 E).
        bias_k (Parameter | None): (1, 1, E), with ``add_bias_kv``.
        bias_v (Parameter | None): (1, 1, E), likewise.
        out_proj (Linear): from E to E features.

    Shape:
        - query: (L, N, E), (N, L, E) with ``batch_first``, or (L, E); E is ``embed_dim``.
        - key: (S, N, kdim), (N, S, kdim) with ``batch_first``, or (S, kdim).
        - value: (S, N, vdim), (N, S, vdim) with ``batch_first``, or (S, vdim).
        - output: as query.
        - weights: (N, L, S), or (N, num_heads, L, S) if not averaged; without N for an unbatched query.

    Returns:
        the call returns the output and the weights of the values in it, or ``None`` for the weights; with ``cache=`` a third,
        the cache with the new keys and values.

    Raises:
        ValueError: if a size is not positive, or ``num_heads`` does not divide ``embed_dim``.

    Source: Vaswani et al., Attention Is All You Need, 2017;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.MultiheadAttention.html

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((5, 3, 8), jnp.float32)
        >>> output, weights = MultiheadAttention(8, 2)(x, x, x)
        >>> output.shape, weights.shape
        ((5, 3, 8), (3, 5, 5))
        >>> from fnn.nn import functional as F
        >>> attend, cache = MultiheadAttention(8, 2), F.KeyValueCache.zeros((3, 2, 16, 4))
        >>> for token in x[:, None]:
        ...     output, weights, cache = attend(token, token, token, cache=cache)
        >>> output.shape, weights.shape, int(cache.length)
        ((1, 3, 8), (3, 1, 16), 5)
    """

    in_proj_weight: OptionalParameter
    q_proj_weight: OptionalParameter
    k_proj_weight: OptionalParameter
    v_proj_weight: OptionalParameter
    in_proj_bias: OptionalParameter
    bias_k: OptionalParameter
    bias_v: OptionalParameter
    out_proj: NonDynamicallyQuantizableLinear
    kdim: int
    vdim: int
    head_dim: int

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"MultiheadAttention: embed_dim and num_heads must be greater than 0, got {embed_dim} and {num_heads}"
            )
        if embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}"
            )
        sizes = {"kdim": kdim, "vdim": vdim}
        check_sizes("MultiheadAttention", **{name: size for name, size in sizes.items() if size is not None})
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn
        shapes = {
            "q_proj_weight": (embed_dim, embed_dim),
            "k_proj_weight": (embed_dim, self.kdim),
            "v_proj_weight": (embed_dim, self.vdim),
            "in_proj_weight": (3 * embed_dim, embed_dim),
            "in_proj_bias": (3 * embed_dim,),
            "bias_k": (1, 1, embed_dim),
            "bias_v": (1, 1, embed_dim),
        }
        separate = not self._qkv_same_embed_dim
        present = {"in_proj_weight": not separate, "in_proj_bias": bias, "bias_k": add_bias_kv, "bias_v": add_bias_kv}
        for name, shape in shapes.items():
            there = present.get(name, separate)
            self.register_parameter(name, Parameter(empty(shape, device, dtype)) if there else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    if TYPE_CHECKING:
        # What a call returns, by whether it asks for the weights. ``Module.__call__`` is what runs: it knows one
        # signature of ``forward``, and a subclass that overrides an overloaded one would have to repeat them all.
        @overload
        def __call__(
            self,
            query: ArrayLike,
            key: ArrayLike,
            value: ArrayLike,
            key_padding_mask: ArrayLike | None = ...,
            need_weights: Literal[True] = ...,
            attn_mask: ArrayLike | None = ...,
            average_attn_weights: bool = ...,
            is_causal: bool = ...,
            *,
            cache: None = ...,
        ) -> tuple[jax.Array, jax.Array]: ...
        @overload
        def __call__(
            self,
            query: ArrayLike,
            key: ArrayLike,
            value: ArrayLike,
            key_padding_mask: ArrayLike | None = ...,
            *,
            need_weights: Literal[False],
            attn_mask: ArrayLike | None = ...,
            average_attn_weights: bool = ...,
            is_causal: bool = ...,
            cache: None = ...,
        ) -> tuple[jax.Array, None]: ...
        @overload
        def __call__(
            self,
            query: ArrayLike,
            key: ArrayLike,
            value: ArrayLike,
            key_padding_mask: ArrayLike | None = ...,
            need_weights: bool = ...,
            attn_mask: ArrayLike | None = ...,
            average_attn_weights: bool = ...,
            is_causal: bool = ...,
            *,
            cache: None = ...,
        ) -> tuple[jax.Array, jax.Array | None]: ...
        @overload
        def __call__(
            self,
            query: ArrayLike,
            key: ArrayLike,
            value: ArrayLike,
            key_padding_mask: ArrayLike | None = ...,
            need_weights: bool = ...,
            attn_mask: ArrayLike | None = ...,
            average_attn_weights: bool = ...,
            is_causal: bool = ...,
            *,
            cache: KeyValueCache,
        ) -> tuple[jax.Array, jax.Array | None, KeyValueCache]: ...
        @overload
        def __call__(
            self,
            query: ArrayLike,
            key: ArrayLike,
            value: ArrayLike,
            key_padding_mask: ArrayLike | None = ...,
            need_weights: bool = ...,
            attn_mask: ArrayLike | None = ...,
            average_attn_weights: bool = ...,
            is_causal: bool = ...,
            *,
            cache: KeyValueCache | None,
        ) -> tuple[jax.Array, jax.Array | None] | tuple[jax.Array, jax.Array | None, KeyValueCache]: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def forward(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike,
        key_padding_mask: ArrayLike | None = None,
        need_weights: bool = True,
        attn_mask: ArrayLike | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> tuple[jax.Array, jax.Array | None] | tuple[jax.Array, jax.Array | None, KeyValueCache]:
        """Attends.

        With a ``cache``, query, key and value are those of new tokens, L of each; their keys and values are written into it,
        and the queries look at all S places of it that are taken.

        Args:
            query: what looks.
            key: what is looked at.
            value: what is averaged.
            key_padding_mask: (N, S) or (S); True (or -inf, if floating) hides a key from every query.
            need_weights: whether the weights are returned; without them the call is faster and takes less memory.
            attn_mask: (L, S) or (N * num_heads, L, S); True (or -inf, if floating) hides a key from a query.
            average_attn_weights: whether the returned weights are averaged over the heads.
            is_causal: says that ``attn_mask``, which must be given, is the causal mask. With a cache it needs no mask: what was
                there is seen by all new tokens, and of these each sees itself and those before it.
            cache: projected keys and values of the tokens before, at first
                ``F.KeyValueCache.zeros((N, num_heads, S, head_dim))``. Not in torch.

        Returns:
            the output and the weights; ``None`` for the weights without ``need_weights``; with a cache also the new cache.

        Raises:
            TypeError: if a dtype does not fit that of the parameters.
            ValueError: if a shape does not fit, or the layer adds keys of its own to those of a cache.
            IndexError: if the cache has too few places left; where its length is traced, the output is NaN instead.
        """
        swap = self.batch_first and jnp.ndim(query) == 3
        if swap:
            arrays: dict[int, jax.Array] = {}
            for name, a in (("query", query), ("key", key), ("value", value)):
                # One array given thrice stays one array, so that its three projections are one product.
                if id(a) not in arrays:
                    array = as_array("MultiheadAttention", name, a)
                    arrays[id(a)] = array.swapaxes(0, 1) if array.ndim > 1 else array
            query, key, value = arrays[id(query)], arrays[id(key)], arrays[id(value)]
        separate = not self._qkv_same_embed_dim
        attended = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=separate,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            cache=cache,
        )
        if not swap:
            return attended
        output, weights, *new = attended
        output = output.swapaxes(0, 1)
        return (output, weights, new[0]) if new else (output, weights)

    def merge_masks(
        self, attn_mask: ArrayLike | None, key_padding_mask: ArrayLike | None, query: ArrayLike
    ) -> tuple[jax.Array | None, int | None]:
        """Both masks as one, and what kind of mask it is.

        Args:
            attn_mask: (L, L) or (N * num_heads, L, L).
            key_padding_mask: (N, L).
            query: (N, L, E), of which the shape and the dtype are read.

        Returns:
            a mask of shape (N, num_heads, L, L) and 2; without ``attn_mask`` the padding mask and 1; with neither
            ``None`` twice.
        """
        x = as_array("MultiheadAttention.merge_masks", "query", query)
        mask, padding = (None if m is None else jnp.asarray(m) for m in (attn_mask, key_padding_mask))
        if mask is None:
            return padding, None if padding is None else 1
        batch, length, _ = x.shape
        merged: Any = merged_mask(mask, padding, (batch, self.num_heads), 0, x.dtype)
        return jnp.broadcast_to(merged, (batch, self.num_heads, length, length)), 2
