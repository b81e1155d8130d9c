"""Every rule against torch.optim over 25 steps in float64: all options, several shapes, eager, jitted, traced options."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.optim import adafactor, adagrad, adam, adamw, asgd, muon, sgd, sparse_adam
from fnn.optim.transform import apply_updates
from fnn.tensor.row_sparse import RowSparse
from tests.optim.optimizer_cases import BAD, CASES, RULES
from tests.oracle import assert_close, needs_torch, rand

STEPS = 25
SHAPES = [(), (5,), (3, 4), (2, 3, 4), (1, 1)]
# Muon and SparseAdam have tests of their own.
OPTIONS = {name: case.options for name, case in CASES.items() if case.parameters == "any"}
TRACED = {name: case.traced for name, case in CASES.items() if case.traced}


def start():
    return [rand(i, *shape) for i, shape in enumerate(SHAPES)]


def slopes(params, step, where=np):
    """The gradient of a quadratic bowl that moves with the step: it depends on the parameters and changes sign."""
    return [p * (0.5 + i) + where.sin(0.7 * step + i) for i, p in enumerate(params)]


def torch_run(name, options, steps=STEPS):
    import torch

    old = torch.get_default_dtype()
    # torch keeps the scalars of its state in the default dtype.
    torch.set_default_dtype(torch.float64)
    try:
        params = [torch.tensor(p, requires_grad=True) for p in start()]
        optimizer = getattr(torch.optim, name)(params, foreach=False, **options)
        out = []
        for step in range(steps):
            grads = slopes([p.detach().numpy() for p in params], step)
            for p, g in zip(params, grads, strict=True):
                p.grad = torch.as_tensor(np.array(g))
            optimizer.step()
            out.append([p.detach().numpy().copy() for p in params])
        return out, optimizer
    finally:
        torch.set_default_dtype(old)


def check(actual, expected, what):
    for step, (a, e) in enumerate(zip(actual, expected, strict=True)):
        for i, (x, y) in enumerate(zip(a, e, strict=True)):
            assert_close(x, y, 1e-9, 1e-9, f"{what} step {step} shape {SHAPES[i]}")


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_parameters_follow_torch(name):
    tables = OPTIONS[name]
    rules = [RULES[name](**options) for options in tables]

    @jax.jit
    def step_all(all_params, states, step):
        out_params, out_states = [], []
        for rule, params, state in zip(rules, all_params, states, strict=True):
            updates, state = rule.update(slopes(params, step, jnp), state, params)
            out_params.append(apply_updates(params, updates))
            out_states.append(state)
        return out_params, out_states

    begin = [jnp.asarray(p) for p in start()]
    params = [begin for _ in rules]
    states = [rule.init(begin) for rule in rules]
    history = []
    for step in range(STEPS):
        params, states = step_all(params, states, step)
        history.append(params)
    for i, options in enumerate(tables):
        expected, optimizer = torch_run(name, options)
        check([h[i] for h in history], expected, f"{name} {options}")
        assert type(states[i])._fields[0] == "step"
        assert int(states[i].step) == STEPS
        for j, parameter in enumerate(optimizer.param_groups[0]["params"]):
            for key, value in optimizer.state[parameter].items():
                if key == "step" or value is None:
                    continue
                ours = getattr(states[i], key)
                assert_close(ours[j] if isinstance(ours, list) else ours, value, 1e-9, 1e-9, f"{name} state {key}")


@needs_torch
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_gradient_that_is_no_number_spoils_what_it_spoils_in_torch(name, bad):
    import torch

    shapes = [(4,), (2, 2, 3)]
    begin = [rand(i, *shape) for i, shape in enumerate(shapes)]
    theirs = [torch.tensor(p, requires_grad=True) for p in begin]
    optimizer = getattr(torch.optim, name)(theirs, foreach=False)
    rule = RULES[name]()
    params = [jnp.asarray(p) for p in begin]
    state = rule.init(params)
    for step in range(3):
        grads = [rand(10 * step + i, *shape) for i, shape in enumerate(shapes)]
        if step == 1:
            for g in grads:
                g.flat[1] = bad
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        updates, state = rule.update([jnp.asarray(g) for g in grads], state, params)
        params = apply_updates(params, updates)
        for ours, p in zip(params, theirs, strict=True):
            # An infinite parameter may become NaN, as an update is added to it: inf - 0.1 inf. Not to more digits, as torch
            # keeps some scalars in float32.
            a, b = (np.where(np.isfinite(x), x, np.nan) for x in (np.asarray(ours), p.detach().numpy()))
            assert_close(a, b, 1e-6, 1e-6, f"{name} step {step}")


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_eager_steps_follow_torch(name):
    options = OPTIONS[name][-2]
    rule = RULES[name](**options)
    params = [jnp.asarray(p) for p in start()]
    state = rule.init(params)
    history = []
    for step in range(4):
        updates, state = rule.update(slopes(params, step), state, params)
        params = apply_updates(params, updates)
        history.append(params)
    check(history, torch_run(name, options, 4)[0], name)


@needs_torch
@pytest.mark.parametrize("name", sorted(TRACED))
def test_every_number_may_be_traced(name):
    options = TRACED[name]

    @jax.jit
    def run(options):
        rule = RULES[name](**options)
        params = [jnp.asarray(p) for p in start()]

        def body(carry, step):
            params, state = carry
            updates, state = rule.update(slopes(params, step, jnp), state, params)
            return (apply_updates(params, updates), state), params

        (params, _), _ = jax.lax.scan(body, (params, rule.init(params)), jnp.arange(STEPS))
        return params

    check([run(options)], torch_run(name, options)[0][-1:], name)


@pytest.mark.parametrize("name", [n for n in RULES if n != "SparseAdam"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_leaves_keep_their_dtype(name, dtype):
    options = TRACED.get(name, {"lr": 0.1, "momentum": 0.9})
    wide = jax.tree.map(lambda v: jnp.asarray(v, jnp.float64), options)
    rule = RULES[name](**wide)
    params = [jnp.ones((2, 3), dtype)]
    exact = [jnp.ones((2, 3), jnp.float64)]
    state, exact_state = rule.init(params), RULES[name](**options).init(exact)
    for _ in range(2):
        updates, state = rule.update([jnp.full((2, 3), 0.5, dtype)], state, params)
        params = apply_updates(params, updates)
        updates, exact_state = RULES[name](**options).update([jnp.full((2, 3), 0.5)], exact_state, exact)
        exact = apply_updates(exact, updates)
    assert params[0].dtype == dtype
    fields = [v for v in state if isinstance(v, list)]
    assert all(leaf.dtype == dtype for field in fields for leaf in jax.tree.leaves(field))
    assert state.step.dtype == jnp.int32
    tolerance = 1e-5 if dtype == jnp.float32 and name != "Muon" else 1.5e-2
    assert_close(params[0].astype(jnp.float64), exact[0], tolerance, tolerance, name)


@pytest.mark.parametrize("name", [n for n in RULES if n != "SparseAdam"])
def test_none_gradient_leaves_the_parameter_untouched(name):
    rule = RULES[name](lr=0.1)
    params = {"a": jnp.ones((2, 2)), "b": {"c": jnp.ones((2, 2))}}
    state = rule.init(params)
    updates, new = rule.update({"a": None, "b": {"c": jnp.ones((2, 2))}}, state, params)
    moved = apply_updates(params, updates)
    assert moved["a"] is params["a"]
    assert bool((moved["b"]["c"] != 1).all())
    for old, now in zip(state[1:], new[1:], strict=True):
        if isinstance(old, dict) and old["a"] is not None:
            assert now["a"] is old["a"]


@needs_torch
@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad", "Rprop", "RMSprop"])
def test_complex_parameters(name):
    import torch

    begin = rand(1, 3) + 1j * rand(2, 3)
    grads = [rand(3 + i, 3) + 1j * rand(9 + i, 3) for i in range(3)]
    theirs = torch.tensor(begin, requires_grad=True)
    optimizer = getattr(torch.optim, name)([theirs], lr=0.1, foreach=False)
    rule, ours = RULES[name](lr=0.1), jnp.asarray(begin)
    state = rule.init(ours)
    for g in grads:
        theirs.grad = torch.tensor(g)
        optimizer.step()
        updates, state = rule.update(jnp.asarray(g), state, ours)
        ours = apply_updates(ours, updates)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-9, atol=1e-9)


def sparse_grads(step, rows=7, width=2):
    rng = np.random.default_rng(step)
    indices = rng.integers(0, rows, 5)
    return indices, rng.uniform(-1, 1, (5, width))


@needs_torch
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "maximize": True}),
        ("SGD", {"lr": 0.1, "momentum": 0.9}),
        ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}),
        ("Adagrad", {"lr": 0.1, "maximize": True, "initial_accumulator_value": 0.1}),
        ("SparseAdam", {"lr": 0.1}),
        ("SparseAdam", {"lr": 0.1, "betas": (0.5, 0.6), "eps": 0.1, "maximize": True}),
    ],
)
def test_row_sparse_gradients_follow_torch(name, options):
    import torch

    begin = rand(0, 7, 2)
    theirs = torch.tensor(begin, requires_grad=True)
    optimizer = getattr(torch.optim, name)([theirs], **options)
    rule = RULES[name](**options)
    step_once = jax.jit(lambda g, s, p: (lambda u, s: (apply_updates(p, u), s))(*rule.update(g, s, p)))
    ours = jnp.asarray(begin)
    state = rule.init(ours)
    for step in range(STEPS):
        indices, values = sparse_grads(step)
        with torch.sparse.check_sparse_tensor_invariants():
            theirs.grad = torch.sparse_coo_tensor(indices[None], torch.tensor(values), (7, 2))
        optimizer.step()
        ours, state = step_once(RowSparse(jnp.asarray(indices), jnp.asarray(values), (7, 2)), state, ours)
        assert_close(ours, theirs.detach(), 1e-9, 1e-9, f"{name} step {step}")


def test_row_sparse_updates_leave_other_rows_alone():
    params = jnp.ones((4, 2))
    grads = RowSparse(jnp.array([1, 1, 9, -1]), jnp.ones((4, 2)), (4, 2))
    for rule in (sgd(lr=0.5), adagrad(lr=0.5), sparse_adam(lr=0.5)):
        updates, state = rule.update(grads, rule.init(params), params)
        assert isinstance(updates, RowSparse)
        moved = apply_updates(params, updates)
        assert bool((moved[jnp.array([0, 2, 3])] == 1).all())
        assert bool((moved[1] < 1).all())
        for field in state[1:]:
            if field is not None:
                assert not bool(field[jnp.array([0, 2, 3])].any())


def test_row_sparse_errors():
    params = jnp.ones((4, 2))
    grads = RowSparse(jnp.array([1]), jnp.ones((1, 2)), (4, 2))
    with pytest.raises(RuntimeError, match="adam: does not support row-sparse"):
        adam().update(grads, adam().init(params), params)
    with pytest.raises(RuntimeError, match="sgd: weight_decay is not compatible with row-sparse"):
        sgd(weight_decay=0.1).update(grads, sgd().init(params), params)
    with pytest.raises(RuntimeError, match="adagrad: weight_decay is not compatible with row-sparse"):
        adagrad(weight_decay=0.1).update(grads, adagrad().init(params), params)
    with pytest.raises(RuntimeError, match="sparse_adam: does not support dense"):
        sparse_adam().update(params, sparse_adam().init(params), params)


@pytest.mark.parametrize(("name", "options"), BAD)
def test_bad_hyperparameters(name, options):
    rule = RULES[name]
    argument = "nesterov" if "nesterov" in options else next(iter(options))
    with pytest.raises(ValueError, match=f"{rule.__name__}: {argument}"):
        rule(**options)


@needs_torch
@pytest.mark.parametrize(("name", "options"), BAD)
def test_torch_refuses_the_same(name, options):
    import torch

    with pytest.raises(ValueError):
        getattr(torch.optim, name)([torch.zeros(2, 2, requires_grad=True)], **options)


FIRST_MOMENTS = {
    "Adam": "exp_avg",
    "AdamW": "exp_avg",
    "Adamax": "exp_avg",
    "NAdam": "exp_avg",
    "RAdam": "exp_avg",
    "SparseAdam": "exp_avg",
    "RMSprop": "grad_avg",
    "Muon": "momentum_buffer",
}


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("name", sorted(FIRST_MOMENTS))
def test_a_first_moment_without_memory_is_the_gradient(name, traced):
    def step(beta, state, grad):
        options = {"alpha": beta, "centered": True} if name == "RMSprop" else {"betas": (beta, 0.9)}
        rule = RULES[name](**({"momentum": beta} if name == "Muon" else options))
        params = jnp.ones((1, 1), jnp.float32)
        state = rule.init(params) if state is None else state
        dense = jnp.full((1, 1), grad, jnp.float32)
        return rule.update(RowSparse(jnp.array([0]), dense, (1, 1)) if name == "SparseAdam" else dense, state, params)[
            1
        ]

    for beta in (0.0, 0.25):
        state, exact = None, 0.0
        for grad in (1.0, 1e5, 1e-3, -7e4, 1e-2):
            state = (jax.jit(step) if traced else step)(beta, state, grad)
            exact = beta * exact + (1 - beta) * float(np.float32(grad))
            assert_close(getattr(state, FIRST_MOMENTS[name]), np.full((1, 1), exact), 4e-7, 0, f"{name} beta {beta}")


def test_the_first_second_moments_of_adafactor_are_those_of_the_gradient():
    # The first step takes the gradient alone, whatever the state held.
    rule, params = adafactor(), jnp.ones((1, 1), jnp.float32)
    state = rule.init(params)._replace(row_var=jnp.full((1, 1), 1e9, jnp.float32))
    _, state = rule.update(jnp.full((1, 1), 1e-3, jnp.float32), state, params)
    assert_close(state.row_var, np.full((1, 1), 1e-6), 1e-6, 0)


def test_odd_hyperparameters():
    with pytest.raises(ValueError, match="lr must be a number"):
        adam(lr=jnp.ones(2))
    with pytest.raises(TypeError, match="betas must be a tuple of 2 numbers"):
        adam(betas=0.9)
    with pytest.raises(TypeError, match="lr must be a number"):
        sgd(lr="fast")
    # As in torch they are looked at when they are used.
    for options in ({"ns_steps": 100}, {"ns_coefficients": (1.0, 2.0)}):
        rule = muon(weight_decay=0, **options)
        with pytest.raises(ValueError, match=f"muon: {next(iter(options))}"):
            rule.update(jnp.ones((2, 2)), rule.init(jnp.ones((2, 2))))
    with pytest.raises(ValueError, match="muon: params must be 2-D"):
        muon().init(jnp.ones(3))
    for rule in (adamw(), sgd(weight_decay=0.1), asgd(), adafactor(), muon()):
        with pytest.raises(ValueError, match="params must be given"):
            rule.update(jnp.ones((2, 2)), rule.init(jnp.ones((2, 2))))


def test_schedule_as_learning_rate():
    rule = sgd(lr=lambda count: 1.0 / (count + 1))
    state = rule.init(jnp.zeros(()))
    steps = []
    for _ in range(3):
        update, state = rule.update(jnp.ones(()), state)
        steps.append(float(update))
    np.testing.assert_allclose(steps, [-1, -1 / 2, -1 / 3], rtol=1e-12)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_schedule_that_returns_several_numbers_is_named(name):
    rule = RULES[name](lr=lambda count: jnp.ones(2))
    params = jnp.ones((1, 1))
    grad = RowSparse(jnp.array([0]), params, (1, 1)) if name == "SparseAdam" else params
    with pytest.raises(ValueError, match=rf"^{RULES[name].__name__}: lr must be one number.* got float"):
        jax.jit(rule.update)(grad, rule.init(params), params)  # some take the first rate in init


@needs_torch
@pytest.mark.parametrize("name", sorted(RULES))
def test_signatures_are_torch_s(name):
    import torch

    theirs = list(inspect.signature(getattr(torch.optim, name)).parameters.values())[1:]
    ours = list(inspect.signature(RULES[name]).parameters.values())
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs]
