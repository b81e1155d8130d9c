"""scan, cond, vmap, grad over functions that use Modules: the numbers, draws and buffers of plain Python."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from tests.compilations import HEARD
from tests.oracle import assert_close, rand

X = jnp.asarray(rand(0, 3, 5, 4))


def block():
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.4)).double()


def made(seed=0):
    fnn.manual_seed(seed)
    return block()


def outcome(run, wrap=lambda f: f):
    """What a function of a model returns, called twice, and what it leaves behind."""
    model = made()
    fnn.manual_seed(9)
    call = wrap(lambda: run(model))
    results = [call(), call()]
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return [*jax.tree.leaves(results), *model.state_dict().values(), *grads, fnn.get_rng_state()]


def assert_same(run, expected, wrap=lambda f: f):
    ours, theirs = outcome(run, wrap), outcome(expected)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, 1e-11, 1e-12)


WRAPS = [lambda f: f, fnn.jit]
both = pytest.mark.parametrize("wrap", WRAPS, ids=["eager", "jit"])


# scan


def loop(model, xs=X, reverse=False):
    carry, ys = jnp.zeros((5, 4)), []
    for x in xs[::-1] if reverse else xs:
        carry = jnp.tanh(carry + model(x))
        ys.append(carry * 2)
    return carry, jnp.stack(ys[::-1] if reverse else ys)


def scanned(model, xs=X, **options):
    def step(carry, x):
        carry = jnp.tanh(carry + model(x))
        return carry, carry * 2

    return fnn.scan(step, jnp.zeros((5, 4)), xs, **options)


@both
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"unroll": 2}, {"unroll": True}, {"length": 3}])
def test_scan_is_the_loop(wrap, options):
    assert_same(lambda m: scanned(m, **options), lambda m: loop(m, reverse="reverse" in options), wrap)


@both
def test_backward_of_scan(wrap):
    assert_same(
        lambda m: fnn.backward(lambda: scanned(m)[1].sum(), m),
        lambda m: fnn.backward(lambda: loop(m)[1].sum(), m),
        wrap,
    )


@both
def test_optimizer_steps_in_a_scan(wrap):
    def steps(model, over):
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        optimizer.step(lambda: model(X[0]).sum())
        return over(lambda x: optimizer.step(lambda: (model(x) ** 2).sum()))

    model = made()
    fnn.manual_seed(1)
    expected = [steps(model, lambda step: jnp.stack([step(x) for x in X])), *model.state_dict().values()]
    model = made()
    fnn.manual_seed(1)
    run = wrap(lambda: steps(model, lambda step: fnn.scan(lambda c, x: (c, step(x)), None, X)[1]))
    for ours, theirs in zip([run(), *model.state_dict().values()], expected, strict=True):
        assert_close(ours, theirs, 1e-11, 1e-12)


def test_scan_in_functional_call():
    results = []
    for run in (scanned, loop):

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.block = made()

            def forward(self, xs):
                return run(self.block, xs)[1]  # noqa: B023

        net = Net()
        params, buffers = fnn.state(net)

        def loss(params, key, net=net, buffers=buffers):
            out, new = fnn.functional_call(net, params, buffers, X, rng=key)
            return out.sum(), new

        keys = jax.random.split(jax.random.key(0), 2)
        results.append(
            [
                jax.jit(loss)(params, keys[0]),
                jax.grad(loss, has_aux=True)(params, keys[0]),
                jax.jit(jax.vmap(jax.grad(loss, has_aux=True), (None, 0)))(params, keys),
            ]
        )
    for ours, theirs in zip(jax.tree.leaves(results[0]), jax.tree.leaves(results[1]), strict=True):
        assert_close(ours, theirs, 1e-11, 1e-12)


class Steps(nn.Module):
    """Steps that are a method, a call, a function of the object's."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.traces = []

    def forward(self, carry, x):
        TRACES.append(1)
        return carry + self.linear(x), x

    def step(self, carry, x):
        return self(carry, x)


TRACES = []


