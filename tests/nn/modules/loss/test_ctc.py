"""Connectionist temporal classification against torch."""

from tests.nn.modules.cases import LayerTests
from tests.nn.modules.loss.targets import CTC


class TestCtcLoss(LayerTests):
    CASES = [
        ("CTCLoss", (), {"zero_infinity": True}, *CTC),
    ]
    MORE = [
        *[("CTCLoss", (b,), {"reduction": r}, *CTC) for b, r in ((0, "none"), (0, "sum"))],
    ]
