"""GPT-2: the numbers and the tokens are those of ``transformers``, from files that it wrote."""

import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from tests.examples.loading import example
from tests.examples.models.twins import generated, loaded, outputs_of, randomized, saved, transformers
from tests.oracle import assert_close, from_torch, to_torch

SIZES = {"vocab_size": 31, "n_positions": 40, "n_embd": 16, "n_layer": 3, "n_head": 4}
TOKENS = np.random.default_rng(0).integers(0, 31, (3, 9))


@pytest.fixture(scope="module")
def gpt2():
    return example("models/gpt2")


@pytest.fixture(scope="module")
def generate():
    return example("models/generation").generate


@pytest.fixture(scope="module")
def twin():
    them = transformers()
    ids = dict.fromkeys(("bos_token_id", "eos_token_id"))
    return randomized(them.GPT2LMHeadModel(them.GPT2Config(**SIZES, **ids)))


@pytest.fixture(scope="module")
def file(twin, tmp_path_factory):
    return saved(twin, tmp_path_factory.mktemp("gpt2"), "published")


@pytest.mark.parametrize("kind", ["published", "in memory"])
def test_logits_and_hidden_states(gpt2, twin, kind, tmp_path):
    model = loaded(gpt2.GPT2LMHeadModel(**SIZES), saved(twin, tmp_path, kind))
    theirs = twin(to_torch(TOKENS), output_hidden_states=True)
    hidden = outputs_of(
        [model.transformer.drop, *(block.ln_1 for block in list(model.transformer.h)[1:]), model.transformer.ln_f],
        lambda: assert_close(model(TOKENS)[0], from_torch(theirs.logits), 1e-5, 1e-5),
    )
    assert_close(hidden[0], from_torch(theirs.hidden_states[0]), 1e-5, 1e-5)
    assert_close(hidden[-1], from_torch(theirs.hidden_states[-1]), 1e-5, 1e-5)
    for i in (1, 2):
        normalized = twin.transformer.h[i].ln_1(theirs.hidden_states[i])
        assert_close(hidden[i], from_torch(normalized), 1e-5, 1e-5)


def test_gradients_in_double_precision(gpt2, twin, file):
    import torch

    model = loaded(gpt2.GPT2LMHeadModel(**SIZES), file).double()
    fnn.backward(lambda: F.cross_entropy(model(TOKENS)[0][:, :-1].reshape(-1, 31), TOKENS[:, 1:].reshape(-1)), model)
    theirs = transformers().GPT2LMHeadModel(twin.config).double().eval()
    theirs.load_state_dict({name: tensor.double() for name, tensor in twin.state_dict().items()})
    out = theirs(to_torch(TOKENS))
    assert_close(model(TOKENS)[0], from_torch(out.logits), 1e-10, 1e-10)
    loss = torch.nn.functional.cross_entropy(out.logits[:, :-1].reshape(-1, 31), to_torch(TOKENS)[:, 1:].reshape(-1))
    loss.backward()
    expected = {name: from_torch(parameter.grad) for name, parameter in theirs.named_parameters()}
    ours = dict(model.named_parameters())
    assert ours.keys() == expected.keys()
    for name, parameter in ours.items():
        assert_close(parameter.grad, expected[name], 1e-8, 1e-10, name)


@pytest.mark.parametrize("repeat", [False, True])
def test_it_writes_the_same_tokens(gpt2, generate, twin, file, repeat):
    model = loaded(gpt2.GPT2LMHeadModel(**SIZES, repeat=repeat), file)
    written = generate(model, TOKENS, 12)
    for use_cache in (True, False):
        assert np.array_equal(written, generated(twin, TOKENS, 12, use_cache))


def test_openais_own_file(gpt2, file):
    """Names without the first part, the causal masks as buffers, and no output matrix."""
    model = loaded(gpt2.GPT2LMHeadModel(**SIZES), file)
    state = {name.removeprefix("transformer."): array for name, array in fnn.load(file).items()}
    state.pop("lm_head.weight", None)
    state |= {f"h.{i}.attn.bias": np.tril(np.ones((1, 1, 40, 40))) for i in range(3)}
    old = gpt2.GPT2LMHeadModel(**SIZES).eval()
    old.load_state_dict(state)
    assert_close(old(TOKENS)[0], model(TOKENS)[0], 0, 0)
    assert old.lm_head.weight is old.transformer.wte.weight


def test_dropout_acts_in_training_mode_alone(gpt2):
    model = gpt2.GPT2LMHeadModel(**SIZES)
    assert not np.allclose(model(TOKENS)[0], model(TOKENS)[0])
    model.eval()
    assert_close(model(TOKENS)[0], model(TOKENS)[0], 0, 0)
