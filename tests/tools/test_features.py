"""``features``: the numbers are those of the parts called one after another."""

import warnings
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.tools import features


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.act = nn.ReLU()
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.act(self.block(x)))


X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), jnp.float32)
NAMES = ["block.0", "block", "fc"]


def net():
    fnn.manual_seed(0)
    return Net()


def parts(model, x):
    first = model.block[0](x)
    block = model.block[1](first)
    return {"block.0": first, "block": block, "fc": model.fc(model.act(block))}


def check(out, found, expected):
    assert sorted(found) == sorted(NAMES)
    for name in NAMES:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(out, found["fc"])


@pytest.mark.parametrize("compiled", [False, True])
def test_outputs_of_submodules(compiled):
    model = net().eval()
    extract = features(model, NAMES)
    check(*(fnn.jit(extract) if compiled else extract)(X), parts(model, X))


def test_inside_a_compiled_step_with_gradients_and_statistics():
    model, other = net(), net()
    extract = features(model, NAMES)

    @fnn.jit
    def step(x):
        def closure():
            out, found = extract(x)
            return (out**2).sum(), (out, found)

        return fnn.backward(closure, extract, has_aux=True)

    _, (out, found) = step(X)
    check(out, found, parts(other, X))
    assert int(model.block[1].num_batches_tracked) == 1
    assert model.fc.weight.grad is not None


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_through_functional_call_with_the_models_own_names(transform):
    model = net()
    extract = features(model, NAMES)
    assert fnn.state(extract)[0].keys() == fnn.state(model)[0].keys() == dict(extract.named_parameters()).keys()

    def call(p, b, x):
        (out, found), _ = fnn.functional_call(extract, p, b, x, training=False)
        return out, found

    check(*transform(call)(*fnn.state(model), X), parts(model.eval(), X))


def test_it_is_the_model_in_all_else():
    model = net()
    extract = features(model, ["fc"])
    extract.eval()
    assert not model.block[1].training
    assert extract.state_dict().keys() == model.state_dict().keys()
    extract.load_state_dict({name: value * 0 for name, value in model.state_dict().items()})
    assert float(jnp.abs(model.fc.weight.data).sum()) == 0
    assert extract.get_submodule("block.0") is model.block[0]
    assert "features(Net(" in repr(extract)


def test_a_module_called_twice_gives_the_last():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = self.other = nn.ReLU()

        def forward(self, x):
            return self.act(self.act(x) + 1)

    _, found = features(Twice(), ["act", "other"])(jnp.ones(()))
    assert (float(found["act"]), float(found["other"])) == (2, 2)


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(ValueError, match=r"Net has no submodule named 'blok'; did you mean 'block'"):
        features(net(), ["fc", "blok"])
    with pytest.raises(TypeError, match="names must be a sequence of names"):
        features(net(), "fc")
    with pytest.raises(TypeError, match=r"model must be an fnn.nn.Module"):
        features(len, ["fc"])  # type: ignore[arg-type]


def test_a_submodule_that_is_not_called_or_out_of_reach_is_named():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return jax.checkpoint(lambda x: self.used(x))(x)

    with pytest.raises(RuntimeError, match="did not call its submodule 'unused'"):
        features(Model(), ["unused"])(X)
    with pytest.raises(RuntimeError, match=r"submodule 'used' inside a JAX transformation of its own"):
        fnn.jit(features(Model(), ["used"]))(X)


def kept_by(kind):
    """A hook that keeps outputs in a place of that kind, and the place."""
    kept, space = [], SimpleNamespace(last=None)
    if kind == "list":
        return (lambda module, args, output: kept.append(output)), lambda: kept
    if kind == "dict of lists":
        store = {"a": kept}
        return (lambda module, args, output: store["a"].append({"out": output})), lambda: kept
    if kind == "namespace":

        def hook(module, args, output):
            space.last = output

        return hook, lambda: [space.last]
    if kind == "nonlocal":
        last = None

        def hook(module, args, output):
            nonlocal last
            last = output

        return hook, lambda: [last]

    class Keeper:
        def __init__(self):
            self.outputs = []

        def __call__(self, module, args, output):
            self.outputs.append(output)

        def method(self, module, args, output):
            self.outputs.append(output)

    keeper = Keeper()
    return (keeper if kind == "object" else keeper.method), lambda: keeper.outputs


@pytest.mark.parametrize("kind", ["list", "dict of lists"])
def test_a_hook_that_keeps_a_traced_array_is_told(kind):
    model = net()
    hook, place = kept_by(kind)
    model.fc.register_forward_hook(hook)
    compiled = fnn.jit(lambda x: model(x))
    with pytest.warns(
        UserWarning, match=r"fnn.jit: the hook kept_by.* of Linear kept a traced array in .*fnn.tools.features"
    ):
        compiled(X)
    assert place()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(X)  # nothing is traced


def test_hooks_in_eager_gradients_are_told_too():
    model = net()
    kept = []
    handle = model.fc.register_forward_hook(lambda module, args, output: kept.append(output))
    with pytest.warns(UserWarning, match=r"backward: the hook .* kept a traced array in kept"):
        fnn.backward(lambda: model(X).sum(), model)
    kept.clear()
    model(X)
    handle.remove()
    fnn.backward(lambda: model(X).sum(), model)
    assert isinstance(kept[0], jax.Array)


@pytest.mark.parametrize("kind", ["list", "dict of lists", "namespace", "nonlocal", "object", "method"])
def test_a_summary_leaves_nothing_where_hooks_keep_things(kind):
    model = net()
    hook, place = kept_by(kind)
    model.fc.register_forward_hook(hook)
    before = list(place())
    assert fnn.tools.summary(model, X).rows[-1].name == "fc"
    assert place() == before
