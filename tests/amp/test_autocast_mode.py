"""``autocast``: where it holds, what it casts, what stays; eagerly, traced, differentiated, in threads."""

import copy
import pickle
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.amp.state import opened
from fnn.nn import functional as F
from fnn.tools import explain_compiles
from tests.oracle import assert_close, from_torch, needs_torch, rand, to_torch

BF16, F16, F32 = jnp.bfloat16, jnp.float16, jnp.float32


def f32(seed, *shape):
    return jnp.asarray(rand(seed, *shape), F32)


def model():
    fnn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 2)).float()


# Where it holds


def test_nested_and_off():
    layer, x = model(), f32(0, 4, 3)
    seen = []
    with fnn.autocast(dtype=BF16):
        seen.append(layer(x).dtype)
        with fnn.autocast(enabled=False):
            seen.append(layer(x).dtype)
            with fnn.autocast(dtype=F16):
                seen.append(layer(x).dtype)
            assert not fnn.is_autocast_enabled()
        seen.append(layer(x).dtype)
        assert fnn.is_autocast_enabled("cuda")
        assert fnn.get_autocast_dtype() == BF16
    seen.append(layer(x).dtype)
    assert seen == [BF16, F32, F16, BF16, F32]
    assert not fnn.is_autocast_enabled()


def test_it_ends_when_something_is_raised():
    with pytest.raises(ZeroDivisionError), fnn.autocast():
        raise ZeroDivisionError
    assert not fnn.is_autocast_enabled()


@pytest.mark.parametrize(
    ("args", "kwargs", "dtype"),
    [
        ((), {}, BF16),
        (("cuda",), {}, F16),
        (("cpu",), {}, BF16),
        (("tpu",), {}, BF16),
        (("cuda", BF16), {}, BF16),
        ((BF16,), {}, BF16),
        ((jnp.dtype("float16"),), {}, F16),
        (("float16",), {}, F16),
        ((), {"device_type": "cuda", "dtype": BF16, "enabled": True, "cache_enabled": False}, BF16),
        (("cuda",), {"enabled": False}, F32),
    ],
)
def test_torchs_signature_and_ours(args, kwargs, dtype):
    with fnn.autocast(*args, **kwargs) as entered:
        assert F.linear(f32(0, 2, 3), f32(1, 2, 3)).dtype == dtype
    assert isinstance(entered, fnn.amp.autocast)
    assert copy.deepcopy(entered).dtype == pickle.loads(pickle.dumps(entered)).dtype == entered.dtype


def test_what_is_asked():
    assert fnn.get_autocast_dtype("cuda") == F16
    assert fnn.get_autocast_dtype("cpu") == BF16
    assert fnn.amp.is_autocast_available("cuda")
    assert not fnn.amp.is_autocast_available("abacus")
    with fnn.autocast(cache_enabled=False):
        assert not fnn.amp.is_autocast_cache_enabled()
    assert fnn.amp.is_autocast_cache_enabled()


def test_refusals():
    with pytest.raises(RuntimeError, match=r"autocast: device_type must be one of 'cpu', 'cuda'.*, got 'abacus'"):
        fnn.autocast("abacus")
    with pytest.raises(RuntimeError, match="autocast: device_type must be one of"):
        fnn.autocast(BF16, dtype=BF16)
    with pytest.raises(TypeError, match=r"autocast: dtype must be jnp.bfloat16 or jnp.float16, got 'int8'"):
        fnn.autocast("cpu", "int8")
    with pytest.raises(RuntimeError, match="get_autocast_dtype: device_type must be one of"):
        fnn.get_autocast_dtype("abacus")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        fnn.amp.nonsense  # noqa: B018
    with pytest.warns(UserWarning, match="autocast: dtype must be bfloat16 or float16, got float32"):
        off = fnn.autocast("cpu", F32)
    with off:
        assert not fnn.is_autocast_enabled()


def test_as_a_decorator():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        @fnn.autocast("cpu", dtype=BF16)
        def forward(self, x):
            return self.layer(x)

    @fnn.amp.autocast("cuda")
    def inner(depth):
        """Text."""
        return inner(depth - 1) if depth else fnn.get_autocast_dtype()

    assert Net()(f32(0, 2, 3)).dtype == BF16
    assert inner(3) == F16
    assert inner.__name__ == "inner"
    assert inner.__doc__ == "Text."
    assert not fnn.is_autocast_enabled()


