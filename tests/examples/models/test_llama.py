"""Llama, and Mistral in the same class: the numbers and the tokens are those of ``transformers``, from files that it wrote."""

import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from tests.examples.loading import example
from tests.examples.models.twins import generated, loaded, randomized, saved, transformers
from tests.oracle import assert_close, from_torch, to_torch

SIZES = {
    "vocab_size": 31,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
KINDS = {
    "Llama": {},
    "Llama with all heads": {"num_key_value_heads": 4, "tie_word_embeddings": True},
    "Llama 3": {"rope_parameters": LLAMA3, "head_dim": 6, "attention_bias": True, "mlp_bias": True},
    "Mistral": {"sliding_window": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
}
TOKENS = np.random.default_rng(0).integers(0, 31, (3, 9))


@pytest.fixture(scope="module")
def llama():
    return example("models/llama")


@pytest.fixture(scope="module")
def generate():
    return example("models/generation").generate


def twin_of(kind):
    them = transformers()
    name = kind.split()[0]
    ids = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    config = getattr(them, f"{name}Config")(**{**SIZES, **KINDS[kind]}, **ids, max_position_embeddings=64)
    # The form that keeps to sliding windows and to dtypes on every platform.
    config._attn_implementation = "eager"
    return randomized(getattr(them, f"{name}ForCausalLM")(config))


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_tokens(llama, generate, kind, tmp_path):
    twin = twin_of(kind)
    model = loaded(llama.LlamaForCausalLM(**{**SIZES, **KINDS[kind]}), saved(twin, tmp_path, "published"))
    assert_close(model(TOKENS)[0], from_torch(twin(to_torch(TOKENS)).logits), 1e-5, 1e-5)
    written = generate(model, TOKENS, 12)
    for use_cache in (True, False):
        assert np.array_equal(written, generated(twin, TOKENS, 12, use_cache))


def test_a_state_dict_in_memory_and_repeated_layers(llama, generate, tmp_path):
    twin = twin_of("Llama 3")
    sizes = {**SIZES, **KINDS["Llama 3"]}
    path = saved(twin, tmp_path, "in memory")
    plain = loaded(llama.LlamaForCausalLM(**sizes), path)
    model = loaded(llama.LlamaForCausalLM(**sizes, repeat=True), path)
    assert list(model.state_dict()) == list(plain.state_dict()) == list(twin.state_dict())
    assert_close(fnn.jit(model)(TOKENS)[0], from_torch(twin(to_torch(TOKENS)).logits), 1e-5, 1e-5)
    assert np.array_equal(generate(model, TOKENS, 12), generate(plain, TOKENS, 12))


def test_gradients(llama, tmp_path):
    torch = pytest.importorskip("torch", reason="the twin is torch's")
    twin = twin_of("Llama")
    model = loaded(llama.LlamaForCausalLM(**SIZES), saved(twin, tmp_path, "published"))
    fnn.backward(lambda: F.cross_entropy(model(TOKENS)[0][:, :-1].reshape(-1, 31), TOKENS[:, 1:].reshape(-1)), model)
    logits = twin(to_torch(TOKENS)).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, 31), to_torch(TOKENS)[:, 1:].reshape(-1))
    loss.backward()
    expected = {name: from_torch(parameter.grad) for name, parameter in twin.named_parameters()}
    ours = dict(model.named_parameters())
    assert ours.keys() == expected.keys()
    for name, parameter in ours.items():
        assert_close(parameter.grad, expected[name], 1e-4, 1e-5, name)


def test_names_of_older_files(llama, tmp_path):
    """``rope_scaling`` and ``rope_theta`` apart, and the frequencies among the weights."""
    twin = twin_of("Llama 3")
    path = saved(twin, tmp_path, "published")
    sizes = {**SIZES, **KINDS["Llama 3"]}
    model = loaded(llama.LlamaForCausalLM(**sizes), path)
    scaling = {name: value for name, value in sizes.pop("rope_parameters").items() if name != "rope_theta"}
    old = llama.LlamaForCausalLM(**sizes, rope_theta=100.0, rope_scaling=scaling).eval()
    state = {**fnn.load(path), "model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(3)}
    old.load_state_dict(state)
    assert_close(old(TOKENS)[0], model(TOKENS)[0], 0, 0)
    with pytest.raises(ValueError, match="rope_type must be default, linear or llama3, got 'yarn'"):
        llama.LlamaForCausalLM(**sizes, rope_scaling={"type": "yarn"})
