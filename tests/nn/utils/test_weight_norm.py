"""The older ``weight_norm`` and ``spectral_norm``, against PyTorch."""

import copy
import inspect
import pickle
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.nn import utils
from fnn.nn.parameter import UninitializedParameter
from fnn.nn.utils import parametrizations, parametrize
from fnn.nn.utils.weight_norm import normalized_weight
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

NORMS = ["weight_norm", "spectral_norm"]


def apply(name, module, *args, library=utils, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return getattr(library, name)(module, *args, **kwargs)


def linear():
    m = nn.Linear(3, 4).double()
    m.weight.data, m.bias.data = rand(0, 4, 3), rand(1, 4)
    return m


def pair(kind, norm, *args, **options):
    """A layer of ours and one of torch's of the same state."""
    import torch

    torch.manual_seed(0)
    theirs = apply(norm, getattr(torch.nn, kind)(*args).double(), library=torch.nn.utils, **options)
    ours = apply(norm, getattr(nn, kind)(*args).double(), **options)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ours.state_dict()._metadata == theirs.state_dict()._metadata
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def compare(ours, theirs, inputs, steps=1):
    import torch

    for _ in range(steps):
        theirs.zero_grad()
        ours.zero_grad()
        y = theirs(torch.tensor(inputs))
        w = rand(8, *y.shape)
        (y * torch.tensor(w)).sum().backward()
        value = fnn.backward(lambda w=w: (ours(inputs) * w).sum(), ours)
        assert_close(value, (y.detach().numpy() * w).sum(), 1e-10)
        for (name, p), (_, t) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            assert_close(p.grad, t.grad.numpy(), 1e-9, 1e-12, name)
        for key, value in theirs.state_dict().items():
            assert_close(ours.state_dict()[key], value.numpy(), 1e-10, what=key)
        assert_close(ours.weight, theirs.weight.detach().numpy(), 1e-10)


X = rand(5, 2, 3)


@needs_torch
@pytest.mark.parametrize("name", [*NORMS, "remove_weight_norm", "remove_spectral_norm"])
def test_signatures(name):
    import torch

    theirs = inspect.signature(getattr(torch.nn.utils, name)).parameters.values()
    ours = inspect.signature(getattr(utils, name)).parameters.values()
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


# Against PyTorch


@needs_torch
@pytest.mark.parametrize(
    ("kind", "args", "options"),
    [("Linear", (3, 4), {}), ("Linear", (3, 4), {"dim": None}), ("Conv1d", (3, 4, 2), {"dim": 1})],
)
def test_weight_norm(kind, args, options):
    ours, theirs = pair(kind, "weight_norm", *args, **options)
    compare(ours, theirs, rand(2, 2, 3, 5) if kind == "Conv1d" else X)
    expected = np.asarray(ours.weight)
    assert utils.remove_weight_norm(ours) is ours
    assert isinstance(ours.weight, nn.Parameter)
    assert_close(ours.weight, expected, 0, 0)
    assert type(ours) is getattr(nn, kind)


@needs_torch
@pytest.mark.parametrize(
    ("kind", "args", "options"),
    [
        ("Linear", (3, 4), {}),
        ("Conv1d", (3, 4, 2), {"n_power_iterations": 3, "eps": 1e-6}),
        ("ConvTranspose1d", (3, 4, 2), {}),
        pytest.param("Conv1d", (3, 4, 2), {"dim": 2}, marks=pytest.mark.slow),
    ],
)
def test_spectral_norm(kind, args, options):
    import torch

    ours, theirs = pair(kind, "spectral_norm", *args, **options)
    inputs = X if kind == "Linear" else rand(2, 2, 3, 5)
    compare(ours, theirs, inputs, steps=3)
    ours.eval(), theirs.eval()
    u = ours.weight_u.data
    assert_close(ours(inputs), theirs(torch.tensor(inputs)).detach().numpy(), 1e-10)
    assert ours.weight_u.data is u
    apply("remove_spectral_norm", ours)
    apply("remove_spectral_norm", theirs, library=torch.nn.utils)
    assert_close(ours.weight, theirs.weight.detach().numpy(), 1e-10)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert not ours._forward_pre_hooks
    assert not ours._state_dict_hooks
    assert not ours._load_state_dict_pre_hooks


@needs_torch
def test_spectral_norm_loads_what_was_saved_before_version_1():
    import torch

    ours, theirs = pair("Linear", "spectral_norm", 3, 4)
    theirs(torch.tensor(X))
    state = theirs.state_dict()
    del state["weight_v"], state._metadata[""]["spectral_norm"]
    state["weight"] = theirs.weight.detach()
    theirs.load_state_dict(state.copy())
    ours.load_state_dict(state)
    assert_close(ours.weight_v, theirs.weight_v.numpy(), 1e-9)
    ours.eval(), theirs.eval()
    assert_close(ours(X), theirs(torch.tensor(X)).detach().numpy(), 1e-9)
    del state["weight_u"]
    with pytest.raises(RuntimeError, match=r'Missing key.*"weight_u"'):
        ours.load_state_dict(state)


@needs_torch
@pytest.mark.parametrize("dim", [1, *[pytest.param(d, marks=pytest.mark.slow) for d in (0, 2, -1)]])
def test_weight_norm_numerics(dim):
    import torch

    v = rand(1, 2, 3, 4)
    g = rand(2, *torch.norm_except_dim(torch.tensor(v), 2, dim).shape)
    ours = normalized_weight
    check_against_torch(lambda v, g: ours(v, g, dim), lambda v, g: torch._weight_norm(v, g, dim), v, g, second=dim == 1)
    if dim == 0:
        check_transforms(ours, v, g)


# Of both


@pytest.mark.parametrize("norm", NORMS)
def test_the_weight_belongs_to_the_present_arrays(norm):
    m = apply(norm, linear())
    assert type(m).__name__ == "Linear"
    assert isinstance(m, nn.Linear)
    assert repr(m) == "Linear(in_features=3, out_features=4, bias=True)"
    assert parametrize.type_before_parametrizations(m) is nn.Linear
    assert "weight" not in m.__dict__
    before = np.asarray(m.weight)
    name = {"weight_norm": "weight_g", "spectral_norm": "weight_orig"}[norm]
    m.get_parameter(name).data = -m.get_parameter(name).data
    assert_close(m.weight, before if norm == "spectral_norm" else -before)
    with pytest.raises(
        AttributeError, match=f"Linear.weight is computed by {norm.title().replace('_', '')} and cannot"
    ):
        m.weight = before


@pytest.mark.parametrize("norm", NORMS)
def test_transformations_leave_nothing_behind(norm):
    m = apply(norm, linear()).eval()
    params, buffers = fnn.state(m)
    assert set(params) == {"bias", *(["weight_g", "weight_v"] if norm == "weight_norm" else ["weight_orig"])}
    expected = m(X)

    @jax.jit
    def loss(params, x):
        return (fnn.functional_call(m, params, buffers, x)[0] ** 2).sum()

    assert_close(loss(params, X), (expected**2).sum(), 1e-10)
    grads = jax.grad(loss)(params, X)
    assert_close(jax.jit(m)(X), expected, 1e-12)
    assert_close(fnn.jit(m)(X), expected, 1e-12)
    assert_close(jax.vmap(m)(X), expected, 1e-12)
    assert not isinstance(m.weight, jax.core.Tracer)
    assert not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(m.__dict__))
    assert_close(m(X), expected, 0, 0)
    fnn.backward(lambda: (m(X) ** 2).sum(), m)
    for name, parameter in m.named_parameters():
        assert_close(parameter.grad, grads[name], 1e-10)


