"""ResNets: the numbers are those of a twin in torch, whose parts have the names that torchvision gives them."""

import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from fnn import nn, optim
from tests.examples.loading import example
from tests.examples.models.torch_resnet import make_twin
from tests.oracle import assert_close, from_torch, needs_torch, rand, to_torch

IMAGES, LABELS = rand(0, 4, 3, 40, 40), np.array([1, 0, 4, 2])


@pytest.fixture(scope="module")
def resnet():
    return example("models/resnet")


@needs_torch
@pytest.mark.parametrize("kind", ["resnet18", pytest.param("resnet34", marks=pytest.mark.slow), "resnet50"])
def test_logits_and_a_training_step_in_double_precision(resnet, kind, tmp_path):
    import torch

    twin = make_twin(kind)
    torch.save(twin.state_dict(), tmp_path / "weights.pth")
    model = getattr(resnet, kind)(5, 4).double()
    state = fnn.load(tmp_path / "weights.pth")
    assert list(state) == list(model.state_dict())
    assert str(model.load_state_dict(state)) == "<All keys matched successfully>"

    model.eval()
    assert_close(model(IMAGES), from_torch(twin.eval()(to_torch(IMAGES))), 1e-9, 1e-11)

    model.train()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    @fnn.jit
    def step(images, labels):
        loss = fnn.backward(lambda: F.cross_entropy(model(images), labels), model)
        optimizer.step()
        return loss

    loss = step(IMAGES, LABELS)
    theirs = torch.optim.SGD(twin.train().parameters(), lr=0.1, momentum=0.9)
    expected = torch.nn.functional.cross_entropy(twin(to_torch(IMAGES)), to_torch(LABELS))
    expected.backward()
    theirs.step()
    assert_close(loss, from_torch(expected), 1e-9)
    for (name, ours), tensor in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert_close(ours.grad, from_torch(tensor.grad), 1e-6, 1e-9, f"gradient of {name}")
    changed = twin.state_dict()
    for name, array in model.state_dict().items():
        assert_close(array, from_torch(changed[name]), 1e-7, 1e-9, name)
    assert int(model.bn1.num_batches_tracked.data) == 1


@pytest.mark.parametrize(
    ("kind", "parameters", "names"),
    [("resnet18", 11_689_512, 122), ("resnet34", 21_797_672, 218), ("resnet50", 25_557_032, 320)],
)
def test_sizes_are_those_that_torchvision_publishes(resnet, kind, parameters, names):
    model = getattr(resnet, kind)()
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert len(model.state_dict()) == names
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer2.0.downsample.1.bias", "fc.bias"} <= set(
        model.state_dict()
    )


def test_the_rest_of_a_stage_as_one_block(resnet):
    model = resnet.resnet34(5, 4).eval()
    images = IMAGES.astype(np.float32)
    expected = model(images)
    model.layer3 = nn.Sequential(model.layer3[0], fnn.repeat(model.layer3[1:]))
    assert_close(fnn.jit(model)(images), expected, 1e-5, 1e-6)


def test_the_script(resnet, tmp_path, capsys):
    fnn.save(resnet.resnet18(5, 4).state_dict(), tmp_path / "weights.pth")
    resnet.main([str(tmp_path / "weights.pth"), "--kind", "resnet18", "--size", "40"])
    said = capsys.readouterr().out
    assert "million parameters, logits (8, 5)" in said
    assert "images per second" in said
