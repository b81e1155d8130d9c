"""Whisper: the numbers are those of ``transformers``, from files that it wrote, and its texts token for token."""

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from tests.compilations import Compilations
from tests.examples.loading import example
from tests.examples.models.twins import loaded, outputs_of, randomized, saved, shapes_of_the_original, transformers
from tests.oracle import assert_close, from_torch, rand, to_torch

SIZES = {
    "vocab_size": 29,
    "num_mel_bins": 5,
    "d_model": 16,
    "encoder_layers": 3,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 24,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 20,
    "max_source_positions": 8,
    "max_target_positions": 14,
}
END = 2
SPECIAL = {
    "pad_token_id": END,
    "eos_token_id": END,
    "bos_token_id": 1,
    "decoder_start_token_id": 1,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}
FEATURES = rand(0, 4, 5, 16).astype(np.float32)
TOKENS = np.random.default_rng(0).integers(3, 29, (4, 6))


def make_twin():
    """The model of transformers, in which the places of the tokens and the sound weigh enough to make texts differ."""
    import torch

    them = transformers()
    twin = randomized(them.WhisperForConditionalGeneration(them.WhisperConfig(**SIZES, **SPECIAL)))
    with torch.no_grad():
        twin.model.decoder.embed_positions.weight *= 12
        for layer in twin.model.decoder.layers:
            layer.encoder_attn.q_proj.weight *= 4
            layer.encoder_attn.v_proj.weight *= 2
            layer.encoder_attn.out_proj.weight *= 2
    return twin


@pytest.fixture(scope="module")
def whisper():
    return example("models/whisper")


@pytest.fixture(scope="module")
def twin():
    transformers()
    return make_twin()


@pytest.fixture(scope="module")
def file(twin, tmp_path_factory):
    return saved(twin, tmp_path_factory.mktemp("whisper"), "published")


def repeated(model):
    """The model with each of its stacks as one loop."""
    for part in (model.model.encoder, model.model.decoder):
        part.layers = fnn.repeat(part.layers)
    return model


@pytest.mark.parametrize("kind", ["published", "in memory"])
def test_logits_and_hidden_states(whisper, twin, kind, tmp_path):
    model = loaded(whisper.WhisperForConditionalGeneration(**SIZES), saved(twin, tmp_path, kind))
    theirs = twin(to_torch(FEATURES), decoder_input_ids=to_torch(TOKENS), output_hidden_states=True)
    encoder = model.model.encoder
    hidden = outputs_of(
        [*encoder.layers, encoder],
        lambda: assert_close(model(FEATURES, TOKENS), from_torch(theirs.logits), 1e-5, 1e-5),
    )
    # The first of theirs is what goes into the layers, the last one is normalized.
    expected = [*theirs.encoder_hidden_states[1:-1], None, theirs.encoder_last_hidden_state]
    assert len(hidden) == len(expected) == 4
    for ours, wanted in zip(hidden, expected, strict=True):
        if wanted is not None:
            assert_close(ours, from_torch(wanted), 1e-5, 1e-5)


def test_a_text_is_theirs_token_for_token(whisper, twin, file):
    import torch

    model = loaded(whisper.WhisperForConditionalGeneration(**SIZES), file)
    prompt = [1, 5, 9]
    theirs = twin.generate(
        to_torch(FEATURES),
        decoder_input_ids=torch.tensor([prompt] * 4),
        attention_mask=torch.ones(4, 16),
        max_new_tokens=11,
        do_sample=False,
        num_beams=1,
    )
    expected = np.concatenate([np.tile(prompt, (4, 1)), from_torch(theirs)], 1)
    assert len(np.unique(from_torch(theirs))) > 5
    assert len(np.unique(expected, axis=0)) > 1
    ours = whisper.generate(model, jnp.asarray(FEATURES), prompt, length=14, end=END)
    assert np.array_equal(ours, expected)
    heard = Compilations()
    whisper.generate(model, jnp.asarray(FEATURES[::-1]), prompt[::-1], length=14, end=END)
    assert not heard.count
    assert np.array_equal(
        whisper.generate(repeated(model), jnp.asarray(FEATURES), prompt, length=14, end=END), expected
    )


