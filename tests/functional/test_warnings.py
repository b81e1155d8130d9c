"""A warning points at the line of the user's that caused it, through the wrappers of public functions."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import fnn.nn.functional as F
from fnn import nn, optim
from fnn.nn import init, utils

X = np.ones((2, 3), np.float32)
IMAGES = np.ones((1, 1, 4, 4), np.float32)


def scheduler_before_optimizer():
    optimizer = optim.SGD([nn.Parameter(jnp.ones(2))], lr=0.1)
    optim.lr_scheduler.StepLR(optimizer, 2).step()


CALLS = {
    "weight_norm": lambda: utils.weight_norm(nn.Linear(2, 2)),
    "softmax": lambda: F.softmax(X),
    "softmin": lambda: F.softmin(X),
    "log_softmax": lambda: F.log_softmax(X),
    "Softmax": lambda: nn.Softmax()(X),
    "Softmin": lambda: nn.Softmin()(X),
    "LogSoftmax": lambda: nn.LogSoftmax()(X),
    "gumbel_softmax": lambda: F.gumbel_softmax(X, eps=1.0, dim=1),
    "size_average": lambda: F.mse_loss(X, X, size_average=True),
    "size_average of a layer": lambda: nn.MSELoss(size_average=True),
    "reduce of a layer": lambda: nn.CrossEntropyLoss(reduce=True),
    "mse_loss": lambda: F.mse_loss(X, X[:1]),
    "kl_div": lambda: F.kl_div(X, X, reduction="mean"),
    "NLLLoss2d": lambda: nn.NLLLoss2d(),
    "LSTM": lambda: nn.LSTM(2, 3, dropout=0.5),
    "GRU": lambda: nn.GRU(2, 3, dropout=0.5),
    "upsample": lambda: F.upsample(IMAGES, 2),
    "upsample_nearest": lambda: F.upsample_nearest(IMAGES, 2),
    "upsample_bilinear": lambda: F.upsample_bilinear(IMAGES, 2),
    "grid_sample": lambda: F.grid_sample(IMAGES, np.zeros((1, 2, 2, 2), np.float32)),
    "affine_grid": lambda: F.affine_grid(np.ones((1, 2, 3), np.float32), (1, 1, 1, 2), align_corners=True),
    "dropout2d": lambda: F.dropout2d(X, training=False),
    "feature dropout": lambda: nn.Dropout2d().eval()(X),
    "kaiming_uniform_": lambda: init.kaiming_uniform_(nn.Parameter(jnp.ones((0, 3)))),
    "kaiming_normal_": lambda: init.kaiming_normal_(nn.Parameter(jnp.ones((0, 3)))),
    "scheduler.step": scheduler_before_optimizer,
    "Threshold": lambda: nn.Hardtanh(min_value=-1, max_value=1, min_val=-1),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_warning_points_at_the_caller(name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[name]()
    assert caught
    assert {w.filename for w in caught} == {__file__}
