"""Repeated layers as a Module: names, state dicts, single layers, copies, hooks, errors. Numbers: test_repeated_numbers.py."""

import copy
import gc
import pickle
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from tests.nn.modules.container.repeated_layers import Block, N, X, assert_as_before, full, layers, twins
from tests.oracle import assert_close, rand

# Names


def test_names_and_shapes():
    plain, looped = twins()
    assert list(looped.state_dict()) == list(plain.state_dict())
    assert list(looped.state_dict(prefix="a.")) == list(plain.state_dict(prefix="a."))
    assert looped.state_dict()._metadata.keys() == plain.state_dict()._metadata.keys()
    for name, value in plain.state_dict().items():
        assert_close(looped.state_dict()[name], value, 0, 0, name)
    named = dict(looped.named_parameters())
    assert list(named) == [
        "*.scale",
        "*.linear1.weight",
        "*.linear1.bias",
        "*.linear2.bias",
        "*.norm.weight",
        "*.norm.bias",
    ]
    assert named["*.linear1.weight"].shape == (N, 4, 4)
    assert {name: b.shape for name, b in looped.named_buffers()}["*.norm.num_batches_tracked"] == (N,)
    assert sum(p.numel() for p in looped.parameters()) == sum(p.numel() for p in plain.parameters())
    params, buffers = fnn.state(looped)
    assert "*.scale" in buffers
    assert params["*.linear1.weight"].shape == (N, 4, 4)


def test_single_layers():
    plain, looped = twins()
    assert len(looped) == N
    assert len(list(looped)) == N
    assert type(looped[0]) is Block
    for i in (0, 2, -1):
        assert_close(looped[i].linear1.weight, plain[i].linear1.weight, 0, 0)
        assert_close(looped[i].norm.running_var, plain[i].norm.running_var, 0, 0)
    assert [float(layer.linear1.bias[0]) for layer in looped[1:]] == [float(m.linear1.bias[0]) for m in plain[1:]]
    assert looped.get_submodule("2.linear1").weight.shape == (4, 4)
    model = nn.Sequential(nn.Identity(), looped)
    assert_close(model.get_submodule("1.2.linear1").weight, plain[2].linear1.weight, 0, 0)
    assert_close(model.get_parameter("1.1.norm.weight"), plain[1].norm.weight, 0, 0)
    assert_close(model.get_buffer("1.1.norm.running_var"), plain[1].norm.running_var, 0, 0)
    assert looped[0].linear1.weight is not looped[0].linear1.bias
    layer = looped[1]
    assert layer.linear1.weight is layer.linear2.weight
    for index in (N, -N - 1):
        with pytest.raises(IndexError):
            looped[index]
    with pytest.raises(AttributeError):
        looped.get_submodule("3.linear1")


def test_views_read_and_write():
    plain, looped = twins()
    looped[1].linear1.weight.data = np.eye(4)
    assert_close(looped.layer.linear1.weight[1], np.eye(4))
    assert_close(looped.layer.linear1.weight[0], plain[0].linear1.weight, 0, 0)
    looped[1].linear1.weight.mul_(3.0)
    looped[1].linear1.weight[0, 1] = 7.0
    expected = 3 * np.eye(4)
    expected[0, 1] = 7
    assert_close(looped[1].linear1.weight, expected)
    layer = looped[2]
    looped.layer.linear1.bias.fill_(5.0)
    assert_close(layer.linear1.bias, np.full(4, 5.0))
    assert layer.linear1.bias.shape == (4,)
    assert layer.linear1.bias.ndim == 1
    assert layer.linear1.bias.dtype == np.float64
    assert len(layer.linear1.bias) == 4
    with pytest.raises(ValueError, match=r"held in one array with the other layers; it must stay float64\[4, 4\]"):
        looped[0].linear1.weight.data = np.ones((2, 2))
    with pytest.raises(ValueError, match="held in one array"):
        looped[0].linear1.weight.data = np.ones((4, 4), "float32")
    buffer = looped[0].norm.running_mean
    buffer.copy_(np.arange(4.0))
    assert_close(looped.layer.norm.running_mean[0], np.arange(4.0))


