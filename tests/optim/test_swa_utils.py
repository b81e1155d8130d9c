"""Averaged models, SWALR and update_bn against torch's."""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.optim import lr_scheduler, swa_utils
from tests.oracle import needs_torch

# Kept in one place, so that all the tests share the few programs.
WIDTH = 3


def our_model():
    return nn.Sequential(nn.Linear(2, WIDTH), nn.BatchNorm1d(WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)).to(jnp.float64)


def their_model():
    from torch import nn as tnn

    layers = tnn.Linear(2, WIDTH), tnn.BatchNorm1d(WIDTH), tnn.ReLU(), tnn.Linear(WIDTH, 1)
    return tnn.Sequential(*layers).double()


def pair():
    """A model of each library, with the same parameters."""
    ours, theirs = our_model(), their_model()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def change(ours, theirs, seed):
    """Gives both models the same new parameters and buffers."""
    import torch

    rng = np.random.default_rng(seed)
    state = {}
    for key, value in theirs.state_dict().items():
        if value.is_floating_point():
            state[key] = torch.tensor(rng.uniform(0.5, 1.5, tuple(value.shape)))
        else:
            state[key] = torch.tensor(int(rng.integers(50)))
    theirs.load_state_dict(state)
    ours.load_state_dict(state)


def assert_same_state(ours, theirs, rtol=1e-12):
    mine, wanted = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(wanted)
    for key, value in wanted.items():
        assert str(mine[key].dtype) == str(value.dtype).removeprefix("torch."), key
        np.testing.assert_allclose(np.asarray(mine[key]), value.numpy(), rtol=rtol, err_msg=key)


def ema_in_place(decay):
    def update(averaged, current, num_averaged):
        for old, new in zip(averaged, current, strict=True):
            old.copy_(old * decay + new * (1 - decay))

    return update


# Each gives the keyword arguments for a library's swa_utils.
AVERAGES = {
    "default": lambda L: {},
    "swa": lambda L: {"avg_fn": L.get_swa_avg_fn()},
    "swa-multi": lambda L: {"multi_avg_fn": L.get_swa_multi_avg_fn()},
    "ema": lambda L: {"avg_fn": L.get_ema_avg_fn(0.9)},
    "ema-multi": lambda L: {"multi_avg_fn": L.get_ema_multi_avg_fn(0.9)},
    "ema-multi-small": lambda L: {"multi_avg_fn": L.get_ema_multi_avg_fn(0.3)},
    "own": lambda L: {"avg_fn": lambda averaged, current, number: averaged + (current - averaged) / (number + 2)},
    "own-multi": lambda L: {"multi_avg_fn": ema_in_place(0.8)},
}


@needs_torch
@pytest.mark.parametrize(
    ("name", "use_buffers"),
    # torch's running mean on lists cannot average the integer buffers.
    [(name, buffers) for name in AVERAGES for buffers in (False, True) if (name, buffers) != ("swa-multi", True)],
)
def test_averages_equal_torch(name, use_buffers):
    from torch.optim import swa_utils as theirs

    model, reference = pair()
    options = AVERAGES[name]
    mine = swa_utils.AveragedModel(model, use_buffers=use_buffers, **options(swa_utils))
    wanted = theirs.AveragedModel(reference, use_buffers=use_buffers, **options(theirs))
    # torch rounds 1 / (num_averaged + 1), an integer tensor's reciprocal, to float32 there.
    rtol = 1e-7 if name == "swa-multi" else 1e-12
    for step in range(5):
        assert_same_state(mine, wanted, rtol)
        change(model, reference, step)
        mine.update_parameters(model)
        wanted.update_parameters(reference)
    assert_same_state(mine, wanted, rtol)
    x = np.random.default_rng(9).normal(size=(4, 2))
    mine.eval()
    wanted.eval()
    import torch

    np.testing.assert_allclose(np.asarray(mine(x)), wanted(torch.tensor(x)).detach().numpy(), rtol=max(rtol, 1e-10))


