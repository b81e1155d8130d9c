"""Max pooling layers against torch."""

from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests


class TestMaxPooling(LayerTests):
    CASES = [
        ("MaxPool1d", (3,), {"stride": 2, "padding": 1, "return_indices": True}, LINE),
        ("MaxPool2d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, IMAGE),
        ("MaxPool3d", (2,), {}, VOLUME),
    ]
    MORE = [
        ("MaxPool1d", (3, 2, 1, 2), {"ceil_mode": True}, LINE[1:]),
        ("MaxPool2d", (2, (1, 2), 0, 2), {"return_indices": True}, IMAGE),
        ("MaxPool3d", (2, 2, 1), {"return_indices": True, "ceil_mode": True}, VOLUME),
    ]
    COMPILED = ["MaxPool1d"]
