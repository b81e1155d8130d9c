"""backward: gradients into p.grad."""

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from tests.oracle import assert_close


def test_worked_example_of_scalars_and_groups():
    w, b = nn.Parameter(1.0), nn.Parameter(1.0)
    optimizer = optim.SGD([{"params": [w]}, {"params": [b], "lr": 1e-3}], lr=1e-2)
    loss = fnn.backward(lambda: (4.0 - (w * 2.0 + b)) ** 2, w, b)
    assert float(loss) == 1.0
    assert float(w.grad) == -4.0
    assert float(b.grad) == -2.0
    optimizer.step()
    assert float(w) == pytest.approx(1.04, abs=1e-7)
    assert float(b) == pytest.approx(1.002, abs=1e-7)
    assert [g["lr"] for g in optimizer.param_groups] == [1e-2, 1e-3]


def test_gradients_add_up():
    p = nn.Parameter(np.array([1.0, 2.0]))
    for _ in range(3):
        fnn.backward(lambda: (p * p).sum(), p)
    assert_close(p.grad, np.array([6.0, 12.0]))


def test_has_aux_and_several_targets():
    a, b = nn.Linear(2, 2).double(), nn.Linear(2, 2).double()
    loss, aux = fnn.backward(
        lambda: (a(b(jnp.ones((1, 2)))).sum(), {"x": b.weight.data}), [a, [b.weight]], has_aux=True
    )
    assert a.weight.grad is not None
    assert b.weight.grad is not None
    assert b.bias.grad is None
    assert_close(aux["x"], b.weight)
    assert loss.shape == ()


def test_frozen_and_unread_parameters_get_none():
    a = nn.Linear(2, 2).double()
    unread = nn.Parameter(np.ones(2))
    a.bias.requires_grad = False
    fnn.backward(lambda: a(jnp.ones((1, 2))).sum(), a, unread)
    assert a.weight.grad is not None
    assert a.bias.grad is None
    assert unread.grad is None


def test_buffers_keep_their_new_values():
    bn = nn.BatchNorm1d(2).double()
    fnn.backward(lambda: bn(jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)))).sum(), bn)
    assert int(bn.num_batches_tracked) == 1
    assert float(abs(bn.running_mean.data).sum()) > 0


def test_gradient_of_a_gradient():
    p = nn.Parameter(2.0)
    inner = []

    def outer():
        fnn.backward(lambda: p**3, p)
        inner.append(1)
        slope = p.grad
        p.grad = None
        return slope

    fnn.backward(outer, p)
    assert float(p.grad) == pytest.approx(12.0)
    assert len(inner) == 1


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda p: fnn.backward(lambda: p * 2, p), RuntimeError, r"floating scalar loss, got shape \(2,\)"),
        (lambda p: fnn.backward(lambda: jnp.array(3), p), RuntimeError, "floating scalar loss"),
        (lambda p: fnn.backward(lambda: None, p), (RuntimeError, TypeError), "loss"),
        (lambda p: fnn.backward(lambda: p.sum(), p, has_aux=True), TypeError, "must return \\(loss, aux\\)"),
        (lambda p: fnn.backward(lambda: p.sum(), 3), TypeError, "targets must be Modules, Parameters"),
        (lambda p: fnn.backward(lambda: p.sum()), RuntimeError, "no target has a parameter"),
        (lambda p: fnn.backward(lambda: p.sum(), nn.Linear(1, 1).requires_grad_(False)), RuntimeError, "no target"),
    ],
)
def test_bad_calls_raise(call, error, match):
    p = nn.Parameter(np.ones(2))
    with pytest.raises(error, match=match):
        call(p)
    assert p.grad is None


def test_eager_and_compiled_steps_agree():
    def make():
        fnn.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3), nn.Linear(4, 1)).double()
        optimizer = optim.Adam(model.parameters(), lr=0.05)
        x = jnp.asarray(np.random.default_rng(1).normal(size=(6, 3)))

        def step():
            loss = fnn.backward(lambda: (model(x) ** 2).mean(), model)
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return model, step

    model, eager = make()
    losses = [float(eager()) for _ in range(4)]
    other, step = make()
    compiled = fnn.jit(step)
    assert_close([float(compiled()) for _ in range(4)], losses, 1e-9)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert_close(q, p, 1e-9)
        assert q.grad is None
