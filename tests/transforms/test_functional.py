"""state, functional_call, update and stack."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from tests.oracle import assert_close

X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32)


def net():
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 2))


def test_state_is_two_flat_dicts_with_state_dict_names():
    model = net()
    params, buffers = fnn.state(model)
    assert set(params) | set(buffers) == set(model.state_dict())
    assert sorted(buffers) == ["1.num_batches_tracked", "1.running_mean", "1.running_var"]
    model[0].weight.requires_grad = False
    params, buffers = fnn.state(model)
    assert "0.weight" in buffers
    assert "0.weight" not in params
    assert all(isinstance(a, jax.Array) for a in (*params.values(), *buffers.values()))


def test_functional_call_is_pure_and_returns_new_buffers():
    model = net()
    params, buffers = fnn.state(model)
    out, new = fnn.functional_call(model, params, buffers, X, rng=jax.random.key(0))
    assert out.shape == (4, 2)
    assert new.keys() == buffers.keys()
    assert int(new["1.num_batches_tracked"]) == 1
    assert int(model[1].num_batches_tracked) == 0
    zeros = {name: jnp.zeros_like(a) for name, a in params.items()}
    assert_close(fnn.functional_call(model, zeros, buffers, X, rng=jax.random.key(0))[0], np.zeros((4, 2), np.float32))
    assert float(abs(model[0].weight.data).sum()) > 0


def test_the_same_key_gives_the_same_draw():
    model = net()
    state = fnn.state(model)
    a, b, c = (fnn.functional_call(model, *state, X, rng=jax.random.key(i))[0] for i in (0, 0, 1))
    assert_close(a, b)
    assert float(abs(a - c).max()) > 0


def test_under_jit_grad_vmap_and_their_nesting():
    model = net()
    params, buffers = fnn.state(model)
    key = jax.random.key(0)

    def loss(params, x):
        return jnp.sum(fnn.functional_call(model, params, buffers, x, rng=key)[0] ** 2)

    value = loss(params, X)
    assert_close(jax.jit(loss)(params, X), value, 1e-5)
    grads = jax.grad(loss)(params, X)
    assert_close(jax.jit(jax.grad(loss))(params, X)["0.weight"], grads["0.weight"], 1e-4, 1e-5)
    stacked = jnp.stack([X, X])
    assert_close(jax.vmap(loss, (None, 0))(params, stacked), np.full(2, value), 1e-5)
    nested = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(params, stacked)
    assert_close(nested["0.weight"][1], grads["0.weight"], 1e-4, 1e-5)
    assert jax.eval_shape(loss, params, X).shape == ()


def test_buffers_thread_through_scan():
    model = net()
    params, buffers = fnn.state(model)

    def body(buffers, x):
        out, buffers = fnn.functional_call(model, params, buffers, x, rng=jax.random.key(0))
        return buffers, out

    final, outs = jax.lax.scan(body, buffers, jnp.stack([X, X, X]))
    assert int(final["1.num_batches_tracked"]) == 3
    assert outs.shape == (3, 4, 2)


def test_stack_is_an_ensemble_under_vmap():
    models = [net().eval() for _ in range(3)]
    params, buffers = fnn.stack(models)
    call = jax.jit(jax.vmap(lambda p, b, x: fnn.functional_call(models[0], p, b, x)[0], (0, 0, None)))
    out = call(params, buffers, X)
    for i, model in enumerate(models):
        assert_close(out[i], model(X), 1e-5, 1e-6)


def test_stack_of_unlike_models_raises():
    with pytest.raises(ValueError, match="must not be empty"):
        fnn.stack([])
    with pytest.raises(ValueError, match="state of model 1 differs"):
        fnn.stack([nn.Linear(2, 3), nn.Linear(3, 3)])


def test_update_writes_back():
    model = net()
    params, buffers = fnn.state(model)
    _, new = fnn.functional_call(model, params, buffers, X, rng=jax.random.key(0))
    fnn.update(model, jax.tree.map(lambda a: a * 2, params), new)
    assert_close(model[0].weight, 2 * params["0.weight"])
    assert int(model[1].num_batches_tracked) == 1
    before = np.array(model[0].weight.data)
    with pytest.raises(ValueError, match=r"update: '0.bias' must have shape \(5,\), got \(7,\)"):
        fnn.update(model, {"0.weight": params["0.weight"], "0.bias": jnp.zeros(7)})
    with pytest.raises(RuntimeError, match=r"'Linear.bias' of shape .* must be floating, got dtype int32"):
        fnn.update(model, {"0.weight": params["0.weight"], "0.bias": jnp.zeros(5, jnp.int32)})
    assert_close(model[0].weight, before)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda p, b: ({**p, "nothing": X}, b), KeyError, "no parameter or buffer named 'nothing'"),
        (lambda p, b: ({**p, "0.weight": X}, b), ValueError, r"'0.weight' must have shape \(5, 3\), got \(4, 3\)"),
        (lambda p, b: ({**p, "0.weight": "text"}, b), TypeError, "'0.weight' must be an array"),
        (lambda p, b: (p, {**b, "0.weight": p["0.weight"]}), ValueError, "'0.weight' is in params and in buffers"),
        (lambda p, b: (p, {}), RuntimeError, "changed Buffer 'BatchNorm1d.running_mean'"),
    ],
)
def test_bad_states_raise_and_change_nothing(change, error, match):
    model = net()
    params, buffers = change(*fnn.state(model))
    with pytest.raises(error, match=match):
        fnn.functional_call(model, params, buffers, X, rng=jax.random.key(0))
    assert int(model[1].num_batches_tracked) == 0


def test_bad_models_raise():
    for call in (fnn.state, lambda m: fnn.functional_call(m, {}, {}), lambda m: fnn.update(m, {})):
        with pytest.raises(TypeError, match=r"model must be an fnn.nn.Module, got int"):
            call(3)


def test_an_exception_restores_the_model():
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(np.ones(1))

        def forward(self):
            raise ValueError("inside")

    model = Fails()
    with pytest.raises(ValueError, match="inside"):
        fnn.functional_call(model, {"w": jnp.zeros(1)}, {})
    assert_close(model.w, np.ones(1))


def test_functional_call_under_fnn_jit_and_backward():
    model = nn.Linear(3, 2)
    teacher, _ = fnn.state(nn.Linear(3, 2))
    call = fnn.jit(lambda x: fnn.functional_call(model, teacher, {}, x)[0])
    assert_close(call(X), X @ teacher["weight"].T + teacher["bias"], 1e-5, 1e-6)
    target = call(X)
    fnn.backward(lambda: jnp.mean((model(X) - target) ** 2), model)
    assert model.weight.grad.shape == (2, 3)


def test_one_array_of_two_names_gets_one_value():
    model = fnn.nn.Sequential(fnn.nn.Linear(2, 2, bias=False), fnn.nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    x, a = jnp.ones((1, 2)), jnp.eye(2) * 2
    out, _ = fnn.functional_call(model, {"0.weight": a, "1.weight": a}, {}, x)
    assert out.tolist() == [[4.0, 4.0]]
    for call in (lambda p: fnn.functional_call(model, p, {}, x), lambda p: fnn.update(model, p)):
        with pytest.raises(
            ValueError, match=r"'0\.weight' and '1.weight' are names of one array of Sequential, and got two"
        ):
            call({"0.weight": a, "1.weight": jnp.eye(2)})


class Previous(fnn.nn.Module):
    """Keeps the last value and the one before."""

    def __init__(self):
        super().__init__()
        self.register_buffer("last", np.zeros(2))
        self.register_buffer("before", np.zeros(2))

    def forward(self, x):
        self.before = self.last
        self.last = self.last * 2 + x
        return self.before + self.last


def test_binding_a_name_to_another_buffer():
    """As in torch: the other's array goes by both names until one is assigned anew."""
    eager, compiled, differentiated, pure = (Previous() for _ in range(4))
    run, buffers = fnn.jit(compiled), fnn.state(pure)[1]
    call = jax.jit(lambda b, x: fnn.functional_call(pure, {}, b, x))
    p = fnn.nn.Parameter(np.ones(()))
    last = before = np.zeros(2)
    for i in range(4):
        x = np.arange(2.0) + i
        before, last = last, last * 2 + x
        out, buffers = call(buffers, x)
        fnn.backward(lambda x=x: p * differentiated(x).sum(), p)
        for got in (eager(x), run(x), out):
            assert got.tolist() == (before + last).tolist()
        for m in (eager, compiled, differentiated):
            assert (m.last.tolist(), m.before.tolist()) == (last.tolist(), before.tolist())
        assert (buffers["last"].tolist(), buffers["before"].tolist()) == (last.tolist(), before.tolist())
        assert pure.last.tolist() == [0.0, 0.0]
    assert run._cache_size() == 1
    eager.before = eager.last
    eager.last.add_(1)
    assert eager.before.tolist() == eager.last.tolist() == (last + 1).tolist()
    eager.last = np.zeros(2)
    assert eager.before.tolist() == (last + 1).tolist()
