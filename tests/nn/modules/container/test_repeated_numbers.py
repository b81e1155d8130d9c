"""Repeated layers compute what a Sequential of them computes, to the rounding of float64, whatever runs them."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from tests.oracle import assert_close, needs_torch, rand, to_torch

N = 3
X = jnp.asarray(rand(0, 5, 4))
REMATS = {
    "kept": None,
    "remat": True,
    "remat by name": "dots_saveable",
    "remat by function": jax.checkpoint_policies.everything_saveable,
}


def block(batchnorm=True):
    norm = nn.BatchNorm1d(4) if batchnorm else nn.LayerNorm(4)
    return nn.Sequential(nn.Linear(4, 4), norm, nn.Dropout(0.4), nn.Tanh()).double()


def twins(make=block, n=N, remat=None, seed=0):
    """A Sequential and the Repeated of its layers, in models with a layer before and one after."""
    fnn.manual_seed(seed)
    plain = nn.Sequential(nn.Linear(4, 4), nn.Sequential(*[make() for _ in range(n)]), nn.Linear(4, 2)).double()
    looped = copy.deepcopy(plain)
    looped[1] = fnn.repeat(looped[1], remat=remat)
    return plain, looped


def assert_alike(looped, plain):
    """The same parameters, gradients, buffers."""
    ours, theirs = looped.state_dict(keep_vars=True), plain.state_dict(keep_vars=True)
    assert list(ours) == list(theirs)
    for name, box in ours.items():
        assert_close(box.data, theirs[name].data, 1e-12, 1e-13, name)
        grad, expected = getattr(box, "grad", None), getattr(theirs[name], "grad", None)
        assert (grad is None) == (expected is None), name
        if grad is not None:
            assert_close(grad, expected, 1e-11, 1e-12, f"gradient of {name}")


def both(run, remat=None, make=block):
    """What ``run`` returns with each model, and that it leaves them and the generator alike."""
    results, states = [], []
    models = twins(make, remat=remat)
    for model in models:
        fnn.manual_seed(7)
        results.append(run(model))
        states.append(fnn.get_rng_state())
    for ours, theirs in zip(jax.tree.leaves(results[1]), jax.tree.leaves(results[0]), strict=True):
        assert_close(ours, theirs, 1e-11, 1e-12)
    assert_alike(*reversed(models))
    np.testing.assert_array_equal(states[1], states[0])


def loss_of(model):
    return (model(X) ** 2).mean()


def step_of(model):
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return lambda: optimizer.step(lambda: loss_of(model))


def four_steps(model):
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step():
        loss = fnn.backward(lambda: loss_of(model), model)
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()
        return loss, norm

    return step


def twice(function):
    return [function(), function()]


RUNS = {
    "eager": lambda m: m(X),
    "eager, evaluating": lambda m: m.eval()(X),
    "jit": lambda m: twice(fnn.jit(lambda: m(X))),
    "backward": lambda m: twice(lambda: fnn.backward(lambda: loss_of(m), m)),
    "backward in jit": lambda m: twice(fnn.jit(lambda: fnn.backward(lambda: loss_of(m), m))),
    "step": lambda m: twice(step_of(m)),
    "step in jit": lambda m: twice(fnn.jit(step_of(m))),
    "four steps": lambda m: twice(four_steps(m)),
    "four steps in jit": lambda m: twice(fnn.jit(four_steps(m))),
    "grad": lambda m: twice(lambda: _in_torch_layout(m, fnn.grad(loss_of)(m))),
    "grad in jit": lambda m: twice(fnn.jit(lambda: _in_torch_layout(m, fnn.grad(loss_of)(m)))),
    "remat": lambda m: twice(fnn.jit(lambda: fnn.backward(lambda: fnn.remat(loss_of)(m), m))),
    "vmap": lambda m: twice(fnn.jit(lambda: fnn.vmap(lambda x: m.eval()(x))(jnp.stack([X, 2 * X])))),
    "scan": lambda m: twice(lambda: fnn.scan(lambda c, x: (c, m(x)), None, jnp.stack([X, 2 * X]))[1]),
    "grad of scan": lambda m: twice(
        fnn.jit(lambda: fnn.backward(lambda: fnn.scan(lambda c, x: (c, m(x)), None, jnp.stack([X, 2 * X]))[1].sum(), m))
    ),
    "scan of steps": lambda m: _scan_of_steps(m),
    "cond": lambda m: twice(fnn.jit(lambda: fnn.cond(X.sum() > -1e9, lambda: m(X), lambda: jnp.zeros((5, 2))))),
    "accumulate": lambda m: twice(lambda: fnn.accumulate(lambda x: (m(x) ** 2).mean(), jnp.stack([X, 2 * X]), m)),
    "accumulate in jit": lambda m: twice(
        fnn.jit(lambda: fnn.accumulate(lambda x: (m(x) ** 2).mean(), jnp.stack([X, 2 * X]), m))
    ),
}


def _in_torch_layout(model, grads):
    """Gradients by the names of the stacks, in the order of the Sequential's names."""
    out = {}
    for name, grad in grads.items():
        if ".*." in name:
            out.update({name.replace("*", str(i)): grad[i] for i in range(N)})
        else:
            out[name] = grad
    return [out[name] for name, _ in sorted(out.items())]


