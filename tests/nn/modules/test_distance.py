"""Distances as layers against torch."""

from tests.nn.modules.cases import LayerTests


class TestDistance(LayerTests):
    CASES = [
        ("CosineSimilarity", (), {}, (3, 4), (3, 4)),
        ("PairwiseDistance", (3.0,), {"keepdim": True}, (3, 4), (3, 4)),
    ]
    MORE = [
        ("CosineSimilarity", (0,), {"eps": 1e-3}, (3, 4), (3, 1)),
        ("PairwiseDistance", (1.0,), {"eps": 1e-3}, (3, 4), (1, 4)),
    ]
