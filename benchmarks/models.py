"""The models of ``examples/models`` beside ``transformers`` in torch eager: lines of code, agreement, and speed.

Each pair has the same random weights, of a medium size, and takes turns: encoders and image models in whole batches, the
others in writing a text token by token, greedily and with a cache on both sides. Before anything is timed the logits are
compared, and the texts, which must be equal.

    python benchmarks/models.py
    python benchmarks/models.py --only bert resnet
    python benchmarks/models.py --one-core    # by the time that one core is busy, for a machine that others use too
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if "--one-core" in sys.argv:  # before the libraries count the cores
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers
from common import interleave, machine

import fnn

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "examples" / "models"), str(ROOT)]
ENDLESS = {"bos_token_id": 1, "eos_token_id": None, "pad_token_id": 0}
ENDED = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}


@dataclass
class Pair:
    """Both sides of one model.

    Attributes:
        ours: one call of fnn, and its result.
        theirs: the same by torch.
        logits: both logits of one input.
        unit: what is counted.
        count: how many of it one call makes.
    """

    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    logits: tuple[Any, Any]
    unit: str
    count: int


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def tokens(vocab: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(3, vocab, shape)


def filled(twin: Any, model: Any) -> tuple[Any, Any]:
    """Both in evaluation mode, ours with the weights of the file that theirs writes."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        twin.save_pretrained(folder)
        model.load_state_dict(fnn.load(folder))
    return twin.eval(), model.eval()


def batches(twin: Any, model: Any, x: np.ndarray, unit: str, count: int) -> Pair:
    """A pair that is called on a batch."""
    theirs, ours, given, held = torch.from_numpy(x), fnn.jit(model), jnp.asarray(x), {}

    def call() -> Any:
        with torch.inference_mode():
            held["out"] = twin(theirs)
        return held["out"]

    out = call()
    logits = (ours(given), (out if isinstance(out, torch.Tensor) else out.logits).numpy())
    return Pair(lambda: jax.block_until_ready(ours(given)), call, logits, unit, count)


def texts(ours: Callable[[], Any], theirs: Callable[[], Any], logits: tuple[Any, Any], rows: int, new: int) -> Pair:
    """A pair that writes ``new`` tokens for each of ``rows`` prompts; the ends of both texts must be equal."""
    with torch.inference_mode():
        mine, its = np.asarray(ours())[:, -new:], theirs().numpy()[:, -new:]
    if not np.array_equal(mine, its):
        raise SystemExit(f"the texts differ: {mine.tolist()} and {its.tolist()}")
    return Pair(lambda: jax.block_until_ready(ours()), theirs, logits, "tokens", rows * new)


def bert() -> Pair:
    from bert import BertForMaskedLM

    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    twin = transformers.BertForMaskedLM(transformers.BertConfig(**sizes))
    twin, model = filled(twin, BertForMaskedLM(**sizes))
    return batches(twin, model, tokens(30522, 8, 128), "tokens", 8 * 128)


def vit() -> Pair:
    from vit import ViTForImageClassification

    sizes = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 6, "intermediate_size": 1536}
    twin = transformers.ViTForImageClassification(transformers.ViTConfig(**sizes, num_labels=1000))
    twin, model = filled(twin, ViTForImageClassification(**sizes))
    return batches(twin, model, numbers(8, 3, 224, 224), "images", 8)


def resnet() -> Pair:
    from resnet import resnet50

    from tests.examples.models.torch_resnet import make_twin

    twin, model = make_twin("resnet50", 1000, 64).float().eval(), resnet50().eval()
    model.load_state_dict({name: tensor.numpy() for name, tensor in twin.state_dict().items()})
    return batches(twin, model, numbers(4, 3, 224, 224), "images", 4)


