"""BERT: the numbers are those of ``transformers``, from files that it wrote."""

import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from tests.examples.loading import example
from tests.examples.models.twins import loaded, outputs_of, randomized, saved, shapes_of_the_original, transformers
from tests.oracle import assert_close, from_torch, to_torch

SIZES = {
    "vocab_size": 31,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
}
TOKENS = np.random.default_rng(0).integers(1, 31, (3, 9))
MASK = (np.arange(9) < np.array([[9], [4], [1]])).astype(int)
TYPES = np.random.default_rng(1).integers(0, 2, (3, 9))


@pytest.fixture(scope="module")
def bert():
    return example("models/bert")


@pytest.fixture(scope="module")
def twin():
    """The language model of transformers."""
    them = transformers()
    return randomized(them.BertForMaskedLM(them.BertConfig(**SIZES)))


@pytest.fixture(scope="module")
def file(twin, tmp_path_factory):
    return saved(twin, tmp_path_factory.mktemp("bert"), "published")


@pytest.mark.parametrize("kind", ["published", "in memory"])
def test_logits_and_hidden_states(bert, twin, kind, tmp_path):
    model = loaded(bert.BertForMaskedLM(**SIZES), saved(twin, tmp_path, kind))
    theirs = twin(*to_torch([TOKENS, MASK, TYPES]), output_hidden_states=True)
    hidden = outputs_of(
        [model.bert.embeddings, *model.bert.encoder.layer],
        lambda: assert_close(model(TOKENS, MASK, TYPES), from_torch(theirs.logits), 1e-5, 1e-5),
    )
    assert len(hidden) == len(theirs.hidden_states) == 4
    for ours, expected in zip(hidden, theirs.hidden_states, strict=True):
        assert_close(ours, from_torch(expected), 1e-5, 1e-5)
    assert_close(model(TOKENS), from_torch(twin(to_torch(TOKENS)).logits), 1e-5, 1e-5)


def test_the_model_without_a_head(bert, tmp_path):
    them = transformers()
    twin = randomized(them.BertModel(them.BertConfig(**SIZES)))
    model = loaded(bert.BertModel(**SIZES), saved(twin, tmp_path, "published"))
    theirs = twin(*to_torch([TOKENS, MASK]))
    hidden, pooled = fnn.jit(model)(TOKENS, MASK)
    assert_close(hidden, from_torch(theirs.last_hidden_state), 1e-5, 1e-5)
    assert_close(pooled, from_torch(theirs.pooler_output), 1e-5, 1e-5)


def test_repeated_layers_load_the_same_file(bert, twin, file):
    model = bert.BertForMaskedLM(**SIZES)
    model.bert.encoder.layer = fnn.repeat(model.bert.encoder.layer)
    loaded(model, file)
    assert_close(fnn.jit(model)(TOKENS, MASK), from_torch(twin(*to_torch([TOKENS, MASK])).logits), 1e-5, 1e-5)


def test_a_file_of_the_first_release(bert, twin, file):
    model = loaded(bert.BertForMaskedLM(**SIZES), file)
    state = {}
    for name, array in fnn.load(file).items():
        state[name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")] = array
    state["bert.embeddings.position_ids"] = np.arange(12)[None]
    state["bert.pooler.dense.bias"] = np.zeros(16)
    state["cls.seq_relationship.bias"] = np.zeros(2)
    old = bert.BertForMaskedLM(**SIZES).eval()
    old.load_state_dict(state)
    assert_close(old(TOKENS, MASK), model(TOKENS, MASK), 0, 0)


def test_gradients_in_double_precision(bert, twin, file):
    import torch

    model = loaded(bert.BertForMaskedLM(**SIZES), file).double()
    labels = np.where(np.random.default_rng(2).random((3, 9)) < 0.4, TOKENS, -100)
    fnn.backward(lambda: F.cross_entropy(model(TOKENS, MASK, TYPES).reshape(-1, 31), labels.reshape(-1)), model)
    them = transformers()
    theirs = them.BertForMaskedLM(them.BertConfig(**SIZES)).double().eval()
    theirs.load_state_dict({name: tensor.double() for name, tensor in twin.state_dict().items()})
    theirs(*to_torch([TOKENS, MASK, TYPES]), labels=torch.tensor(labels)).loss.backward()
    expected = {name: from_torch(parameter.grad) for name, parameter in theirs.named_parameters()}
    ours = dict(model.named_parameters())
    assert ours.keys() == expected.keys()
    for name, parameter in ours.items():
        assert_close(parameter.grad, expected[name], 1e-7, 1e-9, name)


def test_dropout_acts_in_training_mode_alone(bert):
    model = bert.BertForMaskedLM(**SIZES)
    first, second = model(TOKENS), model(TOKENS)
    assert not np.allclose(first, second)
    model.eval()
    assert_close(model(TOKENS), model(TOKENS), 0, 0)


@pytest.mark.slow
def test_the_default_sizes_are_those_of_transformers(bert):
    model, expected = bert.BertForMaskedLM(), shapes_of_the_original("BertForMaskedLM")
    assert {n: array.shape for n, array in model.state_dict().items()} == expected


def test_the_script(bert, file, capsys):
    bert.main([str(file)])
    said = capsys.readouterr().out
    count = sum(parameter.numel() for parameter in bert.BertForMaskedLM(**SIZES).parameters())
    assert f"{count / 1e6:.1f} million parameters, logits (8, 128, 31)" in said
    assert "tokens per second" in said