@needs_torch
def test_averaged_models_exchange_their_state():
    from torch.optim import swa_utils as theirs

    model, reference = pair()
    mine, wanted = swa_utils.AveragedModel(model), theirs.AveragedModel(reference)
    for step in range(3):
        change(model, reference, step)
        wanted.update_parameters(reference)
    mine.load_state_dict(wanted.state_dict())
    mine = pickle.loads(pickle.dumps(copy.deepcopy(mine)))
    assert int(mine.n_averaged) == 3
    change(model, reference, 7)
    mine.update_parameters(model)
    wanted.update_parameters(reference)
    assert_same_state(mine, wanted)


@needs_torch
def test_names_and_signatures_are_torchs():
    from torch.optim import swa_utils as theirs

    assert set(swa_utils.__all__) == set(theirs.__all__)
    for name in swa_utils.__all__:
        wanted, got = (inspect.signature(getattr(library, name)).parameters for library in (theirs, swa_utils))
        assert [(p.name, p.default) for p in got.values()] == [(p.name, p.default) for p in wanted.values()], name


def test_the_average_by_its_formula():
    model = nn.Linear(1, 1, bias=False)
    mean, moving = swa_utils.AveragedModel(model), swa_utils.AveragedModel(model, avg_fn=swa_utils.get_ema_avg_fn(0.75))
    expected = None
    values = [2.0, -1.0, 5.0, 0.5]
    for value in values:
        model.weight.fill_(value)
        mean.update_parameters(model)
        moving.update_parameters(model)
        expected = value if expected is None else 0.75 * expected + 0.25 * value
    assert mean.module.weight.item() == pytest.approx(np.mean(values), rel=1e-6)
    assert moving.module.weight.item() == pytest.approx(expected, rel=1e-6)
    assert model.weight.item() == 0.5


def test_the_copy_is_independent():
    model = our_model()
    fnn.backward(lambda: model(jnp.ones((4, 2))).sum(), model)
    average = swa_utils.AveragedModel(model, device="cpu")
    assert all(p.grad is None for p in average.parameters())
    assert model[0].weight.grad is not None
    model[0].weight.fill_(7.0)
    assert not (np.asarray(average.module[0].weight) == 7.0).any()
    average.update_parameters(model)
    average.module[0].weight.fill_(1.0)
    assert (np.asarray(model[0].weight) == 7.0).all()


def test_built_in_averages_are_one_program():
    program = swa_utils._update_compiled
    program.clear_cache()
    for _ in range(2):
        model = our_model()
        average = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9))
        for _ in range(3):
            average.update_parameters(model)
    assert program._cache_size() == 1


@pytest.mark.parametrize("name", ["default", "ema-multi", "own", "own-multi"])
def test_updating_under_jit(name):
    model = our_model()
    eager, compiled = (swa_utils.AveragedModel(model, **AVERAGES[name](swa_utils)) for _ in range(2))

    @fnn.jit
    def step(value):
        model[0].weight.copy_(jnp.full((WIDTH, 2), value))
        compiled.update_parameters(model)

    for value in (1.0, 5.0, -2.0):
        step(value)
        eager.update_parameters(model)
    for key, value in eager.state_dict().items():
        np.testing.assert_allclose(np.asarray(compiled.state_dict()[key]), np.asarray(value), rtol=1e-12)
    assert int(compiled.n_averaged) == 3


def test_multi_functions_on_plain_arrays_and_returned_values():
    averaged, current = [jnp.array([1.0, 2.0])], [jnp.array([3.0, 6.0])]
    assert swa_utils.get_swa_multi_avg_fn()(averaged, current, 1)[0].tolist() == [2.0, 4.0]
    assert swa_utils.get_ema_multi_avg_fn(0.5)(averaged, current, 1)[0].tolist() == [2.0, 4.0]
    model = nn.Linear(1, 1)
    average = swa_utils.AveragedModel(model, multi_avg_fn=lambda old, new, number: [a * 10 for a in new])
    model.weight.fill_(1.0)
    average.update_parameters(model)
    assert average.module.weight.item() == 1.0
    average.update_parameters(model)
    assert average.module.weight.item() == 10.0


