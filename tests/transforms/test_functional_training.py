"""``functional_call(..., training=)``: as ``model.train(training)`` for one call, with the object left as it is."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn


def net():
    fnn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))


X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), jnp.float32)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_the_call_is_that_of_a_model_in_the_mode(own, training, transform):
    model, other = net().train(own), net().train(training)
    key = jax.random.key(1)

    def call(m, mode):
        return transform(lambda p, b, x: fnn.functional_call(m, p, b, x, rng=key, training=mode))(*fnn.state(m), X)

    out, buffers = call(model, training)
    expected, expected_buffers = call(other, None)
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    for name, value in expected_buffers.items():
        np.testing.assert_allclose(buffers[name], value, rtol=1e-6)
    assert all(m.training is own for m in model.modules())


def test_modes_may_alternate_under_grad():
    model = net()
    params, buffers = fnn.state(model)

    def loss(p, training):
        return fnn.functional_call(model, p, buffers, X, rng=jax.random.key(0), training=training)[0].sum()

    train, plain = (jax.grad(loss)(params, mode) for mode in (True, False))
    again = jax.grad(loss)(params, True)
    assert not np.allclose(train["0.weight"], plain["0.weight"])
    np.testing.assert_array_equal(train["0.weight"], again["0.weight"])


class Frozen(nn.Module):
    """Keeps its norm in eval mode, and notes the mode it is in."""

    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm1d(3)
        self.note = "none"

    def train(self, mode=True):
        super().train(mode)
        self.bn.eval()
        self.note = str(mode)
        return self

    def forward(self, x):
        assert not self.bn.training
        return self.bn(x), self.note, self.training


def test_a_train_method_of_the_users_is_heeded_and_leaves_nothing():
    model = Frozen()
    (_, note, training), buffers = fnn.functional_call(model, *fnn.state(model), X, training=True)
    assert (note, training, int(buffers["bn.num_batches_tracked"])) == ("True", True, 0)
    assert (model.note, model.training, model.bn.training) == ("none", True, True)


class Branch(nn.Module):
    """Reads the mode in a function that JAX keeps traces of."""

    def _scaled(self, x):
        return x * (2 if self.training else 3)

    def forward(self, x):
        return jax.checkpoint(self._scaled)(x)


def test_traces_that_jax_keeps_are_not_taken_for_those_of_the_other_mode():
    model = Branch()
    for _ in range(2):
        for training, expected in ((True, 2), (False, 3)):
            out, _ = fnn.functional_call(model, {}, {}, jnp.ones(()), training=training)
            assert float(out) == expected


def test_a_compiled_function_within_heeds_the_mode():
    model = nn.Sequential(nn.Dropout(0.5))
    compiled = fnn.jit(lambda x: model(x))

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return compiled(x)

    outer, x = Outer(), jnp.ones(100)
    for _ in range(2):
        off = fnn.functional_call(outer, {}, {}, x, rng=jax.random.key(0), training=False)[0]
        on = fnn.functional_call(outer, {}, {}, x, rng=jax.random.key(0), training=True)[0]
        assert float(off.sum()) == 100
        assert {0.0, 2.0} == set(on.tolist())


def test_other_threads_see_the_modules_own_mode():
    inside, done, seen = threading.Event(), threading.Event(), []

    class Waits(nn.Module):
        def forward(self, x):
            inside.set()
            done.wait(10)
            return x, self.training

    model = Waits()
    thread = threading.Thread(
        target=lambda: seen.append(fnn.functional_call(model, {}, {}, jnp.ones(()), training=False)[0][1])
    )
    thread.start()
    inside.wait(10)
    outside = model.training
    done.set()
    thread.join()
    assert (outside, seen) == (True, [False])


def test_what_is_no_bool_is_refused():
    with pytest.raises(TypeError, match=r"functional_call: training must be True, False or None, got 1"):
        fnn.functional_call(net(), {}, {}, X, training=1)


def test_a_module_without_init_says_what_it_lacks():
    class Empty(nn.Module):
        def __init__(self):
            pass

    with pytest.raises(AttributeError, match="no attribute 'training'"):
        Empty().training  # noqa: B018
