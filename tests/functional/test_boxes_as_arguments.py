"""Functions that torch lets change their arguments write the boxes they are given, and never an array."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.nn import functional as F
from tests.oracle import assert_close, from_torch, needs_torch, rand, to_torch


def batches(*shape, count=3):
    return [rand(50 + i, *shape, low=-2, high=3) for i in range(count)]


def statistics(channels=3):
    return rand(1, channels), rand(2, channels, low=0.5, high=2.0)


@needs_torch
@pytest.mark.parametrize("momentum", [0.1, 0.7, 0.0, 1.0])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5), (2, 3, 2, 2)])
def test_batch_norm_writes_running_statistics(shape, momentum):
    import torch.nn.functional as TF

    mean, var = statistics()
    ours, theirs = [nn.Buffer(mean), nn.Buffer(var)], [to_torch(mean), to_torch(var)]
    for x in batches(*shape):
        for training in (True, False):
            out = F.batch_norm(jnp.asarray(x), *ours, training=training, momentum=momentum)
            wanted = TF.batch_norm(to_torch(x), *theirs, training=training, momentum=momentum)
            assert_close(out, from_torch(wanted))
            for box, tensor in zip(ours, theirs, strict=True):
                assert_close(box.data, from_torch(tensor))


@needs_torch
@pytest.mark.parametrize("momentum", [0.1, 0.7])
@pytest.mark.parametrize("shape", [(2, 3, 5), (3, 3, 2, 2)])
def test_instance_norm_writes_running_statistics(shape, momentum):
    import torch.nn.functional as TF

    mean, var = statistics()
    ours, theirs = [nn.Buffer(mean), nn.Buffer(var)], [to_torch(mean), to_torch(var)]
    for x in batches(*shape):
        for use in (True, False):
            out = F.instance_norm(jnp.asarray(x), *ours, use_input_stats=use, momentum=momentum)
            wanted = TF.instance_norm(to_torch(x), *theirs, use_input_stats=use, momentum=momentum)
            assert_close(out, from_torch(wanted))
            for box, tensor in zip(ours, theirs, strict=True):
                assert_close(box.data, from_torch(tensor))


@needs_torch
def test_statistics_of_halves_keep_their_dtype():
    import torch
    import torch.nn.functional as TF

    x = rand(3, 8, 3).astype(np.float32)
    mean, var = (v.astype(np.float32) for v in statistics())
    ours = nn.Buffer(mean), nn.Buffer(var)
    theirs = to_torch(mean), to_torch(var)
    F.batch_norm(jnp.asarray(x, jnp.bfloat16), *ours, training=True)
    TF.batch_norm(to_torch(x).to(torch.bfloat16), *theirs, training=True)
    for box, tensor in zip(ours, theirs, strict=True):
        assert box.dtype == jnp.float32
        assert_close(box.data, from_torch(tensor), 2e-2, 2e-2)


def test_arrays_stay():
    mean, var = map(jnp.asarray, statistics())
    kept = np.asarray(mean), np.asarray(var)
    F.batch_norm(jnp.asarray(rand(1, 4, 3)), mean, var, training=True)
    F.instance_norm(jnp.asarray(rand(1, 4, 3, 5)), mean, var)
    assert np.array_equal(mean, kept[0])
    assert np.array_equal(var, kept[1])
    box = nn.Buffer(mean)
    F.batch_norm(jnp.asarray(rand(1, 4, 3)), box, var, training=True)
    assert not np.array_equal(box.data, mean)
    assert np.array_equal(var, kept[1])


@pytest.mark.parametrize("norm", [F.batch_norm, F.instance_norm])
def test_bad_input_changes_no_statistics(norm):
    mean, var = (nn.Buffer(v) for v in statistics())
    before = mean.data, var.data
    flag = {"training": True} if norm is F.batch_norm else {}
    x = jnp.asarray(rand(1, 4, 3, 5))
    for args, options in (
        ((x[:, :2], mean, var), {}),
        ((x.astype(jnp.float32), mean, var), {}),
        ((x, mean, None), {}),
        ((x, None, var), {}),
        ((x, mean, var), {"momentum": None}),
        *([((x, mean, var), {"eps": -1.0})] if norm is F.batch_norm else []),  # torch's instance norm takes any
        ((x[:1, :, :1], mean, var), {}),
        ((x, mean, var, jnp.ones(2)), {}),
    ):
        with pytest.raises((TypeError, ValueError), match=r"\w+_norm(_update)?: "):
            norm(*args, **flag, **options)
        assert (mean.data, var.data) == before


class Normalizer(nn.Module):
    """What timm does: buffers handed to the functional by the user's own layer."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(np.ones(3))
        for name, value in zip(("running_mean", "running_var"), statistics(), strict=True):
            self.register_buffer(name, value)

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, training=self.training).sum()


