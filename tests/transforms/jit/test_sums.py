"""fnn.jit of a function that only adds gradients up: one program, whether there were gradients before or not."""

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from tests.oracle import assert_close


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1)).double()


X = np.random.default_rng(0).normal(size=(6, 3))


def gradients(model):
    return [np.asarray(p.grad) for p in model.parameters()]


def test_micro_batches_are_compiled_once_and_add_up(model):
    traces = []

    @fnn.jit
    def micro(x):
        traces.append(x.shape)
        return fnn.backward(lambda: (model(x) ** 2).mean(), model)

    fnn.manual_seed(0)
    for part in (X[:3], X[3:], X[:3]):
        micro(part)
    assert len(traces) == micro._cache_size() == 1
    got = gradients(model)
    model.zero_grad()
    fnn.manual_seed(0)
    for part in (X[:3], X[3:], X[:3]):
        fnn.backward(lambda part=part: (model(part) ** 2).mean(), model)
    for mine, want in zip(got, gradients(model), strict=True):
        assert_close(mine, want, rtol=1e-12)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_it_stays_one_program_over_zero_grad(model, set_to_none):
    model.eval()
    micro = fnn.jit(lambda x: fnn.backward(lambda: (model(x) ** 2).mean(), model))
    micro(X)
    first = gradients(model)
    for _ in range(2):
        model.zero_grad(set_to_none)
        micro(X)
        micro(X)
        for mine, want in zip(gradients(model), first, strict=True):
            assert_close(mine, 2 * want, rtol=1e-12)
    assert micro._cache_size() == 1


def test_only_some_parameters_have_gradients_before(model):
    model.eval()
    micro = fnn.jit(lambda x: fnn.backward(lambda: (model(x) ** 2).mean(), model))
    micro(X)
    first = gradients(model)
    model[3].zero_grad()
    micro(X)
    assert micro._cache_size() == 1
    for i, (mine, want) in enumerate(zip(gradients(model), first, strict=True)):
        assert_close(mine, (2 if i < 2 else 1) * want, rtol=1e-12)


def test_a_function_that_looks_at_the_gradient_sees_what_was_before(model):
    model.eval()

    @fnn.jit
    def micro(x):
        fnn.backward(lambda: (model(x) ** 2).mean(), model)
        return model[0].weight.grad.sum()

    first, second = float(micro(X)), float(micro(X))
    assert second == pytest.approx(2 * first)


def test_a_gradient_that_is_set_is_not_added_to(model):
    model.eval()

    @fnn.jit
    def micro(x):
        fnn.backward(lambda: (model(x) ** 2).mean(), model)
        model[0].weight.grad = jnp.ones_like(model[0].weight.data)

    micro(X)
    other = np.asarray(model[3].weight.grad)
    micro(X)
    assert_close(model[0].weight.grad, np.ones((4, 3)))
    assert_close(model[3].weight.grad, 2 * other, rtol=1e-12)


def test_a_call_that_raises_leaves_the_gradients(model):
    model.eval()

    @fnn.jit
    def micro(x):
        loss = fnn.backward(lambda: (model(x) ** 2).mean(), model)
        if x.shape[0] == 5:
            raise ValueError("five")
        return loss

    micro(X)
    before = gradients(model)
    with pytest.raises(ValueError, match="five"):
        micro(X[:5])
    for mine, want in zip(gradients(model), before, strict=True):
        np.testing.assert_array_equal(mine, want)


def test_a_whole_step_uses_each_gradient_once(model):
    model.eval()
    twin = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1)).double().eval()
    twin.load_state_dict(model.state_dict())

    def steps(model, wrap):
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        micro = wrap(lambda x: fnn.backward(lambda: (model(x) ** 2).mean(), model))

        @wrap
        def update():
            optimizer.step()
            optimizer.zero_grad()

        for _ in range(3):
            micro(X[:3])
            micro(X[3:])
            update()

    steps(model, fnn.jit)
    steps(twin, lambda f: f)
    for mine, want in zip(model.parameters(), twin.parameters(), strict=True):
        assert_close(mine, want, rtol=1e-12)


@pytest.mark.parametrize("empty", ["assignment", "zero_grad"])
def test_a_function_that_empties_gradients_first_does_not_add_to_those_of_before(model, empty):
    model.eval()

    def step(x):
        if empty == "zero_grad":
            model.zero_grad()
        else:
            for p in model.parameters():
                p.grad = None
        return fnn.backward(lambda: (model(x) ** 2).mean(), model)

    compiled = fnn.jit(step)
    expected_of = {}
    for scale in (1.0, 2.0, 3.0):
        step(scale * X)
        expected_of[scale] = gradients(model)
    model.zero_grad()
    for scale, expected in expected_of.items():
        compiled(scale * X)
        for ours, theirs in zip(gradients(model), expected, strict=True):
            assert_close(ours, theirs)


def test_gradients_emptied_after_the_update_are_gone(model):
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @fnn.jit
    def step(x):
        fnn.backward(lambda: (model(x) ** 2).mean(), model)
        optimizer.step()
        for p in model.parameters():
            p.grad = None

    for _ in range(3):
        step(X)
        assert all(p.grad is None for p in model.parameters())