def test_a_single_layer_runs_alone():
    plain, looped = twins()
    out = fnn.jit(lambda: looped[1](X))()
    assert_close(out, plain[1](X))
    assert_close(looped.layer.norm.running_mean[1], plain[1].norm.running_mean)
    assert not np.asarray(looped.layer.norm.running_mean[0]).any()
    layer = looped[2]
    assert_close(fnn.jit(lambda: layer(X))(), plain[2](X))
    assert_close(fnn.jit(layer)(X), plain[2](X))
    assert_close(looped.layer.norm.running_mean[2], plain[2].norm.running_mean)
    run = fnn.jit(lambda layer, x: layer(x))
    for i in range(N):
        assert_close(run(looped[i], X), plain[i](X))
    weight, other = looped[0].linear1.weight, looped[1].linear1.weight
    assert_close(fnn.jit(lambda x: x @ weight)(X), X @ weight.data)
    product = fnn.jit(lambda w, x: x @ w)
    assert_close(product(weight, X), X @ weight.data)
    assert_close(product(other, X), X @ other.data)
    params, buffers = fnn.state(layer)
    assert_close(fnn.functional_call(layer, params, buffers, X)[0], plain[2](X))


def test_gradients_through_single_layers():
    plain, looped = twins()

    def run(model):
        x = X
        for layer in model:
            x = layer(x)
        return (x**2).sum()

    for wrap in (lambda f: f, fnn.jit):
        wrap(lambda: fnn.backward(lambda: run(plain), plain))()
        wrap(lambda: fnn.backward(lambda: run(looped), looped))()
        for i in range(N):
            assert_close(looped[i].linear1.weight.grad, plain[i].linear1.weight.grad, 1e-11)
            assert_close(looped.layer.norm.bias.grad[i], plain[i].norm.bias.grad, 1e-11)
            assert looped[i].scale.grad is None


def test_gradients_of_single_layers_read_and_write():
    _, looped = twins()
    assert looped[0].linear1.weight.grad is None
    looped[1].linear1.weight.grad = np.ones((4, 4))
    assert_close(looped.layer.linear1.weight.grad, np.stack([np.zeros((4, 4)), np.ones((4, 4)), np.zeros((4, 4))]))
    with pytest.raises(ValueError, match=r"the gradient of .* is one array for all layers"):
        looped[1].linear1.weight.grad = None
    looped.zero_grad()
    assert looped[1].linear1.weight.grad is None
    looped[0].zero_grad()


def test_init_and_apply_draw_as_layer_by_layer():
    plain, looped = twins()

    def init(module):
        if type(module) is nn.Linear:
            nn.init.xavier_uniform_(module.weight)
            nn.init.constant_(module.bias, 0.5)
        elif isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1.0, 0.02)

    for model in (plain, looped):
        fnn.manual_seed(4)
        model.apply(init)
    for name, value in plain.state_dict().items():
        assert_close(looped.state_dict()[name], value, 0, 0, name)


FILLINGS = {
    "uniform_": (),
    "normal_": (),
    "trunc_normal_": (),
    "constant_": (3.0,),
    "ones_": (),
    "zeros_": (),
    "eye_": (),
    "xavier_uniform_": (),
    "xavier_normal_": (),
    "kaiming_uniform_": (),
    "kaiming_normal_": (),
    "orthogonal_": (),
    "sparse_": (0.5,),
}


