"""What is compared between the forms of a kernel."""

import jax
import jax.numpy as jnp

from tests.oracle import assert_close, rand


def derivatives(function, *args, second=False):
    """The value, the gradients and, if asked for, second derivatives and a derivative in forward mode, as a list."""
    every = tuple(range(len(args)))

    @jax.jit
    def run(*args):
        value, pull = jax.vjp(function, *args)
        found = [value, pull(jnp.asarray(rand(9, *value.shape), value.dtype))]
        if second:

            def slopes(*args):
                return jax.grad(lambda *args: (function(*args) ** 3).sum(), every)(*args)

            found.append(jax.grad(lambda *args: sum((g**2).sum() for g in slopes(*args)), every)(*args))
            found.append(jax.jvp(function, args, tuple(map(jnp.cos, args)))[1])
        return found

    return jax.tree.leaves(run(*args))


def check_derivatives(ours, theirs, *args, second=False):
    """Both functions have the same ``derivatives``, to rounding in float64."""
    pairs = zip(derivatives(ours, *args, second=second), derivatives(theirs, *args, second=second), strict=True)
    for a, b in pairs:
        assert_close(a, b, rtol=1e-10, atol=1e-12)
