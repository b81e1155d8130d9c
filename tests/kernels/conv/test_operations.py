"""Convolutions in the forms chosen for the CPU against ``lax``: values, gradients and second derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fnn.kernels.conv import Config, convolve
from fnn.kernels.conv.plain import plain_forward
from tests.kernels.conv.cases import (
    FORWARD,
    SMALL,
    TRANSPOSED,
    compare_forward,
    compare_transposed,
    marked,
    transposed_sizes,
)
from tests.memory import let_programs_go
from tests.oracle import assert_close, rand

TELLING = (
    "dense",
    "strided",
    "few places",
    "depthwise",
    "many groups",
    "pointwise strided",
    "volume, in steps of 1",
    "few inputs",
    "few inputs, strided",
    "few outputs",
    "volume",
    "eigen, groups",
)


@pytest.mark.parametrize("name", marked(FORWARD, TELLING))
def test_convolution(name):
    x, w, config = FORWARD[name]
    compare_forward(rand(0, *x), rand(1, *w), config, second=name == "strided")


@pytest.mark.parametrize("name", marked(TRANSPOSED, ("strided", "dilated", "groups", "few outputs")))
def test_transposed_convolution(name):
    x, w, config, extra = TRANSPOSED[name]
    sizes = transposed_sizes(x, w, config, extra)
    compare_transposed(rand(0, *x), rand(1, *w), config, sizes, second=name == "strided")


def test_vmap_and_narrow_dtypes():
    def ours_small(x, w, config):
        return convolve(x, w, config, bounds=SMALL)

    for name in ("dense", "depthwise"):
        shape, kernel, config = FORWARD[name]
        x, w = rand(0, 2, *shape), rand(1, *kernel)
        ours, theirs = (
            jax.vmap(jax.grad(lambda x, w, f=f, c=config: (f(x, w, c) ** 2).sum(), (0, 1)), (0, None))(x, w)
            for f in (ours_small, plain_forward)
        )
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b, rtol=1e-10, atol=1e-12)
    for dtype in (jnp.float32, jnp.bfloat16):
        narrow = jnp.asarray(x[0], dtype), jnp.asarray(w, dtype)
        out = ours_small(*narrow, config)
        assert out.dtype == dtype
        exact = plain_forward(*(np.asarray(a, np.float64) for a in narrow), config)
        eps = float(jnp.finfo(dtype).eps)
        assert_close(np.asarray(out, np.float64), exact, rtol=4 * eps, atol=8 * eps)
        grads = jax.grad(lambda w, x=narrow[0]: ours_small(x, w, config).astype(jnp.float32).sum())(narrow[1])
        assert grads.dtype == dtype


def test_the_special_forms_run():
    for shape, kernel, config in FORWARD.values():
        text = str(jax.make_jaxpr(lambda x, w, c=config: convolve(x, w, c))(rand(0, *shape), rand(1, *kernel)))
        assert "fnn_operation" in text


@st.composite
def configurations(draw):
    n = draw(st.integers(1, 2))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(n))

    groups = draw(st.integers(1, 3))
    kernel, stride, dilation = each(1, 4), each(1, 3), each(1, 3)
    pads = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(n))
    least = [max(1, d * (k - 1) + 1 - sum(p)) for d, k, p in zip(dilation, kernel, pads, strict=True)]
    size = tuple(draw(st.integers(a, a + 4)) for a in least)
    inputs, outputs = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    shape = (draw(st.integers(1, 2)), groups * inputs, *size)
    return shape, (groups * outputs, inputs, *kernel), Config(stride, pads, dilation, groups)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(configurations())
def test_random_convolutions(case):
    shape, kernel, config = case
    x, w = rand(0, *shape), rand(1, *kernel)
    compare_forward(x, w, config)
    out = jax.eval_shape(lambda: plain_forward(x, w, config)).shape
    compare_transposed(rand(2, *out), w, config, shape[2:])
    let_programs_go()
