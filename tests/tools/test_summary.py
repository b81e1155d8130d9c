"""``summary``: operations are those of XLA's cost analysis, parameters those of torchinfo, shapes those of a real call."""

import copy
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.tools.flops import count_flops
from tests.tools.networks import NETWORKS

SHAPE = jax.ShapeDtypeStruct


def build(name):
    make, shape, dtype = NETWORKS[name]
    fnn.manual_seed(0)
    return make().eval(), SHAPE(shape, dtype)


def xla_flops(model, x):
    with fnn.kernels.plain():
        call = jax.jit(lambda p, b, x: fnn.functional_call(model, p, b, x)[0])
        return call.lower(*fnn.state(model), x).cost_analysis()["flops"]


@pytest.mark.parametrize("name", NETWORKS)
def test_flops_are_those_of_xla(name):
    # The body of a loop counts once for XLA: the sequence of the LSTM has one step.
    model, x = build(name)
    found = fnn.summary(model, x)
    assert abs(found.flops / xla_flops(model, x) - 1) < 0.01
    assert found.flops == found.rows[0].flops == sum(row.flops for row in found if row.depth == 1) + _own(found)


def _own(found):
    """Operations of the model itself, outside of its layers."""
    return found.flops - sum(row.flops for row in found if row.depth == 1)


def test_a_loop_counts_as_often_as_it_runs():
    model, _ = build("lstm")
    one, ten = (fnn.summary(model, SHAPE((4, steps), jnp.int32)) for steps in (1, 10))
    assert {row.kind: row.flops for row in ten}["LSTM"] == pytest.approx(10 * {r.kind: r.flops for r in one}["LSTM"])


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_those_of_torchinfo(name):
    torch, torchinfo = pytest.importorskip("torch"), pytest.importorskip("torchinfo")
    model, x = build(name)
    other = NETWORKS[name][0](torch.nn)
    dtypes = [torch.long if x.dtype == jnp.int32 else torch.float32]
    theirs = torchinfo.summary(other, input_size=x.shape, dtypes=dtypes, verbose=0, depth=10)
    ours = fnn.summary(model, x)
    assert (ours.parameters, ours.trainable) == (theirs.total_params, theirs.trainable_params)
    # A layer of torch's encoder that takes a shortcut in eval mode does not call what is in it.
    layers = {info.get_layer_name(True, True).split(" (")[-1].split(")")[0]: info for info in theirs.summary_list}
    for row in ours.rows:
        info = layers.get(row.name.rpartition(".")[2])
        if name in ("mlp", "convnet") and info is not None:
            assert (row.parameters, list(row.output.shape)) == (info.num_params, info.output_size)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_are_those_of_a_call_and_arrays_do_as_inputs(name):
    model, x = build(name)
    array = np.zeros(x.shape, x.dtype)
    found, other = fnn.summary(model, x), fnn.summary(model, array)
    seen = []
    hooks = [m.register_forward_hook(lambda module, args, out: seen.append((module, out))) for m in model.modules()]
    model(jnp.asarray(array))
    for hook in hooks:
        hook.remove()
    paths = {id(module): path for path, module in model.named_modules()}
    shapes = {paths[id(module)]: jax.tree.map(jnp.shape, out) for module, out in seen}
    for row in found:
        assert not row.called or jax.tree.map(lambda s: s.shape, row.output) == shapes[row.name]
    assert repr(found) == repr(other)


def test_nothing_changes_and_nothing_runs():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
    model[1].eval()
    before = copy.deepcopy(model.state_dict())
    state = fnn.get_rng_state()
    seen = []
    model[0].register_forward_hook(lambda module, args, out: seen.append(out))
    found = fnn.summary(model, SHAPE((3, 4), "float32"), training=True)
    assert seen == []
    assert [m.training for m in model.modules()] == [True, True, False, True]
    assert len(model[0]._forward_hooks) == 1
    np.testing.assert_array_equal(state, fnn.get_rng_state())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert found.rows[3].kind == "Dropout"
    assert found.rows[3].flops > 0
    assert fnn.summary(model.eval(), SHAPE((3, 4), "float32")).rows[3].flops == 0


