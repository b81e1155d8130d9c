"""``GradScaler`` and ``optim.scaled`` against torch's scaler, step by step, over runs in which gradients overflow."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.amp import GradScaler
from fnn.nn import functional as F
from fnn.optim import loss_scale
from fnn.tensor.row_sparse import RowSparse
from tests.oracle import assert_close, needs_torch, rand, to_torch

# What the loss of each step is multiplied by.
FACTORS = [1, 1, np.inf, 1, 1, 1, 1, np.nan, -np.inf, 1, 1, 1, 1, 1, 1, 1]
OPTIONS = {"init_scale": 1024.0, "growth_factor": 3.0, "backoff_factor": 0.25, "growth_interval": 3}
WEIGHT = rand(0, 4, 3).astype(np.float32)
X = rand(1, 5, 3).astype(np.float32)


def array(value):
    return jnp.asarray(value, jnp.float32)


def parameter():
    return nn.Parameter(array(WEIGHT))


def torchs_run(clip, make="Adam"):
    """Scales, counts of good steps and weights after each step of torch's, on the CPU."""
    import torch

    w = torch.nn.Parameter(to_torch(WEIGHT))
    optimizer = getattr(torch.optim, make)([w], lr=0.05)
    scaler = torch.amp.GradScaler("cpu", **OPTIONS)
    seen = []
    for factor in FACTORS:
        optimizer.zero_grad()
        scaler.scale((to_torch(X) @ w.T).square().mean() * factor).backward()
        if clip:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_([w], 0.5)
        scaler.step(optimizer)
        scaler.update()
        seen.append((scaler.get_scale(), scaler._get_growth_tracker(), w.detach().numpy().copy()))
    return seen


def training(clip, make="Adam"):
    """One step as a function of the factor, and what it trains."""
    w = parameter()
    optimizer = getattr(optim, make)([w], lr=0.05)
    scaler = GradScaler("cpu", **OPTIONS)

    def step(factor):
        optimizer.zero_grad()
        fnn.backward(lambda: scaler.scale(jnp.square(X @ w.data.T).mean() * factor), w)
        if clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_([w], 0.5)
        scaler.step(optimizer)
        scaler.update()

    return step, w, optimizer, scaler


@needs_torch
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_run_is_torchs(clip, compiled):
    step, w, optimizer, scaler = training(clip)
    step = fnn.jit(step) if compiled else step
    for factor, (scale, tracker, weight) in zip(FACTORS, torchs_run(clip), strict=True):
        step(array(factor))
        assert scaler.get_scale() == scale
        assert scaler.state_dict()["_growth_tracker"] == tracker
        assert_close(w.data, weight, 1e-5, 1e-6)
    assert optimizer.state[w]["step"] == np.isfinite(FACTORS).sum()
    if compiled:
        assert step._cache_size() <= 2  # without gradients at first, and with those of the step before


@needs_torch
def test_the_pure_form_is_torchs():
    tx = optim.scaled(optim.chain(optim.clip_by_global_norm(0.5), optim.adam(lr=0.05)), **OPTIONS)
    params = {"w": array(WEIGHT), "unused": None}
    state = tx.init(params)

    @jax.jit
    def step(params, state, factor):
        grads = jax.grad(lambda p: state.scale * (jnp.square(X @ p["w"].T).mean() * factor))(params)
        updates, state = tx.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    for factor, (scale, tracker, weight) in zip(FACTORS, torchs_run(True), strict=True):
        before = state
        params, state = step(params, state, array(factor))
        assert float(state.scale) == scale
        assert int(state.growth_tracker) == tracker
        assert bool(state.found_inf) == (not np.isfinite(factor))
        assert_close(params["w"], weight, 1e-5, 1e-6)
        if state.found_inf:
            assert all(map(np.array_equal, jax.tree.leaves(state.inner), jax.tree.leaves(before.inner)))


def test_the_scale_grows_no_further_than_float32():
    scale, tracker = loss_scale.next_scale(array(3e38), jnp.array(1), [array(0)], 2.0, 0.5, 2)
    assert (float(scale), int(tracker)) == (float(np.float32(3e38)), 0)


