"""What L-BFGS compiles: the closure once, however long the search; and between eager evaluations one small program."""

import jax
import jax.numpy as jnp
import pytest

import fnn
from fnn import nn, optim
from fnn.optim.lbfgs import lbfgs
from tests.compilations import HEARD
from tests.oracle import assert_close, rand

SEARCHES = [None, "strong_wolfe"]


def marked(p):
    """A loss with an operation that nothing else has."""
    return (jax.lax.lgamma(3 + p**2) + (p - 1) ** 4).sum()


@pytest.mark.parametrize("line_search_fn", SEARCHES)
def test_a_program_holds_one_evaluation(line_search_fn):
    rule, p = lbfgs(line_search_fn=line_search_fn, max_iter=20), jnp.asarray(rand(0, 3))
    program = jax.make_jaxpr(lambda s, p: rule.update(None, s, p, value_fn=marked))(rule.init(p), p)
    assert str(program).count("lgamma") == str(jax.make_jaxpr(jax.value_and_grad(marked))(p)).count("lgamma") > 0


@pytest.mark.parametrize("line_search_fn", SEARCHES)
def test_the_closure_is_traced_once_compiled_and_runs_at_each_evaluation_eagerly(line_search_fn):
    runs = {"compiled": [], "eager": []}
    ends = {}
    for how, calls in runs.items():
        p = nn.Parameter(rand(1, 4))
        optimizer = optim.LBFGS([p], lr=0.1, max_iter=7, line_search_fn=line_search_fn)

        def closure(p=p, calls=calls):
            calls.append(1)
            return marked(p), {"half": p / 2, "count": 3}

        step = lambda o=optimizer, c=closure: o.step(c, has_aux=True)  # noqa: E731
        step = fnn.jit(step) if how == "compiled" else step
        loss, aux = step()
        assert float(loss) == pytest.approx(float(marked(rand(1, 4))))
        assert_close(aux["half"], rand(1, 4) / 2)
        assert int(aux["count"]) == 3
        before = HEARD.count
        step()
        assert HEARD.count == before
        ends[how] = p.numpy(), optimizer.state_dict()["state"][0]["func_evals"]
    assert len(runs["compiled"]) == 1
    assert len(runs["eager"]) == ends["eager"][1] == ends["compiled"][1] > 8
    assert_close(ends["compiled"][0], ends["eager"][0])


def test_a_compiled_closure_must_not_draw_or_write():
    x = rand(2, 5, 3).astype("float32")
    for layer in (nn.Dropout(0.5), nn.BatchNorm1d(3)):
        model = nn.Sequential(nn.Linear(3, 3), layer)
        optimizer = optim.LBFGS(model.parameters(), max_iter=2)
        before = model[0].weight.numpy()
        with pytest.raises(RuntimeError, match="inside a JAX transformation"):
            fnn.jit(lambda m=model, o=optimizer: o.step(lambda: (m(x) ** 2).sum()))()
        assert_close(model[0].weight, before)


def test_parameters_without_elements():
    p = nn.Parameter(jnp.zeros((0, 2), "float32"))
    optimizer = optim.LBFGS([p])
    assert float(optimizer.step(lambda: p.sum() + 2)) == 2
    assert float(fnn.jit(lambda: optimizer.step(lambda: p.sum() + 2))()) == 2
