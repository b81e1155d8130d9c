"""The Vision Transformer with Hugging Face's names, as files of ``ViTModel`` and ``ViTForImageClassification`` have them.

    python examples/models/vit.py                            # random weights
    python examples/models/vit.py vit-base-patch16-224/      # a folder with model.safetensors and config.json

Prints the number of parameters and the time of one call.

    model = ViTForImageClassification()
    model.load_state_dict(fnn.load("vit-base-patch16-224"))
    logits = model.eval()(images)    # (N, 3, 224, 224), scaled to [-1, 1]

Many layers compile as fast as one after ``model.vit.encoder.layer = fnn.repeat(model.vit.encoder.layer)``.

Source: Dosovitskiy et al., An Image is Worth 16x16 Words (2021), https://arxiv.org/abs/2010.11929
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fnn
import fnn.nn.functional as F
from fnn import nn

EPS = 1e-12
# What transformers 5 calls its modules in memory, and what they are called in every file, its own too.
IN_FILES = {
    r"\blayers\.": "encoder.layer.",
    r"\battention\.q_proj\.": "attention.attention.query.",
    r"\battention\.k_proj\.": "attention.attention.key.",
    r"\battention\.v_proj\.": "attention.attention.value.",
    r"\battention\.o_proj\.": "attention.output.dense.",
    r"\bmlp\.fc1\.": "intermediate.dense.",
    r"\bmlp\.fc2\.": "output.dense.",
}


def named(**modules: nn.Module) -> nn.Sequential:
    """One after the other, by these names."""
    return nn.Sequential(OrderedDict(modules))


class ViTPatchEmbeddings(nn.Module):
    """Each patch of an image becomes a vector."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(channels, width, patch, stride=patch)

    def forward(self, images: jax.Array) -> jax.Array:
        return self.projection(images).reshape(images.shape[0], self.projection.out_channels, -1).swapaxes(1, 2)


