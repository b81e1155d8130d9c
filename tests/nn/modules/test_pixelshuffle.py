"""Layers that move channels into space and back against torch."""

from tests.nn.modules.cases import LayerTests


class TestPixelshuffle(LayerTests):
    CASES = [
        ("PixelShuffle", (2,), {}, (1, 8, 2, 3)),
        ("PixelUnshuffle", (2,), {}, (1, 2, 4, 6)),
    ]
    MORE = [
        ("PixelShuffle", (3,), {}, (9, 2, 2)),
    ]