@needs_torch
def test_float16_recovers_from_an_overflow_as_torch_does():
    """The scale is too large at first, so that gradients overflow in float16, until it has fallen far enough."""
    import torch

    fnn.manual_seed(0)
    ours = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1)).float()
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    theirs.load_state_dict({k: to_torch(v) for k, v in ours.state_dict().items()})
    target = (X.sum(-1, keepdims=True) * 3).astype(np.float32)
    options = {"init_scale": 2.0**20, "growth_interval": 4}
    scaler, their_scaler = GradScaler(**options), torch.amp.GradScaler("cpu", **options)
    optimizer, their_optimizer = optim.SGD(ours.parameters(), lr=0.02), torch.optim.SGD(theirs.parameters(), lr=0.02)

    @fnn.jit
    def step():
        def closure():
            with fnn.autocast("cuda"):
                loss = F.mse_loss(ours(X), target)
            return scaler.scale(loss), loss

        optimizer.zero_grad()
        _, loss = fnn.backward(closure, ours, has_aux=True)
        scaler.step(optimizer)
        scaler.update()
        return loss

    scales, losses, their_scales, their_losses = [], [], [], []
    for _ in range(24):
        losses.append(float(step()))
        scales.append(scaler.get_scale())
        their_optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = torch.nn.functional.mse_loss(theirs(to_torch(X)), to_torch(target))
        their_scaler.scale(loss).backward()
        their_scaler.step(their_optimizer)
        their_scaler.update()
        their_losses.append(loss.item())
        their_scales.append(their_scaler.get_scale())
    assert scales == their_scales
    assert min(scales) < 2.0**18  # it had to fall
    assert_close(losses, their_losses, 1e-2, 1e-4)
    assert losses[-1] < losses[0] / 2


# What a skipped step leaves alone


def test_hooks_counts_and_rates_are_as_before_a_skipped_step():
    w = parameter()
    average = nn.Buffer(array(np.zeros_like(WEIGHT)))
    model = nn.Module()
    model.w, model.average = w, average
    optimizer = optim.SGD([w], lr=1.0, momentum=0.9)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    scaler = GradScaler(init_scale=4.0)

    def after(optimizer, args, kwargs):
        model.average.copy_(0.5 * model.average + model.w)
        scheduler.step()

    optimizer.register_step_post_hook(after)

    @fnn.jit
    def step(model, scheduler, factor):
        optimizer.zero_grad()
        fnn.backward(lambda: scaler.scale((model.w.data**2).sum() * factor), model)
        scaler.step(optimizer)
        scaler.update()

    def contents():
        state = optimizer.state[w].values() if w in optimizer.state else ()
        rate, epoch = optimizer.param_groups[0]["lr"], scheduler.last_epoch
        return [np.array(v) for v in (w.data, average.data, rate, epoch, *state)]

    step(model, scheduler, array(1.0))
    before = contents()
    step(model, scheduler, array(np.inf))
    assert all(map(np.array_equal, contents(), before))
    step(model, scheduler, array(1.0))
    assert not any(map(np.array_equal, contents(), before))
    assert (float(optimizer.param_groups[0]["lr"]), int(scheduler.last_epoch)) == (0.25, 2)


def test_an_iteration_in_several_compiled_functions():
    step, *whole = training(clip=True)
    w = parameter()
    optimizer, scaler = optim.Adam([w], lr=0.05), GradScaler("cpu", **OPTIONS)

    @fnn.jit
    def backward(factor):
        optimizer.zero_grad()
        fnn.backward(lambda: scaler.scale(jnp.square(X @ w.data.T).mean() * factor), w)
        scaler.unscale_(optimizer)

    @fnn.jit
    def finish():
        nn.utils.clip_grad_norm_([w], 0.5)
        scaler.step(optimizer)
        scaler.update()

    for factor in FACTORS:
        step(array(factor))
        backward(array(factor))
        with pytest.raises(RuntimeError, match="already been called on this optimizer"):
            scaler.unscale_(optimizer)
        finish()
        assert scaler.state_dict() == whole[2].state_dict()
        assert_close(w.data, whole[0].data, 1e-6, 1e-7)
    assert backward._cache_size() <= 2
    assert finish._cache_size() == 1