def test_half_precision_keeps_its_dtype():
    model = nn.Linear(2, 2).to(jnp.bfloat16)
    average = swa_utils.AveragedModel(model, avg_fn=swa_utils.get_ema_avg_fn(0.5))
    for value in (1.0, 2.0):
        model.weight.fill_(value)
        average.update_parameters(model)
    assert average.module.weight.dtype == jnp.bfloat16
    assert float(average.module.weight.data[0, 0]) == 1.5


# update_bn


@needs_torch
@pytest.mark.parametrize("form", ["array", "tuple", "list"])
def test_update_bn_equals_torch(form):
    import torch
    from torch.optim import swa_utils as theirs

    model, reference = pair()
    model[1].momentum = reference[1].momentum = 0.3
    batches = list(np.random.default_rng(1).normal(2.0, 3.0, size=(3, 5, 2)))
    pack = {"array": lambda x: x, "tuple": lambda x: (x, 1), "list": lambda x: [x]}[form]
    model.eval()
    reference.eval()
    swa_utils.update_bn([pack(jnp.asarray(b)) for b in batches], model, device="cpu")
    theirs.update_bn([pack(torch.tensor(b)) for b in batches], reference)
    assert_same_state(model, reference)
    assert not model.training
    assert not model[1].training
    assert model[1].momentum == 0.3


def test_update_bn_without_batch_norms_reads_nothing():
    def loader():
        raise AssertionError
        yield

    swa_utils.update_bn(loader(), nn.Linear(1, 1))


def test_update_bn_restores_after_an_error():
    model = our_model().eval()
    with pytest.raises((TypeError, ValueError)):
        swa_utils.update_bn([jnp.ones((2, 9))], model)
    assert model[1].momentum == 0.1
    assert not model[1].training


# SWALR


def optimizers(rates=(0.3, 0.05)):
    import torch

    ours = [{"params": [nn.Parameter(np.ones(1))], "lr": rate} for rate in rates]
    theirs = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in rates]
    return optim.SGD(ours, lr=0.1, momentum=0.9), torch.optim.SGD(theirs, lr=0.1, momentum=0.9)


def rates_of(optimizer, scheduler, steps, change_at=None):
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for i in range(steps):
            if i == change_at:
                optimizer.param_groups[0]["lr"] = 0.2
            scheduler.step()
            rows.append([float(rate) for rate in scheduler.get_last_lr()])
    return rows


SWALRS = [
    {"swa_lr": 0.05},
    {"swa_lr": 0.05, "anneal_strategy": "linear"},
    {"swa_lr": [0.5, 0.01], "anneal_epochs": 20},
    {"swa_lr": (0.5, 0.01), "anneal_epochs": 7, "anneal_strategy": "linear"},
    {"swa_lr": 0.05, "anneal_epochs": 0},
    {"swa_lr": 0.05, "anneal_epochs": 0, "anneal_strategy": "linear"},
    {"swa_lr": 0.05, "anneal_epochs": 1},
]


@needs_torch
@pytest.mark.parametrize("options", SWALRS, ids=range(len(SWALRS)))
def test_swalr_equals_torch(options):
    from torch.optim import swa_utils as theirs

    ours, reference = optimizers()
    mine, wanted = swa_utils.SWALR(ours, **options), theirs.SWALR(reference, **options)
    np.testing.assert_allclose(
        rates_of(ours, mine, 30, change_at=3), rates_of(reference, wanted, 30, change_at=3), rtol=1e-12
    )
    assert ours.param_groups[1]["swa_lr"] == reference.param_groups[1]["swa_lr"]


