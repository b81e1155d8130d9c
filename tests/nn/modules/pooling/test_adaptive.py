"""Pooling layers of a given output size against torch."""

from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests


class TestAdaptivePooling(LayerTests):
    CASES = [
        ("AdaptiveAvgPool1d", (4,), {}, LINE),
        ("AdaptiveAvgPool2d", ((4, None),), {}, IMAGE),
        ("AdaptiveAvgPool3d", (2,), {}, VOLUME),
        ("AdaptiveMaxPool1d", (4,), {"return_indices": True}, LINE),
        ("AdaptiveMaxPool2d", ((4, 2),), {}, IMAGE),
        ("AdaptiveMaxPool3d", (2,), {}, VOLUME),
    ]
    MORE = [
        ("AdaptiveAvgPool2d", (3,), {}, IMAGE[1:]),
        ("AdaptiveAvgPool3d", ((None, 2, 1),), {}, VOLUME),
        ("AdaptiveMaxPool2d", ((None, 3),), {"return_indices": True}, IMAGE),
        ("AdaptiveMaxPool3d", ((1, None, 2), True), {}, VOLUME),
    ]