def test_a_compiled_function_finds_the_state_behind_a_decorated_one():
    layer = model()
    optimizer = fnn.optim.SGD(layer.parameters(), lr=0.1)

    @fnn.jit
    @fnn.autocast(dtype=BF16)
    def step(x):
        return optimizer.step(lambda: jnp.square(layer(x).astype(F32)).sum())

    before = np.asarray(layer[0].weight.data)
    step(f32(0, 4, 3))
    assert (np.asarray(layer[0].weight.data) != before).any()
    assert layer[0].weight.dtype == F32


def test_around_a_compiled_function_and_a_model():
    layer, x = model(), f32(0, 4, 3)
    compiled = fnn.jit(lambda x: layer(x))
    assert fnn.autocast(dtype=BF16)(compiled)(x).dtype == fnn.autocast(dtype=BF16)(layer)(x).dtype == BF16
    assert compiled(x).dtype == F32
    assert compiled._cache_size() == 2


def test_threads_have_their_own():
    seen, inside, done = [], threading.Event(), threading.Event()

    def other():
        inside.wait(10)
        seen.append(fnn.is_autocast_enabled())
        with fnn.autocast(dtype=F16):
            seen.append(fnn.get_autocast_dtype())
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with fnn.autocast(dtype=BF16):
        inside.set()
        done.wait(10)
        seen.append(fnn.get_autocast_dtype())
    thread.join()
    assert seen == [False, F16, BF16]


def test_one_decorated_function_in_many_threads():
    barrier, seen = threading.Barrier(4), []

    @fnn.autocast(dtype=BF16)
    def wait():
        barrier.wait(10)
        seen.append(fnn.get_autocast_dtype())
        barrier.wait(10)

    def run():
        wait()
        seen.append(fnn.is_autocast_enabled())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not opened
    assert seen[:4] == [BF16] * 4
    assert seen[4:] == [False] * 4


# What it casts


def test_the_numbers_are_those_of_arguments_in_half_precision():
    x, w, b = f32(0, 4, 3), f32(1, 2, 3), f32(2, 2)
    with fnn.autocast(dtype=BF16):
        y = F.linear(x, w, b)
        p = F.softmax(y, -1)
    expected = F.linear(x.astype(BF16), w.astype(BF16), b.astype(BF16))
    assert (y == expected).all()
    assert y.dtype == BF16
    assert (p == F.softmax(expected.astype(F32), -1)).all()


@needs_torch
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_numbers_are_torchs(dtype):
    import torch

    x, w = rand(0, 2, 3, 8).astype(np.float32), rand(1, 4, 3, 3).astype(np.float32)
    target = rand(2, 2, 4, 6).astype(np.float32)
    with torch.autocast("cpu", dtype=getattr(torch, dtype)):
        y = torch.nn.functional.conv1d(*map(to_torch, (x, w)))
        loss = torch.nn.functional.mse_loss(y, to_torch(target))
    with fnn.autocast(dtype=dtype):
        ours = F.conv1d(x, w)
        ours_loss = F.mse_loss(ours, target)
    assert ours.dtype == jnp.dtype(dtype)
    assert ours_loss.dtype == F32
    assert_close(ours, from_torch(y), 2e-2, 1e-2)
    assert_close(ours_loss, from_torch(loss), 1e-2, 1e-3)


def test_float64_integers_and_numbers_are_left_alone():
    with fnn.autocast():
        assert F.linear(jnp.ones((2, 3)), jnp.ones((4, 3))).dtype == jnp.float64
        assert F.softmax(jnp.ones(3), -1).dtype == jnp.float64
        assert nn.Buffer(jnp.arange(3)).sum().dtype == jnp.int64
        assert nn.Buffer(jnp.ones(3, BF16)).pow(2).dtype == F32
        with pytest.raises(TypeError, match="linear: input and weight must be of one dtype"):
            F.linear(jnp.ones((2, 3)), f32(0, 4, 3))