@needs_torch
@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_swalr_resumes_and_exchanges_its_state(strategy):
    from torch.optim import swa_utils as theirs

    ours, reference = optimizers()
    options = {"swa_lr": 0.02, "anneal_epochs": 9, "anneal_strategy": strategy}
    mine, wanted = swa_utils.SWALR(ours, **options), theirs.SWALR(reference, **options)
    rates_of(ours, mine, 4)
    rates_of(reference, wanted, 4)
    assert set(mine.state_dict()) == set(wanted.state_dict())
    new_ours, new_reference = optimizers()
    new_mine, new_wanted = swa_utils.SWALR(new_ours, 1.0), theirs.SWALR(new_reference, 1.0)
    new_mine.load_state_dict(wanted.state_dict())
    new_wanted.load_state_dict(mine.state_dict())
    for new, old in ((new_ours, reference), (new_reference, ours)):
        for group, saved in zip(new.param_groups, old.param_groups, strict=True):
            group.update({k: v for k, v in saved.items() if k != "params"})
    expected = rates_of(reference, wanted, 10)
    np.testing.assert_allclose(rates_of(new_ours, new_mine, 10), expected, rtol=1e-12)
    np.testing.assert_allclose(rates_of(new_reference, new_wanted, 10), expected, rtol=1e-12)
    again, reference_again = optimizers()
    for optimizer in (again, reference_again):
        for group in optimizer.param_groups:
            group["initial_lr"] = 0.4
    np.testing.assert_allclose(
        rates_of(again, swa_utils.SWALR(again, last_epoch=5, **options), 12),
        rates_of(reference_again, theirs.SWALR(reference_again, last_epoch=5, **options), 12),
        rtol=1e-12,
    )


@pytest.mark.parametrize("epochs", [0, 3])
def test_swalr_under_jit(epochs):
    optimizers = [optim.SGD([nn.Parameter(np.ones(1))], lr=0.3) for _ in range(2)]
    compiled, eager = (swa_utils.SWALR(o, 0.05, epochs) for o in optimizers)
    step = fnn.jit(lambda: compiled.step())
    for _ in range(6):
        step()
        rates_of(optimizers[1], eager, 1)
        assert float(compiled.get_last_lr()[0]) == pytest.approx(eager.get_last_lr()[0], rel=1e-12)


# torch's worked example


@needs_torch
def test_worked_example():
    """Averages from epoch 160 of 300 on, with SWALR, and update_bn at the end."""
    import torch

    rng = np.random.default_rng(3)
    x = rng.normal(size=(16, 2))
    y = np.sin(x.sum(1, keepdims=True)) + 2.0
    model, reference = pair()
    results = []

    def our_run():
        loader = [(jnp.asarray(x[i : i + 8]), jnp.asarray(y[i : i + 8])) for i in (0, 8)]
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        swa_model = swa_utils.AveragedModel(model)
        scheduler = lr_scheduler.CosineAnnealingLR(optimizer, T_max=300)
        swa_start = 160
        swa_scheduler = swa_utils.SWALR(optimizer, swa_lr=0.05)

        @fnn.jit
        def train(input, target):
            optimizer.step(lambda: ((model(input) - target) ** 2).mean())

        rates = []
        for epoch in range(300):
            for input, target in loader:
                train(input, target)
            if epoch > swa_start:
                swa_model.update_parameters(model)
                swa_scheduler.step()
            else:
                scheduler.step()
            rates.append(optimizer.param_groups[0]["lr"])
        swa_utils.update_bn(loader, swa_model)
        assert train._cache_size() == 1
        return swa_model, rates

    def their_run():
        loader = [(torch.tensor(x[i : i + 8]), torch.tensor(y[i : i + 8])) for i in (0, 8)]
        optimizer = torch.optim.SGD(reference.parameters(), lr=0.1)
        swa_model = torch.optim.swa_utils.AveragedModel(reference)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=300)
        swa_start = 160
        swa_scheduler = torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.05)
        rates = []
        for epoch in range(300):
            for input, target in loader:
                optimizer.zero_grad()
                ((reference(input) - target) ** 2).mean().backward()
                optimizer.step()
            if epoch > swa_start:
                swa_model.update_parameters(reference)
                swa_scheduler.step()
            else:
                scheduler.step()
            rates.append(optimizer.param_groups[0]["lr"])
        torch.optim.swa_utils.update_bn(loader, swa_model)
        return swa_model, rates

    results = [our_run(), their_run()]
    (mine, rates), (wanted, their_rates) = results
    np.testing.assert_allclose(rates, their_rates, rtol=1e-12)
    assert rates[-1] == pytest.approx(0.05)
    assert int(mine.n_averaged) == 139
    assert_same_state(mine, wanted, rtol=1e-6)
    mine.eval()
    wanted.eval()
    np.testing.assert_allclose(np.asarray(mine(x)), wanted(torch.tensor(x)).detach().numpy(), rtol=1e-6)


