"""``nan_check``: NaNs and infinities are made on purpose, in a known Module by a known operation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.debug import NonFiniteError, nan_check

X = jnp.ones((3, 2), jnp.float32)


class Log(nn.Module):
    def forward(self, x):
        return jnp.log(jnp.abs(x) * 0 - 1)


class Sqrt(nn.Module):
    """Its value at 0 is fine; its derivative is not."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2, bias=False)

    def forward(self, x):
        return jnp.sqrt(self.fc(x) * 0)


class Steep(nn.Module):
    """Its derivative alone is too large for float32."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(jnp.float32(1e-30))

    def forward(self, x):
        return self.scale * 1e30 * 1e30 * x


class Net(nn.Module):
    def __init__(self, bad):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
        self.bad = bad
        self.b = nn.Linear(2, 2)

    def forward(self, x):
        return self.b(self.bad(self.a(x)))


def made(call, module, operation, kind="nan"):
    with pytest.raises(NonFiniteError, match="nan_check: ") as caught:
        call()
    error = caught.value
    assert (error.module, error.operation, error.kind) == (module, operation, kind)
    assert isinstance(error, FloatingPointError)
    return error


def snapshot(model):
    return {name: np.asarray(value) for name, value in model.state_dict().items()}, np.asarray(fnn.get_rng_state())


@pytest.mark.one_in(3)
@pytest.mark.parametrize("run", ["jit", "eager", "backward", "step", "compiled step"])
def test_the_module_and_the_operation_are_named_and_state_is_as_before(run):
    model = Net(Log())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    calls = {
        "eager": lambda: model(X),
        "jit": lambda: fnn.jit(model)(X),
        "backward": lambda: fnn.backward(lambda: model(X).sum(), model),
        "step": lambda: optimizer.step(lambda: model(X).sum()),
        "compiled step": fnn.jit(lambda: optimizer.step(lambda: model(X).sum())),
    }
    before = snapshot(model)
    with nan_check():
        error = made(calls[run], "Net.bad", "log")
    assert "test_debug.py" in error.line
    assert "jnp.log" in error.line
    if run != "eager":  # eager layers before it have written their statistics
        after = snapshot(model)
        np.testing.assert_equal(after, before)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.one_in(2)
@pytest.mark.parametrize("compiled", [True, False])
def test_gradients(compiled):
    model = Sqrt()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    step = (fnn.jit if compiled else lambda f: f)(lambda: optimizer.step(lambda: model(X).sum()))
    with nan_check():
        assert np.isfinite(model(X)).all()
        made(step, "Sqrt", "div", "inf")
    steep = Steep()
    backward = (fnn.jit if compiled else lambda f: f)(lambda: fnn.backward(lambda: steep(X).sum(), steep))
    with nan_check():
        error = made(backward, "Steep", "mul", "inf")
    assert error.backward
    assert "while gradients were computed" in str(error)
    with nan_check(inf=False):
        backward()  # an infinity is none


def test_a_parameter_that_held_one_is_named():
    model = Net(nn.ReLU())
    model.b.weight.data = jnp.full((2, 2), jnp.nan, jnp.float32)
    for call in (model, fnn.jit(model)):
        with nan_check(), pytest.raises(NonFiniteError, match=r"Parameter 'Linear.weight' .* held a NaN before"):
            call(X)
    with nan_check(), pytest.raises(NonFiniteError, match="held a NaN before"):
        nn.ReLU()(X * jnp.nan)


def test_loops_and_branches_are_looked_into():
    data = jnp.asarray([4.0, 3.0, 1.0, 2.0])

    def scan(x):
        return jax.lax.scan(lambda c, y: (c / (y - 1), c), x[0], x)[0]

    def loop(x):
        return jax.lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, jnp.log(c[1] - 2)), (0, x[0]))[1]

    def branch(x):
        return jax.lax.cond(x[0] > 0, lambda y: jnp.log(-y), lambda y: y, x)

    with nan_check():
        made(lambda: fnn.jit(scan)(data), "", "div", "inf")
        made(lambda: fnn.jit(loop)(data), "", "log")
        made(lambda: fnn.jit(branch)(data), "", "log")


def test_masks_and_infinities_that_come_in_are_none():
    @fnn.jit
    def masked(x):
        return jax.nn.softmax(jnp.where(jnp.arange(4) < 2, x, -jnp.inf))

    with nan_check():
        assert np.isfinite(masked(jnp.zeros(4))).all()
        assert np.isinf(fnn.jit(lambda x: x + 1)(jnp.full(2, jnp.inf))).all()
        assert np.isinf(nn.ReLU()(jnp.full(2, jnp.inf))).all()
        made(lambda: fnn.jit(nn.Softmax(-1))(jnp.full(2, -jnp.inf)), "Softmax", "sub")
    with nan_check(inf=False):
        assert np.isinf(fnn.jit(jnp.exp)(jnp.full(2, 1e30))).all()


def test_decorated_pure_functions():
    model = Net(Log())
    params, buffers = fnn.state(model)

    @nan_check()
    @jax.jit
    def call(p, x):
        return fnn.functional_call(model, p, buffers, x, rng=jax.random.key(0))[0]

    made(lambda: call(params, X), "Net.bad", "log")

    @nan_check(inf=False)
    def gradient(p):
        return jax.grad(lambda p: fnn.functional_call(root, p, {}, X)[0].sum())(p)

    root = Sqrt()
    made(lambda: gradient(fnn.state(root)[0]), "Sqrt", "div", "inf")
    assert float(nan_check()(lambda x: x + 1)(jnp.ones(()))) == 2


def test_a_nan_of_dropped_units_is_made_again():
    class Rare(nn.Module):
        def forward(self, x):
            return jnp.log(nn.functional.dropout(x, 0.5, training=True) - 1)

    with nan_check():
        made(lambda: Rare()(jnp.ones(50)), "Rare", "log")
        made(lambda: fnn.jit(Rare())(jnp.ones(50)), "Rare", "log")


def test_a_module_that_cannot_be_traced_is_named_all_the_same():
    class Looks(nn.Module):
        def forward(self, x):
            return x * jnp.nan if float(x.sum()) > 0 else x

    with nan_check(), pytest.raises(NonFiniteError, match=r"made in Looks; it could not be traced .*Concretization"):
        Looks()(X)


def test_outside_of_it_nothing_is_different():
    model = Net(Log())
    run = fnn.jit(model)
    assert np.isnan(run(X)).all()
    with nan_check():
        for _ in range(2):
            made(lambda: run(X), "Net.bad", "log")
    assert np.isnan(run(X)).all()
    assert run._cache_size() == 2
    good = Net(nn.ReLU())
    optimizer = optim.SGD(good.parameters(), lr=0.1)
    step = fnn.jit(lambda x: optimizer.step(lambda: good(x).sum()))
    with nan_check():
        first = step(X)
    assert np.isfinite(first)
    assert np.isfinite(step(X))


def test_the_error_can_be_pickled():
    import pickle

    with nan_check():
        error = made(lambda: Log()(X), "Log", "log")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.args, copy.module, copy.line) == (error.args, error.module, error.line)
