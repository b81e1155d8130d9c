"""``orthogonal``, ``spectral_norm`` and ``weight_norm`` as parametrizations, against PyTorch."""

import copy
import inspect
import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.nn.utils import parametrizations as P, parametrize, weight_norm as old_weight_norm
from tests.oracle import assert_close, needs_torch, rand

MAPS = ["matrix_exp", "cayley", "householder"]


def holder(weight):
    m = nn.Module()
    m.weight = nn.Parameter(weight)
    return m


def torch_holder(weight):
    import torch

    m = torch.nn.Module()
    m.weight = torch.nn.Parameter(torch.tensor(weight))
    return m


def originals(m):
    return [p for name, p in m.named_parameters() if name.startswith("parametrizations")]


def copy_state(ours, theirs):
    """Gives ours the state of theirs; the keys must be the same."""
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict(state)


def compare_gradients(ours, theirs, rtol=1e-10, seed=11):
    """Of a weighted sum of the weights, with respect to each original."""
    import torch

    value = theirs.weight  # read once: each reading may be a power step
    w = rand(seed, *value.shape)
    (value * torch.tensor(w)).sum().backward()
    fnn.backward(lambda: (ours.weight * w).sum(), ours)
    compared = 0
    for mine, its in zip(originals(ours), originals(theirs), strict=True):
        assert_close(mine.grad, its.grad.numpy(), rtol, 1e-12)
        compared += 1
    assert compared


@needs_torch
@pytest.mark.parametrize("name", ["orthogonal", "spectral_norm", "weight_norm"])
def test_signatures(name):
    import torch

    theirs = inspect.signature(getattr(torch.nn.utils.parametrizations, name)).parameters
    ours = inspect.signature(getattr(P, name)).parameters
    assert [(p.name, p.default, p.kind) for p in ours.values()] == [
        (p.name, p.default, p.kind) for p in theirs.values()
    ]


# Orthogonal


def _moved_off_identity(m, seed=21):
    """Adds random numbers to the original, apart from its diagonal, where the householder map has its signs."""
    box = m.parametrizations.weight.original
    noise = rand(seed, *box.shape)
    i = np.arange(min(box.shape[-2:]))
    noise[..., i, i] = 0
    if isinstance(m, nn.Module):
        box.data = box.data + noise
    else:
        import torch

        box.data += torch.tensor(noise)


QUICK = [
    ("matrix_exp", (4, 2), True),
    ("cayley", (2, 4), False),
    ("householder", (3, 3), True),
    ("householder", (2, 4), False),
]
SLOW = [
    case
    for case in itertools.product(MAPS, [(3, 3), (4, 2), (2, 4), (2, 4, 3), (2, 3, 4)], [True, False])
    if case not in QUICK
]
CASES = [*QUICK, *[pytest.param(*case, marks=pytest.mark.slow) for case in SLOW]]


@needs_torch
@pytest.mark.parametrize(("orthogonal_map", "shape", "trivialized"), CASES)
def test_orthogonal(orthogonal_map, shape, trivialized):
    import torch

    torch.manual_seed(0)
    weight = rand(1, *shape)
    ours, theirs = holder(weight), torch_holder(weight)
    options = {"orthogonal_map": orthogonal_map, "use_trivialization": trivialized}
    P.orthogonal(ours, **options)
    torch.nn.utils.parametrizations.orthogonal(theirs, **options)
    assert repr(ours) == repr(theirs)
    assert_close(ours.weight, theirs.weight.detach().numpy(), 1e-10, 1e-12)
    copy_state(ours, theirs)
    for m in (ours, theirs):
        _moved_off_identity(m)
    assert_close(ours.weight, theirs.weight.detach().numpy(), 1e-10, 1e-12)
    compare_gradients(ours, theirs)
    q = np.asarray(ours.weight)
    q = q if shape[-2] >= shape[-1] else q.swapaxes(-1, -2)
    eye = np.eye(q.shape[-1])
    assert_close(q.swapaxes(-1, -2) @ q, np.broadcast_to(eye, (*shape[:-2], *eye.shape)))


@pytest.mark.parametrize("shape", [(3, 3), pytest.param((2, 3, 3), marks=pytest.mark.slow)])
def test_an_orthogonal_start_is_kept(shape):
    start = np.linalg.qr(rand(2, *shape))[0]
    for orthogonal_map in ("cayley", "householder"):
        m = P.orthogonal(holder(start), orthogonal_map=orthogonal_map)
        assert_close(m.weight, start, 1e-12)
        assert_close(m.parametrizations.weight[0].base, start, 1e-12)
    m = P.orthogonal(holder(start), orthogonal_map="householder", use_trivialization=False)
    assert_close(m.weight, start, 1e-10)


