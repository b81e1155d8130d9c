"""L-BFGS against torch's, closure by closure, and on problems with a known solution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import optim
from fnn.nn import Parameter
from fnn.optim.lbfgs import LBFGSState, lbfgs
from fnn.optim.transform import apply_updates, chain
from tests.oracle import assert_close, needs_torch, rand, to_torch


def rosenbrock(p, lib=None):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def wavy(p, lib):
    """Smooth, not convex, of scale far from 1, so that the search must bracket and zoom."""
    return 5 * (p**4).sum() + lib.sin(3 * p).sum() + 30 * ((p[1:] - p[:-1]) ** 2).sum()


PROBLEMS = {
    "rosenbrock": (rosenbrock, np.array([-1.2, 1.0])),
    "wavy": (wavy, rand(3, 6) * 2),
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

    function, begin = PROBLEMS[problem]
    theirs = torch.tensor(begin, requires_grad=True)
    optimizer = torch.optim.LBFGS([theirs], **options)
    evaluations = []

    def closure():
        optimizer.zero_grad()
        loss = function(theirs, torch)
        loss.backward()
        evaluations.append(loss.item())
        return loss

    rule = lbfgs(**options)

    @jax.jit
    def step(p, state):
        updates, state = rule.update(None, state, p, value_fn=lambda p: function(p, jnp))
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


# The object


OBJECT_OPTIONS = [
    {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 3},
    {"lr": 0.01, "max_iter": 5, "max_eval": 4},
]


def pair(torch, options, start):
    p = Parameter(start)
    q = torch.tensor(np.asarray(start), requires_grad=True)
    ours, theirs = optim.LBFGS([p], **options), torch.optim.LBFGS([q], **options)
    losses = []

    def closure():
        theirs.zero_grad()
        loss = wavy(q, torch)
        loss.backward()
        losses.append(loss.item())
        return loss

    return p, q, ours, theirs, closure, losses


@pytest.mark.slow
@needs_torch
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.parametrize("options", OBJECT_OPTIONS)
def test_object_follows_torch_closure_by_closure(options, double):
    p, q, ours, theirs, closure, losses = pair(double, options, rand(3, 6) * 2)
    seen = []

    def loss():
        value = wavy(p, jnp)
        jax.debug.callback(lambda v: seen.append(float(v)), value)
        return value

    for step in range(4):
        expected = theirs.step(closure)
        got = ours.step(loss)
        assert_close(got, expected.detach(), 1e-7, 1e-9, f"step {step}")
        assert_close(p.data, q.detach(), 1e-7, 1e-9, f"step {step}")
    np.testing.assert_allclose(seen, losses, rtol=1e-7)
    kept, wanted = ours.state_dict()["state"][0], theirs.state_dict()["state"][0]
    assert kept.keys() == wanted.keys()
    for key in ("func_evals", "n_iter"):
        assert kept[key] == wanted[key]
    for key in ("d", "t", "H_diag", "prev_flat_grad", "prev_loss", "old_dirs", "old_stps", "ro"):
        for a, b in zip(np.atleast_1d(kept[key]), np.atleast_1d(to_array(wanted[key])), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9, err_msg=key)


def to_array(value):
    return np.stack([v.numpy() for v in value]) if isinstance(value, list) else np.asarray(value)


@pytest.mark.slow
@needs_torch
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
def test_object_states_are_exchanged_with_torch_midway(double):
    options = OBJECT_OPTIONS[0]
    p, q, ours, theirs, closure, _ = pair(double, options, rand(3, 6) * 2)
    run = fnn.jit(lambda: ours.step(lambda: wavy(p, jnp)))
    for _ in range(2):
        theirs.step(closure)
        assert np.isfinite(float(run()))
    p2, q2, taken, given, closure2, _ = pair(double, options, p.numpy())
    taken.load_state_dict(theirs.state_dict())
    given.load_state_dict(to_torch(ours.state_dict()))
    run2 = fnn.jit(lambda: taken.step(lambda: wavy(p2, jnp)))
    for step in range(2):
        losses = [theirs.step(closure), given.step(closure2)]
        got = run2()
        for loss, other in zip(losses, (q, q2), strict=True):
            assert_close(got, loss.detach(), 1e-7, 1e-9, f"step {step}")
            assert_close(p2.data, other.detach(), 1e-7, 1e-9, f"step {step}")
    assert taken.state_dict()["state"][0]["n_iter"] == theirs.state_dict()["state"][0]["n_iter"]


def test_object_solves_rosenbrock_over_two_parameters():
    x, y = Parameter(np.array(-1.2)), Parameter(np.array([1.0]))
    frozen = Parameter(np.ones(2), requires_grad=False)
    optimizer = optim.LBFGS([x, y, frozen], line_search_fn="strong_wolfe", max_iter=100, tolerance_change=1e-16)

    @fnn.jit
    def step():
        return optimizer.step(
            lambda: ((frozen[0] - x) ** 2 + 100 * (y[0] - x**2) ** 2, frozen * 2),
            has_aux=True,
        )

    loss, aux = step()
    assert float(loss) == pytest.approx(24.2)
    assert aux.tolist() == [2, 2]
    np.testing.assert_allclose([float(x), float(y)], [1, 1], rtol=1e-6)
    assert frozen.numpy().tolist() == [1, 1]


def test_object_evaluations_write_buffers_as_in_torch_and_errors_change_nothing():
    torch_like = fnn.nn.BatchNorm1d(2, dtype=np.float64)
    x = rand(0, 5, 2)
    optimizer = optim.LBFGS(torch_like.parameters(), lr=0.1, max_iter=3)
    optimizer.step(lambda: (torch_like(x) ** 2).sum() + (torch_like.weight**4).sum())
    assert int(torch_like.num_batches_tracked) == optimizer.state_dict()["state"][0]["func_evals"] == 3
    before, calls = {k: np.array(v) for k, v in torch_like.state_dict().items()}, []

    def fails():
        calls.append(1)
        loss = (torch_like(x) ** 2).sum()
        if len(calls) == 2:
            raise KeyError("no")
        return loss

    with pytest.raises(KeyError):
        optimizer.step(fails)
    assert len(calls) == 2
    for key, value in torch_like.state_dict().items():
        assert np.array_equal(value, before[key]), key
    with pytest.raises(TypeError, match=r"LBFGS.step: closure must be given"):
        optimizer.step()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(fnn.nn.functional, "lstm_cell"), reason="needs the recurrent functions")
def test_object_fits_two_sines_with_lstm_cells():
    F = fnn.nn.functional
    t = np.arange(40)
    series = np.stack([np.sin(t / 4 + 0.3), np.sin(t / 7 + 1.0)])
    sizes = [(24, 1), (24, 6), (24,), (24,), (1, 6), (1,)]
    ps = [Parameter(rand(i, *s) / 3) for i, s in enumerate(sizes)]
    optimizer = optim.LBFGS(ps, lr=0.8, line_search_fn="strong_wolfe")

    @fnn.jit
    def train(x):
        def loss():
            w, u, b, c, out, shift = [p.data for p in ps]

            def cell(state, column):
                state = F.lstm_cell(column[:, None], state, w, u, b, c)
                return state, (state[0] @ out.T + shift)[:, 0]

            zeros = jnp.zeros((2, 6))
            _, predicted = jax.lax.scan(cell, (zeros, zeros), x[:, :-1].T)
            return ((predicted.T - x[:, 1:]) ** 2).mean()

        return optimizer.step(loss)

    losses = [float(train(series)) for _ in range(12)]
    assert losses[0] > 0.1
    assert losses[-1] < 1e-3
