"""Which form a convolution and its gradients have, at the shapes that networks are made of."""

import pytest

from fnn.kernels.choice import choose
from fnn.kernels.conv import Bounds, Config, suits_eigen
from fnn.kernels.conv.choice import FORWARD, INPUT, WEIGHT
from fnn.kernels.conv.config import Case


def case(x, w, stride=1, pad=0, groups=1, eigen=False):
    n = len(x) - 2
    config = Config((stride,) * n, ((pad, pad),) * n, (1,) * n, groups, eigen)
    return Case(config, x[0], w[1], w[0] // groups, x[2:], w[2:], config.outputs(x[2:], w[2:]))


BOUNDS = Bounds(fast_small_products=False)
# The case; then the forms of the convolution, of its gradient by the kernel and of that by the input.
CHOSEN = {
    "dense": (case((32, 64, 32, 32), (64, 64, 3, 3), 1, 1), "images", "products", "images"),
    "dense, eigen": (case((32, 64, 32, 32), (64, 64, 3, 3), 1, 1, 1, True), "images", "images", "images"),
    "dense, few places": (case((1, 512, 4, 4), (512, 512, 3, 3), 1, 1), "few places", "few places", "few places"),
    "dense, many phases": (case((2, 8, 40, 40), (8, 8, 5, 5), 4), "images", "images", "plain"),
    "one axis": (case((32, 64, 512), (64, 64, 5), 1, 2), "images", "images", "images"),
    "three channels": (case((8, 3, 128, 128), (64, 3, 7, 7), 2, 3), "images", "products", "narrow"),
    "one channel": (case((64, 1, 8, 8), (16, 1, 3, 3), 1, 1), "shifted, small", "narrow", "narrow"),
    "to three channels": (case((4, 64, 32, 32), (3, 64, 5, 5), 1, 2), "narrow", "narrow", "images"),
    "pointwise": (case((32, 256, 14, 14), (256, 256, 1, 1)), "patches", "patches", "patches"),
    "patches": (case((8, 3, 224, 224), (192, 3, 16, 16), 16), "patches", "patches", "patches"),
    "volume": (case((2, 16, 16, 32, 32), (32, 16, 3, 3, 3), 1, 1), "volume, taps beside outputs", "volume", "phases"),
    "volume, strided": (
        case((2, 16, 16, 32, 32), (32, 16, 3, 3, 3), 2, 1),
        "volume, taps beside inputs",
        "volume",
        "phases",
    ),
    "depthwise": (case((32, 64, 32, 32), (64, 1, 3, 3), 1, 1, 64), "shifted", "shifted", "shifted phases"),
    "few groups": (case((32, 64, 32, 32), (64, 16, 3, 3), 1, 1, 4), "images", "products", "images"),
    "groups": (case((16, 128, 28, 28), (128, 8, 3, 3), 1, 1, 16), "products", "products", "phases"),
    "groups, many taps": (case((2, 64, 16, 16), (64, 4, 11, 11), 1, 5, 16), "plain", "plain", "plain"),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_forms(name):
    of, *expected = CHOSEN[name]
    assert [choose(table, of, BOUNDS).name for table in (FORWARD, WEIGHT, INPUT)] == expected


def test_every_form_is_chosen_by_some_case():
    for i, table in enumerate((FORWARD, WEIGHT, INPUT)):
        assert {row.name for row in table} == {names[i] for _, *names in CHOSEN.values()}


def test_for_which_kernels_the_options_are_worth_asking():
    assert suits_eigen((64, 64, 3, 3), 1, 1024)
    assert not suits_eigen((64, 64, 3, 3), 1, 100)
    assert suits_eigen((64, 64, 3, 3), 1, 100, bounds=Bounds(worthwhile=0))
    assert not suits_eigen((64, 64, 1, 1), 1, 1 << 20)
    assert not suits_eigen((64, 1, 3, 3), 64, 1 << 20)
    assert not suits_eigen((64, 3, 3, 3), 1, 1 << 20)
