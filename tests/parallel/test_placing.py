"""Placement of Modules on a mesh: rules, fully sharded, batches; one program, and the numbers of one device."""

import re

import jax
import numpy as np
import pytest

import fnn
from fnn import nn, parallel
from tests.devices import on_devices

# A run of some steps on one device and on a mesh of eight: losses and parameters, the number of traces, what a device holds.
RUNS = """
import jax, numpy as np, fnn
import fnn.nn.functional as F
from fnn import nn, optim, parallel

class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1, self.drop, self.linear2 = nn.Linear(16, 32), nn.Dropout(0.3), nn.Linear(32, 8)
    def forward(self, x):
        return self.linear2(self.drop(F.relu(self.linear1(x))))

class Convnet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Linear(128, 8)
    def forward(self, x):
        x = F.relu(self.norm(self.conv(x.reshape(-1, 1, 4, 4))))
        return self.head(x.reshape(x.shape[0], -1))

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 16)
        layer = nn.TransformerEncoderLayer(16, 8, 32, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        if REPEATED:
            self.encoder.layers = fnn.repeat(self.encoder.layers)
        self.last = nn.Linear(16, 8)
    def forward(self, x):
        return self.last(self.encoder(self.first(x.reshape(-1, 4, 4))).mean(1))

pair, heads = parallel.rules.linear_pair("linear1", "linear2"), parallel.rules.attention()
draw = np.random.default_rng(0)
X, Y = draw.normal(size=(6, 16, 16)), draw.integers(0, 8, (6, 16))

def place(model, how):
    mesh = parallel.make_mesh(**{"data": dict(data=8), "full": dict(data=8), "tensor": dict(data=1, model=8),
                                 "both": dict(data=2, model=4)}[how])
    rules = {} if how in ("data", "full") else {**pair, **heads} if isinstance(model, Encoder) else pair
    if how != "full":
        parallel.shard(model, mesh, rules)
    if how in ("full", "both"):
        parallel.fully_shard(model, mesh)
    return mesh

def run(kind, optimizer, how):
    fnn.manual_seed(0)
    model = kind().double()
    mesh = place(model, how) if how else None
    tx = getattr(optim, optimizer)(model.parameters(), lr=0.01)
    places = {name: p.sharding for name, p in model.named_parameters()}
    traces = []
    @fnn.jit
    def step(x, y):
        traces.append(1)
        return tx.step(lambda: F.cross_entropy(model(x), y))
    losses = []
    for batch in zip(X, Y):
        losses.append(float(step(*(parallel.shard_batch(batch, mesh) if how else batch))))
    for name, p in model.named_parameters():
        assert p.sharding.is_equivalent_to(places[name], p.ndim), name
        for value in tx.state.get(p, {}).values():
            if getattr(value, "shape", ()) == p.shape and p.ndim:
                assert value.sharding.is_equivalent_to(places[name], p.ndim), name
    assert len(traces) == 1, (kind, how, len(traces))
    held = sum(row.bytes_per_device for row in parallel.describe(model, show=False))
    return np.array(losses), {k: np.asarray(v) for k, v in model.state_dict().items()}, held

for kind, optimizer, hows in CASES:
    losses, state, whole = run(kind, optimizer, None)
    for how in hows:
        mine, own, held = run(kind, optimizer, how)
        np.testing.assert_allclose(mine, losses, rtol=1e-9)
        for name, value in own.items():
            np.testing.assert_allclose(value, state[name], rtol=1e-7, atol=1e-9)
        assert held == whole if how == "data" else held < whole / 3, (how, held, whole)
print("same")
"""


def runs(cases, repeated=False):
    return on_devices(8, RUNS.replace("CASES", cases).replace("REPEATED", str(repeated)))


def test_training_is_that_of_one_device():
    assert runs("[(MLP, 'Adam', ['data', 'both']), (Convnet, 'SGD', ['full'])]") == "same"


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
@pytest.mark.parametrize(
    "case", ["MLP, {}, ['full', 'tensor']", "Convnet, {}, ['data']", "Encoder, {}, ['data', 'full', 'tensor', 'both']"]
)
def test_all_placements_of_all_networks(case, optimizer):
    assert runs(f"[({case.format(repr(optimizer))})]") == "same"


@pytest.mark.slow
def test_stacked_layers_are_placed_by_the_rules_of_one():
    assert runs("[(Encoder, 'SGD', ['data', 'full', 'tensor', 'both'])]", repeated=True) == "same"


