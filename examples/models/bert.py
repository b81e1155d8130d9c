"""BERT with Hugging Face's names, as ``BertModel`` and ``BertForMaskedLM`` have them: their files load as they are.

    python examples/models/bert.py                                  # random weights
    python examples/models/bert.py bert-base-uncased/               # a folder with model.safetensors, config.json, tokenizer.json
    python examples/models/bert.py weights.safetensors --text "Paris is the [MASK] of France."

Prints the number of parameters and the time of one call, and with a tokenizer the five words that fit the gap best.

    model = BertForMaskedLM()
    model.load_state_dict(fnn.load("bert-base-uncased"))
    logits = model.eval()(input_ids, attention_mask)

Many layers compile as fast as one after ``model.bert.encoder.layer = fnn.repeat(model.bert.encoder.layer)``.

Source: Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding (2018),
https://arxiv.org/abs/1810.04805
"""

from __future__ import annotations

import argparse
import inspect
import json
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


class BertEmbeddings(nn.Module):
    """The sum of three embeddings, of words, places and kinds of sentence, normalized."""

    def __init__(self, vocab: int, width: int, places: int, kinds: int, dropout: float) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(places, width)
        self.token_type_embeddings = nn.Embedding(kinds, width)
        self.LayerNorm = nn.LayerNorm(width, eps=EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, input_ids: jax.Array, token_type_ids: jax.Array | None) -> jax.Array:
        kinds = jnp.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        places = jnp.arange(input_ids.shape[1])
        x = self.word_embeddings(input_ids) + self.token_type_embeddings(kinds) + self.position_embeddings(places)
        return self.dropout(self.LayerNorm(x))


