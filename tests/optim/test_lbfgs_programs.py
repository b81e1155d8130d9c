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
