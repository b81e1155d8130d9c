"""accumulate: the gradient of the big batch, from small ones in one loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from tests.compilations import HEARD
from tests.oracle import assert_close, rand

X, Y = jnp.asarray(rand(0, 4, 5, 3)), jnp.asarray(rand(1, 4, 5, 2))
WRAPS = pytest.mark.parametrize("wrap", [lambda f: f, fnn.jit], ids=["eager", "jit"])


def made(dropout=0.0):
    fnn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(dropout), nn.Linear(4, 2)).double()


def loss(model, x, y):
    return ((model(x) - y) ** 2).mean()


@WRAPS
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_equals_the_big_batch(wrap, reduction):
    model, big = made(), made()
    value = wrap(lambda: fnn.accumulate(lambda x, y: loss(model, x, y), (X, Y), model, reduction=reduction))()
    factor = 1 if reduction == "mean" else 4
    expected = fnn.backward(lambda: factor * loss(big, X.reshape(20, 3), Y.reshape(20, 2)), big)
    assert_close(value, expected, 1e-12)
    for p, q in zip(model.parameters(), big.parameters(), strict=True):
        assert_close(p.grad, q.grad, 1e-12)
        assert p.grad.dtype == np.float64


@WRAPS
def test_equals_backward_after_backward(wrap):
    """Masks, batch statistics, gradients that were there before, and what the closure returns besides."""

    def block():
        fnn.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).double()

    ours, theirs = block(), block()
    for model in (ours, theirs):
        for p in model.parameters():
            p.grad = jnp.ones_like(p.data)
    fnn.manual_seed(3)
    out = []
    for x, y in zip(X, Y, strict=True):

        def closure(x=x, y=y):
            prediction = theirs(x)
            return ((prediction - y) ** 2).mean() / 4, prediction

        out.append(fnn.backward(closure, theirs, has_aux=True))
    state = fnn.get_rng_state()
    fnn.manual_seed(3)

    def closure(x, y):
        prediction = ours(x)
        return ((prediction - y) ** 2).mean(), prediction

    value, aux = wrap(lambda: fnn.accumulate(closure, (X, Y), ours, has_aux=True))()
    np.testing.assert_array_equal(fnn.get_rng_state(), state)
    assert_close(value, sum(v for v, _ in out), 1e-12)
    assert_close(aux, jnp.stack([a for _, a in out]), 1e-12)
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert_close(a, b, 1e-12, what=name)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p.grad, q.grad, 1e-11, 1e-12)


@WRAPS
def test_in_the_closure_of_a_step(wrap):
    results = []
    for way in ("closure", "backward", "big"):
        model = made()
        optimizer = optim.Adam(model.parameters(), lr=0.1)

        def step(model=model, optimizer=optimizer, way=way):
            if way == "closure":
                return optimizer.step(lambda: fnn.accumulate(lambda x, y: loss(model, x, y), (X, Y)))
            if way == "big":
                return optimizer.step(lambda: loss(model, X.reshape(20, 3), Y.reshape(20, 2)))
            value = fnn.accumulate(lambda x, y: loss(model, x, y), (X, Y), model)
            optimizer.step()
            optimizer.zero_grad()
            return value

        step = wrap(step)
        results.append([step(), step(), *model.state_dict().values()])
    for other in results[:2]:
        for a, b in zip(other, results[2], strict=True):
            assert_close(a, b, 1e-10)


@WRAPS
def test_kinds_of_batches(wrap):
    model = made()
    expected = fnn.backward(lambda: loss(model, X.reshape(20, 3), Y.reshape(20, 2)), made())
    pairs = lambda x, y: loss(model, x, y)  # noqa: E731
    for closure, batches in (
        (pairs, [(x, y) for x, y in zip(X, Y, strict=True)]),
        (pairs, [(np.asarray(x), np.asarray(y)) for x, y in zip(X, Y, strict=True)]),
        (pairs, (np.asarray(X), np.asarray(Y))),
        (lambda b: loss(model, b["x"], b["y"]), {"x": X, "y": Y}),
        (lambda b: loss(model, b["x"], b["y"]), [{"x": x, "y": y} for x, y in zip(X, Y, strict=True)]),
        (lambda both: loss(model, both[:, :3], both[:, 3:]), jnp.concatenate([X, Y], -1)),
    ):
        model.zero_grad()
        assert_close(wrap(lambda c=closure, b=batches: fnn.accumulate(c, b, model))(), expected, 1e-12)


def test_half_precision_is_summed_in_float32():
    """256 gradients of 1 are 256; bfloat16 would stop counting there, and 1/256 too small to be seen beside 1."""
    p = nn.Parameter(jnp.ones((), jnp.bfloat16))
    fnn.accumulate(lambda x: (p * x).astype(jnp.float32), jnp.ones(1024, jnp.bfloat16), p, reduction="sum")
    assert p.grad.dtype == jnp.bfloat16
    assert float(p.grad) == 1024


def test_unread_frozen_and_repeated_parameters():
    model = nn.Sequential(nn.Repeated(lambda: nn.Linear(3, 3), 2, remat=True), nn.Linear(3, 2)).double()
    unread, frozen = nn.Parameter(np.ones(2)), model[1].weight
    frozen.requires_grad = False
    for wrap in (lambda f: f, fnn.jit):
        model.zero_grad()
        wrap(lambda: fnn.accumulate(lambda x, y: loss(model, x, y), (X, Y), model, unread))()
        assert unread.grad is None
        assert frozen.grad is None
        assert model[0].layer.weight.grad.shape == (2, 3, 3)
    reference = fnn.grad(lambda m: loss(m, X.reshape(20, 3), Y.reshape(20, 2)))(model)
    assert_close(model[0].layer.weight.grad, reference["0.*.weight"], 1e-12)


def test_sparse_gradients_are_summed():
    table = nn.Embedding(6, 3, sparse=True).double()
    indices = jnp.array([[0, 1], [1, 2], [1, 5]])
    for wrap in (lambda f: f, fnn.jit):
        table.zero_grad()
        wrap(lambda: fnn.accumulate(lambda i: (table(i) ** 2).sum(), indices, table, reduction="sum"))()
        grad = table.weight.grad
        dense = grad.to_dense() if hasattr(grad, "to_dense") else grad
        expected = np.zeros((6, 3))
        for row in np.asarray(indices).ravel():
            expected[row] += 2 * np.asarray(table.weight)[row]
        assert_close(dense, expected, 1e-12)


def test_one_program_whatever_the_number_of_batches():
    traces = []

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            traces.append(1)
            return self.linear(x)

    counts = []
    for n in (2, 16):
        model = Net().double()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        x, y = jnp.ones((n, 5, 3)), jnp.ones((n, 5, 2))

        def step(model=model, optimizer=optimizer, x=x, y=y):
            value = fnn.accumulate(lambda x, y: loss(model, x, y), (x, y), model)
            optimizer.step()
            optimizer.zero_grad()
            return value

        traces.clear()
        step = fnn.jit(step)
        step()
        before = HEARD.count
        for _ in range(4):
            step()
        assert HEARD.count == before
        assert step._cache_size() == 1
        counts.append(len(traces))
    assert counts[0] == counts[1] <= 3


def test_the_memory_is_that_of_one_batch():
    """The products of all micro-batches are never there at once: the program's temporaries do not grow with their number."""
    sizes = []
    for n in (4, 32):
        model = nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 1)).double()
        params, buffers = fnn.state(model)

        def run(params, x, model=model, buffers=buffers):
            def value(p):
                return fnn.functional_call(Accumulating(model), {f"model.{k}": v for k, v in p.items()}, {}, x)[0]

            return jax.grad(value)(params)

        compiled = jax.jit(run).lower(params, jnp.ones((n, 128, 16))).compile()
        sizes.append(compiled.memory_analysis().temp_size_in_bytes)
    assert sizes[1] < 2.5 * sizes[0]


