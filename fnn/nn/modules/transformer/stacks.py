"""Stacks of Transformer layers, and the whole Transformer."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn import functional as F
from fnn.functional.arrays import ArrayLike, is_concrete
from fnn.nn import init
from fnn.nn.modules.container import ModuleList, Repeated
from fnn.nn.modules.module import Module
from fnn.nn.modules.normalization import LayerNorm
from fnn.nn.modules.transformer.layers import (
    Activation,
    TransformerDecoderLayer,
    TransformerEncoderLayer,
    _get_activation_fn,
    check_sizes_of_layers,
)
from fnn.nn.placement import Device, DType, parse_device, parse_dtype

__all__ = ["Transformer", "TransformerDecoder", "TransformerEncoder"]


def _get_clones(module: Module, N: int) -> ModuleList:
    """So many deep copies of a module, each with parameters of its own."""
    return ModuleList([copy.deepcopy(module) for _ in range(N)])


def _steps(layers: ModuleList | Repeated) -> Iterable[Module]:
    """The Modules to be called in turn: the layers, or the one that is all of them."""
    return [layers] if isinstance(layers, Repeated) else layers


def _is_causal(mask: Any, hint: bool | None, sequence: Any, layers: ModuleList | Repeated) -> bool:
    """The hint; without one, whether a concrete mask is the causal one, which attention need not read then.

    A traced mask is taken as it is: the result is the same.
    """
    if hint is not None or mask is None or not is_concrete(mask) or not len(layers):
        return hint is True
    shape = jnp.shape(sequence)
    batch_first = len(shape) > 2 and getattr(getattr(layers[0], "self_attn", None), "batch_first", False)
    length = shape[1 if batch_first else 0] if shape else 0
    values = np.asarray(mask)
    if values.shape != (length, length):
        return False
    later = np.triu(np.ones(values.shape, np.bool_), 1)
    if values.dtype == np.bool_:
        return bool((values == later).all())
    return bool((values[~later] == 0).all() and np.isneginf(values[later].astype(np.float32)).all())


class TransformerEncoder(Module):
    """A stack of encoder layers, each a deep copy of the one given, which it leaves alone.

    All copies begin with the same numbers. There are no nested tensors here: padded places of the output have the
    values that torch computes in training mode.

    Args:
        encoder_layer: the layer to copy, a ``TransformerEncoderLayer`` or a Module that is called as one.
        num_layers: how many copies.
        norm: a Module applied to the result; ``None`` for none.
        enable_nested_tensor: accepted for torch's signature; changes nothing.
        mask_check: accepted for torch's signature; changes nothing.

    Attributes:
        layers (ModuleList | Repeated): the copies; ``fnn.repeat`` of them in their place makes one compiled loop.
        norm (Module | None): as given.

    Shape:
        - src: (S, N, E), (N, S, E) with ``batch_first`` layers, or (S, E) without a batch.
        - mask: (S, S) or (N * nhead, S, S).
        - src_key_padding_mask: (N, S), or (S) without a batch.
        - output: as src.

    Raises:
        ValueError: in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.TransformerEncoder.html; Vaswani et al.,
    Attention Is All You Need (2017), https://arxiv.org/abs/1706.03762

    Example:
        >>> import jax.numpy as jnp
        >>> encoder = TransformerEncoder(TransformerEncoderLayer(8, 2, 16), 2)
        >>> encoder(jnp.ones((5, 3, 8), "float32")).shape
        (5, 3, 8)
    """

    layers: ModuleList | Repeated
    norm: Module | None

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _get_clones(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = False
        self.mask_check = mask_check

    def forward(
        self,
        src: ArrayLike,
        mask: ArrayLike | None = None,
        src_key_padding_mask: ArrayLike | None = None,
        is_causal: bool | None = None,
    ) -> jax.Array:
        """The layers in turn.

        Args:
            src: the sequence.
            mask: hides keys from queries: True, or -inf if floating (then it is added to the scores).
            src_key_padding_mask: hides keys from all queries, alike.
            is_causal: says that ``mask`` is the causal mask; ``None`` has it looked at.

        Returns:
            an array of the shape of ``src``.
        """
        output: Any = src
        is_causal = _is_causal(mask, is_causal, src, self.layers)
        options: Any = {"src_mask": mask, "is_causal": is_causal, "src_key_padding_mask": src_key_padding_mask}
        for layer in _steps(self.layers):
            output = layer(output, **options)
        return output if self.norm is None else self.norm(output)


class TransformerDecoder(Module):
    """A stack of decoder layers, each a deep copy of the one given, which it leaves alone.

    The copies keep an activation that is a Module; in torch they fall back to relu.

    Args:
        decoder_layer: the layer to copy, a ``TransformerDecoderLayer`` or a Module that is called as one.
        num_layers: how many copies.
        norm: a Module applied to the result; ``None`` for none.

    Attributes:
        layers (ModuleList | Repeated): the copies; ``fnn.repeat`` of them in their place makes one compiled loop.
        norm (Module | None): as given.

    Shape:
        - tgt: (T, N, E), (N, T, E) with ``batch_first`` layers, or (T, E) without a batch.
        - memory: as tgt with S for T.
        - tgt_mask, memory_mask: (T, T) and (T, S), or with N * nhead before.
        - tgt_key_padding_mask, memory_key_padding_mask: (N, T) and (N, S), or without N.
        - output: as tgt.

    Raises:
        ValueError: in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.TransformerDecoder.html; Vaswani et al.,
    Attention Is All You Need (2017), https://arxiv.org/abs/1706.03762

    Example:
        >>> import jax.numpy as jnp
        >>> decoder = TransformerDecoder(TransformerDecoderLayer(8, 2, 16), 2)
        >>> decoder(jnp.ones((5, 3, 8), "float32"), jnp.ones((4, 3, 8), "float32")).shape
        (5, 3, 8)
    """

    layers: ModuleList | Repeated
    norm: Module | None

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _get_clones(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: ArrayLike,
        memory: ArrayLike,
        tgt_mask: ArrayLike | None = None,
        memory_mask: ArrayLike | None = None,
        tgt_key_padding_mask: ArrayLike | None = None,
        memory_key_padding_mask: ArrayLike | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> jax.Array:
        """The layers in turn.

        Args:
            tgt: the sequence.
            memory: the encoder's output.
            tgt_mask: hides elements of ``tgt`` from each other: True, or -inf if floating (then it is added).
            memory_mask: hides elements of ``memory`` from those of ``tgt``, alike.
            tgt_key_padding_mask: hides elements of ``tgt`` from all, alike.
            memory_key_padding_mask: hides elements of ``memory`` from all, alike.
            tgt_is_causal: says that ``tgt_mask`` is the causal mask; ``None`` has it looked at.
            memory_is_causal: says that ``memory_mask`` is the causal mask.

        Returns:
            an array of the shape of ``tgt``.
        """
        output: Any = tgt
        tgt_is_causal = _is_causal(tgt_mask, tgt_is_causal, tgt, self.layers)
        for layer in _steps(self.layers):
            output = layer(
                output,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=tgt_is_causal,
                memory_is_causal=memory_is_causal,
            )
        return output if self.norm is None else self.norm(output)


class Transformer(Module):
    r"""The whole Transformer: an encoder of the source, and a decoder of the target against what the encoder gives.

    .. math:: \mathrm{out} = \mathrm{decoder}(\mathrm{tgt},\; \mathrm{encoder}(\mathrm{src}))

    Embeddings, positions and the last linear layer are the caller's.

    Args:
        d_model: E, features of both sequences.
        nhead: number of heads of each attention; it divides ``d_model``.
        num_encoder_layers: layers of the encoder.
        num_decoder_layers: layers of the decoder.
        dim_feedforward: features between the two linear maps of a layer.
        dropout: in training mode, probability of dropout, as in the layers.
        activation: what is between the linear maps: "relu", "gelu", a function or a Module.
        custom_encoder: a Module used as the encoder; ``None`` makes a ``TransformerEncoder``.
        custom_decoder: a Module used as the decoder; ``None`` makes a ``TransformerDecoder``.
        layer_norm_eps: ``eps`` of the layer norms.
        batch_first: whether sequences are (N, L, E) instead of (L, N, E).
        norm_first: whether each norm comes before its block instead of after the sum.
        bias: whether attentions, linear maps and norms have biases.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        encoder (Module): the encoder.
        decoder (Module): the decoder.

    Shape:
        - src: (S, N, E), (N, S, E) with ``batch_first``, or (S, E) without a batch.
        - tgt: as src with T for S.
        - src_mask, tgt_mask, memory_mask: (S, S), (T, T) and (T, S), or with N * nhead before.
        - src_key_padding_mask, memory_key_padding_mask: (N, S), or (S) without a batch.
        - tgt_key_padding_mask: (N, T), or (T) without a batch.
        - output: as tgt.

    Raises:
        RuntimeError: if ``activation`` is an unknown name.
        ValueError: if ``nhead`` does not divide ``d_model``; in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Transformer.html; Vaswani et al., Attention Is
    All You Need (2017), https://arxiv.org/abs/1706.03762

    Example:
        >>> import jax.numpy as jnp
        >>> model = Transformer(8, 2, 1, 1, 16).eval()
        >>> model(jnp.ones((5, 3, 8), "float32"), jnp.ones((4, 3, 8), "float32")).shape
        (4, 3, 8)
    """

    encoder: Module
    decoder: Module

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        check_sizes_of_layers("Transformer", d_model, nhead, dim_feedforward, dropout)
        _get_activation_fn(activation, "Transformer")
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        options = (
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device,
            dtype,
        )
        if custom_encoder is None:
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
            custom_encoder = TransformerEncoder(TransformerEncoderLayer(*options), num_encoder_layers, norm)
        self.encoder = custom_encoder
        if custom_decoder is None:
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
            custom_decoder = TransformerDecoder(TransformerDecoderLayer(*options), num_decoder_layers, norm)
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: ArrayLike,
        tgt: ArrayLike,
        src_mask: ArrayLike | None = None,
        tgt_mask: ArrayLike | None = None,
        memory_mask: ArrayLike | None = None,
        src_key_padding_mask: ArrayLike | None = None,
        tgt_key_padding_mask: ArrayLike | None = None,
        memory_key_padding_mask: ArrayLike | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> jax.Array:
        """Encodes ``src`` and decodes ``tgt`` against it.

        Args:
            src: the sequence of the encoder.
            tgt: the sequence of the decoder.
            src_mask: hides elements of ``src`` from each other: True, or -inf if floating (then it is added).
            tgt_mask: hides elements of ``tgt`` from each other, alike.
            memory_mask: hides elements of the encoder's output from those of ``tgt``, alike.
            src_key_padding_mask: hides elements of ``src`` from all, alike.
            tgt_key_padding_mask: hides elements of ``tgt`` from all, alike.
            memory_key_padding_mask: hides elements of the encoder's output from all, alike.
            src_is_causal: says that ``src_mask`` is the causal mask; ``None`` has it looked at.
            tgt_is_causal: says that ``tgt_mask`` is the causal mask; ``None`` has it looked at.
            memory_is_causal: says that ``memory_mask`` is the causal mask.

        Returns:
            an array of the shape of ``tgt``.

        Raises:
            ValueError: if ``src`` is neither 2-D nor 3-D.
            RuntimeError: if the batches of ``src`` and ``tgt`` differ, or their features are not ``d_model``.
        """
        source, target = jnp.shape(src), jnp.shape(tgt)
        if len(source) not in (2, 3):
            raise ValueError(f"Transformer: src must be 2-D or 3-D, got shape {source}")
        axis = 0 if self.batch_first else 1
        if len(source) != len(target) or (len(source) == 3 and source[axis] != target[axis]):
            raise RuntimeError(
                f"Transformer: the batch number of src and tgt must be equal, got shapes {source} and {target}"
            )
        if source[-1] != self.d_model or target[-1] != self.d_model:
            raise RuntimeError(
                f"Transformer: src and tgt must have d_model = {self.d_model} features, got shapes {source} and {target}"
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Device = None, dtype: DType = None) -> jax.Array:
        """The causal mask: -inf above the diagonal, zeros below and on it.

        Args:
            sz: its length.
            device: where it is put; ``None`` is JAX's default device.
            dtype: its dtype; ``None`` is float32.

        Returns:
            an array of shape (sz, sz).

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Transformer.html

        Example:
            >>> Transformer.generate_square_subsequent_mask(2).tolist()
            [[0.0, -inf], [0.0, 0.0]]
        """
        mask = np.triu(np.full((sz, sz), -np.inf, np.float32), 1).astype(parse_dtype(dtype) or np.float32)
        return jax.device_put(mask, parse_device(device))
