"""Draws within JAX's own transformations inside a Module: from keys of their own where that is sound, else a clear error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.stateful.tracing import runs_once, stack_depth

X = jnp.ones((4, 8), jnp.float32)


class Net(nn.Module):
    """A block with dropout, called in some way, and another dropout after it."""

    def __init__(self, how):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5))
        self.how = how
        self.last = nn.Dropout(0.5)
        for p in self.parameters():
            p.fill_(0.125)

    def forward(self, x):
        return self.last(self.how(self.block, x))


def twice_the_same(block, x):
    f = jax.checkpoint(block)
    return f(f(x))


SOUND = {
    "checkpoint": lambda b, x: jax.checkpoint(b)(jax.checkpoint(b)(x)),
    "one checkpointed function twice": twice_the_same,
    "cond": lambda b, x: jax.lax.cond(x.sum() > -1e9, b, lambda v: v, b(x)),
    "switch": lambda b, x: jax.lax.switch(x.sum().astype(int) * 0, [b, jnp.sin], b(x)),
    "jit": lambda b, x: jax.jit(b)(jax.jit(b)(x)),
    "checkpoint in cond": lambda b, x: jax.lax.cond(x.sum() > -1e9, jax.checkpoint(b), lambda v: v, b(x)),
}
SHARING = {
    "scan": lambda b, x: jax.lax.scan(lambda c, _: (b(c), None), x, None, length=2)[0],
    "vmap": lambda b, x: jax.vmap(b)(x),
    "map": lambda b, x: jax.lax.map(b, x),
    "fori_loop": lambda b, x: jax.lax.fori_loop(0, 2, lambda i, c: b(c), x),
    "while_loop": lambda b, x: jax.lax.while_loop(lambda c: c.sum() > 1e9, b, x),
    "vmap in checkpoint": lambda b, x: jax.checkpoint(lambda x: jax.vmap(b)(x))(x),
    "checkpoint in scan": lambda b, x: jax.lax.scan(lambda c, _: (jax.checkpoint(b)(c), None), x, None, length=2)[0],
}


def ways(model):
    """A model called in each of the ways of use, each call with another key."""
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    keys = iter(jax.random.split(jax.random.key(0), 20))
    pure = jax.jit(lambda key: fnn.functional_call(model, *fnn.state(model), X, rng=key)[0])
    params, buffers = fnn.state(model)

    def graded(key):
        def loss(p):
            out = fnn.functional_call(model, p, buffers, X, rng=key)[0]
            return out.sum(), out

        return jax.value_and_grad(loss, has_aux=True)(params)[0][1]

    def both():
        out = model(X)
        return out.mean(), out

    return {
        "fnn.jit": fnn.jit(lambda: model(X)),
        "step": fnn.jit(lambda: optimizer.step(both, has_aux=True)[1]),
        "eager step": lambda: optimizer.step(both, has_aux=True)[1],
        "functional_call": lambda: fnn.functional_call(model, *fnn.state(model), X, rng=next(keys))[0],
        "under jax.jit": lambda: pure(next(keys)),
        "under jax.grad": lambda: jax.jit(graded)(next(keys)),
    }


WAYS = ("fnn.jit", "step", "eager step", "functional_call", "under jax.jit", "under jax.grad")


@pytest.mark.filterwarnings("ignore:jax.checkpoint, lax.cond or jax.jit was given")
@pytest.mark.one_in(11)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", SOUND)
def test_masks_are_those_of_the_plain_call(how, way):
    outputs = []
    for model in (Net(SOUND[how]), Net(lambda b, x: b(b(x)))):
        call = ways(model)[way]
        fnn.manual_seed(1)
        outputs.append([np.asarray(call()) for _ in range(3)])
        assert len({o.tobytes() for o in outputs[-1]}) == 3
        outputs[-1].append(fnn.get_rng_state())
    for nested, plain in zip(*outputs, strict=True):
        np.testing.assert_allclose(nested, plain, rtol=1e-6)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", SHARING)
def test_masks_that_would_be_shared_raise(how, way):
    call = ways(Net(SHARING[how]))[way]
    fnn.manual_seed(1)
    with pytest.raises(
        RuntimeError, match=r"dropout: a random draw inside a loop .* or jax.vmap needs a key of its own"
    ):
        call()
    assert fnn.get_rng_state()[-1] == 0


def test_the_advice_works():
    def with_keys(block, x):
        def body(carry, key):
            with fnn.random.key_scope(key):
                return block(carry), None

        with fnn.random.key_scope(fnn.random.next_key("keys")) as generator:
            keys = jnp.stack([generator.next_key() for _ in range(2)])
        return jax.lax.scan(body, x, keys)[0]

    call = fnn.jit(Net(with_keys))
    assert np.isfinite(np.asarray(call(X))).all()


def test_without_a_scope_a_nested_draw_raises():
    drop = nn.Dropout()
    for run in (jax.checkpoint(drop), jax.jit(drop), jax.vmap(drop)):
        with pytest.raises(RuntimeError, match=r"fnn\.functional_call"):
            run(X)
    with fnn.random.key_scope(jax.random.key(0)):
        first, second = jax.checkpoint(drop)(X), drop(X)
        assert (first != second).any()


def test_a_write_within_says_what_works():
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(8)

        def forward(self, x):
            return jax.checkpoint(self.norm)(x)

    model = Normed()
    for run in (fnn.jit(model), lambda x: fnn.functional_call(model, *fnn.state(model), x)):
        with pytest.raises(RuntimeError, match="call the layer outside of that transformation, switch it to eval"):
            run(X)
    assert int(model.norm.num_batches_tracked) == 0
    model.eval()
    assert fnn.jit(model)(X).shape == X.shape


@pytest.mark.filterwarnings("ignore:jax.checkpoint, lax.cond or jax.jit was given")
def test_jax_takes_no_trace_with_parameters_for_another():
    """Its own keeping of traces does not know that a Module reads boxes."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(nn.Linear(8, 8), nn.Tanh())

        def forward(self, x):
            return jax.checkpoint(self.block)(jax.lax.cond(x.sum() > 0, self.block, self.block, x)).sum()

    model = Twice()
    plain = lambda: model.block(model.block(X)).sum()  # noqa: E731
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    step = fnn.jit(lambda x: optimizer.step(lambda: model(x)))
    call = lambda p: fnn.functional_call(model, p, {}, X)[0]  # noqa: E731
    for mode in (True, False, True):
        model.train(mode)
        for run in (
            lambda: step(X),
            lambda: fnn.jit(model)(X),
            lambda: jax.jit(call)(fnn.state(model)[0]),
            lambda: jax.value_and_grad(call)(fnn.state(model)[0])[0],
            lambda: optimizer.step(lambda: model(X)),
        ):
            expected = float(plain())
            assert float(run()) == pytest.approx(expected, rel=1e-5)


