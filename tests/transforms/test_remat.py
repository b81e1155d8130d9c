"""remat and checkpoint: the numbers, masks and buffers of the plain call, computed again for the gradient."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.utils.checkpoint import checkpoint, checkpoint_sequential, noop_context_fn
from tests.oracle import assert_close, rand

X = jnp.asarray(rand(0, 5, 4))
POLICIES = [None, "dots_saveable", "everything_saveable", jax.checkpoint_policies.nothing_saveable]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.dropout = nn.Dropout(0.4)

    def forward(self, x, scale=1.0):
        return jnp.tanh(self.dropout(self.norm(self.linear(x)))) * scale


class Net(nn.Module):
    """The block called plainly, or in one of the ways of this file."""

    def __init__(self, how=lambda block, x: block(x)):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.block = Block()
        self.last = nn.Linear(4, 2)
        self.how = how

    def forward(self, x):
        return self.last(self.how(self.block, self.how(self.block, self.first(x))))


HOW = {
    "remat of a Module": lambda block, x: fnn.remat(block)(x),
    "remat of a function": lambda block, x: fnn.remat(lambda x: block(x))(x),
    "remat with a policy": lambda block, x: fnn.remat(block, "dots_saveable")(x),
    "remat of remat": lambda block, x: fnn.remat(fnn.remat(block))(x),
    "checkpoint": lambda block, x: checkpoint(block, x, use_reentrant=False),
    "checkpoint of a function": lambda block, x: checkpoint(lambda x, y: block(x) + 0 * y, x, y=x, use_reentrant=True),
    "remat in scan": lambda block, x: fnn.scan(lambda c, _: (fnn.remat(block)(c), None), x, None, 1)[0],
    "scan in remat": lambda block, x: fnn.remat(lambda x: fnn.scan(lambda c, _: (block(c), None), x, None, 1)[0])(x),
    "remat in cond": lambda block, x: fnn.cond(x.sum() > -1e9, fnn.remat(block), lambda x: x, x),
}


def step_of(model):
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return lambda: optimizer.step(lambda: (model(X) ** 2).mean())


WRAPS = {
    "eager": lambda m: [m(X), m(X)],
    "backward": lambda m: [fnn.backward(lambda: (m(X) ** 2).mean(), m) for _ in range(2)],
    "backward in jit": lambda m: [fnn.jit(lambda: fnn.backward(lambda: (m(X) ** 2).mean(), m))() for _ in range(2)],
    "step in jit": lambda m: (lambda step: [step(), step()])(fnn.jit(step_of(m))),
}


def results_of(how, wrap):
    fnn.manual_seed(0)
    model = Net(how).double() if how else Net().double()
    fnn.manual_seed(5)
    losses = WRAPS[wrap](model)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return [*losses, *model.state_dict().values(), *grads, fnn.get_rng_state()]


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("how", HOW)
def test_equals_the_plain_call(how, wrap):
    expected = results_of(None, wrap)
    got = results_of(HOW[how], wrap)
    assert len(got) == len(expected)
    for ours, theirs in zip(got, expected, strict=True):
        assert_close(ours, theirs, 1e-11, 1e-12)


@pytest.mark.parametrize("how", HOW)
def test_functional_call(how):
    results = []
    for net in (Net(), Net(HOW[how])):
        model = net.double()
        model.load_state_dict(results[0][0]) if results else None
        params, buffers = fnn.state(model)

        def loss(params, key, model=model, buffers=buffers):
            out, new = fnn.functional_call(model, params, buffers, X, rng=key)
            return (out**2).mean(), new

        keys = jax.random.split(jax.random.key(0), 2)
        grads, new = jax.jit(jax.vmap(jax.grad(loss, has_aux=True), (None, 0)))(params, keys)
        one = jax.grad(loss, has_aux=True)(params, keys[0])
        results.append((model.state_dict(), jax.tree.leaves((grads, new, one))))
    for ours, theirs in zip(results[1][1], results[0][1], strict=True):
        assert_close(ours, theirs, 1e-11, 1e-12)


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_decide_what_is_kept(policy):
    """The gradient of a program with remat has the products of the forward pass once more, unless they are kept."""
    linear = nn.Linear(4, 4).double()
    block = nn.Sequential(linear, nn.Tanh(), nn.Linear(4, 4).double(), nn.Tanh())

    def products(call):
        params, buffers = fnn.state(block)
        text = str(jax.make_jaxpr(jax.grad(lambda p: fnn.functional_call(call, p, buffers, X)[0].sum()))(params))
        return text.count("dot_general")

    plain, light = products(block), products(fnn.remat(block, policy))
    hand = fnn.state(block)[0]

    def by_hand(p):
        return jnp.tanh(jnp.tanh(X @ p["0.weight"].T + p["0.bias"]) @ p["2.weight"].T + p["2.bias"])

    rule = getattr(jax.checkpoint_policies, policy) if isinstance(policy, str) else policy
    reference = jax.grad(lambda p: jax.checkpoint(by_hand, policy=rule)(p).sum())
    assert light == str(jax.make_jaxpr(reference)(hand)).count("dot_general")
    assert (light > plain) == (policy in (None, POLICIES[3]))


def test_a_rematerialized_module_is_a_module_of_its_class():
    block = Block().double()
    light = fnn.remat(block)
    assert type(light) is Block
    assert light.linear is block.linear
    assert list(light.state_dict()) == list(block.state_dict())
    assert [n for n, _ in light.named_parameters()] == [n for n, _ in block.named_parameters()]
    assert dict(light.named_parameters())["linear.weight"] is block.linear.weight
    light.load_state_dict({k: v + 1 for k, v in block.state_dict().items()})
    assert_close(block.norm.running_mean, np.ones(4))
    light.eval()
    assert not block.norm.training
    assert not light.training
    light.train()
    assert block.norm.training
    assert repr(light) == repr(block)
    model = nn.Sequential(light)
    assert next(iter(model.state_dict())) == "0.linear.weight"


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_rematerialize_their_own_arrays(copied):
    light = fnn.remat(Block().double().eval(), "dots_saveable")
    expected = light(X)
    twin = copied(light)
    assert_close(twin(X), expected, 0, 0)
    if copied is not copy.copy:
        twin.linear.weight.zero_()
        assert_close(light(X), expected, 0, 0)
        assert not np.allclose(twin(X), expected)
    text = str(jax.make_jaxpr(lambda x: twin(x))(X))
    assert "remat" in text or "checkpoint" in text


def test_modes_of_a_copy_are_its_own():
    light = fnn.remat(nn.Dropout(0.5))
    twin = copy.deepcopy(light).eval()
    assert_close(fnn.jit(twin)(X), X)
    assert (np.asarray(fnn.jit(light)(X)) == 0).any()
    light.eval()
    assert_close(fnn.jit(light)(X), X)


def test_hooks_of_a_rematerialized_module_run():
    light = fnn.remat(nn.Linear(4, 4).double())
    handle = light.register_forward_hook(lambda module, args, output: output * 2)
    plain = X @ light.weight.data.T + light.bias.data
    assert_close(light(X), 2 * plain)
    assert_close(fnn.jit(light)(X), 2 * plain)
    handle.remove()
    assert_close(fnn.jit(light)(X), plain)


def test_methods_and_decorators():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        @fnn.remat
        def half(self, x):
            """What it says."""
            return self.linear(x) / 2

        def forward(self, x):
            return self.half(x)

    model = Model().double()
    expected = (X @ model.linear.weight.data.T + model.linear.bias.data) / 2
    assert_close(model(X), expected)
    assert_close(fnn.jit(model)(X), expected)
    assert Model.half.__name__ == "half"
    assert Model.half.__doc__ == "What it says."
    assert_close(copy.deepcopy(model)(X), expected)


def test_arguments_of_all_kinds():
    block = Block().double().eval()

    def call(x, options, module, *, scale=None, name="a"):
        return {"y": module(x) * options["scale"] * scale, "name": name}, len(options)

    for wrap in (lambda f: f, fnn.jit):
        got = wrap(lambda: fnn.remat(call)(X, {"scale": 2.0, "other": None}, block, scale=X, name="b")[0]["y"])()
        assert_close(got, block(X) * 2 * X)
    out, count = checkpoint(call, X, {"scale": 2.0}, block, scale=1.0, use_reentrant=False)
    assert out["name"] == "a"
    assert count == 1


def test_made_in_the_first_call():
    class Late(nn.Module):
        def forward(self, x):
            if not hasattr(self, "scale"):
                self.scale = nn.Parameter(jnp.full(4, 2.0))
            return x * self.scale

    model = Late()
    out = fnn.jit(lambda: checkpoint(model, X, use_reentrant=False))()
    assert_close(out, 2 * X)
    assert_close(model.scale, np.full(4, 2.0))


def test_an_error_leaves_all_as_it_was():
    block = Block().double()
    before = {k: np.asarray(v) for k, v in block.state_dict().items()}
    state = fnn.get_rng_state()

    def bad(x):
        return block(x) @ jnp.ones((3, 3))

    for call in (fnn.remat(bad), lambda x: checkpoint(bad, x, use_reentrant=False)):
        with pytest.raises(TypeError):
            fnn.jit(lambda call=call: call(X))()
        with pytest.raises(TypeError):
            fnn.jit(lambda call=call: fnn.backward(lambda: call(X).sum(), block))()
    for name, value in block.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    np.testing.assert_array_equal(fnn.get_rng_state(), state)


def test_a_draw_without_a_key_names_the_remedy():
    drop = nn.Dropout(0.5)
    with pytest.raises(RuntimeError, match="dropout: a random draw") as caught:
        jax.jit(lambda x: fnn.remat(drop)(x))(X)
    assert any("a-draw-needs-a-key" in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: fnn.remat(3), TypeError, "remat: module_or_function must be a Module or a function, got"),
        (lambda: fnn.remat(jnp.sin, 3), TypeError, "remat: policy must be a function of jax.checkpoint_policies"),
        (lambda: fnn.remat(jnp.sin, "save_some"), ValueError, "remat: policy must be one of everything_saveable"),
        (
            lambda: checkpoint(3, X, use_reentrant=False),
            TypeError,
            "checkpoint: function must be a Module or a function",
        ),
        (
            lambda: checkpoint(jnp.sin, X, context_fn=lambda: (1, 2), use_reentrant=False),
            ValueError,
            "checkpoint: context_fn must be left out",
        ),
        (lambda: checkpoint_sequential([jnp.sin], 0, X), ValueError, "segments must be"),
        (
            lambda: checkpoint_sequential([jnp.sin], 2, X),
            ValueError,
            r"segments must be at most the number of functions \(1\)",
        ),
        (lambda: checkpoint_sequential([jnp.sin], 1.5, X), TypeError, "segments must be"),
    ],
)
def test_wrong_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_torchs_signature_is_taken():
    out = checkpoint(
        jnp.sin,
        X,
        use_reentrant=False,
        context_fn=noop_context_fn,
        determinism_check="none",
        debug=True,
        early_stop=False,
        preserve_rng_state=False,
    )
    assert_close(out, jnp.sin(X))


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_checkpoint_sequential(segments):
    results = []
    for call in (lambda m: m(X), lambda m: checkpoint_sequential(m, segments, X, use_reentrant=False)):
        fnn.manual_seed(0)
        model = nn.Sequential(*[Block() for _ in range(5)]).double()
        loss = fnn.jit(lambda call=call, model=model: fnn.backward(lambda: (call(model) ** 2).sum(), model))()
        results.append([loss, *model.state_dict().values(), *[p.grad for p in model.parameters()], fnn.get_rng_state()])
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert_close(ours, theirs, 1e-11, 1e-12)