def test_two_optimizers_share_one_scale():
    """A generator and a discriminator, say: each skips its own steps, the scale falls if one did."""
    first, second = nn.Parameter(array(1.0)), nn.Parameter(array(1.0))
    optimizers = optim.SGD([first], lr=0.5), optim.SGD([second], lr=0.5)
    scaler = GradScaler(init_scale=8.0)

    def step(a, b):
        for p, optimizer, factor in zip((first, second), optimizers, (a, b), strict=True):
            optimizer.zero_grad()
            fnn.backward(lambda p=p, factor=factor: scaler.scale(p.data * factor), p)
            scaler.step(optimizer)
        scaler.update()

    for run in (step, fnn.jit(step)):
        first.data = second.data = array(1.0)
        scaler.update(8.0)
        for _ in range(2):
            run(array(1.0), array(np.inf))
        assert (float(first), float(second), scaler.get_scale()) == (0.0, 1.0, 2.0)


def test_row_sparse_gradients():
    table = nn.Embedding(6, 2, sparse=True).float()
    optimizer = optim.SparseAdam(table.parameters(), lr=0.1)
    scaler = GradScaler()
    rows = jnp.array([1, 3, 1])
    fnn.backward(lambda: scaler.scale(table(rows).sum()), table)
    scaler.unscale_(optimizer)
    assert isinstance(table.weight.grad, RowSparse)
    assert_close(table.weight.grad.to_dense()[:, 0], [0, 2, 0, 1, 0, 0], 1e-6, 0)
    before = np.array(table.weight.data)
    scaler.step(optimizer)
    scaler.update()
    assert (np.array(table.weight.data) != before).any(-1).tolist() == [False, True, False, True, False, False]
    tx = optim.scaled(optim.sparse_adam(lr=0.1))
    gradient = RowSparse(jnp.array([0]), jnp.full((1, 2), jnp.inf), (6, 2))
    updates, state = tx.update([gradient], tx.init([jnp.ones((6, 2))]), [jnp.ones((6, 2))])
    assert (updates[0].to_dense() == 0).all()
    assert float(state.scale) == 2.0**15


# The object


def test_torchs_order_is_kept():
    w = parameter()
    optimizer, scaler = optim.SGD([w], lr=0.1), GradScaler()
    with pytest.raises(RuntimeError, match=r"GradScaler\.update: step or unscale_ must be called before"):
        scaler.update()
    with pytest.raises(RuntimeError, match="the parameters of SGD must have gradients"):
        scaler.step(optimizer)
    w.grad = jnp.ones_like(w.data)
    scaler.unscale_(optimizer)
    with pytest.raises(
        RuntimeError, match=r"unscale_\(\) has already been called on this optimizer since the last update\(\)"
    ):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="not between"):
        pickle.dumps(scaler)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match=r"step\(\) has already been called since the last update\(\)"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match=r"unscale_\(\) is being called after step\(\)"):
        scaler.unscale_(optimizer)
    scaler.update()
    scaler.step(optimizer)


def test_closures_are_refused_as_in_torch():
    w = parameter()
    optimizer, scaler = optim.SGD([w], lr=0.1), GradScaler()
    for args, kwargs in (((lambda: w.data.sum(),), {}), ((), {"closure": lambda: w.data.sum()})):
        with pytest.raises(RuntimeError, match=r"GradScaler\.step: closures are not supported"):
            scaler.step(optimizer, *args, **kwargs)


def test_gradients_of_float16_are_refused():
    w = nn.Parameter(jnp.ones(2, jnp.float16))
    optimizer, scaler = optim.SGD([w], lr=0.1), GradScaler()
    w.grad = jnp.ones(2, jnp.float16)
    with pytest.raises(ValueError, match=r"GradScaler\.unscale_: gradients must not be of float16"):
        scaler.unscale_(optimizer)