@pytest.mark.parametrize("name", FILLINGS)
def test_init_of_a_stack_is_that_of_each_layer(name):
    plain = nn.Sequential(*[nn.Linear(6, 4).double() for _ in range(N)])
    looped = nn.Repeated.of(list(plain))
    fill = getattr(nn.init, name)
    fnn.manual_seed(1)
    for layer in plain:
        fill(layer.weight, *FILLINGS[name])
    fnn.manual_seed(1)
    assert fill(looped.layer.weight, *FILLINGS[name]) is looped.layer.weight
    assert_close(looped.layer.weight, np.stack([np.asarray(layer.weight) for layer in plain]), 1e-12)
    fnn.manual_seed(1)
    for layer in looped:
        fill(layer.weight, *FILLINGS[name])
    assert_close(looped.layer.weight, np.stack([np.asarray(layer.weight) for layer in plain]), 1e-12)


def test_dirac_of_a_stack():
    plain = [nn.Conv1d(2, 2, 3).double() for _ in range(N)]
    looped = nn.Repeated.of(plain)
    nn.init.dirac_(looped.layer.weight)
    nn.init.dirac_(plain[0].weight)
    assert_close(looped[2].weight, plain[0].weight)


def test_fans_are_those_of_one_layer():
    looped = nn.Repeated(lambda: nn.Linear(6, 4), N)
    calculate = nn.init._calculate_fan_in_and_fan_out
    assert calculate(looped.layer.weight) == calculate(looped[0].weight) == (6, 4)


# The Module's own surface


def test_modes_freezing_and_casts():
    _, looped = twins()
    assert looped.eval().layer.norm.training is False
    assert looped[0].norm.training is False
    assert looped.train().layer.dropout.training
    looped.requires_grad_(False)
    assert not looped[0].linear1.weight.requires_grad
    assert list(fnn.state(looped)[0]) == []
    looped.requires_grad_(True)
    looped.layer.linear1.weight.requires_grad = False
    assert not looped[2].linear1.weight.requires_grad
    loss = fnn.jit(lambda: fnn.backward(lambda: looped(X).sum(), looped))
    loss()
    assert looped.layer.linear1.weight.grad is None
    assert looped.layer.linear1.bias.grad.shape == (N, 4)
    with pytest.raises(ValueError, match="require grad together"):
        looped[1].linear1.bias.requires_grad = False
    single = looped.float()
    assert single[1].linear1.weight.dtype == np.float32
    assert single.layer.linear1.bias.grad.dtype == np.float32
    assert single(X.astype("float32")).dtype == np.float32
    assert single.to(jnp.bfloat16).layer.norm.running_mean.dtype == jnp.bfloat16


def test_clipping():
    plain, looped = twins()
    norms = []
    for model in (plain, looped):
        fnn.backward(lambda model=model: (model(X) ** 2).sum(), model)
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.5))
        nn.utils.clip_grad_value_(model.parameters(), 0.01)
    assert_close(norms[1], norms[0], 1e-12)
    for i in range(N):
        assert_close(looped[i].linear1.weight.grad, plain[i].linear1.weight.grad, 1e-11)


def test_copies():
    plain, looped = twins()
    looped.layer.linear1.weight.grad = np.ones((N, 4, 4))
    for copied in (copy.deepcopy(looped), pickle.loads(pickle.dumps(looped)), copy.deepcopy(nn.Sequential(looped))[0]):
        assert_as_before(copied, full(plain))
        assert copied.layer.linear1.weight is copied.layer.linear2.weight
        assert copied.layer.linear1.weight is not looped.layer.linear1.weight
        copied[0].linear1.weight.zero_()
        assert not copied.layer.linear1.weight[0].any()
        nn.init.xavier_uniform_(copied.layer.linear1.weight)
        assert abs(copied.layer.linear1.weight.data).max() <= np.sqrt(6 / 8)
        assert copied(X).shape == X.shape
    assert_as_before(looped, full(plain))


