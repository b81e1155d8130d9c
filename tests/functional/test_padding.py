"""``pad`` against PyTorch and against index arithmetic."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.functional.padding import pad
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

CONSTANT = [
    ((), ()),
    ((4,), ()),
    ((4,), (1, 2)),
    ((4,), (-2, 3)),
    ((4,), (-4, 0)),
    ((2, 3), (1, 0, -1, 2)),
    ((2, 3, 4), (0, 1, 2, 0, -1, -1)),
    ((1, 2, 3, 2), (1, 1, 0, 2)),
    ((1, 2, 2, 1, 2, 1), (1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 2)),
    ((0, 3), (1, 1, 2, 0)),
]
SHARED = [
    ((2, 4), (1, 1)),
    ((1, 2, 4), (3, 0)),
    ((1, 2, 4), (0, 3)),
    ((1, 2, 4), (-1, 1)),
    ((1, 2, 4), (2, -1)),
    ((1, 2, 4), (-1, -2)),
    ((2, 4, 3), (1, 2, 3, 1)),
    ((1, 2, 4, 3), (2, 1, -1, 2)),
    ((1, 2, 3, 4), (1, 1, 2, 0)),
    ((2, 2, 3, 4), (0, 1, 2, 0, 1, 1)),
    ((1, 2, 2, 3, 4), (3, 1, 0, 2, 1, 1)),
    ((1, 2, 2, 3, 4), (-1, 1, 2, -1, 0, 0)),
    ((0, 2, 4), (1, 1)),
]
OWN = [
    ("reflect", (1, 2, 4), (-4, 1)),
    ("reflect", (1, 2, 4), (3, -3)),
    ("reflect", (1, 2, 4), (3, -6)),
    ("replicate", (1, 2, 4), (-4, 1)),
    ("replicate", (1, 2, 4), (3, -5)),
    ("replicate", (1, 2, 4), (7, 9)),
    ("replicate", (1, 2, 1), (2, 2)),
    ("circular", (1, 2, 4), (4, 4)),
    ("circular", (1, 2, 4), (-4, 0)),
    ("circular", (2, 0, 4), (1, 1)),
]

EXTENSIONS = [
    pytest.param(mode, shape, widths, marks=[pytest.mark.slow] if i % 2 else [])
    for mode in ("reflect", "replicate", "circular")
    for i, (shape, widths) in enumerate(SHARED)
] + OWN


@needs_torch
@pytest.mark.parametrize(("shape", "widths"), CONSTANT)
@pytest.mark.parametrize("value", [None, 2.5, pytest.param(float("-inf"), marks=pytest.mark.slow)])
def test_constant_equals_torch(shape, widths, value):
    import torch.nn.functional as F

    x = rand(1, *shape)
    check_against_torch(lambda a: pad(a, widths, value=value), lambda a: F.pad(a, widths, value=value), x, grad=False)
    if value == 2.5:
        check_against_torch(lambda a: pad(a, widths, value=value), lambda a: F.pad(a, widths, value=value), x)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(("mode", "shape", "widths"), EXTENSIONS)
def test_extension_equals_torch(mode, shape, widths):
    import torch.nn.functional as F

    def square(f):
        return lambda a: f(a, widths, mode=mode) ** 2

    check_against_torch(square(pad), square(F.pad), rand(2, *shape), second=0 not in shape)


@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
def test_extension_equals_numpy(mode, numpy_mode):
    x = rand(3, 2, 3, 4)
    assert_close(pad(x, (3, 2, 1, 2), mode=mode), np.pad(x, ((0, 0), (1, 2), (3, 2)), mode=numpy_mode), 0, 0)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_transforms(mode):
    check_transforms(lambda a: pad(a, (2, -1, 1, 1), mode=mode), rand(4, 2, 3, 4))


def test_constant_value_can_be_traced():
    x = jnp.ones((2, 2))
    assert float(jax.jit(jax.grad(lambda v: pad(x, (1, 1), value=v).sum()))(2.0)) == 4.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_dtype_is_kept(dtype, mode):
    x = jnp.asarray([[1, 0, 1]]).astype(dtype)
    out = pad(x, (1, 1), mode=mode)
    assert out.dtype == jnp.dtype(dtype)
    expected = {"constant": [0, 1, 0, 1, 0], "reflect": [0, 1, 0, 1, 0], "replicate": [1, 1, 0, 1, 1]}
    assert out.astype(int).tolist() == [expected.get(mode, [1, 1, 0, 1, 1])]


def test_integer_input_truncates_the_value():
    assert pad(jnp.arange(2), (1, 0), value=2.5).tolist() == [2, 0, 1]


def test_infinities_and_nan_stay_where_they_are():
    x = jnp.asarray([[jnp.inf, 1.0, jnp.nan]])
    assert_close(pad(x, (1, 1), mode="circular"), np.asarray([[np.nan, np.inf, 1.0, np.nan, np.inf]]))
    assert_close(pad(x, (1, 1), value=7.0), np.asarray([[7.0, np.inf, 1.0, np.nan, 7.0]]))


@needs_torch
def test_signature_is_torchs():
    import torch.nn.functional as F

    ours, theirs = inspect.signature(pad).parameters, inspect.signature(F.pad).parameters
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


@pytest.mark.parametrize(
    ("shape", "widths", "options", "message"),
    [
        ((4,), (1,), {}, "pad: pad must be an even count"),
        ((4,), (1, 1, 1, 1), {}, "at most 2 ints for a 1-D input"),
        ((4,), (-5, 1), {}, "no more negative than axis 0 of length 4"),
        ((4,), (-2, -3), {}, "no more negative"),
        ((1, 4), (1, 1), {"mode": "wrap"}, "mode must be one of 'constant'"),
        ((4,), (1, 1), {"mode": "reflect"}, "2 numbers for a 2-D or 3-D input"),
        ((1, 1, 2, 4), (1, 1), {"mode": "replicate"}, "got '2 numbers for a 4-D input'"),
        ((1, 2, 4), (), {"mode": "circular"}, "got '0 numbers"),
        ((1, 2, 4), (4, 0), {"mode": "reflect"}, "less than the length for axis 2 of length 4"),
        ((1, 2, 4), (0, 5), {"mode": "circular"}, "at most the length"),
        ((1, 2, 4), (3, -4), {"mode": "circular"}, "an element left by negative pads"),
        ((1, 2, 4), (-4, 0), {"mode": "reflect"}, "such that an element is left"),
        ((1, 2, 4), (-4, 0), {"mode": "replicate"}, "such that an element is left"),
        ((2, 0, 4), (1, 1), {"mode": "replicate"}, "of non-zero length"),
        ((1, 2, 4), (1, 1), {"mode": "reflect", "value": 3.0}, "value must be None in mode 'reflect'"),
    ],
)
def test_bad_arguments(shape, widths, options, message):
    with pytest.raises(ValueError, match=message):
        pad(jnp.zeros(shape), widths, **options)


@pytest.mark.parametrize("widths", [1, (1.5, 1), ("a", "b")])
def test_pads_that_are_not_ints(widths):
    with pytest.raises(TypeError, match="pad: pad must be"):
        pad(jnp.zeros((1, 4)), widths)


@needs_torch
@pytest.mark.parametrize("length", [2, 3, 5])
def test_circular_pads_beside_negative_ones_wrap_what_is_left(length):
    import torch

    x = rand(0, 1, 2, length)
    for low in range(-length, length + 2):
        for high in range(-length, length + 2):
            left = length + min(low, 0) + min(high, 0)
            if max(low, high) > length or left < (max(low, high) > 0):
                with pytest.raises(ValueError, match="pad"):
                    pad(x, (low, high), mode="circular")
                continue
            actual = pad(x, (low, high), mode="circular")
            kept = x[..., max(-low, 0) : length - max(-high, 0)]
            if left:
                wrapped = kept[..., np.arange(-max(low, 0), left + max(high, 0)) % left]
                assert_close(actual, wrapped, 0, 0, f"{low} {high}")
            if low <= left:  # else torch gives what is in the memory
                theirs = torch.nn.functional.pad(torch.tensor(x), (low, high), mode="circular")
                assert_close(actual, theirs, 0, 0, f"{low} {high}")