def test_scan_compiles_once_when_called_eagerly():
    model = Steps().double()

    def step(carry, x):
        return model(carry, x)

    expected = sum(X @ model.linear.weight.data.T + model.linear.bias.data)
    for f in (step, model.step, model):
        fnn.scan(f, jnp.zeros((5, 4)), X)
        TRACES.clear()
        count = HEARD.count
        for get in range(3):
            carry, _ = fnn.scan(f if f is not model.step else model.step, jnp.zeros((5, 4)), X)
            assert_close(carry, expected)
            del get
        assert HEARD.count == count
        assert TRACES == []
    other = Steps().double()
    assert_close(
        fnn.scan(other.step, jnp.zeros((5, 4)), X)[0], sum(X @ other.linear.weight.data.T + other.linear.bias.data)
    )


def test_a_step_that_reads_other_state_later_is_traced_anew():
    drop = nn.Dropout(1.0)

    def step(carry, x):
        return carry, drop(x)

    assert not np.asarray(fnn.scan(step, None, X)[1]).any()
    drop.eval()
    assert_close(fnn.scan(step, None, X)[1], X)


def test_traces_of_a_scan_do_not_grow():
    counts = []
    for n in (2, 20):
        model = Steps().double()
        TRACES.clear()
        xs = jnp.ones((n, 5, 4))
        fnn.jit(lambda model=model, xs=xs: fnn.scan(lambda c, x: model(c, x), jnp.zeros((5, 4)), xs)[0])()
        counts.append(len(TRACES))
    assert counts[0] == counts[1] <= 3


def test_boxes_as_carry_and_inputs():
    w = nn.Parameter(rand(1, 4, 4))
    for wrap in WRAPS:
        carry, ys = wrap(lambda: fnn.scan(lambda c, x: (c + x, c), w, {"x": w}["x"][None]))()
        assert_close(carry, 2 * w.data)
        assert_close(ys[0], w.data)
        assert_close(wrap(lambda: fnn.vmap(lambda row: row * 2)(w))(), 2 * w.data)
        assert_close(wrap(lambda: fnn.cond(jnp.array(True), lambda v: v * 2, lambda v: v * 1, w))(), 2 * w.data)
        assert_close(wrap(lambda: fnn.remat(lambda v: v * 2)(w))(), 2 * w.data)


# cond


@both
@pytest.mark.parametrize("flag", [True, False])
def test_cond_is_the_if(wrap, flag):
    pred = jnp.array(flag)
    branch = (lambda m, x: m(m(x))) if flag else (lambda m, x: x * 2)
    assert_same(
        lambda m: fnn.cond(pred, lambda m, x: m(m(x)), lambda m, x: x * 2, m, X[0]), lambda m: branch(m, X[0]), wrap
    )


@both
@pytest.mark.parametrize("flag", [True, False])
def test_backward_of_cond(wrap, flag):
    pred = jnp.array(flag)

    def run(model, choose):
        return fnn.backward(lambda: choose(lambda x: model(x), lambda x: model(x) ** 2, X[0]).sum(), model)

    assert_same(
        lambda m: run(m, lambda yes, no, x: fnn.cond(pred, yes, no, x)),
        lambda m: run(m, lambda yes, no, x: yes(x) if flag else no(x)),
        wrap,
    )


def test_scan_in_cond_in_scan():
    def inner(model, x):
        return fnn.scan(lambda c, v: (model(c) + v, None), x, X[:2])[0]

    def run(model):
        return fnn.scan(
            lambda c, i: (fnn.cond(i % 2 == 0, lambda c: inner(model, c), lambda c: c * 2, c), None),
            X[0],
            jnp.arange(3),
        )[0]

    def plain(model):
        c = X[0]
        for i in range(3):
            if i % 2 == 0:
                for v in X[:2]:
                    c = model(c) + v
            else:
                c = c * 2
        return c

    for wrap in WRAPS:
        assert_same(run, plain, wrap)
    assert_same(
        lambda m: fnn.backward(lambda: run(m).sum(), m), lambda m: fnn.backward(lambda: plain(m).sum(), m), fnn.jit
    )


# vmap


@both
def test_vmap_of_a_module_that_only_reads(wrap):
    assert_same(lambda m: fnn.vmap(lambda x: m.eval()(x))(X), lambda m: jnp.stack([m.eval()(x) for x in X]), wrap)