class Accumulating(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return fnn.accumulate(lambda v: (self.model(v) ** 2).mean(), x)


def test_an_error_leaves_all_as_it_was():
    model = made(0.5)
    state = fnn.get_rng_state()

    def bad(x, y):
        return loss(model, x, y) + jnp.ones(3) @ jnp.ones(2)

    for wrap in (lambda f: f, fnn.jit):
        with pytest.raises(TypeError):
            wrap(lambda: fnn.accumulate(bad, (X, Y), model))()
        assert all(p.grad is None for p in model.parameters())
    assert state is not None


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda p: fnn.accumulate(3, X, p), TypeError, "accumulate: closure must be a function"),
        (lambda p: fnn.accumulate(lambda x: p.sum(), X, 3), TypeError, "accumulate: targets must be Modules"),
        (
            lambda p: fnn.accumulate(lambda x: p.sum(), X, nn.ReLU()),
            RuntimeError,
            "accumulate: no target has a parameter",
        ),
        (
            lambda p: fnn.accumulate(lambda x: p.sum(), X, p, reduction="none"),
            ValueError,
            "reduction must be 'mean' or 'sum'",
        ),
        (lambda p: fnn.accumulate(lambda x: p.sum(), [], p), ValueError, "batches must be at least one micro-batch"),
        (
            lambda p: fnn.accumulate(lambda x: p.sum(), jnp.ones((0, 2)), p),
            ValueError,
            "batches must be arrays with one",
        ),
        (
            lambda p: fnn.accumulate(lambda x, y: p.sum(), (X, Y[:2]), p),
            ValueError,
            "batches must be arrays with one first",
        ),
        (lambda p: fnn.accumulate(lambda x: p.sum(), [X, X[:2]], p), ValueError, "must have equal structures, shapes"),
        (lambda p: fnn.accumulate(lambda x: p.sum(), 3.0, p), ValueError, "batches must be arrays"),
        (lambda p: fnn.accumulate(lambda x: p * 2, X, p), RuntimeError, "accumulate: gradients need a floating scalar"),
        (lambda p: fnn.accumulate(lambda x: p * 2, X), RuntimeError, "accumulate: gradients need a floating scalar"),
        (lambda p: fnn.accumulate(lambda x: p.sum(), X, p, has_aux=True), TypeError, "must return .loss, aux."),
        (lambda p: fnn.accumulate(lambda x: p.sum(), X, has_aux=True), TypeError, "must return .loss, aux."),
    ],
)
def test_wrong_arguments(call, error, match):
    p = nn.Parameter(np.ones(2))
    with pytest.raises(error, match=match):
        call(p)
    assert p.grad is None