def language_model(twin: Any, model: Any, vocab: int) -> Pair:
    """A pair that goes on from prompts of 32 tokens."""
    from generation import generate

    twin, model = filled(twin, model)
    rows, new, prompt = 4, 60, tokens(vocab, 4, 32)
    given = torch.from_numpy(prompt)
    options: dict[str, Any] = {"attention_mask": torch.ones_like(given), "max_new_tokens": new, "do_sample": False}

    def theirs() -> Any:
        with torch.inference_mode():
            return twin.generate(given, **options)

    with torch.inference_mode():
        expected = twin(given).logits.numpy()
    logits = (fnn.jit(model)(jnp.asarray(prompt))[0], expected)
    return texts(lambda: generate(model, prompt, new), theirs, logits, rows, new)


def gpt2() -> Pair:
    from gpt2 import GPT2LMHeadModel

    sizes = {"vocab_size": 10000, "n_embd": 384, "n_layer": 6, "n_head": 6}
    twin = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **ENDLESS))
    return language_model(twin, GPT2LMHeadModel(**sizes), 10000)


def llama() -> Pair:
    from llama import LlamaForCausalLM

    sizes = {"vocab_size": 10000, "hidden_size": 384, "intermediate_size": 1024}
    sizes |= {"num_hidden_layers": 6, "num_attention_heads": 6, "num_key_value_heads": 2}
    twin = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **ENDLESS))
    return language_model(twin, LlamaForCausalLM(**sizes), 10000)


def whisper() -> Pair:
    from whisper import WhisperForConditionalGeneration, generate

    sizes = {"max_source_positions": 400, "encoder_layers": 4, "decoder_layers": 4, "vocab_size": 10000}
    none = {"suppress_tokens": None, "begin_suppress_tokens": None, "decoder_start_token_id": 1}
    twin = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**sizes, **ENDED, **none))
    twin, model = filled(twin, WhisperForConditionalGeneration(**sizes))
    rows, new, prompt, sound = 4, 60, [1, 5, 6, 7], numbers(4, 80, 800)
    given, heard = torch.tensor([prompt] * rows), torch.from_numpy(sound)
    options: dict[str, Any] = {"decoder_input_ids": given, "attention_mask": torch.ones(rows, 800)}

    def theirs() -> Any:
        with torch.inference_mode():
            return twin.generate(heard, **options, min_new_tokens=new, max_new_tokens=new, do_sample=False, num_beams=1)

    text = tokens(10000, rows, 32)
    with torch.inference_mode():
        expected = twin(heard, decoder_input_ids=torch.from_numpy(text)).logits.numpy()
    logits = (fnn.jit(model)(jnp.asarray(sound), jnp.asarray(text)), expected)
    frames, start = jnp.asarray(sound), jnp.asarray(prompt)
    return texts(lambda: generate(model, frames, start, length=4 + new, end=-1), theirs, logits, rows, new)


MODELS = {"gpt2": gpt2, "llama": llama, "bert": bert, "vit": vit, "resnet": resnet, "whisper": whisper}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--one-core", action="store_true", help="one core, and the time that it is busy")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    print(f"{machine()}, transformers {transformers.__version__}")
    print("one core, by the time that it is busy\n" if options.one_core else "all cores\n")
    clock = time.process_time if options.one_core else time.perf_counter
    print("| model | lines | error of logits | fnn | torch | ratio |")
    print("|---|---|---|---|---|---|")
    for name in options.only:
        pair = MODELS[name]()
        ours, theirs = (np.asarray(a, np.float64) for a in pair.logits)
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        times = interleave({"fnn": pair.ours, "torch": pair.theirs}, options.rounds, 1, clock)
        speeds = [pair.count / microseconds * 1e6 for microseconds in times.values()]
        lines = len((ROOT / "examples" / "models" / f"{name}.py").read_text().splitlines())
        shown = [f"{speed:.{0 if speed > 100 else 1}f} {pair.unit}/s" for speed in speeds]
        print(f"| {name} | {lines} | {error:.0e} | {shown[0]} | {shown[1]} | {speeds[0] / speeds[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
