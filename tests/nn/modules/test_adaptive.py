"""``AdaptiveLogSoftmaxWithLoss`` against torch."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn.nn.modules.adaptive import AdaptiveLogSoftmaxWithLoss
from tests.oracle import assert_close, needs_torch, rand, to_torch

X = rand(1, 7, 8)
Y = np.array([0, 3, 4, 9, 10, 19, 2])


def pair(*args, **kwargs):
    import torch

    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(*args, **kwargs, dtype=torch.float64)
    ours = AdaptiveLogSoftmaxWithLoss(*args, **kwargs, dtype=jnp.float64)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@needs_torch
@pytest.mark.parametrize(
    ("cutoffs", "options"),
    [
        ([4, 10], {"div_value": 2.0, "head_bias": True}),
        pytest.param([5], {}, marks=pytest.mark.slow),
        pytest.param([1, 2, 19], {"div_value": 1}, marks=pytest.mark.slow),
    ],
)
def test_against_torch(cutoffs, options):
    ours, theirs = pair(8, 20, cutoffs, **options)
    assert repr(ours) == repr(theirs)
    shapes = {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == shapes
    out, wanted = ours(X, Y), theirs(to_torch(X), to_torch(Y))
    assert_close(out.output, wanted.output.detach().numpy())
    assert_close(out.loss, wanted.loss.item())
    assert_close(ours.log_prob(X), theirs.log_prob(to_torch(X)).detach().numpy())
    assert ours.predict(X).tolist() == theirs.predict(to_torch(X)).tolist()
    wanted.loss.backward()
    fnn.jit(lambda x, y: fnn.backward(lambda: ours(x, y).loss, ours))(X, Y)
    for name, p in theirs.named_parameters():
        # torch leaves the gradient of a cluster without targets at None.
        expected = np.zeros(p.shape) if p.grad is None else p.grad.numpy()
        assert_close(ours.get_parameter(name).grad, expected, what=name)
    one = ours(X[0], Y[0])
    assert one.output.shape == ()
    assert_close(one.output, out.output[0])


def test_under_transformations():
    layer = AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], div_value=2.0, dtype=jnp.float64)
    params, buffers = fnn.state(layer)

    def loss(params, x, y):
        return fnn.functional_call(layer, params, buffers, x, y)[0].loss

    eager = layer(X, Y)
    assert_close(jax.jit(loss)(params, X, Y), eager.loss)
    grads = jax.jit(jax.grad(loss))(params, X, Y)
    assert all(bool(jnp.isfinite(g).all()) for g in grads.values())
    assert_close(fnn.jit(layer)(X, Y).output, eager.output)
    bad = jax.jit(lambda y: layer(X, y).output)(jnp.asarray(np.where(Y == 9, 20, Y)))
    assert np.isnan(bad).tolist() == (Y == 9).tolist()
    assert_close(jax.jit(layer.predict)(X), np.asarray(layer.log_prob(X)).argmax(1))
    assert_close(jnp.exp(layer.log_prob(X)).sum(1), np.ones(7))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_close(twin(X, Y).output, eager.output)


def test_predict_in_the_shortlist():
    layer = AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], 2.0, head_bias=True, dtype=jnp.float64)
    layer.head.bias.copy_(np.array([0, 50.0, 0, 0, 0, 0]))
    assert layer.predict(X).tolist() == [1] * 7
    layer.reset_parameters()
    assert abs(np.asarray(layer.head.bias)).max() < 1


def test_errors():
    for bad in ([], [0, 3], [3, 3], [5, 3], [3, 20], [2.5]):
        with pytest.raises(ValueError, match="cutoffs"):
            AdaptiveLogSoftmaxWithLoss(8, 20, bad)
    layer = AdaptiveLogSoftmaxWithLoss(8, 20, [4])
    x = X.astype(np.float32)
    with pytest.raises(IndexError, match="target_"):
        layer(x, Y + 1)
    with pytest.raises(ValueError, match="input_"):
        layer(x[:3], Y)
    with pytest.raises(ValueError, match="input_"):
        layer(x, np.int64(3))
    with pytest.raises(TypeError, match="target_"):
        layer(x, Y * 1.0)
    with pytest.raises(ValueError, match="input"):
        layer.log_prob(x[0])
