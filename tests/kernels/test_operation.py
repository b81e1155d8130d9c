"""The facility behind the kernels: every transformation of a fast form agrees with the same of its plain form.

It is also what fails first when JAX changes the primitive interfaces that the facility stands on.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import kernels
from fnn.kernels.operation import Operation, plain_selected
from tests.devices import on_two_devices
from tests.oracle import rand

fast_backward = []


def reference(x, w):
    return jnp.sin(x) @ w


def forward(x, w):
    sine = jnp.sin(x)
    return (sine @ w,), (sine,)


def backward(wanted, args, outputs, residuals, cotangents):
    x, w = args
    fast_backward.append(wanted)
    gradients = {0: lambda: cotangents[0] @ w.T * jnp.cos(x), 1: lambda: residuals[0].T @ cotangents[0]}
    return [gradients[i]() for i in wanted]


OPERATION = Operation(reference, forward, backward)
X, W, TANGENT = rand(0, 3, 4), rand(1, 4, 5), rand(2, 3, 4)


def loss(f):
    return lambda x, w: (f(x, w) ** 2).sum()


def agree(transform, *args):
    ours, theirs = transform(OPERATION)(*args), transform(reference)(*args)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, 1e-11, 1e-13)


def chained(f):
    def run(x, w):
        return jax.lax.scan(lambda c, _: (jnp.tanh(c + f(x + c, w).sum()), None), 0.0, None, length=3)[0]

    return run


TRANSFORMS = {
    "eager": lambda f: f,
    "jit": jax.jit,
    "grad": lambda f: jax.grad(loss(f), (0, 1)),
    "grad of one": lambda f: jax.grad(loss(f), 1),
    "jvp": lambda f: lambda x, w: jax.jvp(lambda x: f(x, w), (x,), (TANGENT,)),
    "hessian": lambda f: jax.hessian(loss(f), (0, 1)),
    "reverse over reverse": lambda f: jax.jacrev(jax.jacrev(loss(f))),
    "reverse over forward": lambda f: jax.jacrev(jax.jacfwd(loss(f))),
    "grad of grad": lambda f: jax.grad(lambda x, w: jax.grad(loss(f))(x, w).sum() ** 2, (0, 1)),
    "grad of scan": lambda f: jax.grad(chained(f), (0, 1)),
    "grad of checkpoint": lambda f: jax.grad(jax.checkpoint(loss(f)), (0, 1)),
    "linear transpose": lambda f: lambda x, w: jax.linear_transpose(jax.linearize(lambda w: f(x, w), w)[1], w)(X @ W),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transformations(name):
    agree(TRANSFORMS[name], X, W)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (1, 2)])
def test_batching(axes):
    many = (rand(3, 2, 3, 4), rand(4, 2, 4, 5))
    args = [one if d is None else np.moveaxis(all_, 0, d) for one, all_, d in zip((X, W), many, axes, strict=True)]
    agree(lambda f: jax.vmap(f, axes), *args)
    agree(lambda f: jax.jit(jax.vmap(jax.grad(loss(f), (0, 1)), axes)), *args)
    agree(lambda f: jax.grad(lambda a, b: jax.vmap(loss(f), axes)(a, b).sum(), (0, 1)), *args)
    agree(lambda f: jax.vmap(jax.hessian(loss(f)), axes), *args)
    agree(lambda f: jax.grad(lambda a, b: (jax.vmap(jax.grad(loss(f)), axes)(a, b) ** 2).sum(), (0, 1)), *args)


def test_the_fast_rule_runs_and_only_for_what_is_wanted():
    fast_backward.clear()
    operation = Operation(reference, forward, backward)
    jax.jit(jax.grad(loss(operation), 1))(X, W)
    assert set(fast_backward) == {(1,)}


def test_plain_selects_the_plain_form():
    constant = jax.jit(Operation(reference, lambda x, w: ((jnp.full((3, 5), 7.0),), ())))
    assert (constant(X, W) == 7.0).all()
    with kernels.plain():
        np.testing.assert_allclose(constant(X, W), reference(X, W))
    assert (constant(X, W) == 7.0).all()
    with kernels.plain():
        assert plain_selected()
        assert "fnn_operation" not in str(jax.make_jaxpr(OPERATION)(X, W))
    assert not plain_selected()
    assert "fnn_operation" in str(jax.make_jaxpr(OPERATION)(X, W))


def test_other_platforms_lower_the_plain_form():
    constant = Operation(reference, lambda x, w: ((jnp.full((3, 5), 7.0),), ()))
    assert (constant(X, W) == 7.0).all()
    for platform, fast in (("cpu", True), ("tpu", False), ("cuda", False)):
        text = jax.jit(constant).trace(X, W).lower(lowering_platforms=(platform,)).as_text()
        assert ("sine" not in text) == fast


def test_backward_by_default_is_that_of_the_plain_form():
    operation = Operation(reference, forward)
    ours, theirs = (jax.grad(loss(f), (0, 1))(X, W) for f in (operation, reference))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, 1e-12)


SHARDED = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from tests.kernels.test_operation import OPERATION, loss, reference
x, w = np.arange(16.0, dtype=np.float32).reshape(4, 4) / 16, np.ones((4, 5), np.float32)
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((2,), ("i",), axis_types=(kind,))
    a, b = jax.device_put(x, NamedSharding(mesh, P("i"))), jax.device_put(w, NamedSharding(mesh, P()))
    mapped = jax.shard_map(lambda x, w: OPERATION(x, w), mesh=mesh, in_specs=(P("i"), P()), out_specs=P("i"))
    for f in (mapped, OPERATION):
        grads = jax.jit(jax.grad(loss(f), (0, 1)))(a, b)
        for ours, theirs in zip(grads, jax.grad(loss(reference), (0, 1))(x, w), strict=True):
            np.testing.assert_allclose(ours, theirs, 1e-5)
print("agree")
"""