def test_a_huge_model_is_no_work():
    model = nn.Linear(1, 1)
    found = fnn.summary(model, SHAPE((10**9, 1), "float32"))
    assert found.output_bytes == 4 * 10**9
    assert found.flops == 3 * 10**9


def test_shared_modules_and_parameters_count_once():
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    found = fnn.summary(model, SHAPE((2, 4), "float32"))
    assert (found.parameters, [row.repeated for row in found]) == (20, [False, False, False, True])
    assert "shared" in repr(found)
    tied = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    tied[1].weight = tied[0].weight
    assert fnn.summary(tied, SHAPE((2, 4), "float32")).parameters == 16


def test_frozen_parameters_lists_dicts_keywords_and_modules_not_called():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
            self.spare = nn.Linear(3, 7)

        def forward(self, batch, *, scale, flip=False):
            x = batch["x"]
            for layer in self.layers:
                x = layer(x)
            return {"out": x * scale, "n": 3} if flip else x

    model = Net()
    model.layers[0].requires_grad_(False)
    found = fnn.summary(model, {"x": SHAPE((2, 3), "float32")}, scale=jnp.float32(2), flip=True)
    assert (found.parameters, found.trainable) == (52, 40)
    assert [row.name for row in found] == ["", "layers.0", "layers.1", "spare"]
    assert found.rows[0].output == {"out": SHAPE((2, 3), jnp.float32), "n": 3}
    assert not found.rows[3].called
    assert not found.rows[3].used
    assert "not called" in repr(found)
    assert "used, not called" not in repr(found)


def test_a_layer_whose_parameters_are_used_without_its_call():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.spare = nn.MultiheadAttention(4, 2), nn.BatchNorm1d(4)
            self.head = nn.Linear(4, 9)

        def forward(self, x):
            return nn.functional.linear(self.attention(x, x, x)[0], self.head.weight)

    model, x = Net(), np.ones((2, 3, 4), np.float32)
    found = {row.name: row for row in fnn.summary(model, x)}
    # What the output depends on tells a gradient.
    grads = jax.grad(lambda p: fnn.functional_call(model, p, fnn.state(model)[1], x)[0].sum())(fnn.state(model)[0])
    for name in ("attention.out_proj", "spare", "head"):
        depends = any(np.abs(grad).max() > 0 for key, grad in grads.items() if key.startswith(f"{name}."))
        assert (found[name].called, found[name].used) == (False, depends)
    assert [found[name].used for name in ("attention.out_proj", "spare", "head")] == [True, False, True]
    lines = {line.split(":")[0].strip(): line for line in repr(fnn.summary(model, x)).splitlines()}
    assert "used, not called" in lines["attention.out_proj"]
    assert "used" not in lines["spare"]


def test_shapes_in_place_of_inputs_as_torchinfo_takes_them():
    model = nn.Bilinear(3, 4, 5)
    expected = repr(fnn.summary(model, SHAPE((2, 3), "float32"), SHAPE((2, 4), "float32")))
    assert repr(fnn.summary(model, (2, 3), (2, 4))) == expected
    assert repr(fnn.summary(model, input_size=[(2, 3), (2, 4)])) == expected
    linear = nn.Linear(3, 2)
    expected = repr(fnn.summary(linear, SHAPE((5, 3), "float32")))
    assert repr(fnn.summary(linear, (5, 3))) == repr(fnn.summary(linear, [5, 3])) == expected
    assert repr(fnn.summary(linear, input_size=(5, 3))) == repr(fnn.summary(linear, input_size=[(5, 3)])) == expected