@both
def test_vmap_over_each_layer_of_a_stack(wrap):
    params = [made(i) for i in range(3)]
    stacked, buffers = fnn.stack(params)
    run = wrap(
        lambda: fnn.vmap(lambda p, b, x: fnn.functional_call(params[0], p, b, x, training=False)[0])(
            stacked, buffers, X
        )
    )
    assert_close(run(), jnp.stack([m.eval()(x) for m, x in zip(params, X, strict=True)]), 1e-12)


@both
def test_vmap_draws(wrap):
    drop = nn.Dropout(0.5)
    x = jnp.ones((4, 200))
    masks = {}
    for randomness in ("different", "same"):
        fnn.manual_seed(0)
        call = wrap(lambda r=randomness: fnn.vmap(lambda x: drop(x), randomness=r)(x))
        masks[randomness] = [np.asarray(call()), np.asarray(call())]
    first, second = masks["different"]
    assert len({row.tobytes() for row in (*first, *second)}) == 8
    same, again = masks["same"]
    assert len({row.tobytes() for row in same}) == 1
    assert (same != again).any()
    with pytest.raises(RuntimeError, match='vmap: the function draws random numbers, and randomness="error"'):
        wrap(lambda: fnn.vmap(lambda x: drop(x), randomness="error")(x))()
    assert fnn.vmap(lambda x: drop.eval()(x), randomness="error")(x).shape == x.shape
    drop.train()


def test_vmap_axes_and_sizes():
    layer = nn.Linear(4, 2).double()
    x = X[0]
    out = fnn.vmap(lambda m, x, y: m(x) + y, in_axes=(None, 1, None), out_axes=1)(layer, x.T, 3.0)
    assert_close(out, layer(x).T + 3)
    assert fnn.vmap(lambda: layer(x[0]), axis_size=3)().shape == (3, 2)
    assert fnn.vmap(lambda x, s=None: x * s)(x, s=jnp.arange(5.0)).shape == x.shape
    assert_close(fnn.vmap(lambda d: d["a"] + d["b"], in_axes=({"a": 0, "b": None},))({"a": x, "b": x[0]}), x + x[0])
    assert_close(fnn.vmap(lambda x: jax.lax.psum(x, "i"), axis_name="i")(x), jnp.broadcast_to(x.sum(0), x.shape))
    with pytest.raises(ValueError, match="vmap: no argument has a mapped axis"):
        fnn.vmap(lambda x: x, in_axes=None)(x)
    with pytest.raises(ValueError, match="in_axes must be one axis for each of the 1 arguments"):
        fnn.vmap(lambda x: x, in_axes=(0, 1))(x)


@both
def test_vmap_names_exactly_the_buffers_at_fault(wrap):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", jnp.zeros((), int))
            self.register_buffer("last", jnp.zeros(4))
            self.register_buffer("untouched", jnp.zeros(4))

        def forward(self, x):
            self.count += 1
            self.last = x
            return x * 2

    net = Net()
    with pytest.raises(RuntimeError, match=r"vmap: .*would get another value for each element") as caught:
        wrap(lambda: fnn.vmap(lambda x: net(x))(X[0]))()
    words = str(caught.value)
    assert "last" in words
    assert "count" not in words
    assert "untouched" not in words
    assert int(net.count) == 0
    bn = nn.BatchNorm1d(4).double()
    with pytest.raises(RuntimeError) as caught:
        wrap(lambda: fnn.vmap(lambda x: bn(x))(X))()
    assert "running_mean" in str(caught.value)
    assert "running_var" in str(caught.value)
    assert "num_batches_tracked" not in str(caught.value)
    with pytest.raises(ValueError, match="out_axes"):
        fnn.vmap(lambda x: x, out_axes=None)(X)


@both
def test_vmap_of_other_lifted_forms(wrap):
    """Draws within them, too where it depends on the element whether any is made."""
    drop = nn.Dropout(0.5)
    x = jnp.ones((4, 100)).at[2].set(-1.0)

    def run(row):
        row = fnn.cond(row.sum() > 0, lambda r: drop(r), lambda r: r, row)
        row = fnn.remat(drop)(row)
        return fnn.scan(lambda c, _: (drop(c), None), row, None, 2)[0]

    out = np.asarray(wrap(lambda: fnn.vmap(run)(x))())
    assert len({row.tobytes() for row in out}) == 4
    drop.eval()
    assert_close(wrap(lambda: fnn.vmap(run)(x))(), x)


