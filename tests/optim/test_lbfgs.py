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


@needs_torch
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.parametrize(
    ("bad", "line_search_fn"),
    [
        ([float("nan"), 1.0, 2.0], None),
        ([float("nan")] * 3, None),
        ([float("inf"), 1.0, 2.0], None),
        ([float("nan"), 1.0, 2.0], "strong_wolfe"),  # with inf torch's search dies of an IndexError
    ],
)
def test_a_component_without_a_number_spoils_what_it_spoils_in_torch(bad, line_search_fn):
    import torch

    begin, slope = rand(0, 3), np.array(bad)
    theirs = torch.tensor(begin, requires_grad=True)
    optimizer = torch.optim.LBFGS([theirs], lr=0.5, max_iter=3, line_search_fn=line_search_fn)

    def closure():
        optimizer.zero_grad()
        loss = (theirs * torch.tensor(slope)).sum()
        loss.backward()
        return loss

    rule, ours = lbfgs(lr=0.5, max_iter=3, line_search_fn=line_search_fn), jnp.asarray(begin)
    state = rule.init(ours)
    for _ in range(2):
        optimizer.step(closure)
        updates, state = rule.update(None, state, ours, value_fn=lambda p: jnp.sum(p * slope))
        ours = apply_updates(ours, updates)
        assert_close(ours, theirs.detach(), 1e-9, 1e-9)


def exactly(mpmath, steps, lr):
    """L-BFGS without a search on Rosenbrock's function, by its formulas with 60 digits: the points after each step."""
    x, pairs, points, old, move = [mpmath.mpf(-12) / 10, mpmath.mpf(1)], [], [], None, []

    def dot(a, b):
        return sum(u * v for u, v in zip(a, b, strict=True))

    for step in range(steps):
        g = [-2 * (1 - x[0]) - 400 * x[0] * (x[1] - x[0] ** 2), 200 * (x[1] - x[0] ** 2)]
        if old is not None:
            y = [a - b for a, b in zip(g, old, strict=True)]
            if dot(y, move) > mpmath.mpf(10) ** -10:
                pairs.append((move, y))
        q, factors = [-v for v in g], []
        for s, y in reversed(pairs):
            factors.append(dot(s, q) / dot(s, y))
            q = [a - factors[-1] * b for a, b in zip(q, y, strict=True)]
        if pairs:
            s, y = pairs[-1]
            q = [dot(s, y) / dot(y, y) * v for v in q]
        for (s, y), factor in zip(pairs, reversed(factors), strict=True):
            q = [a + (factor - dot(y, q) / dot(s, y)) * b for a, b in zip(q, s, strict=True)]
        t = lr * (min(mpmath.mpf(1), 1 / (abs(g[0]) + abs(g[1]))) if step == 0 else 1)
        move, old = [t * v for v in q], g
        x = [a + b for a, b in zip(x, move, strict=True)]
        points.append([float(v) for v in x])
    return np.array(points)


@needs_torch
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.parametrize("lr", [1.0, 0.5])
def test_departures_from_torch_on_rosenbrock_are_rounding(lr):
    """The iteration magnifies each rounding: in float64 all agree, in float32 we are as near the exact run as torch is."""
    mpmath, torch = pytest.importorskip("mpmath"), pytest.importorskip("torch")
    with mpmath.workdps(60):
        exact = exactly(mpmath, 40, lr)
    errors = {}
    for dtype in (np.float64, np.float32):
        theirs = torch.tensor(np.array([-1.2, 1.0], dtype), requires_grad=True)
        optimizer = torch.optim.LBFGS([theirs], lr=torch.tensor(lr), max_iter=10)

        def closure(theirs=theirs, optimizer=optimizer):
            optimizer.zero_grad()
            loss = rosenbrock(theirs)
            loss.backward()
            return loss

        rule = lbfgs(lr=jnp.asarray(lr), max_iter=10)
        ours, step = (
            jnp.array([-1.2, 1.0], dtype),
            jax.jit(lambda s, p, r=rule: r.update(None, s, p, value_fn=rosenbrock)),
        )
        state = rule.init(ours)
        for call in range(4):
            optimizer.step(closure)
            updates, state = step(state, ours)
            ours = apply_updates(ours, updates)
            wanted = exact[10 * call + 9]
            errors[dtype, call] = [np.abs(np.asarray(v) - wanted).max() for v in (ours, theirs.detach())]
    for call in range(4):
        assert max(errors[np.float64, call]) < 1e-9
        mine, other = errors[np.float32, call]
        assert mine < 8 * other + 1e-6, (call, mine, other)


def test_a_second_group_is_refused_where_torch_refuses_it():
    a, b = Parameter(np.ones(1)), Parameter(np.ones(1))
    with pytest.raises(ValueError, match="parameter groups are not supported"):
        optim.LBFGS([{"params": [a]}, {"params": [b]}])
    optimizer = optim.LBFGS([a])
    optimizer.add_param_group({"params": [b]})
    assert len(optimizer.param_groups) == 2
    with pytest.raises(AssertionError, match="one parameter group, got 2"):
        optimizer.step(lambda: a.sum())
    with pytest.raises(AssertionError, match="one parameter group, got 2"):
        fnn.jit(lambda: optimizer.step(lambda: a.sum()))()


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