def test_a_copy_of_one_layer_is_a_layer_of_its_own():
    plain, looped = twins()
    layer = copy.deepcopy(looped[1])
    assert_as_before(layer, full(plain[1]))
    layer.linear1.weight.data = np.zeros((4, 4))
    layer.dropout.p = 0.7
    layer.linear2 = nn.Linear(4, 4)
    calls = []
    layer.register_forward_hook(lambda *args: calls.append(1))
    layer.double()(X)
    assert calls == [1]
    assert type(layer.linear1.weight) is nn.Parameter
    assert looped.layer.dropout.p == 0.0
    fnn.backward(lambda: layer(X).sum(), layer)
    fnn.optim.SGD(layer.parameters(), lr=0.1).step()
    with pytest.raises(TypeError, match="is a part of a stack of layers and cannot be pickled"):
        pickle.dumps(looped[0])


CHANGES = {
    "attribute": lambda layer: setattr(layer.dropout, "p", 0.5),
    "new attribute": lambda layer: setattr(layer, "other", 1),
    "parameter": lambda layer: setattr(layer.linear1, "weight", nn.Parameter(np.ones((4, 4)))),
    "buffer": lambda layer: layer.register_buffer("more", np.ones(2)),
    "child": lambda layer: setattr(layer, "linear1", nn.Linear(4, 4)),
    "nothing": lambda layer: setattr(layer.linear1, "bias", None),
    "deletion": lambda layer: delattr(layer, "dropout"),
    "mode": lambda layer: layer.eval(),
    "hook": lambda layer: layer.register_forward_hook(print),
    "backward hook": lambda layer: layer.linear1.register_full_backward_hook(print),
    "parametrization": lambda layer: nn.utils.parametrize.register_parametrization(layer.linear1, "weight", nn.Tanh()),
    "weight norm": lambda layer: nn.utils.parametrizations.weight_norm(layer.linear1),
    "old weight norm": lambda layer: nn.utils.weight_norm(layer.linear1),
    "spectral norm": lambda layer: nn.utils.parametrizations.spectral_norm(layer.linear1),
    "pruning": lambda layer: nn.utils.prune.l1_unstructured(layer.linear1, "weight", 2),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("what", CHANGES)
def test_one_layer_cannot_differ(what):
    _, looped = twins()
    before, key = full(looped), looped.layer._stateful_key_()
    with pytest.raises(RuntimeError, match=r"nn.Repeated"):
        CHANGES[what](looped[1])
    assert_as_before(looped, before)
    assert looped.layer._stateful_key_() == key
    assert looped(X).shape == X.shape


STACKED = {
    "parameter": lambda layer: setattr(layer.linear1, "weight", nn.Parameter(np.ones((4, 4)))),
    "parameter of N": lambda layer: setattr(layer.linear1, "bias", nn.Parameter(np.ones((N, 4)))),
    "buffer": lambda layer: layer.register_buffer("more", np.ones(N)),
    "child": lambda layer: setattr(layer, "linear1", nn.Linear(4, 4).double()),
    "weight norm": lambda layer: nn.utils.parametrizations.weight_norm(layer.linear1),
    "pruning": lambda layer: nn.utils.prune.l1_unstructured(layer.linear1, "weight", 2),
}


def test_a_parametrization_of_the_stack_is_that_of_each_layer():
    plain, looped = twins()
    for layer in (*plain, looped.layer):
        nn.utils.parametrize.register_parametrization(layer.linear2, "bias", nn.Tanh())
    assert list(looped.state_dict()) == list(plain.state_dict())
    for model in (plain, looped):
        fnn.backward(lambda model=model: (model(X) ** 2).sum(), model)
    for i in range(N):
        ours, theirs = (m[i].linear2.parametrizations.bias.original for m in (looped, plain))
        assert_close(ours.grad, theirs.grad, 1e-11)


@pytest.mark.parametrize("what", STACKED)
def test_what_is_put_into_the_stack_later_is_refused_in_the_call(what):
    _, looped = twins()
    STACKED[what](looped.layer)
    for call in (looped, fnn.jit(looped)):
        with pytest.raises(RuntimeError, match=r"Repeated: \*\.[\w.]+ holds no stack of 3 layers"):
            call(X)


def test_options_of_all_layers_change_together():
    _, looped = twins()
    run = fnn.jit(lambda: looped(X))
    first = run()
    looped.layer.dropout.p = 1.0
    assert not np.asarray(run()).any()
    assert looped[2].dropout.p == 1.0
    looped.layer.dropout.p = 0.0
    looped.eval()
    assert np.asarray(first).any()


@pytest.mark.parametrize("remat", [None, True])
def test_hooks_of_the_layer_run_for_each(remat):
    plain, looped = twins()
    looped.remat = remat

    def double(module, args, output):
        return output * 2

    def shifted(module, args):
        return (args[0] + 1, *args[1:])

    for layer in plain:
        layer.register_forward_hook(double)
        layer.linear2.register_forward_pre_hook(shifted)
    handles = [looped.layer.register_forward_hook(double), looped.layer.linear2.register_forward_pre_hook(shifted)]
    assert_close(looped(X), plain(X), 1e-12)
    loss = [fnn.jit(lambda m=m: fnn.backward(lambda: (m(X) ** 2).sum(), m))() for m in (plain, looped)]
    assert_close(loss[1], loss[0], 1e-12)
    for i in range(N):
        assert_close(looped[i].linear1.weight.grad, plain[i].linear1.weight.grad, 1e-11)
    for handle in handles:
        handle.remove()
    unhooked, _ = twins()
    unhooked.load_state_dict(looped.state_dict())
    assert_close(fnn.jit(looped)(X), unhooked(X), 1e-12)


def test_full_backward_hooks_of_the_layer():
    plain, looped = twins()

    def halved(module, grad_input, grad_output):
        return tuple(
            None if g is None else g / 2 for g in grad_input
        )  # that of the first layer's input is not computed

    for layer in (*plain, looped.layer):
        layer.register_full_backward_hook(halved)
    for m in (plain, looped):
        fnn.jit(lambda m=m: fnn.backward(lambda: (m(X) ** 2).sum(), m))()
    for i in range(N):
        assert_close(looped[i].linear1.bias.grad, plain[i].linear1.bias.grad, 1e-11)


# Arguments and results


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, extra=0.0, *, bias=0.0, gate=None):
        y = jnp.tanh(self.linear(x)) + extra + bias
        y = y if gate is None else y * gate["a"]
        return y, y.sum(-1), {"mean": y.mean()}