def test_cond_returns_numbers():
    for wrap in WRAPS:
        assert float(wrap(lambda: fnn.cond(X.sum() > 1e9, lambda: 1.0, lambda: 2.0))()) == 2.0
        assert float(wrap(lambda: fnn.cond(X.sum() > 1e9, lambda: X.sum(), lambda: 2.0))()) == 2.0
        assert wrap(lambda: fnn.cond(X.sum() > 1e9, lambda: (1, None), lambda: (2, None)))()[1] is None


def test_vmap_writes_what_is_the_same_for_all():
    count = nn.Buffer(jnp.zeros((), int))

    def add(x):
        count.add_(1)
        return x

    fnn.vmap(add)(X)
    fnn.jit(lambda: fnn.vmap(add)(X))()
    assert int(count) == 2


# grad


@both
def test_grad_is_backward(wrap):
    def run(model):
        loss, grads = fnn.value_and_grad(lambda m, x: (m(x) ** 2).mean())(model, X[0])
        return [loss, *grads.values()]

    def plain(model):
        loss = fnn.backward(lambda: (model(X[0]) ** 2).mean(), model)
        grads = [p.grad for p in model.parameters()]
        model.zero_grad()
        return [loss, *grads]

    assert_same(run, plain, wrap)
    assert_same(lambda m: [*fnn.grad(lambda m, x: (m(x) ** 2).mean())(m, X[0]).values()], lambda m: plain(m)[1:], wrap)


@both
def test_grad_by_arrays_modules_and_parameters(wrap):
    layer = nn.Linear(4, 4).double()
    layer.bias.requires_grad = False
    w = nn.Parameter(rand(2, 4))

    def loss(module, scale, x, tree):
        return (jnp.tanh(module(x)) * scale * tree["a"]).sum(), x * 2

    args = layer, w, X[0], {"a": jnp.asarray(rand(3, 4))}
    call = wrap(lambda: fnn.value_and_grad(loss, (0, 1, 2, -1), has_aux=True)(*args))
    (value, aux), grads = call()

    def pure(weight, scale, x, tree):
        return (jnp.tanh(x @ weight.T + layer.bias.data) * scale * tree["a"]).sum()

    expected, slopes = jax.value_and_grad(pure, (0, 1, 2, 3))(layer.weight.data, w.data, X[0], args[3])
    assert_close(value, expected)
    assert_close(aux, 2 * X[0])
    assert list(grads[0]) == ["weight"]
    assert_close(grads[0]["weight"], slopes[0])
    assert_close(grads[1], slopes[1])
    assert_close(grads[2], slopes[2])
    assert_close(grads[3]["a"], slopes[3]["a"])
    assert layer.weight.grad is None
    only = wrap(lambda: fnn.grad(lambda x: layer(x).sum())(X[0]))()
    assert_close(only, jnp.broadcast_to(layer.weight.data.sum(0), (5, 4)))


def test_grad_of_a_tree_of_parameters():
    layer = nn.Linear(4, 4).double()
    tree = dict(layer.named_parameters())
    grads = fnn.grad(lambda p: (p["weight"] * 2).sum() + p["bias"].sum())(tree)
    assert_close(grads["weight"], np.full((4, 4), 2.0))
    assert_close(grads["bias"], np.ones(4))


def test_second_derivatives():
    p = nn.Parameter(2.0)
    assert_close(fnn.grad(lambda x: fnn.grad(lambda y: y**3 * p)(x))(jnp.array(3.0)), 36.0)
    assert_close(fnn.grad(lambda q: fnn.grad(lambda r: r**3)(q))(p), 12.0)
    assert_close(fnn.jit(lambda: fnn.grad(lambda q: fnn.grad(lambda r: r**3)(q))(p))(), 12.0)


