"""Text written by GPT-2 or Llama: greedy, or drawn by temperature and top-k, in one program that is compiled once.

    python examples/models/generation.py                               # a small Llama of random weights, to see the speed
    python examples/models/generation.py gpt2/ --text "The sea is"     # a folder with weights, config.json, tokenizer.json
    python examples/models/generation.py llama/ --temperature 0.8 --top-k 40 --new 200

In a script:

    model = LlamaForCausalLM(**sizes).eval()
    model.load_state_dict(fnn.load("llama"))
    new = generate(model, prompts, 100)                          # (N, 100) tokens, the likeliest ones
    new = generate(model, prompts, 100, lengths=lengths, temperature=0.8, top_k=40, key=jax.random.key(0))
"""

from __future__ import annotations

import argparse
import inspect
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

import fnn
import fnn.nn.functional as F
from fnn import nn

Caches = Any
"""A ``KeyValueCache`` for each layer, or for an ``nn.Repeated`` one whose arrays are stacked."""


class LanguageModel(Protocol):
    """What ``generate`` asks of a model, as ``GPT2LMHeadModel`` and ``LlamaForCausalLM`` have it."""

    def caches(self, batch: int, length: int) -> Caches: ...

    def __call__(self, input_ids: Any, caches: Any, *, last: Any = None) -> tuple[jax.Array, Caches]: ...


def empty_caches(layers: nn.ModuleList | nn.Repeated, shape: tuple[int, ...], dtype: Any) -> Caches:
    """Caches of keys of ``shape``, (N, H, S, E), for all the layers."""
    if isinstance(layers, nn.Repeated):
        cache = F.KeyValueCache.zeros((layers.n, *shape), dtype=dtype)
        return cache._replace(length=jnp.zeros(layers.n, jnp.int32))
    return tuple(F.KeyValueCache.zeros(shape, dtype=dtype) for _ in layers)


def first(caches: Caches) -> F.KeyValueCache:
    """The cache of the first layer, for the positions."""
    return jax.tree.map(lambda a: a[0], caches) if isinstance(caches, F.KeyValueCache) else caches[0]


def through(layers: nn.ModuleList | nn.Repeated, x: jax.Array, caches: Caches, *args: Any) -> tuple[jax.Array, Caches]:
    """``x`` through layers that return it and their cache, each given its own; ``None`` for no caches."""
    if isinstance(layers, nn.Repeated):
        return layers(x, *args, each={"cache": caches})
    following: list[Any] = []
    for i, layer in enumerate(layers):
        x, cache = layer(x, *args, cache=None if caches is None else caches[i])
        following.append(cache)
    return x, None if caches is None else tuple(following)


def choose(logits: jax.Array, key: jax.Array | None, temperature: jax.Array | float, top_k: int | None) -> jax.Array:
    """A token for each row of logits: the likeliest without a key, else one drawn, among the ``top_k`` likeliest if given."""
    if key is None:
        return jnp.argmax(logits, -1)
    if top_k is not None:
        least = jax.lax.top_k(logits, top_k)[0][..., -1:]
        logits = jnp.where(logits < least, -jnp.inf, logits)
    return jax.random.categorical(key, logits.astype(jnp.float32) / temperature)


@fnn.jit(static_argnames=("new", "top_k"))
def _generated(
    model: Any, tokens: jax.Array, lengths: Any, key: Any, temperature: Any, end: Any, *, new: int, top_k: int | None
) -> jax.Array:
    rows, length = tokens.shape
    keys = None if key is None else jax.random.split(key, new)
    last = jnp.full(rows, length - 1) if lengths is None else lengths - 1
    logits, caches = model(tokens, model.caches(rows, length + new), last=last)
    if lengths is not None:
        # What stands behind a row's own prompt is padding: its next tokens are written over it.
        def own(cache: F.KeyValueCache) -> F.KeyValueCache:
            return cache._replace(length=jnp.broadcast_to(lengths, cache.key.shape[:-3]).astype(jnp.int32))

        caches = jax.tree.map(own, caches, is_leaf=lambda part: isinstance(part, F.KeyValueCache))
    token = choose(logits[:, 0], None if keys is None else keys[0], temperature, top_k)
    done = jnp.zeros(rows, bool) if end is None else token == end

    def step(carry: Any, key: Any) -> tuple[Any, jax.Array]:
        token, done, caches = carry
        logits, caches = model(token[:, None], caches)
        following = choose(logits[:, 0], key, temperature, top_k)
        if end is not None:
            following = jnp.where(done, end, following)
            done = done | (following == end)
        return (following, done, caches), following

    rest = None if keys is None else keys[1:]
    _, written = fnn.scan(step, (token, done, caches), rest, length=new - 1)
    return jnp.concatenate([token[:, None], written.T], 1)


