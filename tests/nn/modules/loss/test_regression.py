"""Losses of regression against torch."""

from tests.nn.modules.cases import Fixed, LayerTests
from tests.nn.modules.loss.targets import LOGS, PROBABILITIES, UNIT
from tests.oracle import rand


class TestRegressionLoss(LayerTests):
    CASES = [
        ("L1Loss", (), {"reduction": "sum"}, (3, 4), (3, 4)),
        ("MSELoss", (), {}, (3, 4), (3, 4)),
        ("SmoothL1Loss", (), {"beta": 0.3}, (3, 4), (3, 4)),
        ("HuberLoss", ("none", 0.3), {}, (3, 4), (3, 4)),
        ("PoissonNLLLoss", (), {"full": True}, (3, 4), Fixed(UNIT * 5)),
        ("GaussianNLLLoss", (), {"full": True}, (3, 4), (3, 4), UNIT),
        ("KLDivLoss", (), {"reduction": "batchmean"}, LOGS, PROBABILITIES),
    ]
    MORE = [
        *[("L1Loss", (), {"reduction": r}, (3, 4), (3, 4)) for r in ("mean", "none")],
        *[("MSELoss", (), {"reduction": r}, (3, 4), (3, 4)) for r in ("sum", "none")],
        *[("SmoothL1Loss", (), {"reduction": r}, (3, 4), (3, 4)) for r in ("sum", "none")],
        ("SmoothL1Loss", (), {"beta": 0.0}, (3, 4), rand(5, 3, 4)),
        *[("HuberLoss", (r,), {}, (3, 4), (3, 4)) for r in ("mean", "sum")],
        ("PoissonNLLLoss", (False,), {"eps": 0.1, "reduction": "none"}, UNIT, Fixed(UNIT * 5)),
        *[("GaussianNLLLoss", (), {"eps": 0.3, "reduction": r}, (3, 4), (3, 4), UNIT[:, :1]) for r in ("none", "sum")],
        *[("KLDivLoss", (), {"log_target": True, "reduction": r}, LOGS, Fixed(LOGS[::-1])) for r in ("none", "sum")],
    ]
    BAD = [
        (TypeError, "HuberLoss: delta must be a float or int", "HuberLoss", (), {"delta": "x"}),
    ]