class ViTEmbeddings(nn.Module):
    """A learned vector for the whole image, then those of the patches, each with its place added."""

    def __init__(self, channels: int, width: int, size: int, patch: int, dropout: float) -> None:
        super().__init__()
        self.size = size
        self.cls_token = nn.Parameter(jnp.zeros((1, 1, width), "float32"))
        self.patch_embeddings = ViTPatchEmbeddings(channels, width, patch)
        self.position_embeddings = nn.Parameter(jnp.zeros((1, (size // patch) ** 2 + 1, width), "float32"))
        self.dropout = nn.Dropout(dropout)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.position_embeddings, std=0.02)

    def forward(self, images: jax.Array) -> jax.Array:
        if images.shape[2:] != (self.size, self.size):
            raise ValueError(f"ViT: images must be {self.size} x {self.size}, got shape {images.shape}")
        patches = self.patch_embeddings(images)
        first = jnp.broadcast_to(self.cls_token.data, (images.shape[0], 1, patches.shape[2]))
        return self.dropout(jnp.concatenate([first, patches], 1) + self.position_embeddings)


class ViTSelfAttention(nn.Module):
    """Every patch looks at all."""

    def __init__(self, width: int, heads: int, bias: bool, dropout: float) -> None:
        super().__init__()
        self.heads, self.p = heads, dropout
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)

    def forward(self, x: jax.Array) -> jax.Array:
        batch, length, width = x.shape
        q, k, v = (
            project(x).reshape(batch, length, self.heads, -1).swapaxes(1, 2)
            for project in (self.query, self.key, self.value)
        )
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=self.p if self.training else 0.0)
        return out.swapaxes(1, 2).reshape(batch, length, width)


class ViTLayer(nn.Module):
    """Attention, then two linear maps; each half begins with a normalization and is added to what went in."""

    def __init__(
        self, width: int, heads: int, inner: int, bias: bool, dropout: float, attention_dropout: float
    ) -> None:
        super().__init__()
        self.attention = named(
            attention=ViTSelfAttention(width, heads, bias, attention_dropout),
            output=named(dense=nn.Linear(width, width), dropout=nn.Dropout(dropout)),
        )
        self.intermediate = named(dense=nn.Linear(width, inner), gelu=nn.GELU())
        self.output = named(dense=nn.Linear(inner, width), dropout=nn.Dropout(dropout))
        self.layernorm_before = nn.LayerNorm(width, eps=EPS)
        self.layernorm_after = nn.LayerNorm(width, eps=EPS)

    def forward(self, x: jax.Array) -> jax.Array:
        x = x + self.attention(self.layernorm_before(x))
        return x + self.output(self.intermediate(self.layernorm_after(x)))


class ViTEncoder(nn.Module):
    def __init__(self, depth: int, *sizes: Any) -> None:
        super().__init__()
        self.layer = nn.ModuleList(ViTLayer(*sizes) for _ in range(depth))

    def forward(self, x: jax.Array) -> jax.Array:
        # An nn.Repeated, which fnn.repeat makes, is called as one layer.
        for layer in self.layer if isinstance(self.layer, nn.ModuleList) else [self.layer]:
            x = layer(x)
        return x


class ViTModel(nn.Module):
    """Images to one vector a patch, the first one for the whole. The arguments are named as in ``config.json``."""

    def __init__(
        self,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        image_size: int = 224,
        patch_size: int = 16,
        num_channels: int = 3,
        qkv_bias: bool = True,
        hidden_dropout_prob: float = 0.0,
        attention_probs_dropout_prob: float = 0.0,
        add_pooling_layer: bool = True,
    ) -> None:
        super().__init__()
        dropouts = hidden_dropout_prob, attention_probs_dropout_prob
        self.embeddings = ViTEmbeddings(num_channels, hidden_size, image_size, patch_size, hidden_dropout_prob)
        self.encoder = ViTEncoder(
            num_hidden_layers, hidden_size, num_attention_heads, intermediate_size, qkv_bias, *dropouts
        )
        self.layernorm = nn.LayerNorm(hidden_size, eps=EPS)
        self.pooler = named(dense=nn.Linear(hidden_size, hidden_size), tanh=nn.Tanh()) if add_pooling_layer else None

    def forward(self, images: jax.Array) -> tuple[jax.Array, jax.Array | None]:
        """The last hidden state (N, L, E), after a normalization, and the pooled output (N, E)."""
        x = self.layernorm(self.encoder(self.embeddings(images)))
        return x, None if self.pooler is None else self.pooler(x[:, 0])

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict(names_of_files(state_dict), strict, assign)


class ViTForImageClassification(nn.Module):
    """Images to logits of classes. Takes the arguments of ``ViTModel`` too."""

    def __init__(self, num_labels: int = 1000, **sizes: Any) -> None:
        super().__init__()
        self.vit = ViTModel(**sizes, add_pooling_layer=False)
        self.classifier = nn.Linear(self.vit.layernorm.normalized_shape[0], num_labels)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)

    def forward(self, images: jax.Array) -> jax.Array:
        """Logits (N, num_labels) of images (N, num_channels, image_size, image_size)."""
        return self.classifier(self.vit(images)[0][:, 0])

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict(names_of_files(state_dict), strict, assign)


def names_of_files(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict by the names of published files."""
    renamed = dict(state)
    for pattern, name in IN_FILES.items():
        renamed = {re.sub(pattern, name, key): array for key, array in renamed.items()}
    return renamed


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", help="a file of weights, or the folder that holds it")
    path, sizes, state = parser.parse_args(arguments).path, {}, None
    if path:
        state = fnn.load(path)
        config = (path if path.is_dir() else path.parent) / "config.json"
        sizes = json.loads(config.read_text()) if config.exists() else {}
        if sizes.get("hidden_act", "gelu") != "gelu":
            raise SystemExit(f"this ViT has gelu, that of {config} {sizes['hidden_act']}")
        sizes = {name: sizes[name] for name in inspect.signature(ViTModel).parameters if name in sizes}
        sizes["num_labels"] = state["classifier.bias"].shape[0]
    model = ViTForImageClassification(**sizes).eval()
    if state:
        model.load_state_dict(state)
    call, size = fnn.jit(model), model.vit.embeddings.size
    channels = model.vit.embeddings.patch_embeddings.projection.in_channels
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (8, channels, size, size)), "float32")
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters, logits {call(images).shape}")
    start = time.perf_counter()
    jax.block_until_ready(call(images))
    print(f"{len(images) / (time.perf_counter() - start):.1f} images per second")


if __name__ == "__main__":
    main()