def test_a_tuple_of_ints_beside_an_array_stays_what_it_is():
    class Resized(nn.Module):
        def forward(self, x, size):
            return jnp.zeros(size) + x

    assert fnn.summary(Resized(), SHAPE((), "float32"), (2, 3)).rows[0].output.shape == (2, 3)


def test_keywords_of_torchinfo_say_what_to_write():
    model, x = nn.Linear(3, 2), np.ones((5, 3), np.float32)
    names = {"input_data": "by position", "mode": "training=", "dtypes": "ShapeDtypeStruct", "verbose": "left out"}
    for name, words in names.items():
        with pytest.raises(TypeError, match=rf"^summary: {name} must be .*{words}"):
            fnn.summary(model, x, **{name: 1})
    with pytest.raises(ValueError, match=r"^summary: input_size must be left out where inputs are given"):
        fnn.summary(model, x, input_size=(5, 3))
    for wrong in (3, (), [], (2.0, 3), [(2, 3), "ab"]):
        with pytest.raises(
            TypeError, match=r"^summary: input_size must be a tuple of ints, or a list of such tuples, got"
        ):
            fnn.summary(model, input_size=wrong)

    class Modes(nn.Module):
        def forward(self, x, mode):
            return x if mode == "fast" else 2 * x

    assert fnn.summary(Modes(), x, mode="fast").rows[0].output.shape == (5, 3)


def test_depth_and_html():
    model, x = build("resnet")
    whole, flat = fnn.summary(model, x, depth=None), fnn.summary(model, x, depth=0)
    assert len(whole.rows) == len(flat.rows) > 40
    assert len(repr(flat).splitlines()) == 3 + 3
    html = whole._repr_html_()
    assert html.count("<tr>") == 1 + len(whole.rows)
    assert "layer2.0.downsample.1: BatchNorm2d" in html

    class Odd(nn.ReLU):
        pass

    Odd.__name__ = "<script>"
    assert "<script>" not in fnn.summary(Odd(), SHAPE((1,), "float32"))._repr_html_()


def test_errors():
    with pytest.raises(TypeError, match=r"summary: model must be an fnn.nn.Module, got 'int'"):
        fnn.summary(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="summary: depth must be None or at least 0, got -1"):
        fnn.summary(nn.ReLU(), SHAPE((1,), "float32"), depth=-1)
    with pytest.raises(RuntimeError, match="'weight' has no shape yet"):
        fnn.summary(nn.LazyLinear(3), SHAPE((1, 2), "float32"))
    with pytest.raises(ValueError, match="linear"):
        fnn.summary(nn.Linear(3, 3), SHAPE((2, 4), "float32"))


def test_inside_a_compiled_function_nothing_is_left():
    model, x = build("mlp")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fnn.summary(model, x)
        assert fnn.jit(model)(jnp.zeros(x.shape, x.dtype)).shape == (8, 10)


@pytest.mark.parametrize(
    ("function", "shape", "expected"),
    [
        (lambda x: jax.lax.fori_loop(0, 5, lambda i, y: y * 2, x), (10,), 50 + 5),
        (lambda x: jax.lax.cond(x[0] > 0, lambda y: y + y * y, lambda y: y, x), (10,), 20 + 1 + 1),
        (lambda x: (x * 3, x + 1)[1], (10,), 10),
        (lambda x: jnp.max(x), (10,), 9),
        (lambda x: jax.lax.integer_pow(x, 7), (10,), 40),
        (lambda x: jax.checkpoint(lambda y: y * y)(x), (10,), 10),
        (lambda x: jnp.exp(x), (10,), 0),
        (lambda x: jax.lax.sort(x), (16,), 64),
    ],
)
def test_counts_of_small_functions(function, shape, expected):
    jaxpr = jax.make_jaxpr(function)(jnp.ones(shape, jnp.float32))
    assert abs(sum(count_flops(jaxpr.jaxpr).values()) - expected) <= 1
