"""What L-BFGS compiles: the closure once, however long the search; and between eager evaluations one small program."""

import jax
import jax.numpy as jnp
import numpy as np
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


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_a_compiled_closure_may_draw_and_write(search):
    """Statistics go from each evaluation to the next, and draws differ, exactly as where the closure runs as it is."""
    x, y = rand(2, 12, 3), rand(3, 12, 2)
    ends = {}
    for how in ("eager", "compiled"):
        fnn.manual_seed(3)
        model = nn.Sequential(
            nn.Linear(3, 4, dtype=jnp.float64), nn.BatchNorm1d(4, dtype=jnp.float64), nn.Dropout(0.25), nn.Linear(4, 2)
        ).double()
        optimizer = optim.LBFGS(model.parameters(), lr=0.1, max_iter=3, line_search_fn=search)
        runs = []

        def step(model=model, optimizer=optimizer, runs=runs):
            def closure():
                runs.append(1)
                return ((model(x) - y) ** 2).mean()

            return optimizer.step(closure)

        losses = [float((fnn.jit(step) if how == "compiled" else step)()) for _ in range(3)]
        evals = int(optimizer.state_dict()["state"][0]["func_evals"])
        assert int(model[1].num_batches_tracked) == evals
        assert evals > 8
        assert how == "compiled" or len(runs) == evals
        ends[how] = losses, {k: np.asarray(v) for k, v in model.state_dict().items()}, fnn.random.next_key()
    assert_close(ends["compiled"][0], ends["eager"][0], rtol=1e-8)
    for name, value in ends["eager"][1].items():
        assert_close(ends["compiled"][1][name], value, rtol=1e-6, atol=1e-9, what=name)
    assert (jax.random.key_data(ends["eager"][2]) == jax.random.key_data(ends["compiled"][2])).all()


def test_batch_norm_in_a_compiled_closure_against_torch():
    torch = pytest.importorskip("torch")
    x, y = rand(2, 12, 3), rand(3, 12, 2)
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)).double()
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    model.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    ours = optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
    other = torch.optim.LBFGS(theirs.parameters(), lr=0.1, max_iter=4)
    step = fnn.jit(lambda: ours.step(lambda: ((model(x) - y) ** 2).mean()))

    def closure():
        other.zero_grad()
        loss = ((theirs(torch.tensor(x)) - torch.tensor(y)) ** 2).mean()
        loss.backward()
        return loss

    for _ in range(2):
        assert_close(step(), other.step(closure).item(), rtol=1e-8)
    for name, value in theirs.state_dict().items():
        assert_close(model.state_dict()[name], value.numpy(), rtol=1e-6, atol=1e-9, what=name)


def test_a_compiled_closure_must_not_make_parts():
    class Keeps(nn.Module):
        def forward(self, x):
            self.last = nn.Buffer(x)
            return x

    model = nn.Sequential(nn.Linear(3, 3), Keeps())
    optimizer = optim.LBFGS(model.parameters(), max_iter=2)
    before = model[0].weight.numpy()
    x = rand(2, 5, 3).astype("float32")
    with pytest.raises(RuntimeError, match=r"LBFGS\.step: .*would be made within it"):
        fnn.jit(lambda: optimizer.step(lambda: (model(x) ** 2).sum()))()
    assert_close(model[0].weight, before)
    assert not hasattr(model[1], "last")


def test_parameters_without_elements():
    p = nn.Parameter(jnp.zeros((0, 2), "float32"))
    optimizer = optim.LBFGS([p])
    assert float(optimizer.step(lambda: p.sum() + 2)) == 2
    assert float(fnn.jit(lambda: optimizer.step(lambda: p.sum() + 2))()) == 2