class BertSelfAttention(nn.Module):
    """Every token looks at all that count."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.p = heads, dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        batch, length, width = x.shape
        q, k, v = (
            project(x).reshape(batch, length, self.heads, -1).swapaxes(1, 2)
            for project in (self.query, self.key, self.value)
        )
        out = F.scaled_dot_product_attention(q, k, v, mask, self.p if self.training else 0.0)
        return out.swapaxes(1, 2).reshape(batch, length, width)


class BertOutput(nn.Module):
    """The end of both halves of a layer: a linear map, the sum with what went in, a normalization."""

    def __init__(self, inner: int, width: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, width)
        self.LayerNorm = nn.LayerNorm(width, eps=EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: jax.Array, residual: jax.Array) -> jax.Array:
        return self.LayerNorm(residual + self.dropout(self.dense(x)))


class BertAttention(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        self.self = BertSelfAttention(width, heads, attention_dropout)
        self.output = BertOutput(width, width, dropout)

    def forward(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        return self.output(self.self(x, mask), x)


def named(**modules: nn.Module) -> nn.Sequential:
    """One after the other, by these names."""
    return nn.Sequential(OrderedDict(modules))


class BertLayer(nn.Module):
    """Attention, then two linear maps; each half ends with a sum and a normalization."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float, attention_dropout: float) -> None:
        super().__init__()
        self.attention = BertAttention(width, heads, dropout, attention_dropout)
        self.intermediate = named(dense=nn.Linear(width, inner), gelu=nn.GELU())
        self.output = BertOutput(inner, width, dropout)

    def forward(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class BertEncoder(nn.Module):
    def __init__(self, depth: int, *sizes: Any) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(*sizes) for _ in range(depth))

    def forward(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        # An nn.Repeated, which fnn.repeat makes, is called as one layer.
        for layer in self.layer if isinstance(self.layer, nn.ModuleList) else [self.layer]:
            x = layer(x, mask)
        return x


class BertModel(nn.Module):
    """The encoder: tokens to one vector each, and one for the whole. The arguments are named as in ``config.json``."""

    def __init__(
        self,
        vocab_size: int = 30522,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.1,
        add_pooling_layer: bool = True,
    ) -> None:
        super().__init__()
        dropouts = hidden_dropout_prob, attention_probs_dropout_prob
        self.embeddings = BertEmbeddings(
            vocab_size, hidden_size, max_position_embeddings, type_vocab_size, hidden_dropout_prob
        )
        self.encoder = BertEncoder(num_hidden_layers, hidden_size, num_attention_heads, intermediate_size, *dropouts)
        self.pooler = named(dense=nn.Linear(hidden_size, hidden_size), tanh=nn.Tanh()) if add_pooling_layer else None

    def forward(
        self, input_ids: jax.Array, attention_mask: jax.Array | None = None, token_type_ids: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array | None]:
        """The last hidden state (N, L, E) and the pooled one (N, E); ``attention_mask`` (N, L) is nonzero where tokens count."""
        mask = None if attention_mask is None else jnp.asarray(attention_mask, bool)[:, None, None, :]
        x = self.encoder(self.embeddings(input_ids, token_type_ids), mask)
        return x, None if self.pooler is None else self.pooler(x[:, 0])

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict(todays_names(state_dict), strict, assign)


class BertLMPredictionHead(nn.Module):
    """Logits over the words; the last product is with the word embeddings."""

    def __init__(self, words: nn.Embedding) -> None:
        super().__init__()
        width = words.embedding_dim
        self.transform = named(dense=nn.Linear(width, width), gelu=nn.GELU(), LayerNorm=nn.LayerNorm(width, eps=EPS))
        self.decoder = nn.Linear(width, words.num_embeddings)
        self.decoder.weight = words.weight
        self.bias = self.decoder.bias

    def forward(self, x: jax.Array) -> jax.Array:
        return self.decoder(self.transform(x))


class BertForMaskedLM(nn.Module):
    """Which word belongs at each place. Takes the arguments of ``BertModel``."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__()
        self.bert = BertModel(**sizes, add_pooling_layer=False)
        self.cls = named(predictions=BertLMPredictionHead(self.bert.embeddings.word_embeddings))
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, *args: Any, **kwargs: Any) -> jax.Array:
        """Logits (N, L, vocab_size) from the arguments of ``BertModel``."""
        return self.cls(self.bert(*args, **kwargs)[0])

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Takes files that hold shared arrays once, or what else the first training had: a pooler, pairs of sentences."""
        state = {n: a for n, a in todays_names(state_dict).items() if not n.startswith(("bert.pooler.", "cls.seq_"))}
        for end, shared in ("weight", "bert.embeddings.word_embeddings.weight"), ("bias", "cls.predictions.bias"):
            if shared in state:
                state.setdefault(f"cls.predictions.decoder.{end}", state[shared])
        return super().load_state_dict(state, strict, assign)


def todays_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict of any age: the first releases called a norm's arrays gamma and beta, later ones kept the positions."""
    return {
        name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): array
        for name, array in state.items()
        if not name.endswith("embeddings.position_ids")
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", help="a file of weights, or the folder that holds it")
    parser.add_argument("--text", default="The capital of France is [MASK].")
    options = parser.parse_args(arguments)
    folder, sizes = options.path or Path(), {}
    folder = folder if folder.is_dir() else folder.parent
    if options.path and (folder / "config.json").exists():
        sizes = json.loads((folder / "config.json").read_text())
        if sizes.get("hidden_act", "gelu") != "gelu":
            raise SystemExit(f"this BERT has gelu, the one in {folder} {sizes['hidden_act']}")
    model = BertForMaskedLM(**{n: sizes[n] for n in inspect.signature(BertModel).parameters if n in sizes}).eval()
    if options.path:
        model.load_state_dict(fnn.load(options.path))
    call, words = fnn.jit(model), model.bert.embeddings.word_embeddings.num_embeddings
    tokens = np.random.default_rng(0).integers(0, words, (8, 128))
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters, logits {call(tokens).shape}")
    start = time.perf_counter()
    jax.block_until_ready(call(tokens))
    print(f"{tokens.size / (time.perf_counter() - start):.0f} tokens per second")
    if options.path and (folder / "tokenizer.json").exists():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        encoded = tokenizer.encode(options.text)
        logits = call(np.array([encoded.ids]))[0, encoded.tokens.index("[MASK]")]
        best = [str(tokenizer.id_to_token(int(i))) for i in jnp.argsort(-logits)[:5]]
        print(options.text, "->", ", ".join(best))


if __name__ == "__main__":
    main()
