"""Which form pooling has by its windows, and that bounds send small arrays down every way."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from fnn.kernels.choice import choose
from fnn.kernels.pooling import Bounds, Windows, adaptive, gradient, max_pool, regular, sum_pool
from fnn.kernels.pooling.plain import max_pool_reference, sum_pool_reference
from tests.kernels.derivatives import check_derivatives

BOUNDS = Bounds()


@pytest.mark.parametrize(
    ("shape", "windows", "maxima", "sums"),
    [
        ((2, 9, 8), Windows((3, 3), (2, 2), (1, 1), (1, 1), (5, 4)), "by axis", "by axis"),
        ((3, 7, 7), Windows((7, 7), (7, 7), (0, 0), (1, 1), (1, 1)), "as one axis", "by axis"),
        ((1, 50), Windows((40,), (1,), (0,), (1,), (11,)), "plain", "by axis"),
        ((1, 80), Windows((70,), (1,), (0,), (1,), (11,)), "plain", "plain"),
        ((1, 140), Windows((70,), (70,), (0,), (1,), (2,)), "by axis", "by axis"),
        ((0, 80), Windows((2,), (2,), (0,), (1,), (40,)), "plain", "plain"),
    ],
)
def test_forms_over_regular_windows(shape, windows, maxima, sums):
    case = regular.Case(shape, windows)
    assert choose(regular.MAX, case, BOUNDS).name == choose(regular.POSITIONS, case, BOUNDS).name == maxima
    assert choose(regular.SUM, case, BOUNDS).name == sums


@pytest.mark.parametrize(
    ("shape", "out", "name"),
    [
        ((2, 9, 8), (4, 3), "by axis"),
        ((2, 9, 8), (9, 8), "plain, nothing to do"),
        ((2, 9, 8), (0, 3), "plain, nothing to do"),
        ((200,), (3,), "plain"),
        ((3,), (200,), "plain"),
    ],
)
def test_forms_over_adaptive_windows(shape, out, name):
    for table in (adaptive.MAX, adaptive.POSITIONS, adaptive.SUM):
        assert choose(table, adaptive.Case(shape, out), BOUNDS).name == name


@pytest.mark.parametrize(
    ("windows", "few_phases", "names"),
    [
        (Windows((3, 3), (1, 1), (1, 1), (1, 1), (6, 7)), 4, ("slices", "slices")),
        (Windows((2, 2), (3, 3), (1, 0), (1, 1), (2, 2)), 4, ("stacked phases", "woven phases")),
        (Windows((2, 2), (3, 3), (1, 0), (1, 1), (2, 2)), 2, ("tiles", "tiles")),
        (Windows((4, 4), (3, 3), (1, 1), (1, 1), (2, 2)), 2, ("stacked phases", "stacked phases")),
    ],
)
def test_gradients_in_every_form(windows, few_phases, names):
    bounds, (height, width) = replace(BOUNDS, few_phases=few_phases), (6, 7)
    for i, size in enumerate((height, width)):
        case = gradient.Case(windows.axes[i], 1 + i, 3, size)
        assert choose(gradient.GRADIENT, case, bounds).name == names[i]
    x = np.random.default_rng(0).integers(0, 4, (2, height, width)).astype(float)
    for fast, plain in [(max_pool, max_pool_reference), (sum_pool, sum_pool_reference)]:
        check_derivatives(partial(fast, windows=windows, bounds=bounds), partial(plain, windows=windows), x)
