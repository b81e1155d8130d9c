"""Which form attention has by its shapes."""

import jax
import jax.numpy as jnp
import pytest

from fnn.kernels.attention import Bounds, Dropout, operations
from fnn.kernels.attention.operations import FORMS
from fnn.kernels.choice import choose


def case(length, source, scale=None, key=None, dtype=jnp.float32):
    q, k = jnp.zeros((2, length, 8), dtype), jnp.zeros((2, source, 8), dtype)
    return operations.Case(q, k, k, None, False, scale, None if key is None else Dropout(key, 0.1))


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (case(512, 512), "blocks"),
        (case(100, 100), "plain"),
        (case(20, 8000), "plain"),
        (case(512, 0), "plain"),
        (case(512, 512, key=jax.random.key(0)), "blocks"),
        (case(512, 512, key=jax.random.key(0, impl="rbg")), "plain"),
    ],
)
def test_forms(of, name):
    assert choose(FORMS, of, Bounds()).name == name


def test_cudnn_is_asked_first_where_a_scale_is_given(monkeypatch):
    monkeypatch.setattr(operations, "has_cudnn", lambda: True)
    halves = {"dtype": jnp.bfloat16}
    assert choose(FORMS, case(128, 128, 0.3, **halves), Bounds()).name == "cudnn"
    assert choose(FORMS, case(128, 128, 0.3), Bounds()).name == "plain"
    assert choose(FORMS, case(128, 128, None, **halves), Bounds()).name == "plain"
    assert choose(FORMS, case(128, 128, 0.3, **halves), Bounds(cudnn_length=200)).name == "plain"
