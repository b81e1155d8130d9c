"""Activations against torch, at their kinks and extremes, and under the transformations."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import functional as F, nn
from fnn.functional import activation
from tests.functional.activation.table import TABLE
from tests.functional.families import function_names
from tests.oracle import assert_close, check_against_torch, check_transforms, from_torch, needs_torch, rand, to_torch

IDS = [f"{name}-{'-'.join(map(str, options.values()))}" for name, _, options in TABLE]
ALIASES = ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_", "threshold_"]
KINKS = [-6.0, -3.0, -1.0, -0.5, 0.0, 0.3, 0.5, 1.0, 3.0, 6.0]
# torch gives NaN where the limit is infinity, by platform.
FINITE_AT_INFINITY = {"gelu"}


def by_name():
    """The table, with the second and further options of a function marked slow."""
    seen, rows = set(), []
    for (name, _, options), label in zip(TABLE, IDS, strict=True):
        marks = [pytest.mark.slow] if name in seen else []
        seen.add(name)
        rows.append(pytest.param(name, options, id=label, marks=marks))
    return rows


def torch_function(name):
    import torch.nn.functional as TF

    return getattr(TF, name)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(("name", "options"), by_name())
def test_elementwise_against_torch(name, options):
    x = np.concatenate([rand(1, 12, low=-7, high=7), rand(2, 8, low=-1, high=1)]).reshape(4, 5)
    # torch's kernel of the derivative of hardsigmoid holds 1 / 6 in float32, whence the wider bound.
    rtol, atol = (1e-7, 1e-9) if name == "hardsigmoid" else (1e-9, 1e-12)
    second = name != "hardsigmoid"  # torch cannot differentiate it twice
    check_against_torch(getattr(F, name), torch_function(name), x, second=second, rtol=rtol, atol=atol, **options)
    kinks = np.array(KINKS)
    check_against_torch(getattr(F, name), torch_function(name), kinks, rtol=rtol, atol=atol, **options)


@needs_torch
@pytest.mark.parametrize(("name", "options"), by_name())
def test_extremes_against_torch(name, options):
    import torch

    for values in ([-1e30, 1e30, -300.0, 300.0, math.nan], [-math.inf, math.inf]):
        if name in FINITE_AT_INFINITY and math.inf in values:
            continue
        x = np.array(values, np.float32)
        t = torch.from_numpy(x).requires_grad_()
        y = torch_function(name)(t, **options)
        assert_close(getattr(F, name)(x, **options), from_torch(y), 1e-5, 1e-30, f"{name} at {values}")
        (wanted,) = torch.autograd.grad(y.sum(), t)
        got = np.asarray(jax.grad(lambda v: getattr(F, name)(v, **options).sum())(jnp.asarray(x)))
        # Where torch's own derivative breaks down (NaN at a finite value), ours only has to be finite.
        broken = np.isnan(from_torch(wanted)) & np.isfinite(x)
        assert np.isfinite(got[broken]).all()
        known = np.isfinite(from_torch(y)) & ~np.isnan(from_torch(wanted))
        assert_close(got[known], from_torch(wanted)[known], 1e-5, 1e-30, f"gradient of {name} at {values}")


def test_limits_at_infinity():
    infinite = jnp.array([-jnp.inf, jnp.inf])
    assert F.gelu(infinite)[1] == math.inf
    assert F.gelu(infinite, approximate="tanh")[1] == math.inf


@pytest.mark.parametrize(("name", "options"), by_name())
def test_elementwise_transforms(name, options):
    check_transforms(lambda v: getattr(F, name)(v, **options), rand(3, 2, 3, low=-5, high=5))


@needs_torch
@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [(name, options) for name, _, options in TABLE], ids=IDS)
def test_half_types(name, options):
    import torch

    x = rand(4, 40, low=-5, high=5)
    for ours, theirs in ((jnp.bfloat16, torch.bfloat16), (jnp.float16, torch.float16), (jnp.float32, torch.float32)):
        y = getattr(F, name)(jnp.asarray(x).astype(ours), **options)
        t = torch_function(name)(to_torch(x).to(theirs), **options)
        assert y.dtype == ours
        assert t.dtype == theirs
        eps = float(jnp.finfo(ours).eps)
        # torch adds 1 to erf or tanh before it multiplies by x, which costs up to |x| roundings of 1.
        assert_close(y.astype(jnp.float32), from_torch(t.float()), 2 * eps, 5 * eps, f"{name} in {ours}")


@pytest.mark.parametrize("name", sorted({n for n, _, _ in TABLE} | {"prelu", "glu"}))
def test_empty(name):
    options = next((o for n, _, o in TABLE if n == name), {})
    args = (jnp.ones(1),) if name == "prelu" else ()
    assert getattr(F, name)(jnp.zeros((0, 4)), *args, **options).shape == (0, 2 if name == "glu" else 4)


@needs_torch
def test_integer_inputs():
    x = np.arange(-3, 9)
    for name, options in [
        ("relu", {}),
        ("relu6", {}),
        ("hardtanh", {"min_val": -1.5, "max_val": 2.5}),
        ("threshold", {"threshold": 1, "value": 7}),
    ]:
        check_against_torch(getattr(F, name), torch_function(name), x, **options)
        assert getattr(F, name)(x, **options).dtype == jnp.int64
    for name in ("sigmoid", "tanh", "softsign", "tanhshrink"):
        out = getattr(F, name)(jnp.asarray(x))
        assert jnp.issubdtype(out.dtype, jnp.floating)
        assert_close(out, from_torch(torch_function(name)(to_torch(x))), 1e-6, 1e-7)


@needs_torch
def test_complex_inputs():
    x = rand(1, 6) + 1j * rand(2, 6)
    for name in ("sigmoid", "tanh", "softsign", "tanhshrink", "silu"):
        assert_close(getattr(F, name)(x), from_torch(torch_function(name)(to_torch(x))), 1e-9)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(
    ("shape", "weight"), [((), 1), ((4,), 1), ((3, 4), 4), ((3, 4), 1), ((2, 3, 4), 3), ((2, 3, 2, 2), 3), ((2, 3), 0)]
)
def test_prelu(shape, weight):
    w = rand(5, weight) if weight else rand(5)
    check_against_torch(F.prelu, torch_function("prelu"), rand(1, *shape, low=-3, high=3), w, second=True, rtol=1e-9)


def test_prelu_transforms_and_infinite_input():
    check_transforms(F.prelu, rand(1, 2, 3, 2), rand(2, 3))
    slope = jax.grad(lambda w: F.prelu(jnp.array([jnp.inf, -2.0]), w).sum())(jnp.array(0.5))
    assert slope == -2.0
    slope = jax.grad(lambda s: F.leaky_relu(jnp.array([jnp.inf, -2.0]), s).sum())(0.5)
    assert slope == -2.0


@pytest.mark.slow
def test_rrelu_training():
    x = jnp.asarray(rand(1, 2000, low=-1))
    key = jax.random.key(3)
    y = F.rrelu(x, 0.2, 0.6, True, rng=key)
    slopes = np.asarray(y / x)[np.asarray(x) < 0]
    assert (np.asarray(y)[np.asarray(x) >= 0] == np.asarray(x)[np.asarray(x) >= 0]).all()
    assert slopes.min() >= 0.2
    assert slopes.max() < 0.6
    assert abs(slopes.mean() - 0.4) < 0.02
    assert bool((F.rrelu(x, 0.2, 0.6, True, rng=key) == y).all())
    fnn.manual_seed(1)
    first, second = F.rrelu(x, training=True), F.rrelu(x, training=True)
    assert bool((first != second).any())
    check_transforms(lambda v: F.rrelu(v, training=True, rng=key), rand(2, 3, 3))
    with pytest.raises(RuntimeError, match=r"rrelu.*rng="):
        jax.jit(lambda v: F.rrelu(v, training=True))(x)


@needs_torch
@pytest.mark.parametrize(("shape", "dim"), [((4,), -1), ((2, 6), 1), ((2, 4, 3), 1), ((4, 3), 0), ((2, 3, 2), -1)])
def test_glu(shape, dim):
    check_against_torch(F.glu, torch_function("glu"), rand(1, *shape, low=-4, high=4), dim=dim, second=True, rtol=1e-9)


def test_glu_transforms():
    check_transforms(lambda v: F.glu(v, 0), rand(1, 4, 3))
    assert F.glu(jnp.ones((2, 4), jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
@pytest.mark.parametrize(("shape", "dim"), [((), 0), ((5,), 0), ((3, 4), 1), ((3, 4), 0), ((2, 3, 4), -2), ((3, 1), 1)])
def test_softmax_family(name, shape, dim):
    x = rand(1, *shape, low=-8, high=8)
    check_against_torch(getattr(F, name), torch_function(name), x, dim=dim, second=True, rtol=1e-9, atol=1e-13)


@needs_torch
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_softmax_family_extremes(name):
    ours, theirs = getattr(F, name), torch_function(name)
    inf = math.inf
    sign = -1 if name == "softmin" else 1
    x = sign * np.array([[-inf, 0, 1], [-inf, -inf, 2], [1e30, -1e30, 0], [700, 710, 0]], np.float32)
    assert_close(ours(x, 1), from_torch(theirs(to_torch(x), 1)), 1e-6, 0)
    assert bool(jnp.isfinite(jax.grad(lambda v: jnp.exp(ours(v, 1)).sum())(jnp.asarray(x))).all())
    hopeless = np.array([[-inf, -inf], [inf, 0], [math.nan, 1]], np.float32)
    assert_close(ours(hopeless, 1), from_torch(theirs(to_torch(hopeless), 1)))
    for shape in ((0, 3), (2, 0)):
        assert ours(jnp.zeros(shape), 1).shape == shape


@pytest.mark.slow
@needs_torch
def test_softmax_dtypes():
    import torch

    x = rand(1, 3, 50, low=-9, high=9)
    for name in ("softmax", "softmin", "log_softmax"):
        for ours, theirs in (
            (jnp.bfloat16, torch.bfloat16),
            (jnp.float16, torch.float16),
            (jnp.float32, torch.float32),
        ):
            wanted = torch_function(name)(to_torch(x).to(theirs), 1)
            got = getattr(F, name)(jnp.asarray(x).astype(ours), 1)
            assert got.dtype == ours
            eps = float(jnp.finfo(ours).eps)
            assert_close(got.astype(jnp.float32), from_torch(wanted.float()), 2 * eps, eps)
            assert getattr(F, name)(x, 1, dtype=ours).dtype == ours
        out = getattr(F, name)(np.arange(3), 0, dtype=np.float32)
        assert_close(out, from_torch(torch_function(name)(torch.arange(3), 0, dtype=torch.float32)), 1e-6)


@needs_torch
@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
def test_implicit_dim(name):
    for shape in [(), (3,), (2, 3), (2, 3, 2), (2, 3, 2, 2)]:
        x = rand(1, *shape)
        with pytest.warns(UserWarning, match="dim"):
            got = getattr(F, name)(x)
        with pytest.warns(UserWarning, match="dim"):
            wanted = torch_function(name)(to_torch(x))
        assert_close(got, from_torch(wanted))


@pytest.mark.slow
def test_softmax_transforms():
    for name in ("softmax", "softmin", "log_softmax"):
        function = getattr(F, name)
        check_transforms(lambda v, f=function: f(v, 0), rand(1, 3, 2))


@pytest.mark.slow
def test_gumbel_softmax():
    logits = jnp.log(jnp.array([0.1, 0.6, 0.3]))
    key = jax.random.key(0)
    many = jnp.broadcast_to(logits, (20000, 3))
    hard = F.gumbel_softmax(many, tau=0.7, hard=True, rng=key)
    assert set(np.unique(hard)) == {0.0, 1.0}
    assert (hard.sum(-1) == 1).all()
    assert_close(hard.mean(0), [0.1, 0.6, 0.3], 0, 0.015)
    soft = F.gumbel_softmax(many, tau=0.7, rng=key)
    assert_close(soft.sum(-1), np.ones(20000), 1e-12)
    assert (soft.argmax(-1) == hard.argmax(-1)).all()
    weights = rand(1, 4, 3)

    def loss(v, hard):
        return jnp.sum(F.gumbel_softmax(v, 0.7, hard, rng=key) * weights)

    start = jnp.asarray(rand(2, 4, 3))
    assert_close(jax.grad(loss)(start, True), jax.grad(loss)(start, False), 1e-12)
    assert_close(F.gumbel_softmax(start.T, dim=0, rng=key).sum(0), np.ones(4), 1e-12)
    check_transforms(lambda v: F.gumbel_softmax(v, rng=key), rand(1, 2, 3))
    assert F.gumbel_softmax(jnp.zeros(3, jnp.bfloat16), rng=key).dtype == jnp.bfloat16
    assert F.gumbel_softmax(jnp.zeros(()), dim=0, rng=key) == 1
    assert F.gumbel_softmax(jnp.zeros((2, 0)), hard=True, rng=key).shape == (2, 0)
    with pytest.warns(UserWarning, match="eps"):
        F.gumbel_softmax(logits, eps=1e-3, rng=key)
    with pytest.raises(RuntimeError, match=r"gumbel_softmax.*rng="):
        jax.jit(F.gumbel_softmax)(logits)
    with pytest.raises(TypeError, match=r"gumbel_softmax.*rng"):
        F.gumbel_softmax(logits, rng=0)


def test_accepts_numpy_and_boxes():
    class Box:
        def __jax_array__(self):
            return jnp.array([-1.0, 2.0])

    assert F.relu(Box()).tolist() == [0.0, 2.0]
    x = np.array([-1.0, 2.0])
    assert F.relu(x, inplace=True).tolist() == [0.0, 2.0]
    assert x.tolist() == [-1.0, 2.0]
    assert F.relu(-3.0) == 0


def test_in_place_names_compute_what_the_others_do():
    x = jnp.asarray([-2.0, 0.5, 3.0])
    for name in ALIASES:
        options = (1.0, -5.0) if name == "threshold_" else ()
        out = getattr(F, name)(x, *options)
        assert np.array_equal(out, getattr(F, name[:-1])(x, *options))
        box = nn.Buffer(x)
        assert np.array_equal(getattr(F, name)(box, *options), out)
        assert np.array_equal(box.data, out)
        inplace = nn.Buffer(x)
        getattr(F, name[:-1])(inplace, *options)
        assert inplace.data is not out
        assert np.array_equal(inplace.data, x)
        getattr(F, name[:-1])(inplace, *options, inplace=True)
        assert np.array_equal(inplace.data, out)


@needs_torch
def test_signatures():
    import torch.nn.functional as TF

    for name in set(function_names(activation)) - set(ALIASES):
        try:
            theirs = inspect.signature(getattr(TF, name))
        except ValueError:
            continue
        ours = inspect.signature(getattr(F, name))
        mine = [(p.name, p.default) for p in ours.parameters.values() if p.kind is not p.KEYWORD_ONLY]
        assert mine == [(p.name, p.default) for p in theirs.parameters.values()], name


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: F.relu(jnp.array([True])), TypeError, r"relu: input must be of a floating or integer.*bool\[1\]"),
        (lambda: F.relu([1.0]), TypeError, "relu: input must be an array, got 'list'"),
        (lambda: F.gelu(jnp.arange(3)), TypeError, "gelu: input must be of a floating dtype"),
        (lambda: F.silu(jnp.arange(3)), TypeError, "silu: input"),
        (lambda: F.elu(jnp.arange(3)), TypeError, "elu: input must be of a floating dtype"),
        (lambda: F.mish(1j), TypeError, "mish: input"),
        (lambda: F.elu(jnp.ones(3), "a"), TypeError, "elu: alpha must be a number, got 'a'"),
        (lambda: F.leaky_relu(jnp.ones(3), jnp.ones(3)), TypeError, "leaky_relu: negative_slope must be a number"),
        (lambda: F.gelu(jnp.ones(3), approximate="erf"), ValueError, "gelu: approximate must be one of 'none', 'tanh'"),
        (lambda: F.hardtanh(jnp.ones(3), 2, 1), ValueError, r"hardtanh: min_val must be at most max_val \(1\), got 2"),
        (lambda: F.hardtanh(jnp.ones(3, jnp.uint8)), ValueError, "hardtanh: min_val must be non-negative"),
        (lambda: F.celu(jnp.ones(3), 0.0), ValueError, "celu: alpha must be different from 0"),
        (lambda: F.softshrink(jnp.ones(3), -1), ValueError, "softshrink: lambd must be at least 0, got -1"),
        (lambda: F.rrelu(jnp.ones(3), 0.5, 0.1), ValueError, "rrelu: lower must be at most upper"),
        (lambda: F.prelu(jnp.ones((2, 3)), jnp.ones(2)), ValueError, "prelu: weight must be of 1 or 3 elements"),
        (lambda: F.prelu(jnp.ones((2, 3)), jnp.ones((1, 3))), ValueError, "prelu: weight must be 0-D or 1-D"),
        (
            lambda: F.prelu(jnp.ones(3), jnp.ones(1, jnp.float32)),
            TypeError,
            "prelu: input and weight must be of one dtype",
        ),
        (lambda: F.glu(jnp.ones(3)), ValueError, "glu: input must be of an even length along axis 0"),
        (lambda: F.glu(jnp.ones(())), ValueError, "glu: input must be at least 1-D"),
        (lambda: F.glu(jnp.ones(2), 1), IndexError, r"glu: dim must be in \[-1, 0\], got 1"),
        (lambda: F.softmax(jnp.ones(2), 1), IndexError, "softmax: dim"),
        (lambda: F.softmax(jnp.ones(2), 0.5), TypeError, "softmax: dim must be an int"),
        (lambda: F.softmax(jnp.arange(2), 0), TypeError, "softmax: input must be of a floating dtype"),
        (lambda: F.log_softmax(jnp.ones(2), 0, dtype=int), TypeError, "log_softmax: dtype must be a floating dtype"),
        (lambda: F.softmin(jnp.ones(2) * 1j, 0, dtype=float), TypeError, "softmin: input must be of a real dtype"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call()
