"""Llama with Hugging Face's names, as ``LlamaForCausalLM`` has them: the published files load as they are, Mistral's too.

    sizes = json.loads(Path("llama/config.json").read_text())
    model = LlamaForCausalLM(**{n: sizes[n] for n in inspect.signature(LlamaForCausalLM).parameters if n in sizes})
    model.load_state_dict(fnn.load("llama"))
    logits, _ = model.eval()(input_ids)

``generation.py`` beside this file writes text with it. With ``repeat=True`` the layers are one loop, so that many compile as
fast as one; ``model.model.layers = fnn.repeat(model.model.layers)`` does so later.

Source: Touvron et al., Llama 2: Open Foundation and Fine-Tuned Chat Models (2023), https://arxiv.org/abs/2307.09288
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from generation import Caches, empty_caches, first, through

import fnn
import fnn.nn.functional as F
from fnn import nn

Cache = F.KeyValueCache | None
Tables = tuple[jax.Array, jax.Array]
"""Cosines and sines of the angles of the rotary embedding."""
FACTORS = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")


class Sizes(NamedTuple):
    """What a layer is made by."""

    width: int
    inner: int
    heads: int
    shared: int  # heads of keys and values
    features: int  # of a head
    eps: float
    attention_bias: bool
    mlp_bias: bool
    window: int | None


class LlamaAttention(nn.Module):
    """Every token looks at itself and those before; several heads of queries share one of keys and values."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.features, self.window = sizes.features, sizes.window
        queries, keys = sizes.heads * sizes.features, sizes.shared * sizes.features
        self.q_proj = nn.Linear(sizes.width, queries, bias=sizes.attention_bias)
        self.k_proj = nn.Linear(sizes.width, keys, bias=sizes.attention_bias)
        self.v_proj = nn.Linear(sizes.width, keys, bias=sizes.attention_bias)
        self.o_proj = nn.Linear(queries, sizes.width, bias=sizes.attention_bias)

    def forward(self, x: jax.Array, tables: Tables, cache: Cache) -> tuple[jax.Array, Cache]:
        batch, length, _ = x.shape
        q, k, v = (
            project(x).reshape(batch, length, -1, self.features).swapaxes(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = (F.rotary_embedding(a, cos=tables[0], sin=tables[1]) for a in (q, k))
        if cache is None:
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True, window=self.window)
        else:
            out, cache = F.scaled_dot_product_attention(
                q, k, v, is_causal=True, enable_gqa=True, window=self.window, cache=cache
            )
        return self.o_proj(out.swapaxes(1, 2).reshape(batch, length, -1)), cache


class LlamaMLP(nn.Module):
    """SwiGLU: one linear map is the gate of another (Shazeer, 2020)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(sizes.width, sizes.inner, bias=sizes.mlp_bias)
        self.up_proj = nn.Linear(sizes.width, sizes.inner, bias=sizes.mlp_bias)
        self.down_proj = nn.Linear(sizes.inner, sizes.width, bias=sizes.mlp_bias)

    def forward(self, x: jax.Array) -> jax.Array:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaDecoderLayer(nn.Module):
    """Attention and the gated maps, each of a normalized input and added to what goes in."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.self_attn = LlamaAttention(sizes)
        self.mlp = LlamaMLP(sizes)
        self.input_layernorm = nn.RMSNorm(sizes.width, eps=sizes.eps)
        self.post_attention_layernorm = nn.RMSNorm(sizes.width, eps=sizes.eps)

    def forward(self, x: jax.Array, tables: Tables, cache: Cache = None) -> tuple[jax.Array, Cache]:
        mixed, cache = self.self_attn(self.input_layernorm(x), tables, cache)
        x = x + mixed
        return x + self.mlp(self.post_attention_layernorm(x)), cache


class LlamaModel(nn.Module):
    """Tokens to one vector each."""

    layers: nn.ModuleList | nn.Repeated

    def __init__(self, vocab_size: int, depth: int, sizes: Sizes, frequencies: jax.Array, repeat: bool) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab_size, sizes.width)
        layers = nn.ModuleList(LlamaDecoderLayer(sizes) for _ in range(depth))
        self.layers = fnn.repeat(layers) if repeat else layers
        self.norm = nn.RMSNorm(sizes.width, eps=sizes.eps)
        self.frequencies = frequencies

    def forward(self, input_ids: jax.Array, caches: Caches = None) -> tuple[jax.Array, Caches]:
        length = input_ids.shape[1]
        positions = jnp.arange(length) if caches is None else first(caches).positions(length)
        angles = positions[..., None] * self.frequencies
        tables = jnp.cos(angles), jnp.sin(angles)
        x, caches = through(self.layers, self.embed_tokens(input_ids), caches, tables)
        return self.norm(x), caches