def test_numpy_arrays_boxes_and_lists_of_arrays():
    x = rand(0, 2, 3).astype(np.float32)
    with fnn.autocast(dtype=F16):
        assert F.linear(x, nn.Parameter(x)).dtype == F16
        assert F.linear(input=x, weight=nn.Parameter(x)).dtype == F16
        lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True).float()
        output, (h, c) = lstm(x[None], (jnp.zeros((4, 2, 4), F32), jnp.zeros((4, 2, 4), F32)))
        assert {output.dtype, h.dtype, c.dtype} == {jnp.dtype(F16)}
        assert nn.GRU(3, 4).float()(x[None])[0].dtype == F16
    with jax.enable_x64(False), fnn.autocast(dtype=BF16):
        assert F.linear(rand(0, 2, 3), rand(1, 4, 3)).dtype == BF16


@needs_torch
def test_tensors_of_torch_and_other_arrays_by_protocol():
    class Wrapped:
        def __jax_array__(self):
            return f32(0, 2, 3)

    x = to_torch(rand(0, 2, 3).astype(np.float32))
    weights = nn.ParameterList([f32(1, 4, 3), f32(2, 4, 4)])
    with fnn.autocast():
        assert F.linear(x, f32(1, 4, 3)).dtype == F.linear(Wrapped(), f32(1, 4, 3)).dtype == BF16
        assert F.rnn(x[None], None, weights)[0].dtype == BF16
        assert F.softmax(x.half(), -1).dtype == F32
    assert F.softmax(x.half(), -1).dtype == F16


def test_functions_that_are_made_of_the_listed_ones():
    x = f32(0, 2, 3).astype(BF16)
    with fnn.autocast():
        assert F.gaussian_nll_loss(x, x, jnp.ones_like(x)).dtype == F32
        assert F.gru_cell(x, None, f32(1, 12, 3), f32(2, 12, 4)).dtype == BF16
        assert F.ctc_loss(F.log_softmax(x[:, None], -1).astype(BF16), jnp.array([[1]]), (2,), (1,)).dtype == F32
        assert F.unfold(jnp.ones((1, 1, 3, 3), BF16), 2).dtype == BF16


def test_traced_numbers_are_no_arrays_to_cast():
    x = f32(0, 2, 3)

    def smoothed(share):
        with fnn.autocast():
            return F.cross_entropy(x, jnp.array([0, 1]), label_smoothing=share)

    exact = F.cross_entropy(x, jnp.array([0, 1]), label_smoothing=0.1)
    assert_close(jax.jit(smoothed)(0.1), exact, 1e-6, 0)


def test_mixed_dtypes_within_and_outside():
    x, w = f32(0, 2, 3).astype(BF16), f32(1, 4, 3)
    with pytest.raises(TypeError, match="linear: input and weight must be of one dtype"):
        F.linear(x, w)
    with fnn.autocast():
        assert F.linear(x, w).dtype == BF16
        assert F.bilinear(x, w[:2], f32(2, 5, 3, 3)).dtype == F32
        assert F.layer_norm(x, (3,), f32(3, 3)).dtype == F32
        assert F.batch_norm(x, None, None, f32(3, 3), training=True).dtype == BF16


def test_binary_cross_entropy():
    p = jnp.full(3, 0.5, F32)
    with fnn.autocast(dtype=F16):
        with pytest.raises(RuntimeError, match=r"binary_cross_entropy: .*binary_cross_entropy_with_logits"):
            F.binary_cross_entropy(p, p)
        with pytest.raises(RuntimeError, match="autocast refuses it"):
            nn.BCELoss()(p.astype(F16), p)
        with fnn.autocast(enabled=False):
            F.binary_cross_entropy(p, p)
        assert F.binary_cross_entropy_with_logits(p.astype(F16), p).dtype == F32
    with fnn.autocast(dtype=BF16):
        assert F.binary_cross_entropy(p.astype(BF16), p).dtype == F32


def test_interpolation_by_areas_stays_in_its_dtype():
    x = jnp.ones((1, 1, 4), BF16)
    with fnn.autocast():
        assert F.interpolate(x, 2, mode="area").dtype == F.interpolate(x, 2, None, "area").dtype == BF16
        assert F.interpolate(x, 2).dtype == F32


