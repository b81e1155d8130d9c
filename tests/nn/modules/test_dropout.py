"""Dropout layers against torch."""

import numpy as np
import pytest

import fnn
from fnn import nn
from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests
from tests.oracle import assert_close


class TestDropout(LayerTests):
    CASES = [
        ("Dropout", (0.0,), {}, LINE),
        ("Dropout1d", (1.0,), {}, LINE),
        ("Dropout2d", (0.0,), {}, IMAGE),
        ("Dropout3d", (1.0,), {}, VOLUME),
        ("AlphaDropout", (0.0,), {}, LINE),
        ("FeatureAlphaDropout", (0.0,), {}, LINE),
    ]
    BAD = [
        (ValueError, "Dropout: p must be between 0 and 1, got 1.5", "Dropout", (1.5,), {}),
        (ValueError, "AlphaDropout: p must be between 0 and 1, got -0.1", "AlphaDropout", (-0.1,), {}),
    ]
    COMPILED = ["Dropout"]


@pytest.mark.parametrize(
    ("name", "shape", "channels"),
    [
        ("Dropout", (4, 50), False),
        ("Dropout1d", (4, 8, 6), True),
        ("Dropout2d", (4, 8, 3, 2), True),
        ("Dropout3d", (4, 8, 3, 2, 1), True),
        ("AlphaDropout", (4, 50), False),
        ("FeatureAlphaDropout", (4, 8, 6), True),
    ],
)
def test_dropout_layers(name, shape, channels):
    layer = getattr(nn, name)(0.4)
    x = np.ones(shape)
    fnn.manual_seed(0)
    y = np.asarray(layer(x))
    assert y.shape == shape
    values = np.unique(y.round(12))
    assert len(values) == 2
    if "Alpha" not in name:
        assert_close(values, [0, 1 / 0.6])
    kept = y == y.max()
    assert 0.3 < kept.mean() < 0.85
    if channels:
        assert (kept.reshape(*shape[:2], -1).all(-1) == kept.reshape(*shape[:2], -1).any(-1)).all()
    assert_close(layer.eval()(x), x, 0, 0)