def test_batches_that_do_not_divide():
    program = """
import numpy as np, jax
from fnn import parallel
mesh = parallel.make_mesh(data=4, model=2)
x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
try:
    parallel.shard_batch((x, y), mesh)
except ValueError as error:
    assert "4 divides" in str(error) and "got 5" in str(error) and "adds 3 rows" in str(error), error
(px, py), valid = parallel.shard_batch((x, y), mesh, pad=True)
assert px.shape == (8, 2) and valid.tolist() == [True] * 5 + [False] * 3
assert np.array_equal(px[:5], x) and not np.asarray(px[5:]).any()
assert tuple(px.sharding.spec) == ("data",) and px.sharding.shard_shape(px.shape) == (2, 2)
again = parallel.shard_batch({"x": px, "name": "kept", "none": None}, mesh)
assert again["name"] == "kept" and again["none"] is None
print("right")
"""
    assert on_devices(8, program) == "right"


def test_a_placement_that_is_refused_leaves_the_module():
    program = """
import jax, fnn, re
from fnn import nn, parallel
mesh = parallel.make_mesh(data=2, model=4)
model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8))
before = [p.sharding for p in model.parameters()]
for rules, words in [
    ({"fc.weight": ("model",)}, "'fc.weight' is found in no name"),
    ({"0.weight": ("modle",)}, "axes data, model, and no 'modle'"),
    ({"0.weight": (None, "model")}, "4 devices do not divide 6"),
    ({"0.bias": (None, "model")}, "its rule is of more axes"),
    ({"0.weight": ("model", "model")}, "'model' twice"),
    ({"(": None}, "no regular expression"),
]:
    try:
        parallel.shard(model, mesh, rules)
    except ValueError as error:
        assert words in str(error) and str(error).startswith("shard: "), error
    else:
        raise AssertionError(rules)
    assert before == [p.sharding for p in model.parameters()]
parallel.shard(model, mesh, {"weight$": (("data", "model"),), "bias": None})
assert tuple(model[0].weight.sharding.spec) == (("data", "model"),) and model[1].bias.sharding.is_fully_replicated
print("right")
"""
    assert on_devices(8, program) == "right"


def test_first_rule_counts_and_loading_keeps_the_place():
    program = """
import jax, numpy as np, fnn, tempfile
from fnn import nn, parallel
mesh = parallel.make_mesh(model=8)
model = parallel.shard(nn.Linear(8, 16), mesh, {"weight": ("model",), "w": (None, "model")})
assert tuple(model.weight.sharding.spec) == ("model",)
place = model.weight.sharding
model.load_state_dict(nn.Linear(8, 16).state_dict())
assert model.weight.sharding.is_equivalent_to(place, 2)
with tempfile.TemporaryDirectory() as folder:
    fnn.save(model.state_dict(), f"{folder}/m.safetensors")
    model.load_state_dict(fnn.load(f"{folder}/m.safetensors"))
assert model.weight.sharding.is_equivalent_to(place, 2)
print("right")
"""
    assert on_devices(8, program) == "right"


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({}, "by name"),
        ({"data": 3}, "multiply to"),
        ({"a": -1, "b": -1}, "one axis may be -1"),
        ({"a": 0}, "at least 1"),
    ],
)
def test_meshes_that_cannot_be_made(axes, words):
    with pytest.raises(ValueError, match=f"make_mesh: .*{words}"):
        parallel.make_mesh(**axes)


def test_arguments_of_other_types_are_refused():
    mesh, layer = parallel.make_mesh(data=-1), nn.Linear(2, 2)
    for call, word in [
        (lambda: parallel.shard(layer.weight, mesh, {}), "model must be a Module"),
        (lambda: parallel.shard(layer, jax.devices(), {}), "mesh must be"),
        (lambda: parallel.shard(layer, mesh, [("weight", None)]), "rules must be a dict"),
        (lambda: parallel.shard(layer, mesh, {"weight": "data"}), "a tuple of axis names"),
        (lambda: parallel.make_mesh(data=2.0), "data must be an int"),
        (lambda: parallel.describe(3), "model must be a Module"),
    ]:
        with pytest.raises(TypeError, match=re.escape(word)):
            call()
    with pytest.raises(ValueError, match="axis must be one of the mesh's axes, data"):
        parallel.fully_shard(layer, mesh, axis="rows")
    with pytest.raises(ValueError, match=r"equal numbers of rows, got \[0\] \[2\], \[1\] \[3\]"):
        parallel.shard_batch((np.ones(2), np.ones(3)), mesh)


def test_describe_gives_and_prints_a_table(capsys):
    rows = parallel.describe(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
    assert rows[0] == ("0.weight", (2, 3), "float32", "whole", 24)
    printed = capsys.readouterr().out
    assert "0.weight" in printed
    assert printed.splitlines()[-1].split()[-1] == str(sum(row.bytes_per_device for row in rows))
    fnn.manual_seed(0)
