"""The optimizer objects against torch.optim in float64: numbers, states in both directions, errors, row-sparse gradients."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import optim
from fnn.nn import Parameter
from fnn.tensor.row_sparse import RowSparse
from tests.optim.optimizer_cases import BAD, CASES
from tests.oracle import assert_close, needs_torch, rand, to_torch

STEPS = 25
SHAPES = [(), (5,), (3, 4), (2, 1, 4)]
MATRICES = [(3, 4), (4, 2), (1, 1)]
FULL = {name: case.options for name, case in CASES.items()}
# The rules themselves are tested over every option; here a few groups of each show that the objects hand them on.
TABLE = {name: [*options[::6], options[-1]] for name, options in FULL.items()}
NAMES = [*TABLE, "LBFGS"]


def shapes_of(name):
    return {"matrices": MATRICES, "rows": [(7, 2)], "any": SHAPES}[CASES[name].parameters]


def begin(name, table=TABLE):
    return [[rand(i, *shape) for i, shape in enumerate(shapes_of(name))] for _ in table[name]]


def our_optimizer(name, start, table=TABLE):
    groups = [
        {"params": [Parameter(a) for a in group], **options} for group, options in zip(start, table[name], strict=True)
    ]
    return getattr(optim, name)(groups)


def torch_optimizer(torch, name, start, table=TABLE):
    groups = [
        {"params": [torch.tensor(a, requires_grad=True) for a in group], **options}
        for group, options in zip(start, table[name], strict=True)
    ]
    return getattr(torch.optim, name)(groups)


def parameters(optimizer):
    return [p for group in optimizer.param_groups for p in group["params"]]


def gradients(name, step):
    """Random gradients of one group, those of SparseAdam as indices and rows."""
    if CASES[name].parameters == "rows":
        draw = np.random.default_rng(step)
        return [(draw.integers(0, 7, 5), draw.uniform(-1, 1, (5, 2)))]
    return [rand(100 * (step + 1) + i, *shape) for i, shape in enumerate(shapes_of(name))]


def our_step(name, optimizer, step):
    for p, g in zip(parameters(optimizer), gradients(name, step) * len(optimizer.param_groups), strict=True):
        p.grad = RowSparse(jnp.asarray(g[0]), jnp.asarray(g[1]), p.shape) if CASES[name].parameters == "rows" else g
    optimizer.step()


def torch_step(torch, name, optimizer, step):
    for p, g in zip(parameters(optimizer), gradients(name, step) * len(optimizer.param_groups), strict=True):
        if CASES[name].parameters == "rows":
            with torch.sparse.check_sparse_tensor_invariants():
                p.grad = torch.sparse_coo_tensor(g[0][None], torch.tensor(g[1]), tuple(p.shape))
        else:
            p.grad = torch.tensor(g)
    optimizer.step()


def check_parameters(ours, theirs, what):
    for i, (p, q) in enumerate(zip(parameters(ours), parameters(theirs), strict=True)):
        assert_close(p.data, q.detach(), 1e-9, 1e-9, f"{what} parameter {i} of shape {p.shape}")


def check_state_dicts(ours, theirs, what):
    """Equal keys, numbers and options."""
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine["param_groups"] == other["param_groups"], what
    wanted = {
        key: kept
        for key, values in other["state"].items()
        if (kept := {k: v for k, v in values.items() if v is not None})
    }
    assert mine["state"].keys() == wanted.keys(), what
    for key, values in wanted.items():
        assert mine["state"][key].keys() == values.keys(), f"{what} {key}"
        for field, value in values.items():
            expected = value.detach().numpy() if hasattr(value, "detach") else np.asarray(value)
            assert_close(mine["state"][key][field], expected, 1e-9, 1e-9, f"{what} {key} {field}")


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("table", [TABLE, pytest.param(FULL, marks=pytest.mark.slow)], ids=["some", "all"])
@pytest.mark.parametrize("name", TABLE)
def test_parameters_follow_torch(name, table, double):
    start = begin(name, table)
    ours, theirs = our_optimizer(name, start, table), torch_optimizer(double, name, start, table)
    for step in range(STEPS):
        our_step(name, ours, step)
        torch_step(double, name, theirs, step)
        check_parameters(ours, theirs, f"{name} step {step}")
    check_state_dicts(ours, theirs, name)


@needs_torch
@pytest.mark.parametrize("name", TABLE)
def test_states_are_exchanged_with_torch_midway(name, double):
    ours, theirs = our_optimizer(name, begin(name)), torch_optimizer(double, name, begin(name))
    for step in range(6):
        our_step(name, ours, step)
        torch_step(double, name, theirs, step)
    values = [[p.numpy() for p in group["params"]] for group in ours.param_groups]
    taken, given = our_optimizer(name, values), torch_optimizer(double, name, values)
    taken.load_state_dict(theirs.state_dict())
    given.load_state_dict(to_torch(ours.state_dict()))
    check_state_dicts(taken, theirs, f"{name} taken from torch")
    check_state_dicts(ours, given, f"{name} given to torch")
    for step in range(6, 12):
        our_step(name, taken, step)
        torch_step(double, name, given, step)
        torch_step(double, name, theirs, step)
        check_parameters(taken, theirs, f"{name} taken from torch, step {step}")
        check_parameters(taken, given, f"{name} given to torch, step {step}")


@needs_torch
@pytest.mark.parametrize("name", NAMES)
def test_signature_options_and_repr_are_torchs(name, double):
    ours, theirs = getattr(optim, name), getattr(double.optim, name)

    def described(cls):
        listed = inspect.signature(cls).parameters.values()
        return [(p.name, p.kind, p.default) for p in listed]

    assert described(ours) == described(theirs)
    mine, other = ours([Parameter(np.ones((2, 2)))]), theirs([double.ones(2, 2, requires_grad=True)])
    assert mine.defaults == other.defaults
    assert list(mine.defaults) == list(other.defaults)
    assert mine.state_dict()["param_groups"] == other.state_dict()["param_groups"]
    assert repr(mine) == repr(other)


def test_every_optimizer_is_exported():
    assert set(NAMES) <= set(optim.__all__)
    assert all(issubclass(getattr(optim, name), optim.Optimizer) for name in NAMES)


# Options and parameters that torch refuses


@needs_torch
@pytest.mark.parametrize(("name", "options"), [b for b in BAD if b[0] in NAMES])
def test_bad_options_raise_as_in_torch(name, options):
    import torch

    with pytest.raises(ValueError, match=r"\w"):
        getattr(torch.optim, name)([torch.ones(2, 2, requires_grad=True)], **options)
    with pytest.raises(ValueError, match=r"must be|requires"):
        getattr(optim, name)([Parameter(np.ones((2, 2)))], **options)
    good = {"lr": 0.5} if "lr" in options else {}
    optimizer = getattr(optim, name)([Parameter(np.ones((2, 2)))], **good)
    if name != "LBFGS":
        with pytest.raises(ValueError, match=r"must be|requires"):
            optimizer.add_param_group({"params": [Parameter(np.ones((2, 2)))], **options})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("name", NAMES)
def test_bad_parameters(name):
    make, p = getattr(optim, name), Parameter(np.ones((2, 2)))
    with pytest.raises(ValueError, match="empty parameter list"):
        make([])
    with pytest.warns(UserWarning, match="contains a parameter twice"):
        assert make([p, p]).param_groups[0]["params"] == [p]
    with pytest.raises(TypeError, match="can only optimize Parameters, got ndarray"):
        make([np.ones((2, 2))])
    with pytest.raises(TypeError, match="must be an iterable of Parameters or dicts"):
        make(p)


def test_parameters_that_an_optimizer_does_not_take():
    with pytest.raises(ValueError, match=r"Muon: parameters must be matrices, got shape \(3,\) at index 1"):
        optim.Muon([Parameter(np.ones((2, 2))), Parameter(np.ones(3))])
    with pytest.raises(ValueError, match="SparseAdam: parameters must be real"):
        optim.SparseAdam([Parameter(np.ones((2, 2), np.complex64))])
    groups = [{"params": [Parameter(np.ones(1))]}, {"params": [Parameter(np.ones(1))], "lr": 0.1}]
    with pytest.raises(ValueError, match="LBFGS: parameter groups are not supported"):
        optim.LBFGS(groups)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Adam", "Adafactor", "NAdam", "Muon", "LBFGS", "Adagrad"])
def test_state_of_another_shape_changes_nothing(name):
    def trained(*shapes):
        ps = [Parameter(rand(i, *s)) for i, s in enumerate(shapes)]
        optimizer = getattr(optim, name)(ps, **({"max_iter": 2, "lr": 0.1} if name == "LBFGS" else {}))
        optimizer.step(lambda: sum((p.data**2).sum() for p in ps))
        return optimizer

    optimizer = trained((2, 3))
    before = jax.tree.map(np.asarray, optimizer.state_dict())
    other = trained((2, 4))
    two = trained((2, 3), (2, 3))
    with pytest.raises(ValueError, match=r"must have (shape|rows of) "):
        optimizer.load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match="expected 1 parameters, got 2"):
        optimizer.load_state_dict(two.state_dict())
    with pytest.raises(ValueError, match="different number of parameter groups, expected 1, got 0"):
        optimizer.load_state_dict({"state": {}, "param_groups": []})
    after = jax.tree.map(np.asarray, optimizer.state_dict())
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True))


@needs_torch
def test_adagrad_begins_with_its_sums(double):
    ours, theirs = both(double, "Adagrad", lr=0.1, initial_accumulator_value=0.5)
    check_state_dicts(ours, theirs, "before the first step")
    given = double.optim.Adagrad(parameters(theirs), lr=0.1)
    given.load_state_dict(to_torch(ours.state_dict()))
    for step in range(3):
        step_both(double, ours, given, [rand(step, 3), rand(9 + step, 3)])
        check_parameters(ours, given, f"step {step}")
    ours.add_param_group({"params": [Parameter(np.ones(2))], "initial_accumulator_value": 7.0})
    assert ours.state[parameters(ours)[2]]["sum"].tolist() == [0.5, 0.5]


# The gradients that come and go, the options that change


def both(torch, name, count=2, **options):
    start = [rand(i, 3) for i in range(count)]
    mine, other = [Parameter(a) for a in start], [torch.tensor(a, requires_grad=True) for a in start]
    return getattr(optim, name)(mine, **options), getattr(torch.optim, name)(other, **options)


def step_both(torch, ours, theirs, grads):
    for p, q, g in zip(parameters(ours), parameters(theirs), grads, strict=True):
        p.grad, q.grad = g, None if g is None else torch.tensor(g)
    ours.step()
    theirs.step()


@needs_torch
@pytest.mark.parametrize("name", ["Adam", "NAdam", "ASGD", "Adagrad", "SGD"])
def test_parameters_without_gradient_keep_their_own_count(name, double):
    ours, theirs = both(double, name, 3, lr=0.1, **({"momentum": 0.9} if name == "SGD" else {}))
    for step in range(6):
        grads = [rand(step, 3), rand(9 + step, 3) if step % 2 else None, rand(20 + step, 3) if step > 3 else None]
        step_both(double, ours, theirs, grads)
        check_parameters(ours, theirs, f"{name} step {step}")
    check_state_dicts(ours, theirs, name)


@needs_torch
def test_options_changed_between_steps(double):
    ours, theirs = both(double, "SGD", lr=0.1)
    changes = [{}, {"lr": 0.3}, {"momentum": 0.9}, {"weight_decay": 0.1}, {"nesterov": True}, {"maximize": True}]
    for step, change in enumerate([*changes, {"momentum": 0.5}, {"lr": jnp.array(0.2)}]):
        for key, value in change.items():
            ours.param_groups[0][key] = value
            theirs.param_groups[0][key] = float(value) if key == "lr" else value
        step_both(double, ours, theirs, [rand(step, 3), rand(9 + step, 3)])
        check_parameters(ours, theirs, f"after {change}")


@needs_torch
def test_an_option_that_comes_with_the_state_dict(double):
    """A state_dict brings its options along, and with them the fields of the state that they need."""
    ours, theirs = both(double, "Adam", lr=0.1)
    source = double.optim.Adam(parameters(theirs), lr=0.01, amsgrad=True)
    for q in parameters(theirs):
        q.grad = double.ones(3)
    source.step()
    for p, q in zip(parameters(ours), parameters(theirs), strict=True):
        p.copy_(q)
    ours.load_state_dict(source.state_dict())
    for step in range(3):
        step_both(double, ours, source, [rand(step, 3), rand(9 + step, 3)])
        check_parameters(ours, source, f"step {step}")
    check_state_dicts(ours, source, "amsgrad")


# One program


def counting(cls):
    """The optimizer with a count of how often its rule is traced, once for each group."""

    class Counting(cls):
        traces = 0

        def _transform(self, group):
            rule = super()._transform(group)

            def update(*args, **kwargs):
                type(self).traces += 1
                return rule.update(*args, **kwargs)

            return rule._replace(update=update)

    return Counting


@pytest.mark.parametrize("closure", [False, True])
def test_one_program_until_the_structure_changes(closure):
    cls = counting(optim.Adam)
    ps = [Parameter(rand(i, 3)) for i in range(4)]
    optimizer = cls(ps, lr=0.1)

    def loss():
        return sum((p.data**2).sum() for p in ps[:2])

    def step():
        if closure:
            optimizer.step(loss)
        else:
            for p in ps[:2]:
                p.grad = np.ones(3)
            optimizer.step()

    # The first step tells which parameters have gradients and so share a count; the second starts from that.
    step()
    step()
    first = cls.traces
    assert first <= 2
    for i in range(5):
        optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
        optimizer.param_groups[0]["betas"] = (0.5, 0.9 - 0.1 * i)
        step()
    assert cls.traces == first
    held = ps[0].data
    step()
    assert not held.is_deleted()
    optimizer.param_groups[0]["amsgrad"] = True
    step()
    step()
    assert first < cls.traces <= first + 2
    programs = cls.traces
    optimizer.param_groups[0]["weight_decay"] = 0.1
    step()
    assert cls.traces == programs + 1
    optimizer.param_groups[0]["weight_decay"] = 0.2
    step()
    assert cls.traces == programs + 1


def test_all_parameters_are_updated_by_one_donated_program():
    cls = counting(optim.SGD)
    groups = [{"params": [Parameter(rand(j, 2)) for j in range(3)], "lr": 0.1 * i + 0.1} for i in range(2)]
    optimizer = cls(groups, momentum=0.9)
    every = parameters(optimizer)

    def places():
        held = [*every, *(box for slot in optimizer._slots.values() for box in slot.arrays.values())]
        return {box._data.unsafe_buffer_pointer() for box in held}

    for step in range(3):
        for p in every:
            p.grad = np.ones(2)
        before = places()
        optimizer.step()
        # The new values lie where the old ones did.
        assert step == 0 or places() == before
    assert cls.traces == 2


@needs_torch
@pytest.mark.parametrize("name", ["SGD", "AdamW", "Rprop", "Adafactor", "Muon"])
def test_closure_under_fnn_jit_follows_torch(name, double):
    x, start = rand(5, 4, 3), [rand(0, 3, 2), rand(1, 1, 2)]
    mine, other = [Parameter(a) for a in start], [double.tensor(a, requires_grad=True) for a in start]
    ours, theirs = getattr(optim, name)(mine, lr=0.1), getattr(double.optim, name)(other, lr=0.1)

    @fnn.jit
    def train(x):
        return ours.step(lambda: ((x @ mine[0] + mine[1]) ** 2).mean())

    for step in range(5):
        theirs.zero_grad()
        loss = ((double.tensor(x) @ other[0] + other[1]) ** 2).mean()
        loss.backward()
        theirs.step()
        assert_close(train(x), loss.detach(), 1e-9, 1e-9, f"{name} loss {step}")
        check_parameters(ours, theirs, f"{name} step {step}")


# Row-sparse gradients


@pytest.mark.parametrize("name", ["SparseAdam", "SGD", "Adagrad"])
def test_row_sparse_gradients_touch_only_their_rows(name):
    p = Parameter(np.ones((6, 2)))
    optimizer = getattr(optim, name)([p], lr=0.5)
    for rows in ([1, 1, 4], [4, 5, 0]):
        before = p.numpy().copy()
        states = {k: np.array(v) for k, v in optimizer.state.get(p, {}).items() if np.ndim(v)}
        p.grad = RowSparse(jnp.array(rows), jnp.ones((3, 2)), (6, 2))
        optimizer.step()
        others = [i for i in range(6) if i not in rows]
        assert np.array_equal(p.numpy()[others], before[others])
        assert bool((p.numpy()[rows] < before[rows]).all())
        for key, old in states.items():
            assert np.array_equal(np.asarray(optimizer.state[p][key])[others], old[others]), key


def test_sparse_adam_refuses_dense_gradients_and_changes_nothing():
    p = Parameter(np.ones((3, 2)))
    optimizer = optim.SparseAdam([p])
    p.grad = np.ones((3, 2))
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        optimizer.step()
    assert p.numpy().tolist() == np.ones((3, 2)).tolist()
    assert not optimizer.state
    assert optimizer.state_dict()["state"] == {}


def test_sparse_embedding_trains_by_closure():
    table = fnn.nn.Embedding(5, 2, sparse=True, dtype=np.float64)
    optimizer = optim.SparseAdam(table.parameters(), lr=0.1)
    before = table.weight.numpy().copy()
    optimizer.step(lambda: table(np.array([1, 3, 1])).sum())
    moved = np.abs(table.weight.numpy() - before).max(1)
    np.testing.assert_allclose(moved, [0, 0.1, 0, 0.1, 0], atol=1e-6)