def test_assignment_makes_orthogonal():
    m = P.orthogonal(holder(rand(1, 4, 2)))
    wanted = np.linalg.qr(rand(2, 4, 2))[0]
    m.weight = wanted
    assert_close(m.weight, wanted, 1e-10)
    with pytest.raises(ValueError, match=r"Expected a matrix or batch of matrices of shape \(4, 2\)"):
        m.weight = wanted.T
    m = P.orthogonal(holder(rand(1, 3, 3)), orthogonal_map="cayley", use_trivialization=False)
    with pytest.raises(NotImplementedError, match="not possible to assign to the matrix exponential or the Cayley"):
        m.weight = np.eye(3)


def test_orthogonal_right_inverse_is_traceable():
    for orthogonal_map, trivialized in (("householder", False), ("cayley", True)):
        part = P._Orthogonal(jnp.zeros((3, 3)), orthogonal_map, use_trivialization=trivialized)

        def through(q, part=part):
            with fnn.random.key_scope(jax.random.key(0)):
                twin = copy.deepcopy(part)
                return twin(twin.right_inverse(q))

        q = rand(4, 3, 3)
        assert_close(jax.jit(through)(q), through(jnp.asarray(q)), 1e-9, 1e-12)


@needs_torch
@pytest.mark.slow
@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley"])
def test_unitary(orthogonal_map):
    import torch

    weight = rand(1, 3, 3) + 1j * rand(2, 3, 3)
    ours, theirs = holder(weight), torch_holder(weight)
    P.orthogonal(ours, orthogonal_map=orthogonal_map)
    torch.nn.utils.parametrizations.orthogonal(theirs, orthogonal_map=orthogonal_map)
    copy_state(ours, theirs)
    for m in (ours, theirs):
        _moved_off_identity(m)
    assert_close(ours.weight, theirs.weight.detach().numpy(), 1e-10, 1e-12)
    q = np.asarray(ours.weight)
    assert_close(q.conj().T @ q, np.eye(3) + 0j)


def test_orthogonal_defaults_and_errors():
    assert P.orthogonal(holder(rand(1, 4, 2))).parametrizations.weight[0].orthogonal_map == "householder"
    assert P.orthogonal(holder(np.eye(2))).parametrizations.weight[0].orthogonal_map == "matrix_exp"
    with pytest.raises(ValueError, match="has no parameter or buffer with name 'w'"):
        P.orthogonal(holder(np.eye(2)), "w")
    with pytest.raises(ValueError, match="Got a tensor of 1 dimensions"):
        P.orthogonal(holder(np.ones(2)))
    with pytest.raises(ValueError, match=r'has to be one of "matrix_exp", "cayley", "householder"\. Got: qr'):
        P.orthogonal(holder(np.eye(2)), orthogonal_map="qr")
    with pytest.raises(ValueError, match="householder parametrization does not support complex"):
        P.orthogonal(holder(np.eye(2) + 0j), orthogonal_map="householder")


@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.bfloat16, marks=pytest.mark.slow), jnp.float16])
def test_orthogonal_in_other_dtypes(dtype):
    m = P.orthogonal(holder(rand(1, 4, 2).astype(dtype)))
    assert m.weight.dtype == dtype
    q = np.asarray(m.weight, np.float64)
    assert_close(q.T @ q, np.eye(2), 0, 0.02 if dtype != jnp.float32 else 1e-6)


