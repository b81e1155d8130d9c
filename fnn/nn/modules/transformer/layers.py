"""One layer of a Transformer's encoder and of its decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import check_probability, fail
from fnn.functional.explained import is_number
from fnn.nn.modules.activation.attention import MultiheadAttention
from fnn.nn.modules.activation.piecewise import ReLU
from fnn.nn.modules.activation.smooth import GELU
from fnn.nn.modules.dropout import Dropout
from fnn.nn.modules.linear import Linear
from fnn.nn.modules.module import Module
from fnn.nn.modules.normalization import LayerNorm
from fnn.nn.modules.utils import check_sizes
from fnn.nn.placement import Device, DType

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]

Activation: TypeAlias = str | Callable[[Any], Any]
"""What stands between the linear maps: "relu", "gelu", a function or a Module."""


def check_sizes_of_layers(layer: str, d_model: Any, nhead: Any, dim_feedforward: Any, dropout: Any) -> None:
    """Raises an error that names the layer's own argument, where that of a part would name the part's.

    Raises:
        TypeError: if a size is no int.
        ValueError: if one is too small, ``nhead`` does not divide ``d_model``, or the dropout is no probability.
    """
    check_sizes(layer, least=1, d_model=d_model, nhead=nhead)
    check_sizes(layer, dim_feedforward=dim_feedforward)
    if d_model % nhead:
        fail(ValueError, layer, "nhead", f"a number that divides d_model ({d_model})", nhead)
    if is_number(dropout):
        check_probability(layer, "dropout", dropout)


def _get_activation_fn(activation: Activation, layer: str = "_get_activation_fn") -> Callable[[Any], Any]:
    """The function of that name; a function or Module stays as it is."""
    if callable(activation):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"{layer}: activation must be 'relu', 'gelu' or a callable, got {activation!r}")
    return F.relu if activation == "relu" else F.gelu


class TransformerEncoderLayer(Module):
    r"""One layer of an encoder: self-attention, then two linear maps, each block with a residual sum and a layer norm.

    .. math::
        x &\leftarrow \mathrm{norm}_1(x + \mathrm{attention}(x)) \\
        x &\leftarrow \mathrm{norm}_2(x + \mathrm{linear}_2(\mathrm{activation}(\mathrm{linear}_1(x))))

    With ``norm_first``: x + attention(norm1(x)), and so on.

    Args:
        d_model: E, features of input and output.
        nhead: number of heads of each attention; it divides ``d_model``.
        dim_feedforward: features between the two linear maps.
        dropout: in training mode, probability of dropout on the output of each block, in the attention's weights and
            between the linear maps.
        activation: what is between the linear maps: "relu", "gelu", a function or a Module.
        layer_norm_eps: ``eps`` of the layer norms.
        batch_first: whether sequences are (N, L, E) instead of (L, N, E).
        norm_first: whether each norm comes before its block instead of after the sum.
        bias: whether attention, linear maps and norms have biases.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        self_attn (MultiheadAttention): the attention.
        linear1 (Linear): E to ``dim_feedforward``.
        linear2 (Linear): ``dim_feedforward`` to E.
        norm1 (LayerNorm): of the attention's block.
        norm2 (LayerNorm): of the linear maps' block.
        dropout, dropout1, dropout2 (Dropout): between the linear maps, after the attention, after the linear maps.
        activation (Callable): the function between the linear maps.

    Shape:
        - src: (S, N, E), (N, S, E) with ``batch_first``, or (S, E) without a batch.
        - src_mask: (S, S) or (N * nhead, S, S).
        - src_key_padding_mask: (N, S), or (S) without a batch.
        - output: as src.

    Raises:
        RuntimeError: if ``activation`` is an unknown name.
        ValueError: if ``nhead`` does not divide ``d_model``; in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.TransformerEncoderLayer.html; Vaswani et al.,
    Attention Is All You Need (2017), https://arxiv.org/abs/1706.03762

    Example:
        >>> import jax.numpy as jnp
        >>> TransformerEncoderLayer(8, 2, 16)(jnp.ones((5, 3, 8), "float32"), is_causal=False).shape
        (5, 3, 8)
    """

    self_attn: MultiheadAttention
    linear1: Linear
    dropout: Dropout
    linear2: Linear
    norm1: LayerNorm
    norm2: LayerNorm
    dropout1: Dropout
    dropout2: Dropout
    activation: Callable[[Any], Any]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        check_sizes_of_layers("TransformerEncoderLayer", d_model, nhead, dim_feedforward, dropout)
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **place
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **place)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        activation = _get_activation_fn(activation, "TransformerEncoderLayer")
        relu, gelu = (activation is f or isinstance(activation, kind) for f, kind in ((F.relu, ReLU), (F.gelu, GELU)))
        self.activation_relu_or_gelu = 1 if relu else 2 if gelu else 0
        self.activation = activation

    def forward(
        self,
        src: ArrayLike,
        src_mask: ArrayLike | None = None,
        src_key_padding_mask: ArrayLike | None = None,
        is_causal: bool = False,
    ) -> jax.Array:
        """The layer on a sequence.

        Args:
            src: the sequence.
            src_mask: hides keys from queries: True, or -inf if floating (then it is added to the scores).
            src_key_padding_mask: hides keys from all queries, alike.
            is_causal: says that ``src_mask`` is the causal mask.

        Returns:
            an array of the shape of ``src``.
        """
        x: Any = src
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), src_mask, src_key_padding_mask, is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(x + self._sa_block(x, src_mask, src_key_padding_mask, is_causal))
        return self.norm2(x + self._ff_block(x))

    def _sa_block(self, x: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> jax.Array:
        output, _ = self.self_attn(
            x,
            x,
            x,
            attn_mask=attn_mask,
            key_padding_mask=key_padding_mask,
            need_weights=False,
            is_causal=is_causal,
        )
        return self.dropout1(output)

    def _ff_block(self, x: Any) -> jax.Array:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerDecoderLayer(Module):
    r"""One layer of a decoder: self-attention, attention to the encoder's output, then two linear maps.

    .. math::
        x &\leftarrow \mathrm{norm}_1(x + \mathrm{attention}(x)) \\
        x &\leftarrow \mathrm{norm}_2(x + \mathrm{attention}(x, \mathrm{memory})) \\
        x &\leftarrow \mathrm{norm}_3(x + \mathrm{linear}_2(\mathrm{activation}(\mathrm{linear}_1(x))))

    With ``norm_first``: x + attention(norm1(x)), and so on.

    Args:
        d_model: E, features of input and output.
        nhead: number of heads of each attention; it divides ``d_model``.
        dim_feedforward: features between the two linear maps.
        dropout: in training mode, probability of dropout on the output of each block, in the attention's weights and
            between the linear maps.
        activation: what is between the linear maps: "relu", "gelu", a function or a Module.
        layer_norm_eps: ``eps`` of the layer norms.
        batch_first: whether sequences are (N, L, E) instead of (L, N, E).
        norm_first: whether each norm comes before its block instead of after the sum.
        bias: whether attention, linear maps and norms have biases.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        self_attn (MultiheadAttention): the attention of the target to itself.
        multihead_attn (MultiheadAttention): its attention to the memory.
        linear1 (Linear): E to ``dim_feedforward``.
        linear2 (Linear): ``dim_feedforward`` to E.
        norm1, norm2, norm3 (LayerNorm): of the three blocks.
        dropout, dropout1, dropout2, dropout3 (Dropout): between the linear maps, and after the three blocks.
        activation (Callable): the function between the linear maps.

    Shape:
        - tgt: (T, N, E), (N, T, E) with ``batch_first``, or (T, E) without a batch.
        - memory: as tgt with S for T.
        - tgt_mask: (T, T) or (N * nhead, T, T).
        - memory_mask: (T, S) or (N * nhead, T, S).
        - tgt_key_padding_mask: (N, T), or (T) without a batch.
        - memory_key_padding_mask: (N, S), or (S) without a batch.
        - output: as tgt.

    Raises:
        RuntimeError: if ``activation`` is an unknown name.
        ValueError: if ``nhead`` does not divide ``d_model``; in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.TransformerDecoderLayer.html; Vaswani et al.,
    Attention Is All You Need (2017), https://arxiv.org/abs/1706.03762

    Example:
        >>> import jax.numpy as jnp
        >>> layer = TransformerDecoderLayer(8, 2, 16)
        >>> layer(jnp.ones((5, 3, 8), "float32"), jnp.ones((4, 3, 8), "float32")).shape
        (5, 3, 8)
    """

    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention
    linear1: Linear
    dropout: Dropout
    linear2: Linear
    norm1: LayerNorm
    norm2: LayerNorm
    norm3: LayerNorm
    dropout1: Dropout
    dropout2: Dropout
    dropout3: Dropout
    activation: Callable[[Any], Any]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        check_sizes_of_layers("TransformerDecoderLayer", d_model, nhead, dim_feedforward, dropout)
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        attention: dict[str, Any] = {"dropout": dropout, "bias": bias, "batch_first": batch_first, **place}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **place)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
        self.norm3 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = _get_activation_fn(activation, "TransformerDecoderLayer")

    def forward(
        self,
        tgt: ArrayLike,
        memory: ArrayLike,
        tgt_mask: ArrayLike | None = None,
        memory_mask: ArrayLike | None = None,
        tgt_key_padding_mask: ArrayLike | None = None,
        memory_key_padding_mask: ArrayLike | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> jax.Array:
        """The layer on a sequence.

        Args:
            tgt: the sequence.
            memory: the encoder's output.
            tgt_mask: hides elements of ``tgt`` from each other: True, or -inf if floating (then it is added).
            memory_mask: hides elements of ``memory`` from those of ``tgt``, alike.
            tgt_key_padding_mask: hides elements of ``tgt`` from all, alike.
            memory_key_padding_mask: hides elements of ``memory`` from all, alike.
            tgt_is_causal: says that ``tgt_mask`` is the causal mask.
            memory_is_causal: says that ``memory_mask`` is the causal mask.

        Returns:
            an array of the shape of ``tgt``.
        """
        x: Any = tgt
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        cross = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), *own)
            x = x + self._mha_block(self.norm2(x), *cross)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(x + self._sa_block(x, *own))
        x = self.norm2(x + self._mha_block(x, *cross))
        return self.norm3(x + self._ff_block(x))

    def _sa_block(self, x: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> jax.Array:
        output, _ = self.self_attn(
            x,
            x,
            x,
            attn_mask=attn_mask,
            key_padding_mask=key_padding_mask,
            is_causal=is_causal,
            need_weights=False,
        )
        return self.dropout1(output)

    def _mha_block(self, x: Any, mem: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> jax.Array:
        output, _ = self.multihead_attn(
            x,
            mem,
            mem,
            attn_mask=attn_mask,
            key_padding_mask=key_padding_mask,
            is_causal=is_causal,
            need_weights=False,
        )
        return self.dropout2(output)

    def _ff_block(self, x: Any) -> jax.Array:
        return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))
