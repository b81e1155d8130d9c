"""Power-average pooling layers against torch."""

from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests
from tests.oracle import rand


class TestLpPooling(LayerTests):
    CASES = [
        ("LPPool1d", (3, 2), {}, rand(0, *LINE, low=0.1)),
        ("LPPool2d", (2, 2), {"stride": 1}, IMAGE),
        ("LPPool3d", (1.5, 2), {}, rand(0, *VOLUME, low=0.1)),
    ]
    MORE = [
        ("LPPool1d", (1, 3), {"stride": 2, "ceil_mode": True}, rand(0, *LINE, low=0.1)),
        ("LPPool2d", (3, (1, 2)), {"ceil_mode": True}, rand(0, *IMAGE, low=0.1)),
    ]
