"""What JAX's own forms refuse of Modules that draw or write, and that the forms of fnn which the errors name do it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.__main__ import main

X = jnp.ones((3, 4, 2), "float32")

RAW = {
    "remat": lambda layer, x: jax.checkpoint(layer)(x),
    "vmap": lambda layer, x: jax.vmap(lambda v: layer(v))(x[None])[0],
    "scan": lambda layer, x: jax.lax.scan(lambda c, v: (c, layer(v)), None, x[None])[1][0],
    "cond": lambda layer, x: jax.lax.cond(x.sum() > 0, lambda v: layer(v), lambda v: v, x),
    "grad": lambda layer, x: jax.grad(lambda v: layer(v).sum())(x),
}
LIFTED = {
    "remat": lambda layer, x: fnn.remat(layer)(x),
    "vmap": lambda layer, x: fnn.vmap(lambda v: layer(v))(x[None])[0],
    "scan": lambda layer, x: fnn.scan(lambda c, v: (c, layer(v)), None, x[None])[1][0],
    "cond": lambda layer, x: fnn.cond(x.sum() > 0, lambda v: layer(v), lambda v: v, x),
    "grad": lambda layer, x: fnn.grad(lambda v: layer(v).sum())(x),
}


class Count(nn.Module):
    """Writes a buffer whose value is the same for all elements."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", jnp.zeros((), "int32"))

    def forward(self, x):
        self.count.add_(1)
        return x * 2


@pytest.mark.parametrize("wrap", [lambda f: f, fnn.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("what", RAW)
def test_a_write(what, wrap):
    layer = Count()
    with pytest.raises(RuntimeError, match="would be changed inside a JAX transformation") as caught:
        wrap(lambda: RAW[what](layer, X[0]))()
    assert f"fnn.{what}" in str(caught.value)
    assert any("a-buffer-would-be-changed" in note for note in caught.value.__notes__)
    assert int(layer.count) == 0
    wrap(lambda: LIFTED[what](layer, X[0]))()
    assert int(layer.count) == 1


@pytest.mark.parametrize("what", ["vmap", "scan"])
def test_a_draw_in_what_runs_often(what):
    drop = nn.Dropout(0.5)
    for wrap in (lambda f: f, fnn.jit):
        with pytest.raises(RuntimeError, match="dropout: a random draw") as caught:
            wrap(lambda: RAW[what](drop, X[0]))()
        assert f"fnn.{what}" in str(caught.value)
        assert any("a-draw-needs-a-key" in note for note in caught.value.__notes__)
        state = fnn.get_rng_state()
        wrap(lambda: LIFTED[what](drop, X[0]))()
        assert (np.asarray(fnn.get_rng_state()) != state).any()


@pytest.mark.parametrize("what", ["remat", "cond", "grad"])
def test_a_draw_in_what_runs_once(what):
    """Within a scope it works; eagerly it names what works."""
    drop = nn.Dropout(0.5)
    with pytest.raises(RuntimeError, match="dropout: a random draw") as caught:
        RAW[what](drop, X[0])
    assert f"fnn.{what}" in str(caught.value)
    LIFTED[what](drop, X[0])
    fnn.jit(lambda: RAW[what](drop, X[0]))()


@pytest.mark.parametrize("section", ["a-buffer-would-be-changed", "a-draw-needs-a-key"])
def test_the_page_of_errors_names_them(section, capsys):
    assert main(["explain", section]) == 0
    text = capsys.readouterr().out
    assert all(f"fnn.{name}" in text for name in LIFTED)
