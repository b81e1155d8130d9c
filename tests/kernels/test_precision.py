"""Half precision is computed in float32, every other one in itself."""

import jax.numpy as jnp
import pytest

from fnn.kernels.precision import wide_dtype


@pytest.mark.parametrize(
    ("dtype", "wide"),
    [("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")],
)
def test_wide_dtype(dtype, wide):
    assert wide_dtype(jnp.dtype(dtype)) == jnp.dtype(wide)