def test_power_steps_in_training_mode():
    m = apply("spectral_norm", linear())
    params, buffers = fnn.state(m)
    assert set(buffers) == {"weight_u", "weight_v"}
    u = np.asarray(m.weight_u)
    _, new = jax.jit(lambda p, b: fnn.functional_call(m, p, b, X))(params, buffers)
    assert_close(m.weight_u, u, 0, 0)
    assert float(abs(new["weight_u"] - u).max()) > 0
    with pytest.raises(RuntimeError, match=r"weight_u.* would be changed inside a JAX transformation"):
        jax.jit(m)(X)
    assert_close(m.weight_u, u, 0, 0)
    m.weight  # reading is no step  # noqa: B018
    assert_close(m.weight_u, u, 0, 0)
    fnn.jit(m)(X)
    for name in new:
        assert_close(m.get_buffer(name), new[name], 1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_training_under_fnn_jit(norm):
    fnn.manual_seed(0)
    m = apply(norm, linear())
    optimizer = optim.Adam(m.parameters(), lr=0.03)
    target = X @ rand(9, 3, 4)

    @fnn.jit
    def step():
        return optimizer.step(lambda: ((m(X) - target) ** 2).mean())

    losses = [float(step()) for _ in range(10)]
    assert losses[-1] < losses[0]
    assert not isinstance(m.weight, jax.core.Tracer)
    if norm == "spectral_norm":
        for _ in range(20):
            m(X)
        assert_close(np.linalg.norm(np.asarray(m.weight), 2), 1, 1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_copies(norm):
    m = apply(norm, linear()).eval()
    for twin in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert type(twin) is type(m)
        assert_close(twin(X), m(X), 0, 0)
        for parameter in twin.parameters():
            parameter.data = 3 * parameter.data
        assert float(abs(twin(X) - m(X)).max()) > 0
        twin.train()(X)
        apply(f"remove_{norm}", twin)
        assert type(twin) is nn.Linear
        assert not twin._forward_pre_hooks
    assert next(iter(m.state_dict())) == "bias"
    assert len(m.state_dict()) > 2


@pytest.mark.parametrize("norm", NORMS)
def test_errors(norm):
    m = apply(norm, nn.Bilinear(3, 3, 4).double())
    with pytest.raises(RuntimeError, match=f"Cannot register two {norm} hooks on the same parameter weight"):
        apply(norm, m)
    with pytest.raises(KeyError, match=f"{norm}: Bilinear has no parameter named 'w'"):
        apply(norm, m, "w")
    with pytest.raises(ValueError, match=f"{norm} cannot be applied as parameter `bias` is None"):
        apply(norm, nn.Linear(2, 2, bias=False), "bias")
    with pytest.raises(IndexError, match=r"dim must be in \[-1, 0\], got 1"):
        apply(norm, linear(), "bias", dim=1)
    with pytest.raises(ValueError, match=f"{norm} of 'bias' not found in Bilinear"):
        apply(f"remove_{norm}", m, "bias")


@pytest.mark.parametrize("norm", NORMS)
def test_two_parameters(norm):
    m = linear()
    expected = m(X)
    apply(norm, apply(norm, m), "bias")
    assert "weight" not in m._parameters
    assert "bias" not in m._parameters
    if norm == "weight_norm":
        assert_close(m(X), expected, 1e-10)
    apply(f"remove_{norm}", m)
    assert "weight" in m._parameters
    assert "bias" not in m._parameters
    apply(f"remove_{norm}", m, "bias")
    assert type(m) is nn.Linear
    assert list(m.state_dict()) == ["weight", "bias"]


def test_the_two_forms_together():
    m = apply("weight_norm", linear())
    expected = m(X)
    parametrizations.weight_norm(m, "weight_v")
    assert type(m).__name__ == "ParametrizedLinear"
    assert parametrize.type_before_parametrizations(m) is nn.Linear
    assert_close(m(X), expected, 1e-10)
    assert_close(copy.deepcopy(m)(X), expected, 1e-10)
    parametrize.remove_parametrizations(m, "weight_v")
    assert_close(m(X), expected, 1e-10)
    apply("remove_weight_norm", m)
    assert type(m) is nn.Linear
    assert_close(m(X), expected, 1e-10)


def test_warnings_and_arguments():
    with pytest.warns(FutureWarning, match=r"is deprecated in favor of `fnn.nn.utils.parametrizations.weight_norm`"):
        utils.weight_norm(linear())
    with pytest.raises(ValueError, match="n_power_iterations to be positive, but got n_power_iterations=0"):
        utils.spectral_norm(linear(), n_power_iterations=0)
    m = utils.spectral_norm(linear().to(jnp.bfloat16))
    assert m(jnp.ones((1, 3), jnp.bfloat16)).dtype == m.weight.dtype == m.weight_u.dtype == jnp.bfloat16


@pytest.mark.parametrize("norm", NORMS)
def test_uninitialized_parameters_are_refused(norm):
    m = nn.Module()
    m.weight = UninitializedParameter()
    with pytest.raises(ValueError, match=f"module passed to {norm} can't have uninitialized parameters"):
        apply(norm, m)
    assert list(m._parameters) == ["weight"]


@needs_torch
def test_warns_as_torch():
    import torch

    with pytest.warns(FutureWarning) as theirs:
        torch.nn.utils.weight_norm(torch.nn.Linear(2, 2))
    with pytest.warns(FutureWarning) as ours:
        utils.weight_norm(nn.Linear(2, 2))
    assert str(ours[0].message).replace("fnn", "torch") == str(theirs[0].message)
    assert ours[0].filename == __file__