# Errors


def test_errors():
    model = nn.Linear(2, 2)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    average = swa_utils.AveragedModel(model)
    for decay in (-0.1, 1.1):
        for function in (swa_utils.get_ema_avg_fn, swa_utils.get_ema_multi_avg_fn):
            with pytest.raises(ValueError, match=f"{function.__name__}: decay must be a number at least 0"):
                function(decay)
    with pytest.raises(AssertionError, match="only one of avg_fn and multi_avg_fn"):
        swa_utils.AveragedModel(model, avg_fn=max, multi_avg_fn=max)
    with pytest.raises(TypeError, match="model must be a Module"):
        swa_utils.AveragedModel(3)
    with pytest.raises(ValueError, match="must have 2 parameters like the averaged one, got 1"):
        average.update_parameters(nn.Linear(2, 2, bias=False))
    with pytest.raises(ValueError, match=r"parameters\[0\] of the model must have shape \(2, 2\), got \(2, 3\)"):
        average.update_parameters(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="must have 0 buffers like the averaged one, got 3"):
        swa_utils.AveragedModel(nn.BatchNorm1d(2, track_running_stats=False)).update_parameters(nn.BatchNorm1d(2))
    with pytest.raises(ValueError, match="SWALR: anneal_strategy must be one of 'cos', 'linear'"):
        swa_utils.SWALR(sgd, 0.1, anneal_strategy="square")
    with pytest.raises(ValueError, match="SWALR: anneal_epochs must be an integer of at least 0, got -1"):
        swa_utils.SWALR(sgd, 0.1, anneal_epochs=-1)
    with pytest.raises(ValueError, match="SWALR: swa_lr must have the same length"):
        swa_utils.SWALR(sgd, [0.1, 0.2])
    with pytest.raises(TypeError, match="SWALR: optimizer must be an Optimizer"):
        swa_utils.SWALR(None, 0.1)
    hidden = weakref.ref(average)
    with pytest.raises(RuntimeError, match="did not find it"):
        fnn.jit(lambda: hidden().update_parameters(hidden().module))()
    with pytest.raises(RuntimeError, match="would leak"):
        jax.jit(lambda w: average.update_parameters(model))(jnp.ones(2))


@needs_torch
@pytest.mark.parametrize("sizes", [[], [0], [4, 0, 3], [0, 4]])
def test_update_bn_passes_over_batches_of_nothing_as_in_torch(sizes):
    import torch

    ours, theirs = nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3)
    batches = [np.random.default_rng(i).normal(size=(n, 3)).astype(np.float32) for i, n in enumerate(sizes)]
    swa_utils.update_bn(batches, ours)
    torch.optim.swa_utils.update_bn([torch.tensor(b) for b in batches], theirs)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(np.asarray(ours.state_dict()[key]), value, rtol=1e-5, atol=1e-6, err_msg=key)
