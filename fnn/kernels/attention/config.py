"""The bounds by which a form of attention is chosen."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BOUNDS", "Bounds"]


@dataclass(frozen=True)
class Bounds:
    """Numbers, found by measurement, by which a form and the size of its blocks are chosen.

    Where causal, a block skips the keys after it, so that small ones compute less.

    Attributes:
        step: scores that one step of several heads may hold.
        causal_step: the same where causal.
        rows: fewest and most queries in a block.
        causal_rows: the same where causal.
        most: scores of one head beyond which a block has fewer queries.
        small: scores of one head up to which all heads at once are as fast.
        few_queries: queries below which they are as well.
        causal_parts: numbers of keys that a causal program is compiled for: each skips what none of its queries sees.
        cudnn_length: queries and keys below which nothing is gained by cuDNN.
    """

    step: int = 1 << 20
    causal_step: int = 1 << 18
    rows: tuple[int, int] = (256, 1024)
    causal_rows: tuple[int, int] = (128, 256)
    most: int = 1 << 21
    small: int = 1 << 16
    few_queries: int = 32
    causal_parts: int = 8
    cudnn_length: int = 64


BOUNDS = Bounds()