def after(x, steps=1):
    mean, var = map(jnp.asarray, statistics())
    for _ in range(steps):
        mean, var = F.batch_norm_update(x, mean, var, 0.1)
    return mean, var


def test_batch_norm_with_boxes_under_every_transformation():
    x = jnp.asarray(rand(4, 6, 3))
    for call in (
        lambda model: model(x),
        lambda model: fnn.jit(model)(x),
        lambda model: fnn.backward(lambda: model(x), model),
        lambda model: fnn.jit(lambda: fnn.backward(lambda: model(x), model))(),
    ):
        model = Normalizer()
        call(model)
        assert_close(model.running_mean.data, after(x)[0])
        assert_close(model.running_var.data, after(x)[1])
    model = Normalizer()
    params, buffers = fnn.state(model)
    _, new = jax.jit(lambda b: fnn.functional_call(model, params, b, x))(buffers)
    assert_close(model.running_mean.data, buffers["running_mean"])
    assert_close(new["running_mean"], after(x)[0])
    with pytest.raises(RuntimeError, match="functional_call"):
        jax.jit(model)(x)
    model.eval()
    jax.jit(model)(x)
    assert_close(model.running_mean.data, buffers["running_mean"])


# Tables of rows

TABLE = rand(7, 5, 4, low=-3, high=3)


@needs_torch
@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf")])
def test_embedding_renormalizes_the_table_in_its_box(norm_type):
    import torch.nn.functional as TF

    ours, theirs = nn.Parameter(TABLE), to_torch(TABLE)
    for index in (np.array([1, 1, 3]), np.array([[0, 3], [4, 1]])):
        out = F.embedding(index, ours, max_norm=1.5, norm_type=norm_type)
        wanted = TF.embedding(to_torch(index), theirs, max_norm=1.5, norm_type=norm_type)
        assert_close(out, from_torch(wanted))
        assert_close(ours.data, from_torch(theirs))
    array = jnp.asarray(TABLE)
    F.embedding(np.array([0]), array, max_norm=0.1)
    assert np.array_equal(array, TABLE)


@needs_torch
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag_renormalizes_the_table_in_its_box(mode):
    import torch.nn.functional as TF

    ours, theirs = nn.Parameter(TABLE), to_torch(TABLE)
    index, offsets = np.array([1, 2, 4, 1]), np.array([0, 3])
    out = F.embedding_bag(index, ours, offsets, max_norm=1.5, mode=mode)
    wanted = TF.embedding_bag(to_torch(index), theirs, to_torch(offsets), max_norm=1.5, mode=mode)
    assert_close(out, from_torch(wanted))
    assert_close(ours.data, from_torch(theirs))


@needs_torch
def test_the_renormalization_is_no_gradient_path():
    import torch
    import torch.nn.functional as TF

    index, slope = np.array([1, 1, 3]), rand(8, 3, 4)
    ours = nn.Parameter(TABLE)
    theirs = torch.nn.Parameter(to_torch(TABLE))
    fnn.backward(lambda: (F.embedding(index, ours, max_norm=1.5) * slope).sum(), ours)
    (TF.embedding(to_torch(index), theirs, max_norm=1.5) * to_torch(slope)).sum().backward()
    assert_close(ours.grad, from_torch(theirs.grad))
    assert_close(ours.data, from_torch(theirs))


