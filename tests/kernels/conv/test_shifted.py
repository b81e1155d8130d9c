"""The gradient of a depthwise kernel: how many rows a step takes, and that every way of it is right."""

from dataclasses import replace

import pytest

from fnn.kernels.conv import Config
from fnn.kernels.conv.config import Case
from fnn.kernels.conv.plain import plain_forward
from fnn.kernels.conv.shifted import row_blocks
from tests.kernels.conv.cases import SMALL, compare_forward, marked
from tests.oracle import rand

# Shapes, and bounds; then how many rows a step takes, and how many it adds up at once. Without these it is products.
DEPTHWISE = {
    "products": ((2, 3, 6, 5), (True, 0, 1 << 24), None),
    "too many sums": ((2, 3, 6, 5), (False, 0, 1), None),
    "no divisor": ((2, 3, 35, 5), (True, 32, 1 << 19), None),
    "one image": ((1, 3, 33, 5), (True, 32, 1 << 19), None),
    "all rows at once": ((2, 3, 9, 5), (True, 32, 1 << 19), (4, 4)),
    "some rows at once": ((2, 3, 33, 5), (True, 32, 1 << 19), (16, 8)),
    "blocks of rows": ((2, 3, 33, 5), (True, 32, 8 * 120), (8, 8)),
    "sums over the batch": ((2, 3, 37, 5), (False, 0, 1 << 24), (18, 9)),
    "one image, by sums": ((1, 3, 9, 5), (False, 0, 1 << 24), (4, 1)),
}


@pytest.mark.parametrize(
    "name", marked(DEPTHWISE, ("products", "some rows at once", "blocks of rows", "sums over the batch"))
)
def test_depthwise_in_every_form(name):
    shape, bounds, blocks = DEPTHWISE[name]
    fast, few_sums, last = bounds
    last = {"step_elements": last} if fast else {"step_elements": 1 << 19, "many_sums": last}
    bounds = replace(SMALL, fast_small_products=fast, few_sums=few_sums, **last)
    config = Config((2, 1), ((1, 1), (2, 0)), (2, 1), 3)
    x, w = rand(0, *shape), rand(1, 6, 1, 3, 3)
    dy = plain_forward(x, w, config)
    assert row_blocks(Case.of_weight_gradient(x, dy, (3, 3), config), bounds) == blocks
    compare_forward(x, w, config, bounds=bounds)
