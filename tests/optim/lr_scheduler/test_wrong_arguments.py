"""Arrays for numbers and lists, and numbers that would be divided by: as in torch, or refused with a reason."""

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn, optim
from fnn.optim import lr_scheduler as S, schedule
from fnn.optim.swa_utils import SWALR


def sgd():
    parameter = nn.Parameter(np.ones(1))
    parameter.grad = jnp.zeros(1)
    return optim.SGD([parameter], lr=0.1, momentum=0.9)


def rates(scheduler, optimizer, count=5):
    found = []
    for _ in range(count):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return [float(r) for r in found]


MAKERS = {
    "CyclicLR: base_lr": lambda o, v: S.CyclicLR(o, v, 0.5, step_size_up=2),
    "CyclicLR: max_lr": lambda o, v: S.CyclicLR(o, 0.1, v, step_size_up=2),
    "CyclicLR: base_momentum": lambda o, v: S.CyclicLR(o, 0.1, 0.2, step_size_up=2, base_momentum=v),
    "CyclicLR: max_momentum": lambda o, v: S.CyclicLR(o, 0.1, 0.2, step_size_up=2, max_momentum=v),
    "OneCycleLR: max_lr": lambda o, v: S.OneCycleLR(o, v, 8),
    "OneCycleLR: max_momentum": lambda o, v: S.OneCycleLR(o, 0.2, 8, max_momentum=v),
    "SWALR: swa_lr": lambda o, v: SWALR(o, v),
    "ReduceLROnPlateau: min_lr": lambda o, v: S.ReduceLROnPlateau(o, min_lr=v),
}


@pytest.mark.parametrize("name", MAKERS)
def test_arrays_of_one_number_are_numbers_and_others_are_refused(name):
    for array in (jnp.array([0.3, 0.4]), np.array([0.3, 0.4]), np.zeros((0,)), jnp.zeros((2, 2))):
        optimizer = sgd()
        with pytest.raises(ValueError, match=rf"^{name} must be a number or a list of 1, got float"):
            MAKERS[name](optimizer, array)
    if "Plateau" not in name:
        one, other = sgd(), sgd()
        np.testing.assert_allclose(
            rates(MAKERS[name](one, jnp.array(0.3)), one), rates(MAKERS[name](other, 0.3), other), rtol=1e-6
        )


@pytest.mark.parametrize("milestones", [np.array([2, 3]), jnp.array([2, 3]), [np.int64(2), jnp.array(3)]], ids=repr)
def test_milestones_as_arrays(milestones):
    one, other = sgd(), sgd()
    assert rates(S.MultiStepLR(one, milestones), one) == rates(S.MultiStepLR(other, [2, 3]), other)
    assert S.MultiStepLR(sgd(), milestones).state_dict()["milestones"] == {2: 1, 3: 1}

    def sequence(optimizer, at):
        return S.SequentialLR(optimizer, [S.ExponentialLR(optimizer, g) for g in (0.5, 0.9, 0.7)], at)

    one, other = sgd(), sgd()
    assert rates(sequence(one, milestones), one) == rates(sequence(other, [2, 3]), other)


@pytest.mark.parametrize("milestones", [np.array([[2, 4]]), np.array([1.5, 2.0]), [np.array([2, 4])]], ids=repr)
def test_milestones_that_are_none(milestones):
    with pytest.raises(TypeError, match=r"^MultiStepLR: milestones must be "):
        S.MultiStepLR(sgd(), milestones)


ZEROS = {
    "StepLR: step_size": lambda o: S.StepLR(o, 0),
    "CosineAnnealingLR: T_max": lambda o: S.CosineAnnealingLR(o, 0),
    "CyclicLR: step_size_up": lambda o: S.CyclicLR(o, 0.1, 0.2, step_size_up=0),
    "OneCycleLR: div_factor": lambda o: S.OneCycleLR(o, 0.1, 8, div_factor=0),
    "OneCycleLR: final_div_factor": lambda o: S.OneCycleLR(o, 0.1, 8, final_div_factor=0.0),
    "one_cycle_lr: div_factor": lambda o: schedule.one_cycle_lr(0.1, 8, div_factor=0),
    "one_cycle_lr: final_div_factor": lambda o: schedule.one_cycle_lr(0.1, 8, final_div_factor=0.0),
}


@pytest.mark.parametrize("name", ZEROS)
def test_zero_divisors(name):
    with pytest.raises(ValueError, match=f"^{name} must be different from 0, got 0"):
        ZEROS[name](sgd())


@pytest.mark.parametrize("name", ["LinearLR", "ConstantLR", "PolynomialLR"])
def test_no_iterations_are_as_in_torch(name):
    torch = pytest.importorskip("torch")
    optimizer = sgd()
    parameter = torch.nn.Parameter(torch.ones(1))
    parameter.grad = torch.zeros(1)
    theirs = torch.optim.SGD([parameter], lr=0.1)
    ours = rates(getattr(S, name)(optimizer, total_iters=0), optimizer)
    wanted = rates(getattr(torch.optim.lr_scheduler, name)(theirs, total_iters=0), theirs)
    np.testing.assert_allclose(ours, wanted, rtol=1e-6)
