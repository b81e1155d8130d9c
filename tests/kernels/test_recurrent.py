"""Recurrence over time: the fast form with its own derivative against the plain loop."""

import itertools

import jax
import jax.numpy as jnp
import pytest

from fnn.kernels.recurrent import Kind, recurrence_operation
from tests.oracle import assert_close, rand

KINDS = [
    Kind(mode, bias, projected, masked, reverse)
    for mode, bias, projected, masked, reverse in itertools.product(
        ("lstm", "gru", "tanh", "relu"), *[(False, True)] * 4
    )
    if (mode == "gru" or not bias) and (mode == "lstm" or not projected)
]
TELLING = [k for k in KINDS if k.masked == k.reverse and (k.hidden_bias or k.mode != "gru")]
T, B, H = 5, 3, 4


def arguments(kind):
    gates = {"lstm": 4, "gru": 3}.get(kind.mode, 1)
    out = 2 if kind.projected else H
    args = [rand(0, T, B, gates * H), rand(1, B, out)]
    args += [rand(2, B, H)] if kind.mode == "lstm" else []
    args.append(rand(3, gates * H, out))
    args += [rand(4, H)] if kind.hidden_bias else []
    args += [rand(5, out, H)] if kind.projected else []
    args += [jnp.arange(T)[:, None] < jnp.array([5, 2, 3])] if kind.masked else []
    return args


def cases(kinds):
    return [pytest.param(k, marks=[] if k in TELLING else pytest.mark.slow, id="-".join(map(str, k))) for k in kinds]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("kind", cases(KINDS))
def test_values_and_gradients(kind):
    operation, args = recurrence_operation(kind), arguments(kind)
    places = tuple(i for i, a in enumerate(args) if a.dtype != bool)

    def loss(function):
        def run(*args):
            outs = jax.tree.leaves(function(*args))
            return sum((o * rand(9 + i, *o.shape)).sum() for i, o in enumerate(outs)), outs

        return jax.jit(jax.value_and_grad(run, places, has_aux=True))

    ours, theirs = loss(operation)(*args), loss(operation.plain)(*args)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_second_derivatives_vmap_and_float32():
    kind = Kind("lstm", False, False, False, False)
    operation, (x, h, c, w) = recurrence_operation(kind), arguments(kind)

    def second(function):
        def slope(x):
            return (jax.grad(lambda x: (function(x, h, c, w)[0] ** 2).sum())(x) ** 2).sum()

        return jax.grad(slope)(x)

    assert_close(second(operation), second(operation.plain), rtol=1e-10)
    many = jnp.stack([h, 2 * h])
    ours, theirs = (
        jax.vmap(jax.grad(lambda h, w, f=f: (f(x, h, c, w)[0] ** 2).sum(), (0, 1)), (0, None))(many, w)
        for f in (operation, operation.plain)
    )
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=1e-10)
    narrow = [jnp.asarray(a, jnp.float32) for a in (x, h, c, w)]
    for a, b in zip(operation(*narrow), operation.plain(*narrow), strict=True):
        assert a.dtype == jnp.float32
        assert_close(a, b, rtol=1e-5, atol=1e-6)
