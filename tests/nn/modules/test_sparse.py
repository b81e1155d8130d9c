"""Embedding tables against torch."""

from tests.nn.modules.cases import LayerTests, drawn, ints
from tests.oracle import rand


class TestSparse(LayerTests):
    CASES = [
        ("Embedding", (6, 3), {"padding_idx": -2, "scale_grad_by_freq": True}, drawn(6, 4, 2)),
        ("Embedding", (6, 3), {"max_norm": 0.7}, drawn(6, 4)),
        ("EmbeddingBag", (6, 3), {"padding_idx": 1}, drawn(6, 7), ints(0, 3, 3)),
        ("EmbeddingBag", (6, 3), {"mode": "sum", "include_last_offset": True}, drawn(6, 4), ints(0, 1, 4), rand(0, 4)),
        ("EmbeddingBag", (6, 3), {"mode": "max"}, drawn(6, 4, 2)),
    ]
    MORE = [
        ("Embedding", (6, 3), {}, drawn(6, 2, 2)),
        ("Embedding", (6, 3), {"norm_type": 1.0, "max_norm": 1.0, "padding_idx": 0}, drawn(6, 4)),
        ("EmbeddingBag", (6, 3), {"max_norm": 0.7, "norm_type": 1.0}, drawn(6, 2, 3)),
    ]
    BAD = [
        (ValueError, "Embedding: padding_idx must be within num_embeddings", "Embedding", (3, 2, 3), {}),
        (TypeError, "Embedding: num_embeddings must be an int", "Embedding", (None, 2), {}),
        (ValueError, "Embedding: _weight must have shape", "Embedding", (3, 2), {"_weight": rand(0, 2, 3)}),
        (ValueError, "EmbeddingBag: padding_idx must be within", "EmbeddingBag", (3, 2), {"padding_idx": -4}),
        (TypeError, "EmbeddingBag: embedding_dim must be an int", "EmbeddingBag", (3, "x"), {}),
    ]
    COMPILED = ["Embedding"]
