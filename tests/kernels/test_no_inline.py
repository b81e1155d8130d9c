"""Functions that are not inlined: the program has them as functions, and they compute the same."""

import jax
import jax.numpy as jnp
import numpy as np

from fnn.kernels.no_inline import no_inline


def test_the_program_calls_it_and_the_value_is_the_same():
    def doubled(x, *, times):
        return jnp.sin(x).T * times

    def around(function):
        return jax.jit(lambda x: function(x + 1, times=2) + 1)

    x = jnp.arange(6.0).reshape(2, 3)
    separate, within = around(no_inline(doubled, static=("times",))), around(doubled)
    assert "call(" in separate.lower(x).compile().as_text()
    assert "call(" not in within.lower(x).compile().as_text()
    np.testing.assert_allclose(separate(x), within(x), 1e-12)
