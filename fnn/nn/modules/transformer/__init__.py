"""Transformer layers."""

from fnn.nn.modules.transformer.layers import TransformerDecoderLayer as TransformerDecoderLayer
from fnn.nn.modules.transformer.layers import TransformerEncoderLayer as TransformerEncoderLayer
from fnn.nn.modules.transformer.layers import _get_activation_fn as _get_activation_fn
from fnn.nn.modules.transformer.stacks import Transformer as Transformer
from fnn.nn.modules.transformer.stacks import TransformerDecoder as TransformerDecoder
from fnn.nn.modules.transformer.stacks import TransformerEncoder as TransformerEncoder
from fnn.nn.modules.transformer.stacks import _get_clones as _get_clones

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
