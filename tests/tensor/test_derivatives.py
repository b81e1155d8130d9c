"""The functions behind the methods have torch's derivatives, at kinks and ties too, and work under JAX's transformations."""

import numpy as np
import pytest

from fnn.tensor import arithmetic, elementwise, indexing, ordering, products, reducing, scattering, shaping
from tests.oracle import check_against_torch, check_transforms, needs_torch, rand

KINKS = np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0])
TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0]])
X, Y = rand(1, 3, 4), rand(2, 3, 4, low=0.2, high=2.0)
APART = np.array([[0, 2, 1, 1], [2, 0, 0, 2]])  # where two values fall on one place, torch's gradient is not defined
ROWS = np.array([[0, 2, 1, 1], [2, 0, 0, 1]])
SPD = (lambda a: a @ a.T + 3 * np.eye(3))(rand(3, 3, 3))


def smaller(x):
    """The differentiable part of a result of values and indices."""
    return x[0] if isinstance(x, tuple) else x


CASES = {
    "abs": (elementwise.abs, [KINKS], {}),
    "sign": (elementwise.sign, [KINKS], {}),
    "round": (elementwise.round, [KINKS + 0.1], {}),
    "frac": (elementwise.frac, [KINKS + 0.1], {}),
    "sinc": (elementwise.sinc, [KINKS[:2]], {}),
    "logit": (elementwise.logit, [rand(5, 4, low=0.1, high=0.9)], {}),
    "i0": (elementwise.i0, [X], {}),
    "digamma": (elementwise.digamma, [Y], {}),
    "mvlgamma": (elementwise.mvlgamma, [Y + 2], {"p": 2}),
    "nan_to_num": (elementwise.nan_to_num, [KINKS], {}),
    "clamp": (arithmetic.clamp, [KINKS], {"min": -1.0, "max": 1.0}),
    "clamp by arrays": (arithmetic.clamp, [X, X - 0.5, X + Y - 1], {}),
    "pow": (arithmetic.pow, [Y, X], {}),
    "div": (arithmetic.div, [X, Y], {}),
    "remainder": (arithmetic.remainder, [X, Y], {}),
    "fmod": (arithmetic.fmod, [X, Y], {}),
    "maximum": (arithmetic.maximum, [TIES, TIES[::-1].copy()], {}),
    "atan2": (arithmetic.atan2, [X, Y], {}),
    "xlogy": (arithmetic.xlogy, [X, Y], {}),
    "lerp": (arithmetic.lerp, [X, Y, rand(4, 3, 4, low=0)], {}),
    "addcdiv": (arithmetic.addcdiv, [X, X, Y], {"value": 0.5}),
    "dist": (arithmetic.dist, [X, Y], {"p": 3}),
    "sum": (reducing.sum, [X], {"dim": 1}),
    "var": (reducing.var, [X], {"dim": 0}),
    "std": (reducing.std, [X], {"dim": (0, 1)}),
    "max": (reducing.max, [TIES], {}),
    "max along": (reducing.max, [TIES], {"dim": 1}),
    "min along": (reducing.min, [TIES], {"dim": 0}),
    "amax": (reducing.amax, [TIES], {"dim": 1}),
    "prod": (reducing.prod, [X], {"dim": 1}),
    "prod with a zero": (reducing.prod, [KINKS], {"dim": 0}),
    "norm": (reducing.norm, [X], {"dim": 1}),
    "norm at 0": (reducing.norm, [np.zeros(3)], {}),
    "renorm": (reducing.renorm, [X], {"p": 2, "dim": 0, "maxnorm": 1.0}),
    "logsumexp": (reducing.logsumexp, [X], {"dim": 0}),
    "cumsum": (reducing.cumsum, [X], {"dim": 1}),
    "cumprod": (reducing.cumprod, [X], {"dim": 1}),
    "cummax": (reducing.cummax, [TIES], {"dim": 1}),
    "logcumsumexp": (reducing.logcumsumexp, [X], {"dim": 1}),
    "sort": (ordering.sort, [X], {"dim": 0, "descending": True}),
    "topk": (ordering.topk, [X], {"k": 2}),
    "median": (ordering.median, [X], {"dim": 1}),
    "kthvalue": (ordering.kthvalue, [X], {"k": 2}),
    "quantile": (ordering.quantile, [X], {"q": 0.3}),
    "expand": (lambda x: shaping.expand(x, 2, 3, 4), [X], {}),
    "unfold": (shaping.unfold, [X], {"dimension": 1, "size": 2, "step": 1}),
    "as_strided": (shaping.as_strided, [X], {"size": (2, 3), "stride": (3, 2)}),
    "diag_embed": (shaping.diag_embed, [X], {"offset": 1}),
    "gather": (lambda x: indexing.gather(x, 0, ROWS), [X], {}),
    "index_select": (lambda x: indexing.index_select(x, 1, np.array([3, 3, 0])), [X], {}),
    "scatter": (lambda x, s: scattering.scatter(x, 0, APART, s), [X, rand(6, 2, 4)], {}),
    "scatter_reduce": (lambda x, s: scattering.scatter_reduce(x, 0, ROWS, s, "mean"), [X, rand(6, 2, 4)], {}),
    "index_add": (lambda x, s: scattering.index_add(x, 0, np.array([1, 1]), s, alpha=2), [X, rand(6, 2, 4)], {}),
    "masked_scatter": (lambda x, s: scattering.masked_scatter(x, X > 0, s), [X, rand(6, 12)], {}),
    "addmm": (products.addmm, [rand(6, 3, 2), X, rand(6, 4, 2)], {"beta": 0.5, "alpha": 2}),
    "cross": (products.cross, [rand(6, 2, 3), rand(7, 2, 3)], {"dim": 1}),
    "cholesky": (products.cholesky, [SPD], {}),
    "inverse": (products.inverse, [SPD], {}),
    "logdet": (products.logdet, [SPD], {}),
    "triangular_solve": (products.triangular_solve, [rand(6, 3, 2), SPD], {}),
}