def test_what_is_scaled():
    scaler = GradScaler(init_scale=4.0)
    loss, each = array(1.5), jnp.ones(2, jnp.float16)
    assert float(scaler.scale(loss)) == 6.0
    assert scaler.scale(each).dtype == jnp.float16
    assert scaler.scale(each[0]).dtype == jnp.float32
    first, (second, third) = scaler.scale((loss, [loss, each]))
    assert (float(first), float(second), third.tolist()) == (6.0, 6.0, [4.0, 4.0])
    with pytest.raises(
        ValueError, match=r"GradScaler\.scale: outputs must be an array or an iterable of arrays, got 'loss'"
    ):
        scaler.scale("loss")


def test_one_that_is_not_enabled():
    w = parameter()
    optimizer, scaler = optim.SGD([w], lr=0.1), GradScaler(enabled=False)
    assert not scaler.is_enabled()
    assert scaler.scale(w) is w
    assert (scaler.get_scale(), scaler.state_dict()) == (1.0, {})
    loss = scaler.step(optimizer, lambda: (w.data**2).sum())
    scaler.unscale_(optimizer)
    scaler.update()
    scaler.load_state_dict({})
    assert_close(loss, (WEIGHT**2).sum(), 1e-6, 0)


def test_setting_the_numbers_compiles_nothing():
    step, _, _, scaler = training(clip=False)
    step = fnn.jit(step)
    for _ in range(3):
        step(array(1.0))
    programs = step._cache_size()
    scaler.set_growth_factor(8.0)
    scaler.set_backoff_factor(0.125)
    scaler.set_growth_interval(1)
    scaler.update(16.0)
    step(array(1.0))
    assert scaler.get_scale() == 128.0
    step(array(np.inf))
    assert scaler.get_scale() == 16.0
    assert step._cache_size() == programs
    assert (scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()) == (8.0, 0.125, 1)
    scaler.update(jnp.array([32.0]))
    assert scaler.get_scale() == 32.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "abacus"}, "device must be a type of device"),
        ({"growth_factor": 1.0}, "growth_factor must be a number above 1"),
        ({"backoff_factor": 1.0}, "backoff_factor must be a number above 0 and below 1"),
        ({"init_scale": 0.0}, "init_scale must be a number above 0"),
        ({"growth_interval": 0}, "growth_interval must be at least 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=f"GradScaler: {message}"):
        GradScaler(**options)
    if "device" not in options:
        with pytest.raises(ValueError, match=f"scaled: {message}"):
            optim.scaled(optim.sgd(lr=0.1), **options)


def test_wrong_arguments():
    scaler = GradScaler()
    with pytest.raises(ValueError, match=r"GradScaler\.update: new_scale must be a number above 0, got float64\[2\]"):
        scaler.update(jnp.ones(2))
    with pytest.raises(ValueError, match=r"GradScaler\.set_growth_factor: new_factor must be a number above 1"):
        scaler.set_growth_factor(0.5)
    with pytest.raises(TypeError, match=r"GradScaler\.step: optimizer must be"):
        scaler.step(3)
    with pytest.raises(RuntimeError, match=r"of a scaler that was enabled, got \{\}"):
        scaler.load_state_dict({})
    with pytest.raises(ValueError, match="state_dict must be one of a GradScaler"):
        scaler.load_state_dict({"scale": 1.0})
    with pytest.raises(RuntimeError, match="JAX transformation"):
        jax.jit(lambda x: scaler.update(x))(1.0)


@needs_torch
def test_state_dicts_copies_and_files(tmp_path):
    import torch

    step, _, _, scaler = training(clip=False)
    for factor in FACTORS[:6]:
        step(array(factor))
    state = scaler.state_dict()
    theirs = torch.amp.GradScaler("cpu")
    theirs.load_state_dict(state)
    assert theirs.state_dict() == state
    fnn.save(state, tmp_path / "scaler.fnn")
    torch.save(theirs.state_dict(), tmp_path / "scaler.pt")
    others = [GradScaler() for _ in range(3)]
    for other, loaded in zip(
        others, (state, fnn.load(tmp_path / "scaler.fnn"), fnn.load(tmp_path / "scaler.pt")), strict=True
    ):
        other.load_state_dict(loaded)
    for other in (*others, copy.deepcopy(scaler), pickle.loads(pickle.dumps(scaler))):
        assert other.state_dict() == state
        assert repr(other).startswith("fnn.amp.GradScaler('c")