@pytest.mark.slow
def test_sharded_arguments():
    assert on_two_devices(SHARDED) == "agree"


FUNCTIONS_OF_SHARDED = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from fnn.nn import functional as F
from tests.oracle import rand
w = jnp.asarray(rand(1, 4))
gates = [jnp.asarray(rand(3, *s)) for s in ((20, 3), (20, 5), (20,), (20,))]
functions = {
    "batch norm": (lambda x: F.batch_norm(x, None, None, w, w, True), (4, 4, 5)),
    "layer norm": (lambda x: F.layer_norm(x, (4,), w, w), (4, 3, 4)),
    "max pooling": (lambda x: F.max_pool2d(x, 3, 2, 1), (4, 2, 6, 5)),
    "adaptive pooling": (lambda x: F.adaptive_max_pool2d(x, 2), (4, 2, 5, 5)),
    "attention": (lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), (4, 1, 260, 4)),
    "recurrence": (lambda x: F.lstm(x, None, gates, batch_first=True)[0], (4, 2, 3)),
    "convolution": (lambda x: F.conv2d(x, jnp.asarray(rand(2, 6, 4, 3, 3))), (4, 4, 5, 5)),
}
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((2,), ("i",), axis_types=(kind,))
    for name, (function, shape) in functions.items():
        step = jax.jit(jax.value_and_grad(lambda x, f=function: (f(x) ** 3).sum()))
        x = jnp.asarray(rand(0, *shape))
        expected = step(x)
        found = step(jax.device_put(x, NamedSharding(mesh, P("i"))))
        assert found[1].sharding.spec[0] == "i", name
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, 1e-9, 1e-12, err_msg=name)
print("agree")
"""


@pytest.mark.slow
def test_functions_of_sharded_arrays():
    """On a mesh of explicit axes, where JAX has every result say how it is sharded, as on one of automatic axes."""
    assert on_two_devices(FUNCTIONS_OF_SHARDED) == "agree"
