"""Instance normalization layers against torch."""

import numpy as np
import pytest

from fnn import nn
from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests
from tests.oracle import assert_close, needs_torch, rand


class TestInstancenorm(LayerTests):
    CASES = [
        ("InstanceNorm1d", (4,), {"affine": True}, LINE),
        ("InstanceNorm2d", (4,), {"track_running_stats": True, "affine": True}, IMAGE),
        ("InstanceNorm3d", (2,), {}, VOLUME),
    ]
    MORE = [
        ("InstanceNorm1d", (4,), {"track_running_stats": True}, (4, 9)),
        ("InstanceNorm1d", (4,), {}, LINE),
        ("InstanceNorm2d", (4,), {"momentum": 0.4, "track_running_stats": True}, IMAGE[1:]),
        ("InstanceNorm3d", (2,), {"affine": True, "track_running_stats": True, "bias": False}, VOLUME),
    ]
    BAD = [
        (ValueError, "InstanceNorm2d: num_features must be at least 0", "InstanceNorm2d", (-1,), {"affine": True}),
    ]


@needs_torch
@pytest.mark.parametrize("n", [1, 2, 3])
def test_instance_norm_refuses_statistics_it_does_not_track(n):
    import torch

    for package in (nn, torch.nn):
        kind = getattr(package, f"InstanceNorm{n}d")
        state = kind(2, track_running_stats=True).state_dict()
        with pytest.raises(RuntimeError, match="running_mean"):
            kind(2).load_state_dict(state)
        assert kind(2).load_state_dict(state, strict=False).unexpected_keys == list(state)
        with pytest.raises(RuntimeError, match="track_running_stats=False"):
            kind(2).load_state_dict(dict(state), strict=False)


def test_an_input_of_another_rank():
    with pytest.raises(ValueError, match="InstanceNorm1d: input must be 2-D or 3-D"):
        nn.InstanceNorm1d(4)(rand(0, 4))


@needs_torch
@pytest.mark.parametrize(
    ("n", "shape"), [(1, (2, 3, 0)), (1, (3, 0)), (2, (2, 3, 0, 2)), (1, (0, 3, 2)), (2, (0, 3, 2, 2))]
)
def test_a_batch_of_nothing_leaves_the_statistics(n, shape):
    import torch

    ours, theirs = (getattr(package, f"InstanceNorm{n}d")(3, track_running_stats=True) for package in (nn, torch.nn))
    assert ours(np.zeros(shape, np.float32)).shape == theirs(torch.zeros(shape)).shape == shape
    for key, value in ours.state_dict().items():
        assert_close(value, np.ones(3) if "var" in key else np.zeros(value.shape), 0, 0, key)
        if 0 not in shape[:1]:  # torch's become NaN for a batch of no samples
            assert_close(value, theirs.state_dict()[key], 0, 0, key)
