"""Sliding blocks as layers against torch."""

from tests.nn.modules.cases import IMAGE, LayerTests


class TestFold(LayerTests):
    CASES = [
        ("Unfold", ((2, 3),), {"padding": 1, "dilation": (2, 1), "stride": 2}, IMAGE),
        ("Fold", ((4, 5), (2, 3)), {}, (2, 12, 9)),
    ]
    MORE = [
        ("Unfold", (2,), {}, IMAGE[1:]),
        ("Fold", (5, 2), {"padding": 1, "stride": 2, "dilation": 1}, (4, 9)),
    ]