def generate(
    model: LanguageModel,
    tokens: Any,
    new: int,
    *,
    lengths: Any = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    key: jax.Array | None = None,
    end: int | None = None,
) -> jax.Array:
    """What the model writes after each prompt.

    Args:
        model: a language model in evaluation mode.
        tokens: the prompts, (N, L), padded at the right if their lengths differ.
        new: how many tokens are written.
        lengths: of the prompts, (N); all L if not given.
        temperature: by what logits are divided before a token is drawn.
        top_k: among how many of the likeliest tokens it is drawn; all if not given.
        key: a JAX PRNG key for the draws; without it the likeliest token is taken.
        end: the token after which a row is filled with this token.

    Returns:
        the new tokens, (N, new).
    """
    arrays = (jnp.asarray(tokens), None if lengths is None else jnp.asarray(lengths))
    return _generated(model, *arrays, key, temperature, end, new=new, top_k=top_k)


def read(folder: Path) -> tuple[Any, Callable[[str], list[int]], Callable[[Sequence[int]], str], int | None]:
    """The model in a folder of Hugging Face's, how its tokenizer reads and writes, and its last token."""
    from gpt2 import GPT2LMHeadModel
    from llama import LlamaForCausalLM
    from tokenizers import Tokenizer

    sizes = json.loads((folder / "config.json").read_text())
    kinds: dict[str, Any] = {"gpt2": GPT2LMHeadModel, "llama": LlamaForCausalLM, "mistral": LlamaForCausalLM}
    kind = kinds.get(sizes.get("model_type", ""))
    if kind is None:
        raise SystemExit(f"a model of {', '.join(kinds)} was expected in {folder}, got {sizes.get('model_type')}")
    model = kind(**{name: sizes[name] for name in inspect.signature(kind).parameters if name in sizes}).eval()
    model.load_state_dict(fnn.load(folder))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    end = sizes.get("eos_token_id")
    end = end[0] if isinstance(end, list) else end
    return model, lambda text: tokenizer.encode(text).ids, lambda ids: tokenizer.decode(list(ids)), end


def random_model() -> tuple[Any, Callable[[str], list[int]], Callable[[Sequence[int]], str], None]:
    """A small Llama that reads and writes bytes."""
    from llama import LlamaForCausalLM

    fnn.manual_seed(0)
    model = LlamaForCausalLM(
        256, 256, 688, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=2, repeat=True
    )
    return model.eval(), lambda text: list(text.encode()), lambda ids: bytes(ids).decode(errors="replace"), None


def main(arguments: Sequence[str] | None = None) -> str:
    """Writes, and returns what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="a folder with model.safetensors, config.json, tokenizer.json"
    )
    parser.add_argument("--text", default="Once upon a time")
    parser.add_argument("--new", type=int, default=100, help="how many tokens to write")
    parser.add_argument("--temperature", type=float, help="without it the likeliest tokens are taken")
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    model, encode, decode, end = random_model() if options.folder is None else read(options.folder)
    prompt = np.array([encode(options.text)], np.int32)
    draws: dict[str, Any] = {"top_k": options.top_k, "end": end}
    if options.temperature is not None:
        draws |= {"key": jax.random.key(options.seed), "temperature": options.temperature}
    jax.block_until_ready(generate(model, prompt, options.new, **draws))  # compiles
    start = time.perf_counter()
    written = np.asarray(generate(model, prompt, options.new, **draws))[0]
    rate = options.new / (time.perf_counter() - start)
    text = options.text + decode([int(i) for i in written if i != end])
    print(f"{text}\n\n{rate:.0f} tokens per second")
    return text


if __name__ == "__main__":
    main()
