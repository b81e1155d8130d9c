"""Writing by GPT-2 and Llama: with the caches as without, one program for all tokens, draws as the logits have it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from tests.examples.loading import EXAMPLES, example
from tests.oracle import assert_close

TOKENS = np.random.default_rng(0).integers(0, 31, (3, 9))


@pytest.fixture(scope="module")
def generation():
    return example("models/generation")


@pytest.fixture
def beside(monkeypatch):
    """A script finds the files beside it."""
    monkeypatch.syspath_prepend(str(EXAMPLES / "models"))


@pytest.fixture(scope="module")
def models():
    """Small models whose weights are large enough that what they write differs from row to row."""
    fnn.manual_seed(0)
    made = {
        "gpt2": example("models/gpt2").GPT2LMHeadModel(31, 40, 16, 2, 4),
        "llama": example("models/llama").LlamaForCausalLM(31, 16, 24, 2, 4, 2, sliding_window=6),
        "repeated": example("models/llama").LlamaForCausalLM(31, 16, 24, 2, 4, 2, repeat=True),
    }
    for model in made.values():
        model.eval()
        for name, parameter in model.named_parameters():
            if "norm" not in name and ".ln_" not in name:
                fnn.nn.init.normal_(parameter, std=0.4)
    return made


def without_cache(model, row, new):
    """The likeliest tokens, each from a call on the whole text, in one shape: what follows a place is not seen from it."""
    call = fnn.jit(model)
    text, stop = np.pad(row, (0, 9 + new - len(row))), len(row)
    for place in range(stop, stop + new):
        text[place] = int(jnp.argmax(call(text[None])[0][0, place - 1]))
    return text[stop : stop + new].tolist()


@pytest.mark.parametrize("name", ["gpt2", "llama", "repeated"])
def test_greedy_tokens_with_and_without_a_cache(generation, models, name):
    model = models[name]
    lengths = np.array([9, 4, 6])
    alone = [without_cache(model, row[:length], 8) for row, length in zip(TOKENS, lengths, strict=True)]
    assert len({tuple(row) for row in alone}) == 3
    # Prompts of different lengths, whose padding must not matter.
    padded = np.where(np.arange(9) < lengths[:, None], TOKENS, 30)
    assert generation.generate(model, padded, 8, lengths=lengths).tolist() == alone
    assert generation.generate(model, TOKENS[:1], 8).tolist() == alone[:1]


@pytest.mark.parametrize("name", ["gpt2", "llama", "repeated"])
def test_twenty_tokens_are_one_program(models, name):
    """By ``fnn.jit``, and by ``jax.jit`` which takes over the memory of the caches."""
    model = models[name]
    params, buffers = fnn.state(model)

    def step(token, caches):
        logits, caches = model(token, caches)
        return jnp.argmax(logits[:, -1:], -1), caches

    by_fnn = fnn.jit(step)
    by_jax = jax.jit(
        lambda params, token, caches: fnn.functional_call(model, params, buffers, token, caches)[0], donate_argnums=2
    )
    token, caches = jnp.asarray(TOKENS[:, :1]), model.caches(3, 21)
    other, donated = token, jax.tree.map(jnp.copy, caches)
    sizes = [leaf.nbytes for leaf in jax.tree.leaves(caches)]
    for _ in range(20):
        token, caches = by_fnn(token, caches)
        before = jax.tree.leaves(donated)
        logits, donated = by_jax(params, other, donated)
        other = jnp.argmax(logits[:, -1:], -1)
        assert all(leaf.is_deleted() for leaf in before)
        assert np.array_equal(token, other)
    assert by_fnn._cache_size() == by_jax._cache_size() == 1
    assert [leaf.nbytes for leaf in jax.tree.leaves(caches)] == sizes


def test_generate_compiles_once(generation, models):
    model = models["llama"]
    draws = {"temperature": 0.7, "top_k": 5}
    generation.generate(model, TOKENS, 5, key=jax.random.key(0), **draws)
    programs = generation._generated._cache_size()
    for seed in range(3):
        generation.generate(model, TOKENS[::-1], 5, key=jax.random.key(seed), **{**draws, "temperature": 0.1 + seed})
    assert generation._generated._cache_size() == programs


def test_draws(generation):
    """By their frequencies; a low temperature gives the likeliest."""
    logits = jnp.log(jnp.array([0.5, 0.2, 0.25, 0.05]))
    rows = jnp.broadcast_to(logits, (20000, 4))
    key = jax.random.key(0)

    def shares(*options):
        return np.bincount(np.asarray(generation.choose(rows, key, *options)), minlength=4) / 20000

    assert_close(shares(1.0, None), [0.5, 0.2, 0.25, 0.05], 0, 0.02)
    assert_close(shares(1.0, 2), [2 / 3, 0, 1 / 3, 0], 0, 0.02)
    squared = np.array([0.25, 0.04, 0.0625, 0.0025])
    assert_close(shares(0.5, None), squared / squared.sum(), 0, 0.02)
    assert_close(shares(1e-3, None), [1, 0, 0, 0], 0, 0)
    assert generation.choose(rows[:2], None, 1.0, None).tolist() == [0, 0]


def test_a_row_ends(generation, models):
    model = models["gpt2"]
    free = np.asarray(generation.generate(model, TOKENS, 8))
    end = int(free[0, 3])
    written = np.asarray(generation.generate(model, TOKENS, 8, end=end))
    for row, whole in zip(written, free, strict=True):
        stop = list(whole).index(end) if end in whole else 8
        assert np.array_equal(row[: stop + 1], whole[: stop + 1])
        assert (row[stop:] == end).all()


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_the_script_reads_a_folder(generation, models, kind, tmp_path, capsys, beside):
    tokenizers = pytest.importorskip("tokenizers")
    pytest.importorskip("safetensors")
    words = {f"w{i}": i for i in range(31)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    sizes = {
        "gpt2": {"n_positions": 40, "n_embd": 16, "n_layer": 2, "n_head": 4},
        "llama": {
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "sliding_window": 6,
        },
    }[kind]
    config = {"model_type": kind, "vocab_size": 31, "eos_token_id": [40], "unknown": 1, **sizes}
    (tmp_path / "config.json").write_text(json.dumps(config))
    fnn.save(models[kind].state_dict(), tmp_path / "model.safetensors")
    text = " ".join(f"w{i}" for i in TOKENS[0])
    written = generation.main([str(tmp_path), "--text", text, "--new", "4"])
    assert written == text + " ".join(f"w{i}" for i in generation.generate(models[kind], TOKENS[:1], 4)[0].tolist())
    assert "tokens per second" in capsys.readouterr().out
    config["model_type"] = "opt"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit, match=r"a model of gpt2, llama, mistral was expected in .*, got opt"):
        generation.main([str(tmp_path)])


def test_the_script_without_a_folder(generation, capsys, beside):
    generation.main(["--new", "3", "--temperature", "1.0", "--top-k", "9", "--text", "A"])
    assert "tokens per second" in capsys.readouterr().out
