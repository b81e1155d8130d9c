"""Average pooling layers against torch."""

from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests


class TestAveragePooling(LayerTests):
    CASES = [
        ("AvgPool1d", (3,), {"padding": 1, "count_include_pad": False}, LINE),
        ("AvgPool2d", ((3, 2),), {"stride": 2, "ceil_mode": True, "divisor_override": 3}, IMAGE),
        ("AvgPool3d", (2,), {}, VOLUME),
    ]
    MORE = [
        ("AvgPool1d", (3, 2), {"padding": 1, "ceil_mode": True}, LINE[1:]),
        ("AvgPool2d", (3,), {"padding": 1, "count_include_pad": False}, IMAGE),
        ("AvgPool3d", (2, 1, 1), {"ceil_mode": True, "divisor_override": 5}, VOLUME),
    ]
