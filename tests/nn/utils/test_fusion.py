"""Fusing batch normalization into the layer before it."""

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn
from fnn.nn import utils
from tests.oracle import assert_close, from_torch, needs_torch, rand

CASES = {
    "conv1d": (lambda n, o: n.Conv1d(4, 6, 3, groups=2, **o), "BatchNorm1d", (2, 4, 5), {}),
    "conv2d": (lambda n, o: n.Conv2d(3, 6, 3, bias=False, **o), "BatchNorm2d", (2, 3, 5, 5), {}),
    "transposed": (lambda n, o: n.ConvTranspose2d(3, 6, 2, **o), "BatchNorm2d", (2, 3, 4, 4), {"transpose": True}),
    "linear": (lambda n, o: n.Linear(3, 6, **o), "BatchNorm1d", (4, 3), None),
}


@needs_torch
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("affine", [True, False])
def test_fused_layer(name, affine):
    import torch

    make, norm, shape, options = CASES[name]
    theirs = make(torch.nn, {"dtype": torch.float64}).eval()
    their_norm = getattr(torch.nn, norm)(6, affine=affine, dtype=torch.float64).eval()
    their_norm.running_mean.copy_(torch.from_numpy(rand(0, 6)))
    their_norm.running_var.copy_(torch.from_numpy(rand(1, 6) + 2))
    ours = make(nn, {"dtype": jnp.float64}).eval()
    our_norm = getattr(nn, norm)(6, affine=affine, dtype=jnp.float64).eval()
    ours.load_state_dict(theirs.state_dict())
    our_norm.load_state_dict(their_norm.state_dict())
    which = "fuse_linear_bn_eval" if options is None else "fuse_conv_bn_eval"
    fused = getattr(utils, which)(ours, our_norm, **(options or {}))
    if affine or options is not None:  # torch's form for linear layers wants the weight that affine=False lacks
        their_fused = getattr(torch.nn.utils, which)(theirs, their_norm, **(options or {}))
        for key, value in their_fused.state_dict().items():
            assert_close(fused.state_dict()[key], from_torch(value), rtol=1e-12)
    assert type(fused) is type(ours)
    x = rand(2, *shape)
    assert_close(fused(x), our_norm(ours(x)))
    assert fused.weight is not ours.weight


def test_one_statistic_for_all_outputs_and_frozen_weights():
    linear = nn.Linear(3, 4, dtype=jnp.float64).eval().requires_grad_(False)
    norm = nn.BatchNorm1d(1, dtype=jnp.float64).eval()
    norm.running_var.copy_(np.full(1, 3.0))
    fused = utils.fuse_linear_bn_eval(linear, norm)
    x = rand(0, 5, 3)
    assert_close(fused(x), linear(x) / np.sqrt(3 + norm.eps))
    assert not fused.weight.requires_grad


def test_errors():
    conv, norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
    with pytest.raises(RuntimeError, match="eval mode"):
        utils.fuse_conv_bn_eval(conv, norm)
    with pytest.raises(RuntimeError, match="running statistics"):
        utils.fuse_conv_bn_eval(conv.eval(), nn.BatchNorm2d(2, track_running_stats=False).eval())
    with pytest.raises(ValueError, match="each of the 2 outputs"):
        utils.fuse_conv_bn_eval(conv, nn.BatchNorm2d(3).eval())
