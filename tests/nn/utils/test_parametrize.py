"""Parametrized attributes: registration, removal, the cache, and life under the transformations."""

import copy
import gc
import pickle
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.nn.utils import parametrizations, parametrize as P
from tests.oracle import assert_close, needs_torch, rand


class Symmetric(nn.Module):
    def forward(self, x):
        return jnp.triu(x) + jnp.triu(x, 1).T

    def right_inverse(self, a):
        return jnp.triu(a)


class Skew(nn.Module):
    def forward(self, x):
        return jnp.triu(x, 1) - jnp.triu(x, 1).T


class Scaled(nn.Module):
    """Twice the tanh of a learned scale; it counts its calls."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(np.array(0.5))
        self.calls = deque()

    def forward(self, x):
        self.calls.append(1)
        return 2 * jnp.tanh(self.scale.data) * x


class RankOne(nn.Module):
    def forward(self, x, y):
        return x[:, None] * y[None, :]

    def right_inverse(self, z):
        u, s, vh = jnp.linalg.svd(z, full_matrices=False)
        return u[:, 0] * jnp.sqrt(s[0]), vh[0] * jnp.sqrt(s[0])


def linear(rows=3, columns=3, seed=0):
    m = nn.Linear(columns, rows).double()
    m.weight.data, m.bias.data = rand(seed, rows, columns), rand(seed + 1, rows)
    return m


def symmetric(seed=0):
    return P.register_parametrization(linear(seed=seed), "weight", Symmetric())


X = rand(5, 2, 3)


# Registration


def test_the_attribute_is_computed_from_the_original():
    m = linear()
    parameter, before = m.weight, np.asarray(m.weight)
    assert P.register_parametrization(m, "weight", Symmetric()) is m
    assert m.parametrizations.weight.original is parameter
    assert_close(parameter, np.triu(before))
    assert_close(m.weight, np.triu(before) + np.triu(before, 1).T)
    assert_close(m(X), X @ np.asarray(m.weight) + np.asarray(m.bias))
    assert type(m).__name__ == "ParametrizedLinear"
    assert isinstance(m, nn.Linear)
    assert list(m.state_dict()) == ["bias", "parametrizations.weight.original"]
    assert "weight" not in m._parameters
    assert P.is_parametrized(m)
    assert P.is_parametrized(m, "weight")
    assert not P.is_parametrized(m, "bias")
    assert not P.is_parametrized(nn.Linear(2, 2))
    assert P.type_before_parametrizations(m) is nn.Linear
    assert P.type_before_parametrizations(nn.ReLU()) is nn.ReLU


def test_assignment_goes_through_right_inverse():
    m = symmetric()
    a = rand(7, 3, 3)
    m.weight = a + a.T
    assert_close(m.weight, a + a.T, 1e-12)
    assert_close(m.parametrizations.weight.original, np.triu(a + a.T))
    with pytest.raises(KeyError, match="attribute 'weight' already exists"):
        m.weight = nn.Parameter(a)
    n = P.register_parametrization(linear(), "weight", Skew())
    with pytest.raises(RuntimeError, match="parametrization Skew does not implement right_inverse"):
        n.weight = a


def test_several_originals():
    m = P.register_parametrization(linear(), "weight", RankOne())
    parts = m.parametrizations.weight
    assert list(m.state_dict()) == ["bias", "parametrizations.weight.original0", "parametrizations.weight.original1"]
    assert parts.ntensors == 2
    assert not parts.is_tensor
    assert np.linalg.matrix_rank(np.asarray(m.weight)) == 1
    z = np.outer(rand(1, 3), rand(2, 3))
    m.weight = z
    assert_close(m.weight, z, 1e-10)
    with pytest.raises(ValueError, match="Cannot leave unparametrized"):
        P.remove_parametrizations(m, "weight", leave_parametrized=False)
    P.remove_parametrizations(m, "weight")
    assert type(m) is nn.Linear
    assert isinstance(m.weight, nn.Parameter)
    assert_close(m.weight, z, 1e-10)


def test_frozen_original_stays_frozen():
    m = linear()
    m.weight.requires_grad_(False)
    P.register_parametrization(m, "weight", RankOne())
    assert not m.parametrizations.weight.original0.requires_grad
    P.remove_parametrizations(m, "weight")
    assert "weight" in m._buffers  # as in torch


def test_parametrizations_are_applied_in_turn():
    m = symmetric()
    P.register_parametrization(m, "weight", Scaled())
    original = np.asarray(m.parametrizations.weight.original)
    assert len(m.parametrizations.weight) == 2
    assert_close(m.weight, 2 * np.tanh(0.5) * (np.triu(original) + np.triu(original, 1).T), 1e-12)
    assert "parametrizations.weight.1.scale" in m.state_dict()


def test_buffers_and_two_names():
    m = nn.BatchNorm1d(3).double()

    class Doubled(nn.Module):
        def forward(self, x):
            return 2 * x

    P.register_parametrization(m, "running_mean", Doubled())
    P.register_parametrization(m, "weight", Doubled())
    assert type(m.parametrizations.running_mean.original) is nn.Buffer
    assert_close(m.weight, np.full(3, 2.0))
    assert set(fnn.state(m)[0]) == {"bias", "parametrizations.weight.original"}
    P.remove_parametrizations(m, "weight")
    assert type(m).__name__ == "ParametrizedBatchNorm1d"
    assert_close(m.weight, np.full(3, 2.0))
    P.remove_parametrizations(m, "running_mean", leave_parametrized=False)
    assert type(m) is nn.BatchNorm1d
    assert not hasattr(m, "parametrizations")


def test_registration_takes_over_the_mode():
    inner = Symmetric()
    P.register_parametrization(linear().eval(), "weight", inner)
    assert not inner.training


def test_classes_are_shared_and_let_go():
    a, b = symmetric(), symmetric(3)
    assert type(a) is type(b)
    P.remove_parametrizations(a, "weight")
    assert type(a) is nn.Linear
    assert_close(b.weight, np.asarray(b.weight).T)

    class Local(nn.Linear):
        pass

    before = len(Local.__subclasses__())
    m = P.register_parametrization(Local(3, 3), "weight", Symmetric())
    assert len(Local.__subclasses__()) == before + 1
    del m
    gc.collect()
    assert len(Local.__subclasses__()) == before


@pytest.mark.parametrize("leave", [True, False])
def test_removal_keeps_the_parameter(leave):
    m = linear()
    parameter = m.weight
    P.register_parametrization(m, "weight", Skew())
    wanted = np.asarray(m.weight if leave else parameter)
    assert P.remove_parametrizations(m, "weight", leave_parametrized=leave) is m
    assert m.weight is parameter
    assert_close(parameter, wanted)
    assert type(m) is nn.Linear
    assert list(m.state_dict()) == ["bias", "weight"]
    with pytest.raises(ValueError, match="does not have a parametrization on weight"):
        P.remove_parametrizations(m, "weight")


# Errors


class Returns(nn.Module):
    def __init__(self, forward=lambda x: x, right_inverse=lambda x: x):
        super().__init__()
        self.functions = forward, right_inverse

    def forward(self, *x):
        return self.functions[0](*x)

    def right_inverse(self, x):
        return self.functions[1](x)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Returns(lambda x: x[:1]), "may not change the shape of the tensor, unless `unsafe` flag"),
        (Returns(lambda x: x.astype(jnp.float32)), "may not change the dtype of the tensor, unless `unsafe` flag"),
        (Returns(lambda x: 3), "A parametrization must return a tensor. Got int"),
        (Returns(right_inverse=lambda x: {}), "must return a Tensor or a Sequence of tensors .* Got dict"),
        (Returns(right_inverse=lambda x: (x, 1)), "Got element 1 of the sequence with type int"),
        (Returns(right_inverse=lambda x: x.astype(jnp.float32)), "outputs one tensor, it may not change the dtype"),
        (Returns(lambda x: x[:1], lambda x: 2 * x), "unparametrized shape: \\(3, 3\\)\nparametrized shape: \\(1, 3\\)"),
    ],
)
def test_bad_first_parametrization_changes_nothing(bad, message):
    m = linear()
    parameter, before = m.weight, np.asarray(m.weight)
    with pytest.raises(ValueError, match=message):
        P.register_parametrization(m, "weight", bad)
    assert type(m) is nn.Linear
    assert m.weight is parameter
    assert_close(parameter, before)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Returns(lambda x: x[:1]), "may not change the shape of the tensor, unless the `unsafe` flag"),
        (Returns(lambda x: x.astype(jnp.float32)), "may not change the dtype of the tensor, unless the `unsafe` flag"),
        (Returns(lambda x: None), "A parametrization must return a tensor. Got NoneType"),
        (Returns(right_inverse=lambda x: (x, x)), "right_inverse must return a tensor. Got: tuple"),
        (Returns(right_inverse=lambda x: x[:1]), "right_inverse must have the same shape as module.weight"),
        (Returns(right_inverse=lambda x: x.astype(jnp.float32)), "must have the same dtype as module.weight"),
    ],
)
def test_bad_further_parametrization_changes_nothing(bad, message):
    m = symmetric()
    with pytest.raises(ValueError, match=message):
        P.register_parametrization(m, "weight", bad)
    assert len(m.parametrizations.weight) == 1


def test_other_errors():
    m = linear()
    with pytest.raises(
        ValueError, match="does not have a parameter, a buffer, or a parametrized element with name 'w'"
    ):
        P.register_parametrization(m, "w", Symmetric())
    with pytest.raises(ValueError, match="with name 'bias'"):
        P.register_parametrization(nn.Linear(2, 2, bias=False), "bias", Symmetric())
    with pytest.raises(TypeError, match="parametrization must be a Module, got function"):
        P.register_parametrization(m, "weight", lambda x: x)
    with pytest.raises(ValueError, match="requires one or more modules"):
        P.ParametrizationList([], m.weight)
    answers = iter([lambda x: (x, x), lambda x: (x, x, x), lambda x: x, lambda x: (x, x.astype(jnp.float32))])
    n = P.register_parametrization(linear(), "weight", Returns(lambda x, y: x + y, lambda x: next(answers)(x)))
    for message in (
        "length 2. Got a sequence of length 3",
        "must return a sequence",
        "Tensor 1 returned by `right_inv",
    ):
        with pytest.raises(ValueError, match=message):
            n.weight = rand(1, 3, 3)
    answers = iter([lambda x: x, lambda x: (x,), lambda x: x.astype(jnp.float32)])
    n = P.register_parametrization(linear(), "weight", Returns(right_inverse=lambda x: next(answers)(x)))
    for message in (
        "`right_inverse` should return a tensor. Got tuple",
        "has dtype float32 while `original` has dtype",
    ):
        with pytest.raises(ValueError, match=message):
            n.weight = rand(1, 3, 3)


def test_an_attribute_error_inside_is_not_hidden():
    m = P.register_parametrization(linear(), "weight", Returns(lambda x: x.nothing), unsafe=True)
    with pytest.raises(RuntimeError, match=r"ParametrizedLinear.weight: its parametrization failed: .*nothing"):
        m.weight  # noqa: B018


def test_unsafe_may_change_shape_and_dtype():
    m = P.register_parametrization(linear(), "weight", Returns(lambda x: x[:2].astype(jnp.float32)), unsafe=True)
    assert m.weight.shape == (2, 3)
    P.register_parametrization(m, "weight", Returns(lambda x: x[:1]), unsafe=True)
    assert m.weight.shape == (1, 3)
    with pytest.raises(RuntimeError, match="weight has dtype float32 and its original float64"):
        P.remove_parametrizations(m, "weight")
    P.remove_parametrizations(m, "weight", leave_parametrized=False)
    assert m.weight.shape == (3, 3)


def test_right_inverse_may_be_not_implemented():
    def refuse(x):
        raise NotImplementedError

    m = linear()
    before = np.asarray(m.weight)
    P.register_parametrization(m, "weight", Returns(lambda x: 2 * x, refuse))
    P.register_parametrization(m, "weight", Returns(lambda x: 2 * x, refuse))
    assert_close(m.weight, 4 * before)


# Copies


def test_deepcopy_is_apart_and_pickle_refuses():
    m = symmetric()
    twin = copy.deepcopy(nn.Sequential(m, m))
    assert twin[0] is twin[1]
    assert repr(twin[0]) == repr(m)
    twin[0].parametrizations.weight.original.data = jnp.zeros((3, 3))
    assert float(abs(twin[0].weight).sum()) == 0
    assert float(abs(m.weight).sum()) > 0
    P.remove_parametrizations(twin[0], "weight")
    assert type(twin[0]) is nn.Linear
    assert P.is_parametrized(m, "weight")
    for refused in (pickle.dumps, copy.copy):
        with pytest.raises(RuntimeError, match="only supported through state_dict"):
            refused(m)
    P.remove_parametrizations(m, "weight")
    assert_close(pickle.loads(pickle.dumps(m)).weight, m.weight)


def test_state_dict_goes_round():
    m, n = symmetric(), symmetric(3)
    n.load_state_dict(m.state_dict())
    assert_close(n.weight, m.weight)
    with pytest.raises(RuntimeError, match=r'Missing key.*"parametrizations.weight.original"'):
        n.load_state_dict(linear().state_dict())


def test_transfer():
    a = P.register_parametrization(symmetric(), "bias", Returns(lambda x: 2 * x))
    b = P.transfer_parametrizations_and_params(a, linear(seed=9))
    assert_close(b(X), a(X))
    assert b.parametrizations.weight.original is a.parametrizations.weight.original
    c = P.transfer_parametrizations_and_params(a, nn.Module(), "weight")
    assert [*c.parametrizations] == ["weight"]
    assert_close(c.weight, a.weight)
    d = P.register_parametrization(linear(), "weight", RankOne())
    e = P.transfer_parametrizations_and_params(d, linear(seed=4))
    assert e.parametrizations.weight.original1 is d.parametrizations.weight.original1
    assert type(P.transfer_parametrizations_and_params(linear(), linear())) is nn.Linear


# The cache


def test_cached_computes_once():
    inner = Scaled()
    m = P.register_parametrization(linear(), "weight", inner, unsafe=True)
    with P.cached():
        first = m.weight
        with P.cached():
            assert m.weight is first
        assert m.weight is first
        assert len(inner.calls) == 1
        inner.scale.data = jnp.array(1.0)
        assert m.weight is not first  # never stale
        assert_close(m.weight, 2 * np.tanh(1.0) * np.asarray(m.parametrizations.weight.original))
        assert len(inner.calls) == 2
    assert m.weight is not m.weight


def test_cached_makes_one_power_step():
    m = parametrizations.spectral_norm(linear())
    u = m.parametrizations.weight[0]._u
    with P.cached():
        m(X)
        after = u.data
        m(X)
        assert u.data is after


def test_cached_values_do_not_leave_their_trace():
    m = symmetric()
    params, buffers = fnn.state(m)

    def loss(params, x):
        return (fnn.functional_call(m, params, buffers, fnn.functional_call(m, params, buffers, x)[0])[0] ** 2).sum()

    expected = jax.grad(loss)(params, X)
    with P.cached():
        m(X)
        jax.jit(m)(X)
        m(X)
        inside = jax.grad(loss)(params, X)
        compiled = jax.jit(jax.grad(loss))(params, X)
        m(X)
        other = {k: 2 * v for k, v in params.items()}
        out, _ = fnn.functional_call(m, other, buffers, X)
    for name in params:
        assert_close(inside[name], expected[name], 1e-12)
        assert_close(compiled[name], expected[name], 1e-12)
    assert_close(out, 2 * np.asarray(m(X)), 1e-12)


def test_fnn_jit_heeds_cached():
    inner = Scaled()
    m = P.register_parametrization(linear(), "weight", inner)
    inner.calls.clear()
    twice = fnn.jit(lambda x: m(m(x)))
    expected = twice(X)
    assert len(inner.calls) == 2
    with P.cached():
        assert_close(twice(X), expected, 1e-12)
        assert len(inner.calls) == 3
    twice(X)
    assert len(inner.calls) == 3  # both programs are kept
    assert_close(twice(X), m(m(X)), 1e-12)


# Transformations


def test_gradients_reach_the_original():
    m = symmetric()
    fnn.backward(lambda: (m.weight * rand(3, 3, 3)).sum(), m)
    w = rand(3, 3, 3)
    assert_close(m.parametrizations.weight.original.grad, np.triu(w + w.T) - np.diag(np.diag(w)), 1e-12)


def test_functional_call_and_plain_transformations():
    m = symmetric()
    params, buffers = fnn.state(m)
    assert set(params) == {"bias", "parametrizations.weight.original"}
    expected = m(X)

    @jax.jit
    def call(params, x):
        return fnn.functional_call(m, params, buffers, x)[0]

    assert_close(call(params, X), expected, 1e-12)
    assert_close(call({k: 2 * v for k, v in params.items()}, X), 2 * np.asarray(expected), 1e-12)
    stacked = {k: jnp.stack([v, 2 * v]) for k, v in params.items()}
    assert_close(jax.vmap(call, (0, None))(stacked, X)[1], 2 * np.asarray(expected), 1e-12)
    assert_close(m(X), expected)
    assert not isinstance(m.weight, jax.core.Tracer)


def test_optimizer_under_fnn_jit_trains_the_original():
    m = symmetric()
    first = m.parametrizations.weight.original
    optimizer = optim.SGD(m.parameters(), lr=0.05)
    target = X @ (np.eye(3) + 0.5)

    @fnn.jit
    def step():
        return optimizer.step(lambda: ((m(X) - target) ** 2).mean())

    losses = [float(step()) for _ in range(5)]
    assert losses[-1] < 0.9 * losses[0]
    assert m.parametrizations.weight.original is first
    assert_close(m.weight, np.asarray(m.weight).T)
    P.remove_parametrizations(m, "weight")
    assert float(step()) < losses[-1] + 1e-12  # the structure changed; it was traced anew


def test_assignment_inside_functional_call():
    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = symmetric()

        def forward(self, x):
            self.inner.weight = self.inner.weight / 2
            return self.inner(x)

    m = Halves()
    m.inner.requires_grad_(False)
    params, buffers = fnn.state(m)
    _, new = jax.jit(lambda p, b: fnn.functional_call(m, p, b, X))(params, buffers)
    name = "inner.parametrizations.weight.original"
    assert_close(new[name], np.asarray(buffers[name]) / 2, 1e-12)
    assert_close(m.inner.parametrizations.weight.original, buffers[name])


# Against PyTorch


@needs_torch
def test_as_torch():
    import torch
    import torch.nn.utils.parametrize as T

    class TorchSymmetric(torch.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).T

        def right_inverse(self, a):
            return a.triu()

    TorchSymmetric.__name__ = "Symmetric"
    m, t = linear(), torch.nn.Linear(3, 3).double()
    t.load_state_dict({k: torch.tensor(np.asarray(v)) for k, v in m.state_dict().items()})
    for _ in range(2):
        P.register_parametrization(m, "weight", Symmetric())
        T.register_parametrization(t, "weight", TorchSymmetric())
        assert repr(m) == repr(t)
        assert list(m.state_dict()) == list(t.state_dict())
        assert list(m.state_dict()._metadata) == list(t.state_dict()._metadata)
        assert_close(m.weight, t.weight.detach().numpy(), 1e-12)
        assert_close(m.parametrizations.weight.original, t.parametrizations.weight.original.detach().numpy(), 1e-12)
    assert [n for n, _ in m.named_modules()] == [n for n, _ in t.named_modules()]
    m.weight = X.T @ X
    t.weight = torch.tensor(X.T @ X)
    for a, b in zip(m.state_dict().values(), t.state_dict().values(), strict=True):
        assert_close(a, b.numpy(), 1e-12)
