"""The Vision Transformer: the numbers are those of ``transformers``, from files that it wrote."""

import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from tests.examples.loading import example
from tests.examples.models.twins import loaded, outputs_of, randomized, saved, shapes_of_the_original, transformers
from tests.oracle import assert_close, from_torch, rand, to_torch

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "image_size": 12,
    "patch_size": 4,
    "num_channels": 3,
}
IMAGES = rand(0, 2, 3, 12, 12).astype(np.float32)


@pytest.fixture(scope="module")
def vit():
    return example("models/vit")


@pytest.fixture(scope="module")
def twin():
    """The classifier of transformers."""
    them = transformers()
    return randomized(them.ViTForImageClassification(them.ViTConfig(**SIZES, num_labels=7)))


@pytest.fixture(scope="module")
def file(twin, tmp_path_factory):
    return saved(twin, tmp_path_factory.mktemp("vit"), "published")


@pytest.mark.parametrize("kind", ["published", "in memory"])
def test_logits_and_hidden_states(vit, twin, kind, tmp_path):
    model = loaded(vit.ViTForImageClassification(7, **SIZES), saved(twin, tmp_path, kind))
    theirs = twin(to_torch(IMAGES), output_hidden_states=True)
    hidden = outputs_of(
        [model.vit.embeddings, *model.vit.encoder.layer],
        lambda: assert_close(model(IMAGES), from_torch(theirs.logits), 1e-5, 1e-5),
    )
    assert len(hidden) == len(theirs.hidden_states) == 4
    for ours, expected in zip(hidden, theirs.hidden_states, strict=True):
        assert_close(ours, from_torch(expected), 1e-5, 1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_the_model_without_a_head(vit, bias, tmp_path):
    them = transformers()
    twin = randomized(them.ViTModel(them.ViTConfig(**SIZES, qkv_bias=bias)))
    model = loaded(vit.ViTModel(**SIZES, qkv_bias=bias), saved(twin, tmp_path, "published"))
    theirs = twin(to_torch(IMAGES))
    hidden, pooled = model(IMAGES)
    assert_close(hidden, from_torch(theirs.last_hidden_state), 1e-5, 1e-5)
    assert_close(pooled, from_torch(theirs.pooler_output), 1e-5, 1e-5)


def test_repeated_layers_load_the_same_file(vit, twin, file):
    model = vit.ViTForImageClassification(7, **SIZES)
    model.vit.encoder.layer = fnn.repeat(model.vit.encoder.layer)
    loaded(model, file)
    assert_close(fnn.jit(model)(IMAGES), from_torch(twin(to_torch(IMAGES)).logits), 1e-5, 1e-5)


def test_gradients_in_double_precision(vit, twin, file):
    import torch

    model = loaded(vit.ViTForImageClassification(7, **SIZES), file).double()
    images, labels = IMAGES.astype(np.float64), np.array([3, 5])
    fnn.backward(lambda: F.cross_entropy(model(images), labels), model)
    them = transformers()
    theirs = them.ViTForImageClassification(them.ViTConfig(**SIZES, num_labels=7)).double().eval()
    theirs.load_state_dict({name: tensor.double() for name, tensor in twin.state_dict().items()})
    torch.nn.functional.cross_entropy(theirs(to_torch(images)).logits, to_torch(labels)).backward()
    expected = vit.names_of_files({n: from_torch(parameter.grad) for n, parameter in theirs.named_parameters()})
    ours = dict(model.named_parameters())
    assert ours.keys() == expected.keys()
    for name, parameter in ours.items():
        assert_close(parameter.grad, expected[name], 1e-7, 1e-9, name)


def test_images_of_another_size(vit):
    model = vit.ViTForImageClassification(7, **SIZES)
    with pytest.raises(ValueError, match=r"ViT: images must be 12 x 12, got shape \(2, 3, 16, 16\)"):
        model(rand(0, 2, 3, 16, 16).astype(np.float32))


@pytest.mark.slow
def test_the_default_sizes_are_those_of_transformers(vit):
    model = vit.ViTForImageClassification(2)  # as many labels as transformers has by default
    expected = vit.names_of_files(shapes_of_the_original("ViTForImageClassification"))
    assert {n: array.shape for n, array in model.state_dict().items()} == expected


def test_the_script(vit, file, capsys):
    vit.main([str(file)])
    said = capsys.readouterr().out
    count = sum(parameter.numel() for parameter in vit.ViTForImageClassification(7, **SIZES).parameters())
    assert f"{count / 1e6:.1f} million parameters, logits (8, 7)" in said
    assert "images per second" in said
