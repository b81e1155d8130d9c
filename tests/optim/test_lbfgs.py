"""L-BFGS against torch's, closure by closure, and on problems with a known solution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.optim.lbfgs import LBFGSState, lbfgs
from fnn.optim.transform import apply_updates, chain
from tests.oracle import assert_close, needs_torch, rand


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def wavy(p):
    """Smooth, not convex, of scale far from 1, so that the search must bracket and zoom."""
    return (p**4).sum() * 5 + (3 * p).sin().sum() + ((p[1:] - p[:-1]) ** 2).sum() * 30


def wavy_jax(p):
    return jnp.sum(p**4) * 5 + jnp.sum(jnp.sin(3 * p)) + jnp.sum((p[1:] - p[:-1]) ** 2) * 30


PROBLEMS = {
    "rosenbrock": (rosenbrock, rosenbrock, np.array([-1.2, 1.0])),
    "wavy": (wavy, wavy_jax, rand(3, 6) * 2),
}
OPTIONS = [
    pytest.param("rosenbrock", {"line_search_fn": "strong_wolfe", "max_iter": 5}, marks=pytest.mark.slow),
    ("rosenbrock", {"line_search_fn": "strong_wolfe", "max_iter": 4, "lr": 0.1, "history_size": 2}),
    ("rosenbrock", {"lr": 1e-3, "max_iter": 4, "history_size": 3}),
    ("wavy", {"line_search_fn": "strong_wolfe", "max_iter": 6, "history_size": 3}),
    ("wavy", {"line_search_fn": "strong_wolfe", "lr": 20.0, "max_iter": 3}),
    pytest.param("wavy", {"line_search_fn": "strong_wolfe", "max_iter": 8, "max_eval": 4}, marks=pytest.mark.slow),
    pytest.param(
        "wavy",
        {"line_search_fn": "strong_wolfe", "tolerance_grad": 0.5, "tolerance_change": 1e-3},
        marks=pytest.mark.slow,
    ),
    ("wavy", {"lr": 0.01, "max_iter": 5, "max_eval": 3}),
]


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.parametrize(("problem", "options"), OPTIONS)
def test_follows_torch_closure_by_closure(problem, options):
    import torch

    of_torch, of_jax, begin = PROBLEMS[problem]
    theirs = torch.tensor(begin, requires_grad=True)
    optimizer = torch.optim.LBFGS([theirs], **options)
    evaluations = []

    def closure():
        optimizer.zero_grad()
        loss = of_torch(theirs)
        loss.backward()
        evaluations.append(loss.item())
        return loss

    rule = lbfgs(**options)

    @jax.jit
    def step(p, state):
        updates, state = rule.update(None, state, p, value_fn=of_jax)
        return apply_updates(p, updates), state

    ours = jnp.asarray(begin)
    state = rule.init(ours)
    for call in range(8):
        loss = optimizer.step(closure)
        ours, state = step(ours, state)
        what = f"{problem} {options} call {call}"
        assert int(state.func_evals) == len(evaluations), what
        assert_close(state.loss, loss.detach(), 1e-7, 1e-9, what)
        assert_close(ours, theirs.detach(), 1e-7, 1e-9, what)
        kept = optimizer.state[theirs]
        assert int(state.n_iter) == kept["n_iter"], what
        if "old_dirs" in kept:
            assert int(state.num_old) == len(kept["old_dirs"]), what
    assert int(state.step) == 8


def test_solves_rosenbrock_over_a_pytree():
    rule = lbfgs(line_search_fn="strong_wolfe", max_iter=100, tolerance_change=1e-16)
    params = {"x": jnp.array(-1.2), "y": jnp.array([1.0])}

    def loss(p):
        return rosenbrock([p["x"], p["y"][0]])

    updates, state = chain(rule).update(None, chain(rule).init(params), params, value_fn=loss)
    moved = apply_updates(params, updates)
    assert isinstance(state[0], LBFGSState)
    np.testing.assert_allclose([moved["x"], moved["y"][0]], [1, 1], rtol=1e-6)


def test_at_the_minimum_nothing_moves():
    rule = lbfgs()
    updates, state = rule.update(None, rule.init(jnp.zeros(3)), jnp.zeros(3), value_fn=lambda p: jnp.sum(p**2))
    assert not bool(updates.any())
    assert int(state.n_iter) == 0
    assert int(state.func_evals) == 1


def test_float32_stays():
    params = jnp.array([3.0, -2.0], jnp.float32)
    rule = lbfgs(lr=jnp.float64(1.0), line_search_fn="strong_wolfe")
    updates, state = rule.update(None, rule.init(params), params, value_fn=lambda p: jnp.sum((p - 1) ** 2))
    assert updates.dtype == state.d.dtype == state.old_dirs.dtype == jnp.float32
    np.testing.assert_allclose(params + updates, [1, 1], rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="lbfgs: lr"):
        lbfgs(lr=-1)
    with pytest.raises(RuntimeError, match="lbfgs: line_search_fn must be None or 'strong_wolfe'"):
        lbfgs(line_search_fn="armijo")
    rule = lbfgs()
    with pytest.raises(ValueError, match="lbfgs: params must be given"):
        rule.update(None, rule.init(jnp.ones(2)), value_fn=jnp.sum)
    with pytest.raises(ValueError, match="lbfgs: value_fn must be given"):
        rule.update(None, rule.init(jnp.ones(2)), jnp.ones(2))
    with pytest.raises(TypeError, match="lbfgs: params must be of a real floating dtype"):
        rule.init(jnp.ones(2, jnp.complex64))
