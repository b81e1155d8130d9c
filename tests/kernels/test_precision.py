"""Half precision is computed in float32, every other one in itself; differences from a peak."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.kernels.precision import minus_peak, wide_dtype


@pytest.mark.parametrize(
    ("dtype", "wide"),
    [("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")],
)
def test_wide_dtype(dtype, wide):
    assert wide_dtype(jnp.dtype(dtype)) == jnp.dtype(wide)


def test_minus_peak():
    """A plain difference, in value and derivative; where the two are the same as well."""
    values, peak = jnp.array([[1.0, 3.0], [-jnp.inf, 2.0]]), jnp.array([[3.0], [2.0]])
    np.testing.assert_array_equal(minus_peak(values, peak), values - peak)
    of_values, of_peak = jax.grad(lambda v, p: jnp.sum(minus_peak(v, p) * jnp.array([2.0, 5.0])), (0, 1))(values, peak)
    np.testing.assert_array_equal(of_values, [[2, 5], [2, 5]])
    np.testing.assert_array_equal(of_peak, [[-7], [-7]])
