"""Gains and fans are torch's."""

import numpy as np
import pytest

from fnn import nn
from fnn.nn import init
from tests.oracle import needs_torch


@needs_torch
def test_gains_are_torchs():
    import torch

    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-12)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


@needs_torch
@pytest.mark.parametrize("shape", [(4, 3), (6, 5, 3), (2, 4, 3, 5)])
def test_fans_are_torchs(shape):
    import torch

    ours, theirs = nn.Parameter(np.zeros(shape)), torch.zeros(shape)
    both = init._calculate_fan_in_and_fan_out(ours)
    assert both == torch.nn.init._calculate_fan_in_and_fan_out(theirs)
    assert both == tuple(init._calculate_correct_fan(ours, mode) for mode in ("fan_in", "FAN_OUT"))
    with pytest.raises(ValueError, match="fan in and fan out need a shape of at least 2 axes"):
        init._calculate_fan_in_and_fan_out(np.zeros(3))
    with pytest.raises(ValueError, match="mode must be 'fan_in' or 'fan_out'"):
        init._calculate_correct_fan(ours, "fan")
