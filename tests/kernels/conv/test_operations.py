"""The forms of convolution against ``lax``: values, gradients and second derivatives."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnn.kernels.conv import Config, convolve, convolve_transpose
from fnn.kernels.conv import choice as forms
from fnn.kernels.conv import images as _conv_images
from fnn.kernels.conv import operations as module
from fnn.kernels.conv import taps as _conv_common
from fnn.kernels.conv.choice import plain_forward as convolve_reference
from tests.devices import on_two_devices
from tests.kernels.fresh import fresh
from tests.oracle import assert_close, rand


@pytest.fixture(autouse=True)
def small_images(monkeypatch):
    """Small images take the path of large ones, in several steps over the batch."""
    monkeypatch.setattr(forms, "FEW_PLACES", 0)
    monkeypatch.setattr(forms, "FEW_IMAGES", 0)
    monkeypatch.setattr(forms, "WORTHWHILE", 0)
    monkeypatch.setattr(forms, "STEP_ELEMENTS", 64)
    monkeypatch.setattr(_conv_images, "SMALL", 0)
    with fresh(module._convolution, module._transposed):
        yield


def convolve_transpose_reference(x, w, config, sizes):
    return forms.plain_transposed(x, w, sizes, config)


def compare(ours, theirs, x, w, second=False):
    cotangent = rand(9, *jax.eval_shape(theirs, x, w).shape)

    def run(function):
        def loss(x, w):
            return (function(x, w) * cotangent).sum()

        def both(x, w):
            out = (function(x, w), jax.grad(loss, (0, 1))(x, w))
            if second:
                out += (jax.grad(lambda x, w: (jax.grad(loss, 1)(x, w) ** 2).sum(), (0, 1))(x, w),)
            return out

        return jax.tree.leaves(jax.jit(both)(x, w))

    for a, b in zip(run(ours), run(theirs), strict=True):
        assert_close(a, b, rtol=1e-10, atol=1e-11)


def forward(x, w, config, second=False):
    compare(lambda x, w: convolve(x, w, config), lambda x, w: convolve_reference(x, w, config), x, w, second)


def transposed(x, w, config, extra=None, second=False):
    size = tuple(
        (length - 1) * s - low - high + d * (k - 1) + 1 + e
        for length, s, (low, high), d, k, e in zip(
            x.shape[2:],
            config.stride,
            config.pads,
            config.dilation,
            w.shape[2:],
            extra or (0,) * len(config.stride),
            strict=True,
        )
    )
    compare(
        lambda x, w: convolve_transpose(x, w, config, size),
        lambda x, w: convolve_transpose_reference(x, w, config, size),
        x,
        w,
        second,
    )


FORWARD = {
    "dense": ((2, 5, 6, 5), (4, 5, 3, 2), Config((1, 1), ((1, 1), (0, 1)), (1, 1), 1)),
    "strided": ((2, 3, 7, 8), (4, 3, 3, 2), Config((2, 3), ((1, 1), (0, 0)), (1, 2), 1)),
    "few places": ((1, 5, 3, 4), (6, 5, 3, 2), Config((2, 1), ((1, 0), (0, 1)), (1, 2), 1)),
    "depthwise": ((2, 3, 6, 5), (6, 1, 3, 3), Config((1, 2), ((1, 1), (2, 0)), (1, 1), 3)),
    "groups": ((2, 4, 6, 5), (6, 2, 3, 2), Config((2, 1), ((1, 0), (0, 1)), (1, 1), 2)),
    "many groups": ((2, 6, 6, 5), (9, 2, 3, 2), Config((1, 1), ((1, 0), (0, 1)), (2, 1), 3)),
    "pointwise": ((2, 3, 7, 5), (4, 3, 1, 1), Config((1, 1), ((0, 0), (0, 0)), (1, 1), 1)),
    "pointwise strided": ((3, 3, 7, 6), (4, 3, 1, 1), Config((2, 3), ((0, 0), (0, 0)), (1, 1), 1)),
    "patches": ((2, 4, 6, 9), (6, 2, 2, 3), Config((2, 3), ((1, 0), (0, 2)), (1, 1), 2)),
    "1-D": ((2, 4, 9), (4, 2, 4), Config((3,), ((2, 1),), (2,), 2)),
    "3-D": ((1, 2, 4, 5, 4), (4, 1, 2, 3, 2), Config((1, 2, 1), ((0, 1), (1, 1), (0, 0)), (1, 1, 2), 2)),
    "volume": ((2, 2, 5, 5, 4), (3, 2, 3, 3, 2), Config((2, 2, 1), ((0, 1), (1, 1), (2, 0)), (2, 1, 2), 1)),
    "volume, in steps of 1": (
        (1, 3, 5, 4, 3),
        (4, 3, 2, 3, 2),
        Config((1, 2, 1), ((2, 1), (1, 1), (1, 0)), (2, 1, 1), 1),
    ),
    "few inputs": ((2, 1, 6, 5), (8, 1, 3, 2), Config((1, 1), ((1, 1), (0, 1)), (1, 2), 1)),
    "few inputs, strided": ((2, 2, 7, 8), (13, 2, 3, 2), Config((2, 3), ((1, 1), (0, 0)), (1, 2), 1)),
    "few outputs": ((2, 12, 6, 5), (2, 12, 3, 2), Config((1, 1), ((1, 1), (0, 1)), (2, 1), 1)),
    "few outputs, strided": ((2, 6, 6, 5), (1, 6, 3, 2), Config((1, 2), ((1, 1), (0, 1)), (2, 1), 1)),
    "few inputs, 3-D": ((1, 1, 4, 5, 4), (12, 1, 2, 3, 2), Config((1, 2, 1), ((0, 1), (1, 1), (0, 0)), (1, 1, 2), 1)),
    "library": ((2, 3, 7, 8), (4, 3, 3, 2), Config((2, 3), ((1, 1), (0, 0)), (1, 2), 1, True)),
    "library, groups": ((1, 32, 5, 4), (4, 16, 3, 2), Config((1, 2), ((1, 1), (0, 0)), (1, 1), 2, True)),
}
TRANSPOSED = {
    "dense": ((2, 3, 4, 3), (3, 5, 3, 2), Config((1, 1), ((1, 1), (0, 0)), (1, 1), 1), None),
    "pointwise": ((2, 3, 4, 3), (3, 4, 1, 1), Config((2, 1), ((0, 0), (0, 0)), (1, 1), 1), (1, 0)),
    "strided": ((2, 3, 4, 3), (3, 4, 4, 2), Config((2, 3), ((1, 1), (0, 0)), (1, 1), 1), (1, 2)),
    "volume": ((1, 3, 3, 2, 3), (3, 2, 2, 3, 2), Config((2, 1, 2), ((1, 0), (1, 1), (0, 0)), (1, 2, 1), 1), (0, 0, 1)),
    "library": ((2, 3, 4, 3), (3, 4, 4, 2), Config((2, 3), ((1, 1), (0, 0)), (1, 1), 1, True), (1, 2)),
    "dilated": ((2, 3, 4, 3), (3, 2, 3, 3), Config((2, 2), ((1, 1), (2, 2)), (3, 2), 1), (1, 0)),
    "few outputs": ((2, 13, 4, 3), (13, 1, 4, 3), Config((2, 1), ((1, 1), (0, 0)), (1, 1), 1), (1, 0)),
    "depthwise": ((2, 4, 4, 3), (4, 1, 3, 2), Config((2, 1), ((1, 1), (0, 0)), (1, 1), 4), None),
    "groups": ((2, 4, 4, 3), (4, 3, 3, 2), Config((2, 1), ((1, 1), (0, 0)), (1, 1), 2), None),
}


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
    "library, groups",
)


def cases(table, telling):
    return [pytest.param(name, marks=[] if name in telling else pytest.mark.slow) for name in table]


@pytest.mark.parametrize("name", cases(FORWARD, TELLING))
def test_convolution(name):
    x, w, config = FORWARD[name]
    forward(rand(0, *x), rand(1, *w), config, second=name == "strided")


def test_small_convolutions_have_the_gradient_of_the_kernel_of_xla(monkeypatch):
    monkeypatch.setattr(forms, "WORTHWHILE", 1 << 20)
    x, w, config = FORWARD["strided"]
    x, w = jnp.asarray(rand(0, *x)), jnp.asarray(rand(1, *w))
    dy = convolve_reference(x, w, config)
    assert forms._suits_images(x, dy, w.shape[2:], config)
    forward(x, w, config)
    monkeypatch.setattr(forms, "FEW_IMAGES", 2)
    assert not forms._suits_images(x, dy, w.shape[2:], config)


def test_few_large_images_have_products_for_the_gradient_of_the_kernel(monkeypatch):
    monkeypatch.setattr(forms, "FEW_IMAGES", 4)
    x, w, config = FORWARD["library"]
    forward(rand(0, *x), rand(1, *w), config)


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
    "name", cases(DEPTHWISE, ("products", "some rows at once", "blocks of rows", "sums over the batch"))
)
def test_depthwise_in_every_form(monkeypatch, name):
    shape, bounds, blocks = DEPTHWISE[name]
    for bound, value in zip(("FAST_SMALL_PRODUCTS", "FEW_SUMS", "STEP_ELEMENTS"), (*bounds[:2], 1 << 19), strict=True):
        monkeypatch.setattr(forms, bound, value)
    monkeypatch.setattr(forms, "STEP_ELEMENTS" if bounds[0] else "MANY_SUMS", bounds[2])
    config = Config((2, 1), ((1, 1), (2, 0)), (2, 1), 3)
    x, w = rand(0, *shape), rand(1, 6, 1, 3, 3)
    dy = convolve_reference(x, w, config)
    assert forms._row_blocks(x, dy, (3, 3), config) == blocks
    forward(x, w, config)


@pytest.mark.parametrize("name", cases(TRANSPOSED, ("strided", "dilated", "groups", "few outputs")))
def test_transposed_convolution(name):
    x, w, config, extra = TRANSPOSED[name]
    transposed(rand(0, *x), rand(1, *w), config, extra, second=name == "strided")


def test_vmap_and_narrow_dtypes():
    for name in ("dense", "depthwise"):
        shape, kernel, config = FORWARD[name]
        x, w = rand(0, 2, *shape), rand(1, *kernel)
        ours, theirs = (
            jax.vmap(jax.grad(lambda x, w, f=f, c=config: (f(x, w, c) ** 2).sum(), (0, 1)), (0, None))(x, w)
            for f in (convolve, convolve_reference)
        )
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b, rtol=1e-10, atol=1e-12)
    for dtype in (jnp.float32, jnp.bfloat16):
        narrow = jnp.asarray(x[0], dtype), jnp.asarray(w, dtype)
        out = convolve(*narrow, config)
        assert out.dtype == dtype
        exact = convolve_reference(*(np.asarray(a, np.float64) for a in narrow), config)
        eps = float(jnp.finfo(dtype).eps)
        assert_close(np.asarray(out, np.float64), exact, rtol=4 * eps, atol=8 * eps)
        grads = jax.grad(lambda w, x=narrow[0]: convolve(x, w, config).astype(jnp.float32).sum())(narrow[1])
        assert grads.dtype == dtype


@pytest.mark.slow
def test_forms_for_sums_beyond_the_cache(monkeypatch):
    monkeypatch.setattr(_conv_common, "CACHED", 1)
    monkeypatch.setattr(forms, "FEW_PLACES", 1 << 20)
    for name in ("depthwise", "pointwise strided", "dense"):
        x, w, config = FORWARD[name]
        forward(rand(0, *x), rand(1, *w), config)


def compiled(function, *args):
    return jax.jit(function).lower(*args).compile().as_text()


def test_convolutions_within_a_loop_have_the_layout_that_xla_has_a_library_for():
    """Elsewhere than in the outermost function it does not bring about that layout by itself."""
    shape, kernel, config = FORWARD["dense"]
    x, w = (jnp.asarray(rand(i, *s), jnp.float32) for i, s in enumerate((shape, kernel)))

    def loop(xs, w):
        return jax.lax.map(lambda x: convolve(x, w, config), xs)

    gradients = jax.grad(lambda xs, w: loop(xs, w).sum(), (0, 1))
    for function in (loop, gradients):
        found = re.findall(r"dim_labels=(\S+?)[,\s]", compiled(function, jnp.stack([x] * 3), w))
        assert set(found) <= {"b01f_01io->b01f"}
    assert found


def test_large_arrays_are_moved_apart_from_what_is_around():
    def around(x):
        return _conv_images.moved(x * 2, (1, 0)) + 1

    x = jnp.asarray(rand(0, 8, 4), jnp.float32)
    assert "call(" in compiled(around, x)
    assert "call(" not in compiled(lambda x: (x * 2).T + 1, x)
    assert_close(around(x), (x * 2).T + 1)


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from fnn.kernels.conv import taps as _conv_common, images as _conv_images
from fnn.kernels.conv import Config, convolve
from tests.oracle import rand
_conv_images.SMALL = 0
x, w = (jnp.asarray(rand(i, *s), jnp.float32) for i, s in enumerate(((4, 3, 6, 6), (5, 3, 3, 3))))
config = Config((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
step = jax.jit(jax.value_and_grad(lambda x, w: (convolve(x, w, config) ** 2).mean(), (0, 1)))
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((2,), ("i",), axis_types=(kind,))
    spread = jax.device_put(x, NamedSharding(mesh, P("i"))), jax.device_put(w, NamedSharding(mesh, P()))
    assert "all-gather" not in step.lower(*spread).compile().as_text()
    for a, b in zip(jax.tree.leaves(step(*spread)), jax.tree.leaves(step(x, w)), strict=True):
        np.testing.assert_allclose(a, b, 1e-4, 1e-6)
print("agree")
"""


@pytest.mark.slow
def test_a_batch_spread_over_devices_stays_so():
    assert on_two_devices(SHARDED) == "agree"


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
    forward(x, w, config)
    out = jax.eval_shape(lambda: convolve_reference(x, w, config)).shape
    compare(
        lambda x, w: convolve_transpose(x, w, config, shape[2:]),
        lambda x, w: convolve_transpose_reference(x, w, config, shape[2:]),
        rand(2, *out),
        w,
    )