def test_a_function_of_the_users_is_called_within_autocast():
    w, x = f32(0, 5, 3), f32(1, 4, 3)
    seen = []

    def distance(a, b):
        seen.append(fnn.is_autocast_enabled())
        return (F.linear(a, w) - F.linear(b, w)).sum(-1)

    with fnn.autocast():
        assert F.triplet_margin_with_distance_loss(x, x, x, distance_function=distance).dtype == BF16
        assert F.triplet_margin_with_distance_loss(*[x.astype(BF16)] * 3).dtype == F32
    assert seen == [True, True]


def test_a_box_that_is_written_stays_the_one():
    out = nn.Buffer(jnp.zeros(3, BF16))
    with fnn.autocast():
        F.normalize(jnp.ones(3, BF16), dim=0, out=out)
    assert (out.data != 0).all()


def test_errors_say_what_came():
    with fnn.autocast(), pytest.raises(TypeError, match=r"linear: weight must be an array, got 'no'"):
        F.linear(f32(0, 2, 3), "no")
    with fnn.autocast(), pytest.raises(ValueError, match=r"linear: input must be of shape"):
        F.linear(f32(0, 2, 3), f32(0, 2, 4))


def test_methods_and_products_of_parameters():
    w = nn.Parameter(f32(0, 3, 3))
    before = w.data
    with fnn.autocast():
        assert (w @ w.data).dtype == w.matmul(f32(1, 3, 2)).dtype == w.mm(mat2=f32(1, 3, 2)).dtype == BF16
        assert w.exp().dtype == (w**2).dtype == F32
        w.exp_()
    assert w.dtype == F32
    assert (w.data == jnp.exp(before)).all()