def test_orthogonal_stays_so_in_training():
    m = P.orthogonal(nn.Linear(4, 4, bias=False).double(), orthogonal_map="cayley")
    optimizer = optim.SGD(m.parameters(), lr=0.5)
    target = np.linalg.qr(rand(3, 4, 4))[0]

    @fnn.jit
    def step():
        return optimizer.step(lambda: ((m.weight - target) ** 2).sum())

    losses = [float(step()) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert_close(m.weight @ m.weight.T, np.eye(4), 1e-10, 1e-12)
    assert_close(m.parametrizations.weight[0].base @ m.parametrizations.weight[0].base.T, np.eye(4), 1e-10, 1e-12)


# Weight norm


@needs_torch
@pytest.mark.parametrize("dim", [0, 1, None, *[pytest.param(d, marks=pytest.mark.slow) for d in (2, -1, -2)]])
def test_weight_norm(dim):
    import torch

    weight = rand(1, 4, 3, 2)
    ours = P.weight_norm(holder(weight), dim=dim)
    theirs = torch.nn.utils.parametrizations.weight_norm(torch_holder(weight), dim=dim)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for mine, its in zip(originals(ours), originals(theirs), strict=True):
        assert_close(mine, its.detach().numpy(), 1e-12)
    g = rand(3, *ours.parametrizations.weight.original0.shape)
    ours.parametrizations.weight.original0.data = g
    theirs.parametrizations.weight.original0.data = torch.tensor(g)
    assert_close(ours.weight, theirs.weight.detach().numpy(), 1e-12)
    compare_gradients(ours, theirs)
    ours.weight = 2 * weight
    assert_close(ours.weight, 2 * weight, 1e-12)
    parametrize.remove_parametrizations(ours, "weight")
    assert isinstance(ours.weight, nn.Parameter)
    assert_close(ours.weight, 2 * weight, 1e-12)


@needs_torch
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_weight_norm_in_other_dtypes(dtype):
    import torch

    weight = rand(1, 4, 30).astype(np.float32)
    ours = P.weight_norm(holder(jnp.asarray(weight, dtype)))
    theirs = torch.nn.utils.parametrizations.weight_norm(torch_holder(weight).to(getattr(torch, dtype)))
    assert ours.weight.dtype == dtype
    tolerance = {"float32": 1e-6, "bfloat16": 2e-2, "float16": 2e-3}[dtype]
    assert_close(ours.weight.astype(jnp.float32), theirs.weight.detach().float().numpy(), tolerance, tolerance)


def test_weight_norm_loads_what_the_older_form_saved():
    m = nn.Sequential(nn.Linear(3, 2).double())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old_weight_norm(m[0])
    new = nn.Sequential(P.weight_norm(nn.Linear(3, 2).double()))
    new.load_state_dict(m.state_dict())
    assert_close(new[0].weight, m[0].weight)
    assert list(new.state_dict()) == [
        "0.bias",
        "0.parametrizations.weight.original0",
        "0.parametrizations.weight.original1",
    ]
    copied = copy.deepcopy(new)
    copied.load_state_dict(m.state_dict())
    assert_close(copied[0].weight, m[0].weight)


def test_weight_norm_of_two_parameters():
    m = nn.Linear(3, 4).double()
    x = rand(1, 5, 3)
    expected = m(x)
    P.weight_norm(P.weight_norm(m, "bias", dim=None))
    assert_close(m(x), expected, 1e-10)
    fnn.backward(lambda: m(x).sum(), m)
    for parameter in m.parameters():
        assert float(abs(parameter.grad).sum()) > 0


def test_weight_norm_errors():
    with pytest.raises(IndexError, match=r"dim must be in \[-2, 1\], got 2"):
        P.weight_norm(holder(rand(1, 3, 2)), dim=2)
    with pytest.raises(ValueError, match="parametrized element with name 'w'"):
        P.weight_norm(holder(rand(1, 3, 2)), "w")


# Spectral norm

LAYERS = {
    "Linear": ((3, 4), {}),
    "Conv1d": ((3, 4, 2), {}),
    "ConvTranspose1d": ((3, 4, 2), {}),
    "ConvTranspose2d": ((3, 4, 2), {"dim": 2, "n_power_iterations": 3}),
}


def layer_inputs(name):
    return {"Linear": rand(6, 2, 3), "ConvTranspose2d": rand(6, 2, 3, 3, 3)}.get(name, rand(6, 2, 3, 5))


@needs_torch
@pytest.mark.parametrize(
    "name", ["Linear", *[pytest.param(k, marks=pytest.mark.slow) for k in LAYERS if k != "Linear"]]
)
def test_spectral_norm(name):
    import torch

    torch.manual_seed(0)
    args, options = LAYERS[name]
    theirs = torch.nn.utils.parametrizations.spectral_norm(getattr(torch.nn, name)(*args).double(), **options)
    ours = P.spectral_norm(getattr(nn, name)(*args).double(), **options)
    assert repr(ours) == repr(theirs)
    assert ours.parametrizations.weight[0].dim == theirs.parametrizations.weight[0].dim
    copy_state(ours, theirs)
    x = layer_inputs(name)
    for _ in range(3):
        assert_close(ours(x), theirs(torch.tensor(x)).detach().numpy(), 1e-10)
        for key, value in theirs.state_dict().items():
            assert_close(ours.state_dict()[key], value.numpy(), 1e-10, what=key)
    compare_gradients(ours, theirs)
    ours.eval(), theirs.eval()
    u = ours.parametrizations.weight[0]._u.data
    assert_close(ours(x), theirs(torch.tensor(x)).detach().numpy(), 1e-10)
    assert ours.parametrizations.weight[0]._u.data is u
    parametrize.remove_parametrizations(ours, "weight")
    torch.nn.utils.parametrize.remove_parametrizations(theirs, "weight")
    assert_close(ours.weight, theirs.weight.detach().numpy(), 1e-10)
    assert list(ours.state_dict()) == list(theirs.state_dict())


@needs_torch
def test_spectral_norm_of_a_vector():
    import torch

    weight = rand(1, 5)
    ours = P.spectral_norm(holder(weight))
    theirs = torch.nn.utils.parametrizations.spectral_norm(torch_holder(weight))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_close(ours.weight, theirs.weight.detach().numpy(), 1e-12)
    compare_gradients(ours, theirs)


def test_the_first_estimate_is_good():
    m = P.spectral_norm(holder(np.diag([3.0, 1.0, 0.5])).eval())
    assert_close(np.linalg.norm(np.asarray(m.weight), 2), 1, 1e-6)
    fnn.manual_seed(3)
    a = P.spectral_norm(holder(rand(1, 4, 4)))
    fnn.manual_seed(3)
    b = P.spectral_norm(holder(rand(1, 4, 4)))
    assert_close(a.weight, b.weight, 0, 0)


def test_buffers_come_back_and_never_leak():
    m = P.spectral_norm(nn.Linear(3, 4).double())
    params, buffers = fnn.state(m)
    assert set(buffers) == {"parametrizations.weight.0._u", "parametrizations.weight.0._v"}
    x = rand(1, 2, 3)
    before = {k: np.asarray(v) for k, v in buffers.items()}

    @jax.jit
    def loss(params, buffers):
        out, new = fnn.functional_call(m, params, buffers, x)
        return (out**2).sum(), new

    grads, new = jax.grad(loss, has_aux=True)(params, buffers)
    for key, value in before.items():
        assert_close(fnn.state(m)[1][key], value, 0, 0)
        assert float(abs(np.asarray(new[key]) - value).max()) > 0
    with pytest.raises(RuntimeError, match=r"_SpectralNorm\._u.* would be changed inside a JAX transformation"):
        jax.jit(m)(x)
    for key, value in before.items():
        assert_close(fnn.state(m)[1][key], value, 0, 0)
    fnn.backward(lambda: (m(x) ** 2).sum(), m)
    for key, value in new.items():
        assert_close(fnn.state(m)[1][key], value, 1e-12)
    assert_close(m.parametrizations.weight.original.grad, grads["parametrizations.weight.original"], 1e-10)
    compiled = fnn.jit(m)
    y = compiled(x)
    u = np.asarray(m.parametrizations.weight[0]._u)
    fnn.update(m, params, new)
    assert_close(m(x), y, 1e-10)
    assert_close(m.parametrizations.weight[0]._u, u, 1e-10)
    m.eval()
    assert_close(jax.jit(m)(x), m(x), 1e-10)
    assert_close(compiled(x), m(x), 1e-10)


@pytest.mark.slow
def test_spectral_norm_under_vmap_and_forward_mode():
    m = P.spectral_norm(nn.Linear(3, 4).double())
    params, buffers = fnn.state(m)
    x = rand(1, 2, 3)

    def loss(params):
        return (fnn.functional_call(m, params, buffers, x)[0] ** 2).sum()

    direction = {k: rand(9, *v.shape) for k, v in params.items()}
    grads = jax.grad(loss)(params)
    _, slope = jax.jvp(loss, (params,), ({k: jnp.asarray(v) for k, v in direction.items()},))
    assert_close(slope, sum((grads[k] * direction[k]).sum() for k in params), 1e-10)
    stacked = {k: jnp.stack([v, 2 * v]) for k, v in params.items()}
    batched = jax.vmap(jax.grad(loss))(stacked)
    for key, value in grads.items():
        assert_close(batched[key][0], value, 1e-10)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_spectral_norm_in_half_types(dtype):
    m = P.spectral_norm(nn.Linear(3, 4).double()).to(dtype)
    assert m.weight.dtype == m.parametrizations.weight[0]._u.dtype == dtype
    assert abs(np.linalg.norm(np.asarray(m.weight, np.float64), 2) - 1) < 0.02


def test_spectral_norm_errors():
    with pytest.raises(IndexError, match=r"in range of \[-2, 1\] but got 2"):
        P.spectral_norm(holder(rand(1, 3, 2)), dim=2)
    with pytest.raises(ValueError, match="n_power_iterations to be positive, but got n_power_iterations=0"):
        P.spectral_norm(holder(rand(1, 3, 2)), n_power_iterations=0)
    with pytest.raises(ValueError, match="has no parameter or buffer with name 'w'"):
        P.spectral_norm(holder(rand(1, 3, 2)), "w")