def test_a_text_ends_where_theirs_does(whisper, twin, file):
    import torch

    model = loaded(whisper.WhisperForConditionalGeneration(**SIZES), file)
    whole = np.asarray(whisper.generate(model, jnp.asarray(FEATURES), [1, 5, 9], length=14, end=-1))
    # A token that some texts have early and others later or not at all.
    counts = {end: (whole[:, 3:] == end).any(1).sum() for end in np.unique(whole[:, 3:])}
    end = next(int(end) for end, count in counts.items() if 0 < count < 4)
    theirs = twin.generate(
        to_torch(FEATURES),
        decoder_input_ids=torch.tensor([[1, 5, 9]] * 4),
        attention_mask=torch.ones(4, 16),
        max_new_tokens=11,
        do_sample=False,
        num_beams=1,
        eos_token_id=end,
        pad_token_id=end,
    )
    ours = whisper.generate(model, jnp.asarray(FEATURES), [1, 5, 9], length=14, end=end)
    assert np.array_equal(ours[:, 3:], from_torch(theirs))
    assert (np.asarray(ours) == end).sum() > 1


def test_repeated_layers_load_the_same_file(whisper, twin, file):
    model = loaded(repeated(whisper.WhisperForConditionalGeneration(**SIZES)), file)
    theirs = twin(to_torch(FEATURES), decoder_input_ids=to_torch(TOKENS))
    assert_close(fnn.jit(model)(FEATURES, TOKENS), from_torch(theirs.logits), 1e-5, 1e-5)


def test_gradients_in_double_precision(whisper, twin, file):
    model = loaded(whisper.WhisperForConditionalGeneration(**SIZES), file).double()
    features = FEATURES.astype(np.float64)
    labels = np.roll(TOKENS, -1, 1)
    fnn.backward(lambda: F.cross_entropy(model(features, TOKENS).reshape(-1, 29), labels.reshape(-1)), model)
    theirs = make_twin().double()
    theirs(to_torch(features), decoder_input_ids=to_torch(TOKENS), labels=to_torch(labels)).loss.backward()
    expected = dict(theirs.named_parameters())
    ours = dict(model.named_parameters())
    assert ours.keys() == expected.keys()
    for name, parameter in ours.items():
        if expected[name].grad is None:
            assert not parameter.requires_grad
        else:
            assert_close(parameter.grad, from_torch(expected[name].grad), 1e-7, 1e-9, name)


def test_new_positions_of_the_sound_are_those_of_transformers(whisper):
    them = transformers()
    theirs = them.WhisperForConditionalGeneration(them.WhisperConfig(**SIZES, **SPECIAL))
    ours = whisper.WhisperForConditionalGeneration(**SIZES).model.encoder.embed_positions
    assert_close(ours.weight, from_torch(theirs.model.encoder.embed_positions.weight), 1e-6, 1e-7)
    assert not ours.weight.requires_grad


def test_what_does_not_fit(whisper):
    model = whisper.WhisperForConditionalGeneration(**SIZES)
    with pytest.raises(ValueError, match=r"Whisper: features must have 16 frames, got shape \(4, 5, 15\)"):
        model(FEATURES[..., :15], TOKENS)
    with pytest.raises(ValueError, match="generate: length must be more than the prompt's 1 and at most 14, got 15"):
        whisper.generate(model, jnp.asarray(FEATURES), [1], length=15, end=END)


@pytest.mark.slow
def test_the_default_sizes_are_those_of_transformers(whisper):
    model, expected = (
        whisper.WhisperForConditionalGeneration(),
        shapes_of_the_original("WhisperForConditionalGeneration"),
    )
    assert {n: array.shape for n, array in model.state_dict().items()} == expected


def test_the_script(whisper, file, tmp_path, capsys):
    np.save(tmp_path / "features.npy", FEATURES[0])
    whisper.main([str(file.parent), "--features", str(tmp_path / "features.npy"), "--prompt", "1", "5"])
    said = capsys.readouterr().out.splitlines()
    model = loaded(whisper.WhisperForConditionalGeneration(**SIZES), file)
    assert said[0] == f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters"
    tokens = whisper.generate(model, jnp.asarray(FEATURES[:1]), [1, 5], length=14, end=END)[0].tolist()
    assert said[1].startswith(f"{len(tokens)} tokens in ")
    assert said[1].endswith(" s: " + " ".join(map(str, tokens)))