@needs_torch
@pytest.mark.parametrize("need_weights", [True, False])
def test_attention(need_weights):
    import torch

    fnn.manual_seed(0)
    ours, theirs = nn.MultiheadAttention(8, 2, bias=True).float(), torch.nn.MultiheadAttention(8, 2)
    theirs.load_state_dict({k: to_torch(v) for k, v in ours.state_dict().items()})
    x = rand(0, 5, 2, 8).astype(np.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, weights = theirs(*[to_torch(x)] * 3, need_weights=need_weights)
    with fnn.autocast():
        y, w = ours(x, x, x, need_weights=need_weights)
        mixed = ours(jnp.asarray(x, BF16), x, x, need_weights=need_weights)[0]
    assert y.dtype == mixed.dtype == BF16
    assert_close(y, from_torch(expected), 3e-2, 1e-2)
    if need_weights:
        assert w.dtype == F32
        assert_close(w, from_torch(weights), 3e-2, 1e-2)


def test_linear_cross_entropy_is_a_linear_layer_and_a_loss():
    x, w, target = f32(0, 6, 4), f32(1, 5, 4), jnp.array([0, 1, 2, 3, 4, 0])
    with fnn.autocast():
        loss = F.linear_cross_entropy(x, w, target)
        expected = F.cross_entropy(F.linear(x, w), target)
    assert loss.dtype == F32
    assert_close(loss, expected, 2e-3, 0)
    assert loss != F.cross_entropy(F.linear(x, w), target)


# Traces and gradients


def total(layer, x):
    return jnp.square(layer(x).astype(F32)).sum()


def test_gradients_are_of_the_parameters_dtype():
    layer, x = model(), f32(0, 4, 3)
    with fnn.autocast():
        fnn.backward(lambda: layer(x).astype(F32).sum(), layer)
    inside = {n: p.grad for n, p in layer.named_parameters()}
    layer.zero_grad()

    def loss():
        with fnn.autocast():
            return layer(x).astype(F32).sum()

    fnn.backward(loss, layer)
    params, buffers = fnn.state(layer)

    def pure(params):
        with fnn.autocast():
            return fnn.functional_call(layer, params, buffers, x)[0].astype(F32).sum()

    grads = jax.grad(pure)(params)
    exact = jax.grad(lambda p: fnn.functional_call(layer, p, buffers, x)[0].sum())(params)
    for name, p in layer.named_parameters():
        assert p.dtype == p.grad.dtype == grads[name].dtype == F32
        assert (p.grad == grads[name]).all()
        assert (p.grad == inside[name]).all()
        assert_close(p.grad, exact[name], 0.1, 0.1)
    assert (grads["0.weight"] != exact["0.weight"]).any()


def test_jax_jit_with_the_context_inside_and_outside():
    layer, x = model(), f32(0, 4, 3)
    params, buffers = fnn.state(layer)

    @jax.jit
    def inside(params, x):
        with fnn.autocast(dtype=F16):
            return fnn.functional_call(layer, params, buffers, x)[0]

    plain = jax.jit(lambda p, x: fnn.functional_call(layer, p, buffers, x)[0])
    assert inside(params, x).dtype == F16
    seen = [plain(params, x).dtype]
    with fnn.autocast(dtype=BF16):
        seen += [plain(params, x).dtype, inside(params, x).dtype]
    seen.append(plain(params, x).dtype)
    assert seen == [F32, BF16, F16, F32]


def test_it_is_part_of_the_key_of_fnn_jit():
    layer, x = model(), f32(0, 4, 3)
    traces = []

    @fnn.jit
    def run(x):
        traces.append(fnn.is_autocast_enabled() and fnn.get_autocast_dtype())
        return layer(x)

    results = []
    for _ in range(2):
        results.append(run(x))
        with fnn.autocast(dtype=BF16):
            results.append(run(x))
        with fnn.autocast(dtype=F16):
            results.append(run(x))
        with fnn.autocast(dtype=F16, enabled=False):
            results.append(run(x))
    assert [r.dtype for r in results] == [F32, BF16, F16, F32] * 2
    assert len(traces) == run._cache_size() == 3
    with fnn.autocast():
        eager = layer(x)
    assert_close(results[1].astype(F32), eager.astype(F32), 2e-2, 2e-2)
    with explain_compiles(run, show=None) as found, fnn.autocast(dtype=F16):
        run(f32(1, 5, 3))
    assert len(found) == 1
    run.clear_cache()
    run(x)
    with explain_compiles(run, show=None) as found, fnn.autocast(dtype=F16):
        run(x)
    assert found[0].causes == ["fnn.autocast: off -> float16"]


def test_functions_that_jax_keeps_traces_of():
    """The trace that ``jax.checkpoint`` keeps of a function is none of another autocast."""
    w, x = f32(0, 2, 3), f32(1, 4, 3)
    block = jax.checkpoint(lambda x: F.linear(x, w).astype(F32).sum())
    plain = jax.grad(block)(x)
    with fnn.autocast():
        low = jax.grad(block)(x)
    assert low.dtype == F32
    assert (low != plain).any()
    assert (jax.grad(block)(x) == plain).all()


def test_second_derivatives_and_vmap():
    w, x = f32(0, 2, 3), f32(1, 4, 3)

    def loss(w, x):
        with fnn.autocast():
            return F.mse_loss(F.tanh(F.linear(x, w)), jnp.zeros(2, BF16))

    exact = jax.hessian(lambda w: jnp.square(jnp.tanh(x[0] @ w.T)).mean())(w)
    hessian = jax.hessian(loss)(w, x[0])
    assert hessian.dtype == F32
    assert_close(hessian, exact, 5e-2, 2e-2)
    each = jax.vmap(jax.grad(loss), (None, 0))(w, x)
    one = jax.grad(loss)(w, x[1])
    assert each.shape == (4, 2, 3)
    assert each.dtype == F32
    assert_close(each[1], one, 1e-2, 1e-3)
    with fnn.autocast():
        assert jax.vmap(lambda x: F.linear(x, w))(x).dtype == BF16


def test_running_statistics_keep_their_dtype():
    net = nn.Sequential(nn.Conv1d(3, 4, 1), nn.BatchNorm1d(4)).float()
    with fnn.autocast():
        assert net(f32(0, 2, 3, 5)).dtype == BF16
    mean, var = net[1].running_mean, net[1].running_var
    assert mean.dtype == var.dtype == F32
    assert (mean.data != 0).any()


def test_optimizer_step_with_a_closure():
    layer, x = model(), f32(0, 4, 3)
    optimizer = fnn.optim.Adam(layer.parameters(), lr=0.01)

    @fnn.jit
    def step():
        with fnn.autocast():
            return optimizer.step(lambda: total(layer, x))

    losses = [float(step()) for _ in range(5)]
    assert losses[-1] < losses[0]
    state = optimizer.state[layer[0].weight]
    assert {layer[0].weight.dtype, state["exp_avg"].dtype} == {jnp.dtype(F32)}