TORCHS = {
    "expand": lambda t, x: x.expand(2, 3, 4),
    "gather": lambda t, x: x.gather(0, t.from_numpy(ROWS)),
    "index_select": lambda t, x: x.index_select(1, t.tensor([3, 3, 0])),
    "scatter": lambda t, x, s: x.scatter(0, t.from_numpy(APART), s),
    "scatter_reduce": lambda t, x, s: x.scatter_reduce(0, t.from_numpy(ROWS), s, "mean"),
    "index_add": lambda t, x, s: x.index_add(0, t.tensor([1, 1]), s, alpha=2),
    "masked_scatter": lambda t, x, s: x.masked_scatter(x > 0, s),
    "cholesky": lambda t, a: t.linalg.cholesky(a),
    "triangular_solve": lambda t, b, a: t.linalg.solve_triangular(a, b, upper=True),
    "cross": lambda t, a, b: t.linalg.cross(a, b, dim=1),
}


@needs_torch
@pytest.mark.one_in(5)
@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_torchs(name):
    import torch

    function, arrays, options = CASES[name]
    method = name.split()[0]

    def theirs(*tensors, **kwargs):
        if name in TORCHS:
            return TORCHS[name](torch, *tensors)
        return smaller(getattr(tensors[0], method)(*tensors[1:], **kwargs))

    check_against_torch(lambda *a, **k: smaller(function(*a, **k)), theirs, *arrays, rtol=1e-6, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted(set(CASES) - {"sign", "round", "max", "amax", "maximum", "prod with a zero", "norm at 0"})
)
def test_transformations(name):
    function, arrays, options = CASES[name]
    check_transforms(lambda *a: smaller(function(*a, **options)), *arrays, differentiable=name not in ("abs", "clamp"))
