"""The private bases of the convolutions, which code written for torch derives from and calls."""

import numpy as np
import pytest

from fnn import nn
from fnn.nn import functional as F
from fnn.nn.modules.conv import _ConvNd, _ConvTransposeNd
from tests.oracle import assert_close, from_torch, needs_torch, rand, to_torch

ARGUMENTS = (4, 6, (3, 2), (2, 1), (1, 0), (1, 2), False, (0, 0), 2, True, "zeros")


def of_one_s_own(base, functional):
    class Own(base):
        def forward(self, input):
            return functional(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    return Own


@needs_torch
def test_a_class_with_the_arguments_of_torch():
    import torch

    ours = of_one_s_own(_ConvNd, F.conv2d)(*ARGUMENTS, dtype=np.float64)
    theirs = of_one_s_own(torch.nn.modules.conv._ConvNd, torch.nn.functional.conv2d)(*ARGUMENTS, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    x = rand(0, 2, 4, 7, 6)
    assert_close(ours(x), from_torch(theirs(to_torch(x))))


@needs_torch
@pytest.mark.parametrize("padding", [1, "same", "valid"])
def test_another_weight(padding):
    """A layer that changes its weight before the convolution calls ``_conv_forward``."""
    import torch

    options = {"padding": padding, "padding_mode": "circular", "bias": False}
    ours, theirs = nn.Conv1d(2, 3, 4, **options), torch.nn.Conv1d(2, 3, 4, **options)
    assert ours._reversed_padding_repeated_twice == list(theirs._reversed_padding_repeated_twice)
    x, w = rand(1, 2, 2, 9), rand(2, 3, 2, 4)
    assert_close(ours._conv_forward(x, w, None), from_torch(theirs._conv_forward(to_torch(x), to_torch(w), None)))


@needs_torch
def test_output_padding():
    import torch

    ours, theirs = (m.ConvTranspose2d(2, 3, (3, 2), (4, 3), dilation=2) for m in (nn, torch.nn))
    assert isinstance(ours, _ConvTransposeNd)
    x = rand(3, 1, 2, 4, 5)
    for size in (None, [18, 16], [1, 3, 20, 17]):
        given = (size, [4, 3], [0, 0], [3, 2], 2, [2, 2])
        assert list(ours._output_padding(x, *given)) == list(theirs._output_padding(to_torch(x), *given))