def _scan_of_steps(model):
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(carry, x):
        return carry, optimizer.step(lambda: (model(x) ** 2).mean())

    step(None, X)  # gives the optimizer its state
    return fnn.scan(step, None, jnp.stack([X, 2 * X, 3 * X]))[1]


@pytest.mark.parametrize("how", RUNS)
def test_equals_the_sequential(how):
    both(RUNS[how])


@pytest.mark.parametrize("remat", list(REMATS)[1:])
@pytest.mark.parametrize("how", ["eager", "backward", "step in jit", "grad of scan", "cond"])
def test_equals_the_sequential_rematerialized(how, remat):
    both(RUNS[how], REMATS[remat])


@pytest.mark.parametrize("remat", REMATS)
@pytest.mark.parametrize("how", ["jit", "grad", "vmap", "jit of grad of vmap"])
def test_functional_call(how, remat):
    results = []
    for model in twins(remat=REMATS[remat]):
        params, buffers = fnn.state(model)

        def loss(params, key, model=model, buffers=buffers):
            out, new = fnn.functional_call(model, params, buffers, X, rng=key)
            return (out**2).mean(), new

        key = jax.random.key(3)
        keys = jax.random.split(key, 2)
        if how == "jit":
            value, new = jax.jit(loss)(params, key)
        elif how == "grad":
            value, new = jax.grad(loss, has_aux=True)(params, key)
        elif how == "vmap":
            value, new = jax.vmap(loss, (None, 0))(params, keys)
        else:
            value, new = jax.jit(jax.vmap(jax.grad(loss, has_aux=True), (None, 0)))(params, keys)
        stacked = 1 if "vmap" in how else 0

        def flat(values, stacked=stacked):
            if not isinstance(values, dict):
                return [values]
            out = {}
            for name, value in values.items():
                if ".*." in name:
                    for i in range(N):
                        out[name.replace("*", str(i))] = value[:, i] if stacked else value[i]
                else:
                    out[name] = value
            return [out[name] for name in sorted(out)]

        results.append(flat(value) + flat(new))
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert_close(ours, theirs, 1e-11, 1e-12)


def test_nested_repeated():
    def inner():
        return nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3), nn.BatchNorm1d(4)).double()

    fnn.manual_seed(0)
    plain = nn.Sequential(*[nn.Sequential(*[inner() for _ in range(2)]) for _ in range(3)])
    looped = nn.Repeated(lambda: nn.Repeated(inner, 2), 3)
    looped.load_state_dict(plain.state_dict())
    out = []
    for model in (plain, looped):
        fnn.manual_seed(2)
        out.append([model(X), fnn.jit(lambda model=model: fnn.backward(lambda: (model(X) ** 2).sum(), model))()])
    assert_close(out[1][0], out[0][0], 1e-12, 1e-13)
    assert_close(out[1][1], out[0][1], 1e-12, 1e-13)
    assert_alike(looped, plain)


@needs_torch
@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_encoder_of_torch(norm_first):
    import torch

    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, 0.1, norm_first=norm_first, dtype=torch.float64)
    theirs = torch.nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).eval()
    for p in theirs.parameters():
        p.data = torch.randn(p.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(p.numel())) / 3
    ours = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16, 0.1, norm_first=norm_first).double(), 3, enable_nested_tensor=False
    )
    ours.layers = fnn.repeat(ours.layers)
    ours.load_state_dict(theirs.state_dict())
    ours.eval()
    x = rand(1, 6, 2, 8)
    mask = np.triu(np.full((6, 6), -np.inf), 1)
    padding = np.zeros((2, 6), bool)
    padding[1, 4:] = True
    for options in ({}, {"mask": mask, "is_causal": True}, {"src_key_padding_mask": padding}):
        expected = theirs(to_torch(x), **{k: to_torch(v) for k, v in options.items()}).detach().numpy()
        assert_close(ours(x, **options), expected, what=str(list(options)))
        assert_close(fnn.jit(lambda options=options: ours(x, **options))(), expected, what=str(list(options)))
    back = torch.nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).double()
    back.load_state_dict({k: torch.tensor(np.asarray(v)) for k, v in ours.state_dict().items()})
    assert list(back.state_dict()) == list(ours.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(back.parameters(), theirs.parameters(), strict=True))


@needs_torch
def test_sequential_of_torch_with_batchnorm():
    import torch

    theirs = torch.nn.Sequential(
        *[torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4)) for _ in range(3)]
    ).double()
    ours = nn.Repeated(lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).double(), 3)
    ours.load_state_dict(theirs.state_dict())
    for _ in range(2):
        assert_close(fnn.jit(ours)(X), theirs(to_torch(np.asarray(X))).detach().numpy())
    for name, value in theirs.state_dict().items():
        assert_close(ours.state_dict()[name], value.numpy(), what=name)
    assert_close(ours.eval()(X), theirs.eval()(to_torch(np.asarray(X))).detach().numpy())
