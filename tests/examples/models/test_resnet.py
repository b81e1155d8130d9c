"""ResNets: the numbers are those of a twin in torch, whose parts have the names that torchvision gives them."""

import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from fnn import nn, optim
from tests.examples.loading import example
from tests.oracle import assert_close, from_torch, needs_torch, rand, to_torch

IMAGES, LABELS = rand(0, 4, 3, 40, 40), np.array([1, 0, 4, 2])
COUNTS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


@pytest.fixture(scope="module")
def resnet():
    return example("models/resnet")


def make_twin(kind, classes=5, width=4):
    """The network in torch, with random weights and statistics in float64."""
    import torch
    from torch import nn as tnn

    class Block(tnn.Module):
        def __init__(self, before, inner, stride):
            super().__init__()
            self.deep = kind == "resnet50"
            after = 4 * inner if self.deep else inner
            # For each convolution: channels in and out, kernel, stride.
            if self.deep:
                sizes = [(before, inner, 1, 1), (inner, inner, 3, stride), (inner, after, 1, 1)]
            else:
                sizes = [(before, inner, 3, stride), (inner, inner, 3, 1)]
            self.depth = len(sizes)
            for i, (a, b, kernel, step) in enumerate(sizes, 1):
                self.add_module(f"conv{i}", tnn.Conv2d(a, b, kernel, step, kernel // 2, bias=False))
                self.add_module(f"bn{i}", tnn.BatchNorm2d(b))
            self.downsample = None
            if before != after or stride > 1:
                convolution = tnn.Conv2d(before, after, 1, stride, bias=False)
                self.downsample = tnn.Sequential(convolution, tnn.BatchNorm2d(after))

        def forward(self, x):
            y = x
            for i in range(1, self.depth + 1):
                y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
                y = y.relu() if i < self.depth else y
            return (y + (x if self.downsample is None else self.downsample(x))).relu()

    class Net(tnn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = tnn.Conv2d(3, width, 7, 2, 3, bias=False)
            self.bn1 = tnn.BatchNorm2d(width)
            before = width
            for i, count in enumerate(COUNTS[kind]):
                blocks = []
                for j in range(count):
                    blocks.append(Block(before, width << i, 2 if i and not j else 1))
                    before = (width << i) * (4 if kind == "resnet50" else 1)
                self.add_module(f"layer{i + 1}", tnn.Sequential(*blocks))
            self.fc = tnn.Linear(before, classes)

        def forward(self, x):
            x = torch.nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
            for i in range(1, 5):
                x = getattr(self, f"layer{i}")(x)
            return self.fc(torch.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))

    draw = torch.Generator().manual_seed(0)
    net = Net().double()
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if "bn" in name or "downsample.1" in name:
                if tensor.is_floating_point():
                    positive = name.endswith(("weight", "running_var"))
                    tensor.copy_(positive + 0.2 * torch.rand(tensor.shape, generator=draw, dtype=tensor.dtype))
            else:
                scale = tensor[0].numel() ** -0.5 if tensor.ndim > 1 else 0.1
                tensor.copy_(scale * torch.randn(tensor.shape, generator=draw, dtype=tensor.dtype))
    return net


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