def test_grad_of_scan_of_repeated_in_jit():
    fnn.manual_seed(0)
    layers = [block() for _ in range(3)]
    results = []
    for model, over in (
        (nn.Sequential(*layers), lambda m: sum(m(x).sum() for x in X)),
        (nn.Repeated.of(layers), lambda m: fnn.scan(lambda c, x: (c + m(x).sum(), None), jnp.zeros(()), X)[0]),
    ):
        fnn.manual_seed(3)
        value, grads = fnn.jit(lambda m=model, over=over: fnn.value_and_grad(over)(m))()
        by_name = (
            {k.replace("*", str(i)): g[i] for k, g in grads.items() for i in range(3)} if "*" in min(grads) else grads
        )
        results.append([value, *[by_name[k] for k in sorted(by_name)], *model.state_dict().values()])
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs, 1e-11, 1e-11)


# Errors


def test_what_a_loop_cannot_carry():
    layer = nn.Linear(4, 4).double()

    def gradients(carry, x):
        fnn.backward(lambda: layer(x).sum(), layer)
        return carry, None

    with pytest.raises(
        RuntimeError,
        match=r"gradient 'Linear.weight.grad' is None before .*zero_grad\(set_to_none=False\)",
    ):
        fnn.scan(gradients, None, X)
    assert layer.weight.grad is None
    gradients(None, X[0])
    layer.zero_grad(set_to_none=False)
    fnn.scan(gradients, None, X)
    assert_close(layer.bias.grad, np.full(4, 15.0))

    class Late(nn.Module):
        def forward(self, x):
            if not hasattr(self, "w"):
                self.w = nn.Parameter(jnp.ones(4))
            return x * self.w

    class Listing(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = []

        def forward(self, x):
            self.seen.append(x)
            return x

    late, listing = Late(), Listing()
    for wrap in WRAPS:
        with pytest.raises(RuntimeError, match=r"scan: .*would be made within it, once more at each iteration"):
            wrap(lambda: fnn.scan(lambda c, x: (c, late(x)), None, X))()
        assert not hasattr(late, "w")
        with pytest.raises(RuntimeError, match="scan: a list or dict of a Module would keep a value of one iteration"):
            wrap(lambda: fnn.scan(lambda c, x: (c, listing(x)), None, X))()
        assert listing.seen == []
    with pytest.raises(RuntimeError, match=r"cond: .*would be made within it"):
        fnn.jit(lambda: fnn.cond(X.sum() > 0, lambda: late(X), lambda: X))()
    with pytest.raises(RuntimeError, match="cond: a list or dict of a Module would keep"):
        fnn.jit(lambda: fnn.cond(X.sum() > 0, lambda x: listing(x), lambda x: x, X))()


@both
def test_changes_of_shape_and_type_are_refused(wrap):
    buffer = nn.Buffer(jnp.zeros(2))

    def grow(carry, x):
        buffer.data = jnp.concatenate([buffer.data, buffer.data])
        return carry, x

    def other(carry, x):
        buffer.data = buffer.data.astype("float32")
        return carry, x

    for step in (grow, other):
        with pytest.raises((TypeError, RuntimeError), match=r"scan: Buffer .*must keep its shape and dtype"):
            wrap(lambda step=step: fnn.scan(step, None, X))()
        assert buffer.shape == (2,)
    with pytest.raises(TypeError, match="carry"):
        wrap(lambda: fnn.scan(lambda c, x: (c[:1], x), jnp.zeros(3), X))()
    with pytest.raises(TypeError, match=r"branch|true_fun"):
        fnn.jit(lambda: fnn.cond(X.sum() > 0, lambda: X, lambda: X[0]))()


def test_draws_without_a_key_name_the_remedy():
    drop = nn.Dropout(0.5)
    for call in (
        lambda x: fnn.scan(lambda c, v: (c, drop(v)), None, x)[1],
        lambda x: fnn.cond(x.sum() > 0, lambda v: drop(v), lambda v: v, x),
        lambda x: fnn.vmap(lambda v: drop(v))(x),
        lambda x: fnn.grad(lambda v: drop(v).sum())(x),
        lambda x: fnn.remat(drop)(x),
    ):
        state = fnn.get_rng_state()
        with pytest.raises(RuntimeError, match="a random draw") as caught:
            jax.jit(call)(X)
        assert any("a-draw-needs-a-key" in note for note in caught.value.__notes__)
        np.testing.assert_array_equal(fnn.get_rng_state(), state)

        def keyed(key, x, call=call):
            with fnn.random.key_scope(key):
                return call(x)

        assert jax.jit(keyed)(jax.random.key(0), X).shape == X.shape


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: fnn.scan(3, None, X), TypeError, "scan: f must be a function of carry and x"),
        (lambda: fnn.cond(True, 3, jnp.sin), TypeError, "cond: true_fun must be a function"),
        (lambda: fnn.cond(True, jnp.sin, 3), TypeError, "cond: false_fun must be a function"),
        (lambda: fnn.scan(lambda c, x: (c, x), None, 1.0), ValueError, "scan: xs must be arrays with a leading axis"),
        (
            lambda: fnn.cond(jnp.ones(2), jnp.sin, jnp.sin, X),
            ValueError,
            "cond: pred must be a bool, or a number of no",
        ),
        (lambda: fnn.vmap(3), TypeError, "vmap: fun must be a function"),
        (
            lambda: fnn.vmap(jnp.sin, randomness="all"),
            ValueError,
            "vmap: randomness must be 'different', 'same' or 'error'",
        ),
        (lambda: fnn.grad(3), TypeError, "grad: fun must be a function"),
        (lambda: fnn.grad(jnp.sin, "x"), TypeError, "grad: argnums must be an int or several"),
        (
            lambda: fnn.grad(jnp.sin, 1)(X),
            ValueError,
            "grad: argnums must be positions among the 1 positional arguments",
        ),
        (lambda: fnn.grad(jnp.sin)(X), RuntimeError, "grad: gradients need a floating scalar loss"),
        (lambda: fnn.grad(lambda m: 1.0)(nn.ReLU()), ValueError, "argument 0 must be a Module with a parameter"),
        (lambda: fnn.value_and_grad(lambda x: x.sum(), has_aux=True)(X), TypeError, r"must return \(value, aux\)"),
        (
            lambda: fnn.grad(lambda m: m(X).sum())(nn.Repeated(lambda: nn.Linear(4, 4), 2)[0]),
            ValueError,
            "part of a stack",
        ),
        (
            lambda: fnn.grad(lambda w: w.sum())(nn.Repeated(lambda: nn.Linear(4, 4), 2)[0].weight),
            ValueError,
            "part of a stack",
        ),
        (
            lambda: fnn.backward(lambda: X.sum(), nn.Repeated(lambda: nn.Linear(4, 4), 2)[0]),
            ValueError,
            "backward: .* is one layer's part of a stack",
        ),
    ],
)
def test_wrong_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_an_error_leaves_all_as_it_was():
    model = made()
    before = {k: np.asarray(v) for k, v in model.state_dict().items()}
    state = fnn.get_rng_state()

    def bad(x):
        raise KeyError(str(model(x).shape))

    for call in (
        lambda: fnn.scan(lambda c, x: (c, bad(x)), None, X),
        lambda: fnn.vmap(bad)(X),
        lambda: fnn.grad(bad)(X[0]),
        lambda: fnn.remat(bad)(X[0]),
        lambda: fnn.cond(X.sum() > -1e9, bad, bad, X[0]),
    ):
        with pytest.raises(KeyError):
            fnn.jit(lambda call=call: call())()
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    np.testing.assert_array_equal(fnn.get_rng_state(), state)


def test_nobody_keeps_a_model():
    def use():
        model = made()
        step = lambda c, x: (c, model(x))  # noqa: E731
        fnn.scan(step, None, X)
        fnn.scan(step, None, X)
        fnn.vmap(lambda x: model.eval()(x))(X)
        fnn.grad(lambda m: m(X[0]).sum())(model)
        fnn.cond(True, model, model, X[0])
        steps = Steps().double()
        fnn.scan(steps.step, jnp.zeros((5, 4)), X)
        fnn.scan(steps, jnp.zeros((5, 4)), X)
        fnn.accumulate(lambda x: model(x).sum(), X, model)
        return weakref.ref(model), weakref.ref(steps)

    found = use()
    gc.collect()
    assert [reference() for reference in found] == [None, None]
