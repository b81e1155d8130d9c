"""Losses of yes and no against torch."""

from tests.nn.modules.cases import Fixed, LayerTests
from tests.nn.modules.loss.targets import ROUNDED, SIGNS, UNIT, WEIGHT4


class TestBinaryLoss(LayerTests):
    CASES = [
        ("BCELoss", (WEIGHT4,), {}, UNIT, Fixed(UNIT[::-1])),
        ("BCEWithLogitsLoss", (), {"pos_weight": WEIGHT4}, (3, 4), Fixed(UNIT)),
        ("SoftMarginLoss", (), {}, (3,), SIGNS),
        ("MultiLabelSoftMarginLoss", (WEIGHT4,), {}, (3, 4), ROUNDED),
    ]
    MORE = [
        *[("BCELoss", (), {"reduction": r}, UNIT, Fixed(UNIT[::-1])) for r in ("none", "sum")],
        *[("BCEWithLogitsLoss", (WEIGHT4,), {"reduction": r}, (3, 4), Fixed(UNIT)) for r in ("none", "sum")],
        *[("SoftMarginLoss", (), {"reduction": r}, (3,), SIGNS) for r in ("none", "sum")],
        *[("MultiLabelSoftMarginLoss", (), {"reduction": r}, (3, 4), ROUNDED) for r in ("none", "sum")],
    ]
