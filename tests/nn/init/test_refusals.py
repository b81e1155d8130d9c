"""Arguments that torch's initializers refuse and that they take; what building costs."""

from __future__ import annotations

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn
from fnn.nn import init
from tests.compilations import HEARD
from tests.oracle import assert_close, needs_torch

INF, NAN = math.inf, math.nan

CALLS = [
    *[("uniform_", {"a": a, "b": b}) for a, b in ((1, 0), (0, 0), (NAN, 1), (0, NAN), (-INF, 0), (0, INF))],
    *[("uniform_", {"a": a, "b": b}) for a, b in ((1, 2), (-3e38, 3e38), (0, 1e39))],
    *[("normal_", {"mean": m, "std": s}) for m, s in ((0, -1), (0, 0), (NAN, 1), (0, NAN), (INF, 1), (0, INF), (1, 1))],
    *[("trunc_normal_", {"mean": 0, "std": s, "a": -2, "b": 2}) for s in (-1, 0)],
    *[("trunc_normal_", {"mean": 0, "std": 1, "a": a, "b": b}) for a, b in ((2, -2), (1, 1), (NAN, 2))],
    *[("trunc_normal_", {"mean": 0, "std": 1, "a": a, "b": b}) for a, b in ((-INF, 2), (-INF, INF), (1, 2))],
    *[
        (name, {"gain": g})
        for name in ("xavier_uniform_", "xavier_normal_", "orthogonal_")
        for g in (-1.0, 0.0, NAN, INF, 2.0)
    ],
    *[(name, {"a": a}) for name in ("kaiming_uniform_", "kaiming_normal_") for a in (-1.0, 0.0, NAN, INF, True)],
    *[("sparse_", {"sparsity": s, "std": 1.0}) for s in (-0.5, 1.5, NAN, 0.0, 1.0)],
    *[("sparse_", {"sparsity": 0.5, "std": std}) for std in (-1.0, NAN)],
    *[("constant_", {"val": v}) for v in (NAN, INF, 1)],
    *[("dirac_", {"groups": g}) for g in (0, -1, 1, 2, 3)],
    ("eye_", {}),
]


def taken(init, name, tensor, options):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(init, name)(tensor, **options)
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError):
        return False
    return True


@needs_torch
@pytest.mark.parametrize(("name", "options"), CALLS)
def test_what_torch_refuses_is_refused_and_what_it_takes_is_taken(name, options):
    import torch

    shape = (4, 3, 3) if name == "dirac_" else (4, 3)
    parameter = nn.Parameter(np.full(shape, 7.0, np.float32))
    expected = taken(torch.nn.init, name, torch.zeros(shape), options)
    assert taken(init, name, parameter, options) == expected
    if not expected:
        assert_close(parameter, np.full(shape, 7.0, np.float32))


@needs_torch
@pytest.mark.parametrize("dtype", ["int32", "int64", "bool", "complex64"])
@pytest.mark.parametrize(
    "name", ["normal_", "trunc_normal_", "xavier_normal_", "orthogonal_", "sparse_", "ones_", "constant_"]
)
def test_integers_and_bools_are_refused_as_in_torch(name, dtype):
    import torch

    options = {"sparse_": {"sparsity": 0.5}, "constant_": {"val": 1}}.get(name, {})
    theirs = torch.zeros(4, 3, dtype=getattr(torch, dtype))
    ours = nn.Buffer(np.zeros((4, 3), dtype))
    assert taken(init, name, ours, options) == taken(torch.nn.init, name, theirs, options) or (name, dtype) == (
        "sparse_",
        "complex64",
    )


@needs_torch
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize(
    "name", ["uniform_", "normal_", "trunc_normal_", "kaiming_normal_", "orthogonal_", "eye_", "xavier_uniform_"]
)
def test_nothing_to_fill(name, shape):
    import torch

    assert taken(init, name, nn.Parameter(np.zeros(shape)), {}) == taken(torch.nn.init, name, torch.zeros(shape), {})


def test_complex_normal_numbers_have_parts_of_half_the_variance():
    z = np.asarray(init.normal(jax.random.key(0), (50_000,), jnp.complex64, mean=1.0, std=2.0))
    assert z.mean() == pytest.approx(1.0, abs=0.03)
    for part in (z.real - 1, z.imag):
        assert part.std() == pytest.approx(math.sqrt(2), rel=0.02)
    assert abs(np.corrcoef(z.real, z.imag)[0, 1]) < 0.02
    traced = jax.jit(lambda k: init.normal(k, (50,), jnp.complex64, mean=1.0, std=2.0))
    assert_close(traced(jax.random.key(0)), init.normal(jax.random.key(0), (50,), jnp.complex64, 1.0, 2.0), 1e-6, 1e-6)


def test_sparse_is_the_same_eagerly_and_compiled():
    for dtype in (jnp.float32, jnp.float64, jnp.bfloat16):
        draw = lambda key, dtype=dtype: init.sparse(key, (30, 7), dtype, 0.4, 0.5)  # noqa: E731
        eager, compiled = (np.asarray(f(jax.random.key(2))) for f in (draw, jax.jit(draw)))
        assert np.array_equal(eager, compiled)
        assert ((eager == 0).sum(0) == 12).all()


BUILT = {
    **{
        name: lambda p, name=name: getattr(init, name)(p)
        for name in ("normal_", "trunc_normal_", "ones_", "zeros_", "eye_", "xavier_uniform_", "xavier_normal_")
        + ("kaiming_uniform_", "kaiming_normal_", "orthogonal_")
    },
    "uniform_": lambda p: init.uniform_(p, 1.0, 2.0),
    "constant_": lambda p: init.constant_(p, 3.0),
    "sparse_": lambda p: init.sparse_(p, 0.3),
    "dirac_": lambda p: init.dirac_(nn.Parameter(jax.device_put(np.zeros((*p.shape, 3), p.dtype)))),
    "Linear": lambda p: nn.Linear(*p.shape, dtype=p.dtype),
    "Embedding": lambda p: nn.Embedding(*p.shape, padding_idx=1, dtype=p.dtype),
    "EmbeddingBag": lambda p: nn.EmbeddingBag(*p.shape, padding_idx=1, dtype=p.dtype),
    "Conv2d": lambda p: nn.Conv2d(*p.shape, 3, dtype=p.dtype),
    "LSTM": lambda p: nn.LSTM(*p.shape, dtype=p.dtype),
    "TransformerEncoderLayer": lambda p: nn.TransformerEncoderLayer(2 * p.shape[0], 2, p.shape[1], dtype=p.dtype),
    "BatchNorm1d": lambda p: nn.BatchNorm1d(p.shape[0], dtype=p.dtype),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("name", sorted(BUILT))
def test_initializers_and_layers_compile_nothing(name, dtype):
    number = 3 * sorted(BUILT).index(name) + ["float32", "bfloat16", "float64"].index(dtype)
    parameter = nn.Parameter(np.zeros((41 + number, 137 - number), jnp.dtype(dtype)))  # of a shape that is new
    before = HEARD.count
    BUILT[name](parameter)
    assert HEARD.count == before


def test_the_count_of_compilations_counts():
    before = HEARD.count
    jax.jit(lambda x: x * 3 + 17)(jnp.ones(191))
    assert HEARD.count > before