def test_how_often_a_transformation_runs_its_function():
    """This says when JAX has moved its transformations to other files."""
    seen = []

    def outer(depth):
        def look(x):
            seen.append(runs_once(depth))
            return x

        return look

    def with_rule(look):
        f = jax.custom_jvp(look)
        f.defjvp(lambda primals, tangents: (primals[0], tangents[0]))
        return f

    depth = stack_depth()
    x = jnp.ones(3)
    assert not runs_once(depth)
    once = [
        lambda look: jax.checkpoint(look)(x),
        lambda look: jax.jit(look)(x),
        lambda look: jax.grad(lambda x: look(x).sum())(x),
        lambda look: jax.vjp(look, x),
        lambda look: jax.jvp(look, (x,), (x,)),
        lambda look: jax.lax.cond(True, look, look, x),
        lambda look: jax.lax.switch(0, [look, look], x),
        lambda look: jax.eval_shape(look, x),
    ]
    often = [
        lambda look: jax.vmap(look)(x),
        lambda look: jax.lax.map(look, x),
        lambda look: jax.lax.scan(lambda c, v: (look(c), None), x, x),
        lambda look: jax.lax.fori_loop(0, 2, lambda i, c: look(c), x),
        lambda look: jax.lax.while_loop(lambda c: look(c).sum() > 9, lambda c: c, x),
        lambda look: jax.lax.associative_scan(lambda a, b: look(a) + b, x),
        lambda look: with_rule(look)(x),
        lambda look: jax.jacfwd(look)(x),
        lambda look: jax.jacrev(lambda x: jax.vmap(look)(x))(x),
        lambda look: jax.hessian(lambda x: look(x).sum())(x),
    ]
    for runs, expected in ((once, True), (often, False)):
        for i, run in enumerate(runs):
            seen.clear()
            run(outer(depth))
            assert seen, (i, expected)
            assert set(seen) == {expected}, (i, expected)
