"""GPT-2 with Hugging Face's names, as ``GPT2LMHeadModel`` has them: the published files load as they are.

    model = GPT2LMHeadModel()
    model.load_state_dict(fnn.load("gpt2"))
    logits, _ = model.eval()(input_ids)

``generation.py`` beside this file writes text with it. With ``repeat=True`` the layers are one loop, so that many compile as
fast as one; ``model.transformer.h = fnn.repeat(model.transformer.h)`` does so later.

Source: Radford et al., Language Models are Unsupervised Multitask Learners (2019)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from generation import Caches, empty_caches, first, through

import fnn
import fnn.nn.functional as F
from fnn import nn

Cache = F.KeyValueCache | None


class Conv1D(nn.Module):
    """A linear map whose weight lies the other way round, (in, out), as OpenAI's files have it."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(jnp.empty((inputs, outputs), jnp.float32))
        self.bias = nn.Parameter(jnp.zeros(outputs, jnp.float32))

    def forward(self, x: jax.Array) -> jax.Array:
        return F.linear(x, self.weight.T, self.bias)


class GPT2Attention(nn.Module):
    """Every token looks at itself and at those before."""

    def __init__(self, width: int, heads: int, attn_pdrop: float, resid_pdrop: float) -> None:
        super().__init__()
        self.heads, self.p = heads, attn_pdrop
        self.c_attn = Conv1D(3 * width, width)
        self.c_proj = Conv1D(width, width)
        self.resid_dropout = nn.Dropout(resid_pdrop)

    def forward(self, x: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        batch, length, width = x.shape
        q, k, v = self.c_attn(x).reshape(batch, length, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
        p = self.p if self.training else 0.0
        if cache is None:
            out = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        else:
            out, cache = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True, cache=cache)
        return self.resid_dropout(self.c_proj(out.swapaxes(1, 2).reshape(batch, length, width))), cache


class GPT2MLP(nn.Module):
    def __init__(self, width: int, inner: int, resid_pdrop: float) -> None:
        super().__init__()
        self.c_fc = Conv1D(inner, width)
        self.c_proj = Conv1D(width, inner)
        self.dropout = nn.Dropout(resid_pdrop)

    def forward(self, x: jax.Array) -> jax.Array:
        return self.dropout(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))


class GPT2Block(nn.Module):
    """Attention and two linear maps, each of a normalized input and added to what goes in."""

    def __init__(self, width: int, heads: int, inner: int, eps: float, attn_pdrop: float, resid_pdrop: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=eps)
        self.attn = GPT2Attention(width, heads, attn_pdrop, resid_pdrop)
        self.ln_2 = nn.LayerNorm(width, eps=eps)
        self.mlp = GPT2MLP(width, inner, resid_pdrop)

    def forward(self, x: jax.Array, cache: Cache = None) -> tuple[jax.Array, Cache]:
        mixed, cache = self.attn(self.ln_1(x), cache)
        x = x + mixed
        return x + self.mlp(self.ln_2(x)), cache


class GPT2Model(nn.Module):
    """Tokens to one vector each. The arguments are named as in ``config.json``."""

    h: nn.ModuleList | nn.Repeated

    def __init__(
        self,
        vocab_size: int = 50257,
        n_positions: int = 1024,
        n_embd: int = 768,
        n_layer: int = 12,
        n_head: int = 12,
        n_inner: int | None = None,
        layer_norm_epsilon: float = 1e-5,
        embd_pdrop: float = 0.1,
        attn_pdrop: float = 0.1,
        resid_pdrop: float = 0.1,
        repeat: bool = False,
    ) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.wpe = nn.Embedding(n_positions, n_embd)
        self.drop = nn.Dropout(embd_pdrop)
        sizes = n_embd, n_head, n_inner or 4 * n_embd, layer_norm_epsilon, attn_pdrop, resid_pdrop
        layers = nn.ModuleList(GPT2Block(*sizes) for _ in range(n_layer))
        self.h = fnn.repeat(layers) if repeat else layers
        self.ln_f = nn.LayerNorm(n_embd, eps=layer_norm_epsilon)
        self.heads, self.width = n_head, n_embd

    def forward(self, input_ids: jax.Array, caches: Caches = None) -> tuple[jax.Array, Caches]:
        length = input_ids.shape[1]
        positions = jnp.arange(length) if caches is None else first(caches).positions(length)
        x = self.drop(self.wte(input_ids) + self.wpe(positions))
        x, caches = through(self.h, x, caches)
        return self.ln_f(x), caches


class GPT2LMHeadModel(nn.Module):
    """Which token comes next at each place. Takes the arguments of ``GPT2Model``."""

    def __init__(
        self,
        vocab_size: int = 50257,
        n_positions: int = 1024,
        n_embd: int = 768,
        n_layer: int = 12,
        n_head: int = 12,
        n_inner: int | None = None,
        layer_norm_epsilon: float = 1e-5,
        embd_pdrop: float = 0.1,
        attn_pdrop: float = 0.1,
        resid_pdrop: float = 0.1,
        repeat: bool = False,
    ) -> None:
        super().__init__()
        sizes = vocab_size, n_positions, n_embd, n_layer, n_head, n_inner, layer_norm_epsilon
        self.transformer = GPT2Model(*sizes, embd_pdrop, attn_pdrop, resid_pdrop, repeat)
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.lm_head.weight = self.transformer.wte.weight
        for name, parameter in self.named_parameters():
            if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight", "wte.weight", "wpe.weight")):
                nn.init.normal_(parameter, std=0.02)

    def caches(self, batch: int, length: int) -> Caches:
        """Empty caches for ``length`` tokens of each of ``batch`` texts."""
        model = self.transformer
        return empty_caches(model.h, (batch, model.heads, length, model.width // model.heads), model.wte.weight.dtype)

    def forward(self, input_ids: jax.Array, caches: Caches = None, *, last: Any = None) -> tuple[jax.Array, Caches]:
        """Logits, and caches with these tokens if some were given.

        Args:
            input_ids: tokens, (N, L); with caches those that follow what these hold.
            caches: as ``caches`` makes them.
            last: places, (N), of which alone logits are wanted.

        Returns:
            logits (N, L, vocab_size), or (N, 1, vocab_size) with ``last``, and the caches.
        """
        x, caches = self.transformer(input_ids, caches)
        if last is not None:
            x = jnp.take_along_axis(x, jnp.asarray(last)[:, None, None], 1)
        return self.lm_head(x), caches

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Takes files that hold the shared matrix once; OpenAI's, without the first part of the names; masks are left out."""
        state = {n: a for n, a in state_dict.items() if not n.endswith((".attn.bias", ".attn.masked_bias"))}
        if "wte.weight" in state:
            state = {n if n.startswith("lm_head.") else f"transformer.{n}": a for n, a in state.items()}
        if "transformer.wte.weight" in state:
            state.setdefault("lm_head.weight", state["transformer.wte.weight"])
        return super().load_state_dict(state, strict, assign)