def frequencies_of(features: int, base: float, scaling: Mapping[str, Any] | None) -> jax.Array:
    """The frequencies by what ``config.json`` says, under today's names and those of before."""
    given = dict(scaling or {})
    kind = given.get("rope_type", given.get("type", "default"))
    if kind not in ("default", "linear", "llama3"):
        raise ValueError(f"LlamaForCausalLM: the rope_type must be default, linear or llama3, got {kind!r}")
    factors = {name: given[name] for name in FACTORS if name in given}
    return F.rotary_frequencies(features, base=given.get("rope_theta", base), **factors)


class LlamaForCausalLM(nn.Module):
    """Which token comes next at each place. The arguments are named as in ``config.json``."""

    def __init__(
        self,
        vocab_size: int = 32000,
        hidden_size: int = 4096,
        intermediate_size: int = 11008,
        num_hidden_layers: int = 32,
        num_attention_heads: int = 32,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        rms_norm_eps: float = 1e-6,
        rope_theta: float = 10000.0,
        rope_scaling: Mapping[str, Any] | None = None,
        rope_parameters: Mapping[str, Any] | None = None,
        tie_word_embeddings: bool = False,
        attention_bias: bool = False,
        mlp_bias: bool = False,
        sliding_window: int | None = None,
        repeat: bool = False,
    ) -> None:
        super().__init__()
        heads, shared = num_attention_heads, num_key_value_heads or num_attention_heads
        features = head_dim or hidden_size // heads
        bias = attention_bias, mlp_bias
        self.sizes = Sizes(hidden_size, intermediate_size, heads, shared, features, rms_norm_eps, *bias, sliding_window)
        frequencies = frequencies_of(features, rope_theta, rope_parameters or rope_scaling)
        self.model = LlamaModel(vocab_size, num_hidden_layers, self.sizes, frequencies, repeat)
        self.lm_head = nn.Linear(hidden_size, vocab_size, bias=False)
        self.tied = tie_word_embeddings
        if self.tied:
            self.lm_head.weight = self.model.embed_tokens.weight
        for name, parameter in self.named_parameters():
            if not name.endswith(("norm.weight", "bias")):
                nn.init.normal_(parameter, std=0.02)

    def caches(self, batch: int, length: int) -> Caches:
        """Empty caches for ``length`` tokens of each of ``batch`` texts."""
        shape = (batch, self.sizes.shared, length, self.sizes.features)
        return empty_caches(self.model.layers, shape, self.model.embed_tokens.weight.dtype)

    def forward(self, input_ids: jax.Array, caches: Caches = None, *, last: Any = None) -> tuple[jax.Array, Caches]:
        """Logits, and caches with these tokens if some were given.

        Args:
            input_ids: tokens, (N, L); with caches those that follow what these hold.
            caches: as ``caches`` makes them.
            last: places, (N), of which alone logits are wanted.

        Returns:
            logits (N, L, vocab_size), or (N, 1, vocab_size) with ``last``, and the caches.
        """
        x, caches = self.model(input_ids, caches)
        if last is not None:
            x = jnp.take_along_axis(x, jnp.asarray(last)[:, None, None], 1)
        return self.lm_head(x), caches

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Takes files that hold a shared matrix once; the frequencies that old files kept are left out."""
        state = {n: a for n, a in state_dict.items() if not n.endswith(".rotary_emb.inv_freq")}
        if self.tied and "model.embed_tokens.weight" in state:
            state.setdefault("lm_head.weight", state["model.embed_tokens.weight"])
        return super().load_state_dict(state, strict, assign)
