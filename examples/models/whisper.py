"""Whisper with the names of Hugging Face's ``WhisperForConditionalGeneration``: speech to text, by an encoder and a decoder.

    python examples/models/whisper.py                                # random weights, of whisper-tiny's size
    python examples/models/whisper.py whisper-tiny/ --features mel.npy

The folder has model.safetensors, config.json and perhaps tokenizer.json; the file has the log-mel spectrogram of half a minute,
80 x 3000, as ``WhisperFeatureExtractor`` makes it. Prints the number of parameters, the time of a generation, and its text.

    model = WhisperForConditionalGeneration()
    model.load_state_dict(fnn.load("whisper-tiny"))
    tokens = generate(model.eval(), features, prompt, length=448, end=50257)

Many layers compile as fast as one after ``model.model.encoder.layers = fnn.repeat(model.model.encoder.layers)``, the decoder too.

Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision (2022), https://arxiv.org/abs/2212.04356
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fnn
import fnn.nn.functional as F
from fnn import nn


class WhisperAttention(nn.Module):
    """Attention to keys and values that are given, so that those of the sound are made once."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def split(self, x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape[:2], self.heads, -1).swapaxes(1, 2)

    def keys_and_values(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.split(self.k_proj(x)), self.split(self.v_proj(x))

    def forward(self, x: jax.Array, keys: jax.Array, values: jax.Array, cache: F.KeyValueCache | None = None) -> Any:
        """The output; with a cache, to which keys and values are added and all of which is looked at, that too."""
        q = self.split(self.q_proj(x))
        if cache is None:
            out = F.scaled_dot_product_attention(q, keys, values)
        else:
            out, cache = F.scaled_dot_product_attention(q, keys, values, is_causal=True, cache=cache)
        out = self.out_proj(out.swapaxes(1, 2).reshape(x.shape))
        return out if cache is None else (out, cache)


class WhisperEncoderLayer(nn.Module):
    """Attention, then two linear maps; each part begins with a normalization and is added to what went in."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.self_attn = WhisperAttention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: jax.Array) -> jax.Array:
        y = self.self_attn_layer_norm(x)
        x = x + self.self_attn(y, *self.self_attn.keys_and_values(y))
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class WhisperDecoderLayer(nn.Module):
    """Attention to the tokens so far, attention to the sound, two linear maps."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.self_attn = WhisperAttention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.encoder_attn = WhisperAttention(width, heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: jax.Array, cache: F.KeyValueCache, sound: Any) -> tuple[jax.Array, F.KeyValueCache]:
        y = self.self_attn_layer_norm(x)
        y, cache = self.self_attn(y, *self.self_attn.keys_and_values(y), cache)
        x = x + y
        x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), *sound)
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))), cache


