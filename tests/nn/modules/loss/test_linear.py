"""The loss with its own linear layer against torch."""

from tests.nn.modules.cases import LayerTests, drawn
from tests.nn.modules.loss.targets import CLASSES, PROBABILITIES, UNIT, WEIGHT4


class TestLinearLoss(LayerTests):
    CASES = [
        ("LinearCrossEntropyLoss", (5, 4), {"bias": True, "weight": WEIGHT4}, (3, 5), CLASSES),
    ]
    MORE = [
        ("LinearCrossEntropyLoss", (5, 4), {"out_features": (2,), "label_smoothing": 0.1}, (3, 5), drawn(4, 3, 2)),
        ("LinearCrossEntropyLoss", (5, 4), {"reduction": "none", "ignore_index": 1}, (3, 5), CLASSES),
        ("LinearCrossEntropyLoss", (5, 4), {"reduction": "sum"}, (3, 5), PROBABILITIES),
    ]
    BAD = [
        (TypeError, "LinearCrossEntropyLoss: num_classes must be an int", "LinearCrossEntropyLoss", (3, "x"), {}),
        (
            ValueError,
            "LinearCrossEntropyLoss: weight must have shape",
            "LinearCrossEntropyLoss",
            (3, 4),
            {"weight": UNIT},
        ),
        (
            ValueError,
            "LinearCrossEntropyLoss: label_smoothing must be in",
            "LinearCrossEntropyLoss",
            (3, 4),
            {"label_smoothing": 2},
        ),
    ]
