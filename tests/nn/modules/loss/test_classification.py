"""Losses of classification against torch."""

import numpy as np
import pytest

from fnn import nn
from tests.nn.modules.cases import Fixed, LayerTests, drawn
from tests.nn.modules.loss.targets import CLASSES, LOGS, PROBABILITIES, WEIGHT4
from tests.oracle import assert_close


class TestClassificationLoss(LayerTests):
    CASES = [
        ("CrossEntropyLoss", (WEIGHT4,), {"ignore_index": 3, "label_smoothing": 0.1}, (3, 4), CLASSES),
        ("CrossEntropyLoss", (), {"reduction": "none"}, (3, 4), PROBABILITIES),
        ("NLLLoss", (WEIGHT4,), {}, LOGS, CLASSES),
    ]
    MORE = [
        *[("CrossEntropyLoss", (WEIGHT4,), {"reduction": r}, (3, 4), CLASSES) for r in ("none", "sum")],
        ("CrossEntropyLoss", (WEIGHT4,), {"label_smoothing": 0.3}, (3, 4), PROBABILITIES),
        ("CrossEntropyLoss", (), {}, (3, 4, 2, 2), drawn(4, 3, 2, 2)),
        ("CrossEntropyLoss", (), {}, (4,), Fixed(np.int64(2))),
        ("NLLLoss", (), {"ignore_index": 1, "reduction": "none"}, LOGS, CLASSES),
        ("NLLLoss", (), {"reduction": "sum"}, (2, 4, 3), drawn(4, 2, 3)),
    ]
    COMPILED = ["CrossEntropyLoss"]


def test_nll_loss_2d():
    with pytest.warns(FutureWarning, match="`NLLLoss2d` has been deprecated"):
        layer = nn.NLLLoss2d(WEIGHT4, ignore_index=1)
    assert_close(layer(LOGS, CLASSES.array), nn.NLLLoss(WEIGHT4, ignore_index=1)(LOGS, CLASSES.array))