def test_a_bad_index_renormalizes_nothing():
    box = nn.Parameter(TABLE)
    before = box.data
    with pytest.raises(IndexError):
        F.embedding(np.array([0, 9]), box, max_norm=0.1)
    with pytest.raises(IndexError):
        F.embedding_bag(np.array([[0, 9]]), box, max_norm=0.1)
    with pytest.raises(ValueError, match="offsets"):
        F.embedding_bag(np.array([0, 1]), box, np.array([1]), max_norm=0.1)
    assert box.data is before


# inplace= and out=


@pytest.mark.parametrize(
    "function",
    [
        lambda x, **k: F.relu(x, **k),
        lambda x, **k: F.relu6(x, **k),
        lambda x, **k: F.elu(x, **k),
        lambda x, **k: F.silu(x, **k),
        lambda x, **k: F.mish(x, **k),
        lambda x, **k: F.hardswish(x, **k),
        lambda x, **k: F.hardsigmoid(x, **k),
        lambda x, **k: F.dropout(x, 0.5, True, rng=jax.random.key(0), **k),
        lambda x, **k: F.dropout1d(x, 1.0, True, **k),
        lambda x, **k: F.alpha_dropout(x, 0.5, True, rng=jax.random.key(0), **k),
    ],
)
def test_inplace_writes_a_box(function):
    x = jnp.asarray(rand(9, 2, 3))
    box = nn.Buffer(x)
    function(box)
    assert np.array_equal(box.data, x)
    out = function(box, inplace=True)
    assert np.array_equal(box.data, out)
    assert np.array_equal(function(x, inplace=True), out)
    assert not np.array_equal(x, out)


def test_dropout_in_place_that_drops_nothing_writes_nothing():
    box = nn.Buffer(rand(9, 3))
    before = box.data
    assert F.dropout(box, 0.5, False, inplace=True) is before
    assert jax.jit(lambda: F.dropout(box, 0.5, False, inplace=True))().shape == (3,)


def test_layers_with_inplace_write_a_box():
    box = nn.Buffer(np.array([-1.0, 2.0]))
    nn.ReLU(inplace=True)(box)
    assert box.tolist() == [0, 2]


def test_normalize_writes_out():
    box = nn.Buffer(np.zeros((2, 2)))
    x = jnp.asarray([[0.0, 4.0], [-2.0, 0.0]])
    assert F.normalize(x, out=box).tolist() == box.tolist() == [[0.0, 1.0], [-1.0, 0.0]]
    with pytest.raises(TypeError, match="out"):
        F.normalize(x, out=x)


# Layers: once an update, as torch's


@needs_torch
@pytest.mark.parametrize("momentum", [0.1, None, 0.0])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("kind", ["BatchNorm1d", "InstanceNorm1d"])
def test_layers_move_their_statistics_once(kind, track, momentum):
    import torch

    ours = getattr(nn, kind)(3, momentum=momentum, track_running_stats=track, dtype=jnp.float64)
    theirs = getattr(torch.nn, kind)(3, momentum=momentum, track_running_stats=track, dtype=torch.float64)
    for i, x in enumerate(batches(4, 3, 5, count=4)):
        ours.train(i != 2)
        theirs.train(i != 2)
        assert_close(ours(jnp.asarray(x)), from_torch(theirs(to_torch(x))))
        for name, tensor in theirs.named_buffers():
            assert_close(getattr(ours, name).data, from_torch(tensor))


@needs_torch
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["BatchNorm1d", "InstanceNorm1d"])
def test_tracking_turned_off_later(kind, training):
    import torch

    ours = getattr(nn, kind)(3, track_running_stats=True, dtype=jnp.float64).train(training)
    theirs = getattr(torch.nn, kind)(3, track_running_stats=True, dtype=torch.float64).train(training)
    ours.track_running_stats = theirs.track_running_stats = False
    x = rand(3, 4, 3, 5)
    assert_close(ours(jnp.asarray(x)), from_torch(theirs(to_torch(x))))
    for name, tensor in theirs.named_buffers():
        assert_close(getattr(ours, name).data, from_torch(tensor))
