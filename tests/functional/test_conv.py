"""Convolutions against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

CONVOLUTIONS = [
    ("conv1d", (2, 4, 9), (6, 4, 3), {}),
    ("conv1d", (4, 9), (6, 2, 3), {"groups": 2, "padding": 2, "dilation": 2}),
    ("conv2d", (2, 4, 7, 6), (6, 4, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    ("conv2d", (2, 4, 7, 6), (4, 1, 3, 3), {"groups": 4, "padding": 1}),
    ("conv2d", (2, 3, 7, 6), (6, 3, 3, 3), {"padding": "same", "dilation": (1, 2)}),
    ("conv2d", (2, 3, 7, 6), (6, 3, 3, 3), {"padding": "valid"}),
    ("conv2d", (3, 7, 6), (6, 3, 1, 1), {"stride": 2}),
    ("conv2d", (0, 3, 7, 6), (6, 3, 1, 1), {}),
    ("conv3d", (1, 2, 4, 5, 4), (3, 2, 2, 3, 2), {"stride": (1, 2, 1), "padding": 1}),
    ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ("conv_transpose2d", (2, 4, 4, 3), (4, 3, 3, 2), {"stride": (2, 3), "dilation": (2, 1)}),
    ("conv_transpose2d", (2, 4, 4, 3), (4, 3, 3, 3), {"stride": 2, "padding": 2, "output_padding": 1, "groups": 2}),
    ("conv_transpose2d", (4, 4, 3), (4, 3, 1, 1), {}),
    ("conv_transpose3d", (1, 2, 3, 2, 3), (2, 3, 2, 2, 2), {"stride": 2}),
]


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(("name", "shape", "kernel", "options"), CONVOLUTIONS)
def test_against_torch(name, shape, kernel, options):
    import torch

    transposed = "transpose" in name
    outputs = kernel[1] * options.get("groups", 1) if transposed else kernel[0]
    arrays = rand(0, *shape), rand(1, *kernel), rand(2, outputs)
    ours, theirs = getattr(F, name), getattr(torch.nn.functional, name)
    check_against_torch(ours, theirs, *arrays, second=shape[0] != 0, rtol=1e-9, atol=1e-12, **options)


@pytest.mark.one_in(4)
@needs_torch
@pytest.mark.parametrize("dtype", ["int32", "int64", "int8", "complex64", "complex128"])
@pytest.mark.parametrize(("name", "shape", "kernel", "options"), [c for c in CONVOLUTIONS if 0 not in c[1]])
def test_integers_and_complex_numbers(name, shape, kernel, options, dtype):
    import torch

    if "transpose" in name and dtype in ("int32", "int8"):
        pytest.skip("not in torch; here they are taken, as int64 without x64 is int32")
    numbers = [np.round(rand(i, *s, low=-3, high=3)) for i, s in enumerate((shape, kernel, shape, kernel))]

    def convolved(x, w):  # torch's integers know no dilation
        return getattr(torch.nn.functional, name)(torch.tensor(x), torch.tensor(w), **options).numpy()

    x, w, x_imag, w_imag = numbers
    exact = convolved(x, w)
    if "int" in dtype:
        exact = exact.astype(np.int64)  # whose last bits are those of a narrower type
    else:
        exact = exact - convolved(x_imag, w_imag) + 1j * (convolved(x, w_imag) + convolved(x_imag, w))
        x, w = x + 1j * x_imag, w + 1j * w_imag
    out = getattr(F, name)(x.astype(dtype), w.astype(dtype), **options)
    assert out.dtype == dtype
    assert_close(out, exact.astype(dtype))


@needs_torch
@pytest.mark.filterwarnings(
    "ignore:Using padding='same' with even kernel:UserWarning"
)  # torch's remark on its own speed
def test_same_padding_of_an_even_kernel():
    import torch

    arrays = rand(0, 1, 2, 6, 5), rand(1, 3, 2, 4, 2), rand(2, 3)
    check_against_torch(F.conv2d, torch.nn.functional.conv2d, *arrays, padding="same", rtol=1e-9, atol=1e-12)


@needs_torch
def test_conv_tbc_against_torch():
    import torch

    arrays = rand(0, 6, 2, 3), rand(1, 3, 3, 4), rand(2, 4)
    check_against_torch(F.conv_tbc, torch.nn.functional.conv_tbc, *arrays, pad=1, rtol=1e-9, atol=1e-12)


def test_worked_example():
    image = np.zeros((1, 1, 3, 4))
    image[..., :2] = 1
    out = F.conv2d(image, np.array([[[[-1.0, 1.0], [-1.0, 1.0]]]]))
    assert out.tolist() == [[[[0, -2, 0], [0, -2, 0]]]]


@pytest.mark.parametrize(("function", "kernel"), [(F.conv2d, (4, 1, 2, 2)), (F.conv_transpose2d, (2, 2, 2, 2))])
def test_transforms(function, kernel):
    check_transforms(
        lambda x, w, b: function(x, w, b, stride=2, groups=2), rand(0, 2, 4, 3), rand(1, *kernel), rand(2, 4)
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_dtypes(dtype):
    x, w = jnp.asarray(rand(0, 1, 2, 4, 4), dtype), jnp.asarray(rand(1, 3, 2, 2, 2), dtype)
    out = F.conv2d(x, w)
    assert out.dtype == dtype
    assert_close(out.astype(jnp.float64), F.conv2d(rand(0, 1, 2, 4, 4), rand(1, 3, 2, 2, 2)), 0.02, 0.03)


X, W = rand(0, 2, 4, 5, 5), rand(1, 6, 4, 3, 3)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        ((X[0, 0], W), {}, ValueError, "conv2d: input must be 3-D or 4-D"),
        ((X, W[0]), {}, ValueError, "weight must be 4-D"),
        ((X[:, :3], W), {}, ValueError, "input must be with 4 channels"),
        ((X, W, np.ones(5)), {}, ValueError, r"bias must be of shape \[6\]"),
        ((X, W.astype(np.float32)), {}, TypeError, "input and weight must be of one dtype"),
        ((X.astype(int), W), {}, TypeError, "input and weight must be of one dtype"),
        ((X > 0, W > 0), {}, TypeError, "input must be of a floating, complex or integer dtype"),
        ((X, W), {"stride": 0}, ValueError, "stride must be at least 1"),
        ((X, W), {"stride": (1, 1, 1)}, ValueError, "stride must be an int or 2 ints"),
        ((X, W), {"padding": -1}, ValueError, "padding must be at least 0"),
        ((X, W), {"padding": "some"}, ValueError, "padding must be one of 'same', 'valid'"),
        ((X, W), {"padding": "same", "stride": 2}, ValueError, "a number where the stride is not 1"),
        ((X, W), {"dilation": 9}, ValueError, "input must be at least 19 long"),
        ((X, W), {"groups": 0}, ValueError, "groups must be at least 1"),
        ((X, W), {"stride": 1.5}, TypeError, "stride must be an int"),
        (
            (np.concatenate([X, X[:, :1]], 1), rand(1, 6, 1, 3, 3)),
            {"groups": 5},
            ValueError,
            "groups must be a divisor",
        ),
    ],
)
def test_bad_input_raises(arguments, options, error, match):
    with pytest.raises(error, match=match):
        F.conv2d(*arguments, **options)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"output_padding": 1}, "output_padding must be smaller than the stride"),
        ({"padding": 9}, "small enough for an output of positive lengths"),
        ({"groups": 3}, "input must be|groups must be a divisor"),
    ],
)
def test_bad_transposed_input_raises(options, match):
    with pytest.raises(ValueError, match=match):
        F.conv_transpose2d(X, rand(1, 4, 3, 3, 3), **options)


@needs_torch
def test_signatures_are_torchs():
    import inspect

    expected = {
        "conv": ["input", "weight", "bias", "stride", "padding", "dilation", "groups"],
        "conv_transpose": ["input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"],
    }
    for kind, names in expected.items():
        for n in (1, 2, 3):
            assert list(inspect.signature(getattr(F, f"{kind}{n}d")).parameters) == names


@needs_torch
@pytest.mark.parametrize(
    ("name", "x", "w", "options"),
    [
        ("conv2d", (1, 1, 5, 4), (2, 1, 3, 2), {"stride": 2, "padding": (0, 1)}),
        ("conv3d", (1, 1, 5, 4, 4), (2, 1, 3, 2, 2), {"stride": 2, "padding": (0, 0, 1)}),
        ("conv_transpose2d", (2, 2, 2, 3), (2, 1, 3, 2), {"stride": 2, "padding": (0, 1)}),
    ],
)
def test_a_kernel_of_two_that_steps_by_two_over_few_elements(name, x, w, options):
    """XLA ends the process of the plain program."""
    import torch.nn.functional as TF

    def ours(x, w):
        return getattr(F, name)(x, w, **options)

    def theirs(x, w):
        return getattr(TF, name)(x, w, **options)

    check_against_torch(ours, theirs, rand(0, *x), rand(1, *w))


@pytest.mark.parametrize(
    "options", [{"stride": 10**12}, {"dilation": 10**12}, {"padding": 10**12}, {"padding": 10**20}]
)
@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d])
def test_sizes_that_cannot_be_counted_are_refused(function, options):
    """XLA would end the process."""
    if function is F.conv2d and "stride" in options:
        options = {**options, "padding": 10**12}
    with pytest.raises(ValueError, match=f"{function.__name__}: "):
        function(jnp.ones((2, 4, 6, 6)), jnp.ones((4, 4, 2, 2)), **options)