@pytest.mark.parametrize("wrap", [lambda f: f, fnn.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("remat", [None, True])
def test_arguments_for_all_and_for_each(wrap, remat):
    made = layers(make=Wide)
    looped = nn.Repeated.of(made, remat=remat)
    bias, gate, extra = jnp.asarray(rand(1, N, 4)), {"a": jnp.asarray(rand(2, N, 1))}, jnp.asarray(rand(3, 5, 4))
    x, sums, means = X, [], []
    for i, layer in enumerate(made):
        x, s, d = layer(x, extra, bias=bias[i], gate={"a": gate["a"][i]})
        sums.append(s)
        means.append(d["mean"])
    out, of_sums, of_means = wrap(lambda: looped(X, extra, each={"bias": bias, "gate": gate}))()
    assert_close(out, x, 1e-12)
    assert_close(of_sums, np.stack(sums), 1e-12)
    assert_close(of_means["mean"], np.stack(means), 1e-12)
    for wrong in ({"bias": bias[:2]}, {"bias": 1.0}):
        with pytest.raises(ValueError, match=r"Repeated: each\['bias'\] must be arrays with a first axis of 3"):
            looped(X, each=wrong)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, state):
        x, count = state
        return self.linear(x), count + 1


def test_carries_that_are_trees():
    made = layers(make=Pair)
    looped = nn.Repeated.of(made)
    expected = nn.Sequential(*made)((X, jnp.zeros((), int)))
    for run in (looped, fnn.jit(looped)):
        x, count = run((X, jnp.zeros((), int)))
        assert_close(x, expected[0], 1e-12)
        assert int(count) == N


class Odd(nn.Module):
    def forward(self, x):
        return {"x": x}


class Growing(nn.Module):
    def forward(self, x):
        return jnp.concatenate([x, x])


@pytest.mark.parametrize("wrap", [lambda f: f, fnn.jit], ids=["eager", "jit"])
def test_layers_must_return_what_they_take(wrap):
    with pytest.raises(TypeError, match="a layer must return what the next one takes"):
        wrap(nn.Repeated(Odd, 2))(X)


def test_layers_that_change_the_shape_are_compiled_one_by_one():
    looped = nn.Repeated(Growing, 2)
    assert looped(X).shape == (20, 4)
    with pytest.warns(UserWarning, match="returns another shape or dtype than it is given"):
        assert fnn.jit(looped)(X).shape == (20, 4)


# Making one


DIFFERENT = {
    "another shape": (lambda i: nn.Linear(4, 4, bias=i != 1), "another 'bias'|other parameters|another"),
    "sizes": (lambda i: nn.Linear(4, 4 + i), "'out_features'"),
    "classes": (lambda i: nn.Linear(4, 4) if i else nn.Identity(), "another class"),
    "options": (lambda i: nn.Dropout(0.1 * i), "'p'"),
    "child": (lambda i: nn.Sequential(nn.Dropout(0.1 * i)), "'p' of '0'"),
    "children": (lambda i: nn.Sequential(*[nn.Identity()] * (i + 1)), "other submodules"),
    "modes": (lambda i: nn.Linear(4, 4).train(i == 0), "'training'"),
    "frozen": (lambda i: nn.Linear(4, 4).requires_grad_(i == 0), "requires_grad of 'weight'"),
    "dtype": (lambda i: nn.Linear(4, 4, dtype="float64" if i else "float32"), "dtype"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_layers_that_differ_are_refused(what):
    make, words = DIFFERENT[what]
    made = [make(i) for i in range(3)]
    for call in (lambda: nn.Repeated.of(made), lambda: fnn.repeat(nn.ModuleList(made))):
        with pytest.raises(ValueError, match=f"layers must be alike, and layer \\d has .*({words})"):
            call()
    left = iter(made)
    with pytest.raises(ValueError, match="Repeated: layers must be alike"):
        nn.Repeated(lambda: next(left), 3)


def test_wrong_arguments():
    with pytest.raises(TypeError, match="make_layer must be a function that makes a layer"):
        nn.Repeated(nn.Linear(4, 4), 3)
    with pytest.raises(TypeError, match="must be"):
        nn.Repeated(lambda: 3, 3)
    for n in (0, -1):
        with pytest.raises(ValueError, match="n must be"):
            nn.Repeated(nn.Identity, n)
    with pytest.raises(TypeError, match="n must be"):
        nn.Repeated(nn.Identity, 2.5)
    with pytest.raises(ValueError, match="remat must be one of"):
        nn.Repeated(nn.Identity, 2, remat="some")
    with pytest.raises(TypeError, match="remat must be"):
        nn.Repeated(nn.Identity, 2, remat=3)
    with pytest.raises(ValueError, match="layers must be at least one"):
        nn.Repeated.of([])
    one = nn.Linear(4, 4)
    with pytest.raises(ValueError, match="share a Parameter or Buffer"):
        nn.Repeated.of([one, one])
    with pytest.raises(ValueError, match="has no shape yet"):
        nn.Repeated(lambda: nn.LazyLinear(4), 2)
    hooked = [nn.Linear(4, 4), nn.Linear(4, 4)]
    hooked[1].register_forward_hook(print)
    with pytest.raises(ValueError, match=r"hooks, to be registered on .layer"):
        nn.Repeated.of(hooked)


def test_layers_given_are_left_alone():
    plain, looped = twins()
    before = full(plain)
    looped.layer.linear1.weight.zero_()
    fnn.jit(looped)(X)
    assert_as_before(plain, before)
    assert plain[0].linear1.weight.shape == (4, 4)


def test_gradients_and_modes_are_taken_over():
    plain = nn.Sequential(*layers()).eval()
    fnn.backward(lambda: plain(X).sum(), plain)
    looped = fnn.repeat(plain)
    assert not looped.training
    assert_close(looped.layer.linear1.bias.grad[2], plain[2].linear1.bias.grad)


def test_the_constructor_draws_as_the_layers_do():
    fnn.manual_seed(0)
    looped = nn.Repeated(lambda: nn.Linear(4, 4), N)
    fnn.manual_seed(0)
    plain = nn.Sequential(*[nn.Linear(4, 4) for _ in range(N)])
    assert_as_before(looped, full(plain))


# What it costs


TRACES = []


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        TRACES.append(1)
        return jnp.tanh(self.linear(x))


@pytest.mark.parametrize("remat", [None, True])
def test_traces_do_not_grow_with_the_number_of_layers(remat):
    counts = []
    for n in (2, 9):
        model = nn.Repeated(lambda: Counting().double(), n, remat=remat)
        optimizer = fnn.optim.Adam(model.parameters())
        step = fnn.jit(lambda model=model, optimizer=optimizer: optimizer.step(lambda: model(X).sum()))
        TRACES.clear()
        for _ in range(5):
            step()
        counts.append(len(TRACES))
        assert step._cache_size() == 1
    assert counts[0] == counts[1] <= 4


def test_nobody_keeps_a_model():
    def use():
        model = nn.Repeated(lambda: Block(0.5).double(), N, remat=True)
        optimizer = fnn.optim.Adam(model.parameters())
        fnn.jit(lambda: optimizer.step(lambda: model(X).sum()))()
        fnn.jit(lambda m: m(X))(model)
        model(X)
        fnn.backward(lambda: model(X).sum(), model)
        fnn.scan(lambda c, x: (c, model(x)), None, X[None])
        fnn.remat(model)(X)
        fnn.grad(lambda m: m(X).sum())(model)
        model[0].linear1.weight.zero_()
        model.load_state_dict(model.state_dict())
        return weakref.ref(model), weakref.ref(model.layer.linear1.weight)

    found = use()
    gc.collect()
    assert [reference() for reference in found] == [None, None]


def test_repr_and_summary():
    _, looped = twins()
    assert repr(nn.Repeated.of(layers(2, make=Pair))).splitlines()[1] == "  (0-1): 2 x Pair("
    assert "(0): 1 x" in repr(nn.Repeated(nn.Identity, 1))
    text = str(fnn.summary(looped, X))
    plain = str(fnn.summary(nn.Sequential(*layers()), X))
    totals = [line for line in plain.splitlines() if line.startswith("parameters: ")]
    assert totals
    assert [line for line in text.splitlines() if line.startswith("parameters: ")] == totals


def test_moves():
    plain, looped = twins()
    looped.to(jax.devices()[0])
    assert_close(looped(X), plain(X), 1e-12)


def test_attributes_of_parameters_are_those_of_each_layer():
    _, looped = twins()
    looped.layer.scale.no_decay = True
    assert looped[1].scale.no_decay
    assert copy.deepcopy(looped[1]).scale.no_decay
    assert copy.deepcopy(looped[1]).scale.requires_grad is False


def test_layers_of_a_stack_make_another():
    plain, looped = twins(4)
    part = nn.Repeated.of(looped[1:3])
    assert_as_before(part, full(nn.Sequential(*plain[1:3])))
    part.layer.linear1.weight.zero_()
    assert_as_before(looped, full(plain))
    part.layer.register_forward_hook(lambda *args: None)
    with pytest.raises(ValueError, match="share"):
        nn.Repeated.of([looped[0], looped[0]])
