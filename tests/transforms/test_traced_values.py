"""Code that needs a value while it is traced is named with its line, and what the message advises works."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim

X = np.ones((4, 3), np.float32)

NEEDS = {
    "format": lambda loss: f"{loss:.3f}",
    "percent": lambda loss: "%.3f" % loss,  # noqa: UP031
    "float": lambda loss: float(loss),
    "item": lambda loss: loss.item(),
    "bool": lambda loss: loss if loss > 0 else -loss,
    "numpy": lambda loss: np.asarray(loss),
    "index": lambda loss: [1, 2][loss.astype(int)],
    "mask": lambda loss: jnp.ones(1)[loss[None] > 0],
}


def calls(need):
    model = nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def closure():
        loss = model(X).mean()
        need(loss)
        return loss

    return {
        "fnn.jit": lambda: fnn.jit(closure)(),
        "backward": lambda: fnn.backward(closure, model),
        "SGD.step": lambda: optimizer.step(closure),
    }


# Eagerly JAX differentiates code that looks at values in other ways.
CASES = [("fnn.jit", name) for name in NEEDS]
CASES += [(caller, name) for caller in ("backward", "SGD.step") for name in ("format", "percent", "float", "numpy")]


@pytest.mark.parametrize(("caller", "name"), CASES)
def test_the_line_is_named_with_a_remedy(caller, name):
    words = r"while closure was traced, <lambda> in .*test_traced_values.py, line \d+, needed the value of a traced array: .*loss"
    with pytest.raises((TypeError, IndexError), match=f"^{caller}: {words}") as caught:
        calls(NEEDS[name])[caller]()
    assert str(caught.value).count("needed the value") == 1
    assert ("static_argnames" in str(caught.value)) == (caller == "fnn.jit")
    assert ("has_aux=True" in str(caught.value)) == (caller != "fnn.jit")
    notes = [note for note in caught.value.__notes__ if note.startswith("Remedies")]
    assert notes == ["Remedies: python -m fnn explain a-traced-value-was-needed"]


def test_one_within_the_other_explains_once():
    model = nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def closure():
        loss = model(X).mean()
        print(f"{loss:.3f}")
        return loss

    with pytest.raises(TypeError, match=r"^fnn.jit: while <lambda> was traced, closure in") as caught:
        fnn.jit(lambda: optimizer.step(closure))()
    assert str(caught.value).count("needed the value") == 1

    called = fnn.jit(lambda x: float(x))
    with pytest.raises(TypeError, match="needed the value") as caught:
        fnn.backward(lambda: model(X).mean() * called(model(X).mean()), model)
    assert str(caught.value).count("needed the value") == 1


def test_other_errors_stay_as_they_are():
    def closure():
        raise TypeError("mine")

    for call in calls(lambda loss: closure()).values():
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value) == "mine"


def test_the_advice_works(capfd):
    model = nn.Linear(3, 1)

    def closure():
        loss = (model(X) ** 2).mean()
        jax.debug.print("printed {:.3f}", loss)
        return loss, loss

    loss, seen = fnn.backward(closure, model, has_aux=True)
    jax.effects_barrier()
    assert f"printed {loss:.3f}" in capfd.readouterr().out
    assert float(seen) == float(loss)
