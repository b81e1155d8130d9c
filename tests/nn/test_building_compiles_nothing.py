"""Building models, and normalizing their weights, compiles no program, whatever the shapes."""

import itertools
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn
from fnn.nn.utils import parametrizations
from fnn.nn.utils.parametrizations import norm_except_dim
from tests.compilations import HEARD
from tests.oracle import assert_close, rand


class ViT(nn.Module):
    """A vision transformer of two layers, with its own initial weights."""

    def __init__(self, width=39, patch=7, tokens=17):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(np.zeros((1, 1, width), np.float32))
        self.position = nn.Parameter(np.zeros((1, tokens, width), np.float32))
        layer = nn.TransformerEncoderLayer(width, 3, 4 * width + 1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 11)
        for parameter in (self.token, self.position, self.patches.weight):
            nn.init.trunc_normal_(parameter, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)


class Block(nn.Module):
    """A residual block."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def resnet():
    sizes = [9, 18, 37, 74]
    blocks = [Block(a, b, 2) for a, b in itertools.pairwise(sizes)]
    net = nn.Sequential(
        nn.Conv2d(3, 9, 7, 2, 3), nn.BatchNorm2d(9), nn.ReLU(), *blocks, nn.Flatten(), nn.Linear(74, 13)
    )
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 1)
            nn.init.constant_(module.bias, 0)
    return net


def lstm():
    net = nn.LSTM(23, 29, 2, bidirectional=True, proj_size=11)
    for name, parameter in net.named_parameters():
        if "weight_hh" in name:
            nn.init.orthogonal_(parameter)
    return net


BUILT = {
    "ViT": ViT,
    "ResNet": resnet,
    "LSTM": lstm,
    "weight_norm": lambda: parametrizations.weight_norm(nn.Linear(31, 43)),
    "weight_norm of a whole": lambda: parametrizations.weight_norm(nn.Linear(31, 44), dim=None),
    "weight_norm in bfloat16": lambda: parametrizations.weight_norm(nn.Linear(31, 45, dtype=jnp.bfloat16)),
    "weight_norm, old": lambda: nn.utils.weight_norm(nn.Conv2d(5, 31, 3)),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Linear(33, 43)),
    "spectral_norm, transposed": lambda: parametrizations.spectral_norm(nn.ConvTranspose2d(33, 43, 3)),
    "spectral_norm of a vector": lambda: parametrizations.spectral_norm(nn.Linear(33, 47), "bias"),
    "spectral_norm, old": lambda: nn.utils.spectral_norm(nn.Conv2d(33, 5, 3)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(35, 43)),
    "orthogonal, square": lambda: parametrizations.orthogonal(nn.Linear(37, 37)),
    "orthogonal, cayley": lambda: parametrizations.orthogonal(nn.Linear(43, 35), orthogonal_map="cayley"),
    "orthogonal, no base": lambda: parametrizations.orthogonal(nn.Linear(35, 49), use_trivialization=False),
}


@pytest.mark.parametrize("name", list(BUILT))
def test_building_compiles_nothing(name):
    before = HEARD.count
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        BUILT[name]()
    assert HEARD.count == before


@pytest.mark.parametrize("dim", [0, 1, -2, -1])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "complex128"])
def test_norms_on_the_host_follow_the_formula(dim, dtype):
    x = jnp.asarray(rand(1, 4, 5, 3) + (1j * rand(2, 4, 5, 3) if dtype == "complex128" else 0), dtype)
    others = None if dim == -1 else tuple(i for i in range(3) if i != dim % 3)
    wanted = np.sqrt((abs(np.asarray(x).astype("complex128")) ** 2).sum(others, keepdims=dim != -1))
    ours = norm_except_dim(x, dim)
    tolerance = {"float64": 1e-12, "complex128": 1e-12, "float32": 1e-6, "bfloat16": 1e-2}[dtype]
    assert_close(ours, wanted, tolerance, tolerance)
    assert ours.dtype == jnp.finfo(jnp.dtype(dtype)).dtype
