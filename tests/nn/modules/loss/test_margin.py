"""Losses with a margin against torch."""

import jax.numpy as jnp

from fnn import nn
from tests.nn.modules.cases import LayerTests, ints
from tests.nn.modules.loss.targets import CLASSES, SIGNS, UNIT, WEIGHT4
from tests.oracle import assert_close, from_torch, needs_torch, rand, to_torch


class TestMarginLoss(LayerTests):
    CASES = [
        ("HingeEmbeddingLoss", (0.5,), {}, (3,), SIGNS),
        ("MultiLabelMarginLoss", (), {}, (3, 4), ints([1, -1, 2, 0], [3, 0, -1, -1], [-1, 0, 0, 0])),
        ("CosineEmbeddingLoss", (0.2,), {}, (3, 4), (3, 4), SIGNS),
        ("MarginRankingLoss", (0.3,), {}, (3,), rand(7, 3), SIGNS),
        ("MultiMarginLoss", (2, 0.8, WEIGHT4), {}, (3, 4), CLASSES),
        ("TripletMarginLoss", (), {"swap": True}, (3, 4), rand(8, 3, 4), rand(9, 3, 4)),
        ("TripletMarginWithDistanceLoss", (), {"margin": 0.5}, (3, 4), rand(8, 3, 4), rand(9, 3, 4)),
    ]
    MORE = [
        *[("HingeEmbeddingLoss", (), {"reduction": r}, (3,), SIGNS) for r in ("none", "sum")],
        ("MultiLabelMarginLoss", (), {"reduction": "none"}, (4,), ints(1, -1, 2, 0)),
        *[("CosineEmbeddingLoss", (), {"reduction": r}, (3, 4), (3, 4), SIGNS) for r in ("none", "sum")],
        *[("MarginRankingLoss", (), {"reduction": r}, (3,), rand(7, 3), SIGNS) for r in ("none", "sum")],
        *[("MultiMarginLoss", (), {"reduction": r}, (3, 4), CLASSES) for r in ("none", "sum")],
        *[
            ("TripletMarginLoss", (0.7,), {"p": 3.0, "eps": 1e-3, "reduction": r}, (3, 4), rand(8, 3, 4), rand(9, 3, 4))
            for r in ("none", "sum")
        ],
        *[
            ("TripletMarginWithDistanceLoss", (), {"swap": True, "reduction": r}, (3, 4), rand(8, 3, 4), rand(9, 3, 4))
            for r in ("none", "sum")
        ],
    ]
    BAD = [
        (ValueError, "MultiMarginLoss: p must be 1 or 2, got 3", "MultiMarginLoss", (3,), {}),
        (ValueError, "TripletMarginLoss: margin must be greater than 0", "TripletMarginLoss", (0.0,), {}),
        (ValueError, "margin must be greater than 0", "TripletMarginWithDistanceLoss", (), {"margin": -1.0}),
        (ValueError, "MultiMarginLoss: weight must be 1-D", "MultiMarginLoss", (), {"weight": UNIT}),
    ]


@needs_torch
def test_distance_of_the_caller():
    """A distance in the terms of either library; the loss of the swapped pair too."""
    import torch

    arrays = [rand(60 + i, 3, 4) for i in range(3)]
    options = {"distance_function": lambda x, y: abs(x - y).sum(-1) ** 2, "margin": 0.5, "swap": True}
    ours, theirs = nn.TripletMarginWithDistanceLoss(**options), torch.nn.TripletMarginWithDistanceLoss(**options)
    assert_close(ours(*map(jnp.asarray, arrays)), from_torch(theirs(*to_torch(arrays))), 1e-12)