class WhisperEncoder(nn.Module):
    """The spectrogram to one vector for every second frame."""

    def __init__(self, bins: int, frames: int, depth: int, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(bins, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        angles = np.outer(np.arange(frames), np.exp(-math.log(10000) / (width // 2 - 1) * np.arange(width // 2)))
        waves = jnp.asarray(np.concatenate([np.sin(angles), np.cos(angles)], 1), "float32")
        self.embed_positions = nn.Embedding.from_pretrained(waves)
        self.layers = nn.ModuleList(WhisperEncoderLayer(width, heads, inner) for _ in range(depth))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, features: jax.Array) -> jax.Array:
        frames = self.embed_positions.num_embeddings
        if features.shape[2] != 2 * frames:
            raise ValueError(f"Whisper: features must have {2 * frames} frames, got shape {features.shape}")
        x = F.gelu(self.conv2(F.gelu(self.conv1(features)))).swapaxes(1, 2) + self.embed_positions.weight
        # An nn.Repeated, which fnn.repeat makes, is called as one layer.
        for layer in self.layers if isinstance(self.layers, nn.ModuleList) else [self.layers]:
            x = layer(x)
        return self.layer_norm(x)


class WhisperDecoder(nn.Module):
    """Tokens, and what is kept of those before them and of the sound, to one vector a token."""

    def __init__(self, vocab: int, places: int, depth: int, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab, width)
        self.embed_positions = nn.Embedding(places, width)
        self.layers = nn.ModuleList(WhisperDecoderLayer(width, heads, inner) for _ in range(depth))
        self.layer_norm = nn.LayerNorm(width)

    def begin(self, sound: jax.Array, length: int) -> tuple[Any, Any]:
        """A cache for ``length`` tokens and the keys and values of the sound for each layer; stacked for an nn.Repeated."""
        sounds = [layer.encoder_attn.keys_and_values(sound) for layer in self.layers]
        caches = [F.KeyValueCache.zeros((*k.shape[:2], length, k.shape[3]), dtype=k.dtype) for k, _ in sounds]
        if isinstance(self.layers, nn.Repeated):
            return tuple(jax.tree.map(lambda *parts: jnp.stack(parts), *each) for each in (caches, sounds))
        return caches, sounds

    def forward(self, tokens: jax.Array, first: int, caches: Any, sounds: Any) -> tuple[jax.Array, Any]:
        """The vectors, and the caches with the tokens (N, L), the first of which has the position ``first``."""
        x = self.embed_tokens(tokens) + self.embed_positions(first + jnp.arange(tokens.shape[1]))
        if isinstance(self.layers, nn.Repeated):
            x, caches = self.layers(x, each={"cache": caches, "sound": sounds})
        else:
            caches = list(caches)
            for i, layer in enumerate(self.layers):
                x, caches[i] = layer(x, caches[i], sounds[i])
        return self.layer_norm(x), caches


class WhisperForConditionalGeneration(nn.Module):
    """Spectrograms and tokens to logits of the next tokens. The arguments are named as in ``config.json``."""

    def __init__(
        self,
        vocab_size: int = 51865,
        num_mel_bins: int = 80,
        d_model: int = 384,
        encoder_layers: int = 4,
        encoder_attention_heads: int = 6,
        encoder_ffn_dim: int = 1536,
        decoder_layers: int = 4,
        decoder_attention_heads: int = 6,
        decoder_ffn_dim: int = 1536,
        max_source_positions: int = 1500,
        max_target_positions: int = 448,
    ) -> None:
        super().__init__()
        encoder = encoder_layers, d_model, encoder_attention_heads, encoder_ffn_dim
        decoder = decoder_layers, d_model, decoder_attention_heads, decoder_ffn_dim
        self.model = nn.Module()
        self.model.encoder = WhisperEncoder(num_mel_bins, max_source_positions, *encoder)
        self.model.decoder = WhisperDecoder(vocab_size, max_target_positions, *decoder)
        self.proj_out = nn.Linear(d_model, vocab_size, bias=False)
        self.proj_out.weight = self.model.decoder.embed_tokens.weight

    def forward(self, features: jax.Array, tokens: jax.Array) -> jax.Array:
        """Logits (N, L, vocab_size) of features (N, num_mel_bins, 2 * max_source_positions) and tokens (N, L)."""
        caches, sounds = self.model.decoder.begin(self.model.encoder(features), tokens.shape[1])
        return self.proj_out(self.model.decoder(tokens, 0, caches, sounds)[0])

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Takes published files, which hold the embedding once."""
        state, table = dict(state_dict), "model.decoder.embed_tokens.weight"
        if table in state:
            state.setdefault("proj_out.weight", state[table])
        return super().load_state_dict(state, strict, assign)


@fnn.jit(static_argnames="length")
def generate(model: nn.Module, features: jax.Array, prompt: Any, *, length: int, end: int) -> jax.Array:
    """The text that is likeliest word by word: tokens (N, ``length``), first the prompt, ``end`` after the end."""
    decoder, prompt = model.model.decoder, jnp.tile(jnp.asarray(prompt, "int32"), (len(features), 1))
    first, places = prompt.shape[1], decoder.embed_positions.num_embeddings
    if not first < length <= places:
        raise ValueError(f"generate: length must be more than the prompt's {first} and at most {places}, got {length}")
    caches, sounds = decoder.begin(model.model.encoder(features), length)

    def likeliest(tokens: jax.Array, position: Any, caches: Any) -> tuple[jax.Array, Any]:
        x, caches = decoder(tokens, position, caches, sounds)
        return model.proj_out(x[:, -1:]).argmax(-1).astype("int32"), caches

    def step(state: Any) -> Any:
        text, position, ended, word, caches = state
        word = jnp.where(ended, end, word)
        text = jax.lax.dynamic_update_slice_in_dim(text, word, position, 1)
        return text, position + 1, ended | (word == end), *likeliest(word, position, caches)

    text = jnp.pad(prompt, ((0, 0), (0, length - first)), constant_values=end)
    start = text, jnp.int32(first), jnp.zeros((len(features), 1), bool), *likeliest(prompt, 0, caches)
    # Nothing is drawn or written to the model in it, so that JAX's own loop will do.
    return jax.lax.while_loop(lambda state: (state[1] < length) & ~state[2].all(), step, start)[0]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", help="a folder with weights")
    parser.add_argument("--features", type=Path, help="a .npy file with a log-mel spectrogram; random if not given")
    parser.add_argument("--prompt", type=int, nargs="+", default=[50258, 50259, 50359, 50363], help="default: English")
    options = parser.parse_args(arguments)
    sizes = json.loads((options.path / "config.json").read_text()) if options.path else {}
    names = inspect.signature(WhisperForConditionalGeneration).parameters
    model = WhisperForConditionalGeneration(**{name: sizes[name] for name in names if name in sizes}).eval()
    if options.path:
        model.load_state_dict(fnn.load(options.path))
    shape = 1, model.model.encoder.conv1.in_channels, 2 * model.model.encoder.embed_positions.num_embeddings
    features = np.load(options.features) if options.features else np.random.default_rng(0).normal(size=shape)
    given = jnp.asarray(features, "float32").reshape(shape), jnp.asarray(options.prompt)
    length, end = min(64, model.model.decoder.embed_positions.num_embeddings), sizes.get("eos_token_id", 50257)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters")
    tokens, start = generate(model, *given, length=length, end=end)[0].tolist(), time.perf_counter()
    jax.block_until_ready(generate(model, *given, length=length, end=end))
    print(f"{len(tokens)} tokens in {time.perf_counter() - start:.2f} s:", *tokens)
    if options.path and (options.path / "tokenizer.json").exists():
        from tokenizers import Tokenizer

        print(Tokenizer.from_file(str(options.path / "tokenizer.json")).decode(tokens))


if __name__ == "__main__":
    main()
