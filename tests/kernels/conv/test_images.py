"""Dense convolutions with the channels last: when their gradient of the kernel is taken, and the layout that they keep."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from fnn.kernels.conv import convolve
from fnn.kernels.conv.config import Case
from fnn.kernels.conv.images import moved, suits_weight_gradient
from fnn.kernels.conv.plain import plain_forward
from tests.devices import on_two_devices
from tests.kernels.conv.cases import FORWARD, SMALL, compare_forward
from tests.oracle import assert_close, rand


def test_small_convolutions_have_the_gradient_of_the_kernel_of_xla():
    bounds = replace(SMALL, worthwhile=1 << 20)
    x, w, config = FORWARD["strided"]
    x, w = jnp.asarray(rand(0, *x)), jnp.asarray(rand(1, *w))
    case = Case.of_weight_gradient(x, plain_forward(x, w, config), w.shape[2:], config)
    assert suits_weight_gradient(case, bounds)
    compare_forward(x, w, config, bounds=bounds)
    assert not suits_weight_gradient(case, replace(bounds, few_images=2))


def test_few_large_images_have_products_for_the_gradient_of_the_kernel():
    x, w, config = FORWARD["eigen"]
    compare_forward(rand(0, *x), rand(1, *w), config, bounds=replace(SMALL, few_images=4))


def compiled(function, *args):
    return jax.jit(function).lower(*args).compile().as_text()


def test_convolutions_within_a_loop_have_the_layout_that_xla_has_a_library_for():
    """Elsewhere than in the outermost function it does not bring about that layout by itself."""
    shape, kernel, config = FORWARD["dense"]
    x, w = (jnp.asarray(rand(i, *s), jnp.float32) for i, s in enumerate((shape, kernel)))

    def loop(xs, w):
        return jax.lax.map(lambda x: convolve(x, w, config, bounds=SMALL), xs)

    gradients = jax.grad(lambda xs, w: loop(xs, w).sum(), (0, 1))
    for function in (loop, gradients):
        found = re.findall(r"dim_labels=(\S+?)[,\s]", compiled(function, jnp.stack([x] * 3), w))
        found = [labels for labels in found if "3" not in labels]  # those of four axes are for infinite kernels
        assert set(found) == {"b01f_01io->b01f"}


def test_large_arrays_are_moved_by_functions_that_are_not_inlined():
    def around(x):
        return moved(x * 2, (1, 0), SMALL) + 1

    x = jnp.asarray(rand(0, 8, 4), jnp.float32)
    assert "call(" in compiled(around, x)
    assert "call(" not in compiled(lambda x: (x * 2).T + 1, x)
    assert_close(around(x), (x * 2).T + 1)


SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from fnn.kernels.conv import Bounds, Config, convolve
from tests.oracle import rand
bounds = Bounds(large_move=0)
x, w = (jnp.asarray(rand(i, *s), jnp.float32) for i, s in enumerate(((4, 3, 6, 6), (5, 3, 3, 3))))
config = Config((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
step = jax.jit(jax.value_and_grad(lambda x, w: (convolve(x, w, config, bounds=bounds) ** 2).mean(), (0, 1)))
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((2,), ("i",), axis_types=(kind,))
    sharded = jax.device_put(x, NamedSharding(mesh, P("i"))), jax.device_put(w, NamedSharding(mesh, P()))
    assert "all-gather" not in step.lower(*sharded).compile().as_text()
    for a, b in zip(jax.tree.leaves(step(*sharded)), jax.tree.leaves(step(x, w)), strict=True):
        np.testing.assert_allclose(a, b, 1e-4, 1e-6)
print("agree")
"""


@pytest.mark.slow
def test_a_sharded_batch_stays_sharded():
    assert on_two_devices(SHARDED) == "agree"
