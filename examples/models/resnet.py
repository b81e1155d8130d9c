"""ResNets with torchvision's names, as files of ``resnet18``, ``resnet34`` and ``resnet50`` have them.

    python examples/models/resnet.py --kind resnet18                        # random weights
    python examples/models/resnet.py --kind resnet50 resnet50-11ad3fa6.pth

Prints the number of parameters and the time of one call.

    model = resnet50()
    model.load_state_dict(fnn.load("resnet50-11ad3fa6.pth"))
    logits = model.eval()(images)    # (N, 3, H, W), normalized as the weights want it

In training mode the statistics of the batch are used and kept, as in torch. Each of ``layer1`` to ``layer4`` is a ``Sequential``
whose first block differs from the rest. Once the weights are loaded, the rest compiles as one block by
``model.layer3 = nn.Sequential(model.layer3[0], fnn.repeat(model.layer3[1:]))``.

Source: He et al., Deep Residual Learning for Image Recognition (2015), https://arxiv.org/abs/1512.03385
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import fnn
import fnn.nn.functional as F
from fnn import nn


def conv3x3(channels: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)


def conv1x1(channels: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """Two convolutions of 3x3, added to what went in."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: jax.Array) -> jax.Array:
        residual = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + residual)


class Bottleneck(nn.Module):
    """A convolution of 3x3 between two of 1x1, the last of which widens; the stride is that of the middle one."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = conv1x1(channels, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, width * self.expansion)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = downsample

    def forward(self, x: jax.Array) -> jax.Array:
        residual = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + residual)


class ResNet(nn.Module):
    """Four stages of blocks, each of half the resolution and twice the width of the one before.

    Args:
        block: ``BasicBlock`` or ``Bottleneck``.
        layers: how many blocks each stage has.
        num_classes: how many logits.
        width: channels of the first stage.
    """

    def __init__(
        self, block: type[BasicBlock | Bottleneck], layers: Sequence[int], num_classes: int = 1000, width: int = 64
    ) -> None:
        super().__init__()
        self.channels = width
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self.stage(block, width, layers[0], 1)
        self.layer2 = self.stage(block, 2 * width, layers[1], 2)
        self.layer3 = self.stage(block, 4 * width, layers[2], 2)
        self.layer4 = self.stage(block, 8 * width, layers[3], 2)
        self.fc = nn.Linear(self.channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stage(self, block: type[BasicBlock | Bottleneck], width: int, count: int, stride: int) -> nn.Sequential:
        """``count`` blocks, the first of which changes resolution and width."""
        out, downsample = width * block.expansion, None
        if stride != 1 or self.channels != out:
            downsample = nn.Sequential(conv1x1(self.channels, out, stride), nn.BatchNorm2d(out))
        blocks: list[nn.Module] = [block(self.channels, width, stride, downsample)]
        self.channels = out
        return nn.Sequential(*blocks, *(block(out, width, 1, None) for _ in range(count - 1)))

    def forward(self, x: jax.Array) -> jax.Array:
        """Logits (N, num_classes) of images (N, 3, H, W)."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def resnet18(num_classes: int = 1000, width: int = 64) -> ResNet:
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, width)


def resnet34(num_classes: int = 1000, width: int = 64) -> ResNet:
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes, width)


def resnet50(num_classes: int = 1000, width: int = 64) -> ResNet:
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, width)


KINDS = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", help="a file of weights")
    parser.add_argument("--kind", choices=KINDS, default="resnet18")
    parser.add_argument("--size", type=int, default=224, help="width and height of the images")
    options = parser.parse_args(arguments)
    state = fnn.load(options.path) if options.path else {}
    sizes = {"num_classes": state["fc.bias"].shape[0], "width": state["bn1.weight"].shape[0]} if state else {}
    model = KINDS[options.kind](**sizes).eval()
    if state:
        model.load_state_dict(state)
    call = fnn.jit(model)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3, options.size, options.size)), "float32")
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters, logits {call(images).shape}")
    start = time.perf_counter()
    jax.block_until_ready(call(images))
    print(f"{len(images) / (time.perf_counter() - start):.1f} images per second")


if __name__ == "__main__":
    main()
