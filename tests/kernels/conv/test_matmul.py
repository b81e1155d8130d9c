"""Products of one matrix with every image, in every way."""

from dataclasses import replace

import pytest

from tests.kernels.conv.cases import FORWARD, SMALL, compare_forward
from tests.oracle import rand


@pytest.mark.slow
def test_matrices_beyond_the_cache():
    for name in ("depthwise", "pointwise strided", "dense"):
        x, w, config = FORWARD[name]
        compare_forward(rand(0, *x), rand(1, *w), config, bounds=replace(SMALL, cached=1, few_places=1 << 20))
