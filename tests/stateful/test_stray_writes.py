"""Changes of numbers on the host inside a transformation that fnn does not run raise; there they would happen once, silently."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.optim import lr_scheduler, swa_utils

TRANSFORMATIONS = {
    "jit": lambda act: jax.jit(act)(1.0),
    "grad": lambda act: jax.grad(act)(1.0),
    "vmap": lambda act: jax.vmap(act)(jnp.ones(2)),
    "scan": lambda act: jax.lax.scan(lambda c, x: (c, act(x)), 0.0, jnp.ones(2)),
    "checkpoint": lambda act: jax.grad(jax.checkpoint(act))(1.0),
    "eval_shape": lambda act: jax.eval_shape(act, 1.0),
}


def within(transformation, change):
    """Runs ``change`` in the transformation."""

    def act(x):
        change()
        return x * 2

    return TRANSFORMATIONS[transformation](act)


class Scaler(nn.Module):
    """A loss scale with counters, as a gradient scaler has."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Buffer(jnp.float32(8.0))
        self.good = nn.Buffer(jnp.int32(0))

    def update(self):
        self.good.data = self.good.data + 1


class Things:
    """One of everything that keeps numbers on the host."""

    def __init__(self):
        self.parameter = nn.Parameter(np.ones(2, np.float32))
        self.optimizer = optim.AdamW([self.parameter], lr=0.1)
        self.scheduler = lr_scheduler.StepLR(self.optimizer, 1, 0.5)
        self.plateau = lr_scheduler.ReduceLROnPlateau(self.optimizer)
        self.model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        self.average = swa_utils.AveragedModel(self.model)
        self.generator = fnn.Generator().manual_seed(3)
        self.scaler = Scaler()
        self.batch = np.ones((3, 2), np.float32)

    @property
    def group(self):
        return self.optimizer.param_groups[0]

    def state(self):
        """All numbers, as text."""
        arrays = [m.state_dict() for m in (self.model, self.average, self.scaler)]
        group = {k: v for k, v in self.group.items() if k != "params"}
        schedulers = [self.scheduler.state_dict(), self.plateau.state_dict()]
        return repr((group, schedulers, self.generator.get_state(), arrays, self.parameter.numpy()))


CHANGES = {
    "optimizer.step": lambda t: t.optimizer.step(),
    "optimizer.step(closure)": lambda t: t.optimizer.step(lambda: t.parameter.sum()),
    "optimizer.load_state_dict": lambda t: t.optimizer.load_state_dict({"state": {}, "param_groups": []}),
    "optimizer.defaults": lambda t: setattr(t.optimizer, "defaults", {}),
    "group['lr']": lambda t: t.group.__setitem__("lr", 0.5),
    "group['betas']": lambda t: t.group.__setitem__("betas", (0.5, 0.5)),
    "group['amsgrad']": lambda t: t.group.__setitem__("amsgrad", True),
    "group.update": lambda t: t.group.update(lr=0.3),
    "group |=": lambda t: t.group.__ior__({"lr": 0.3}),
    "group.setdefault": lambda t: t.group.setdefault("more", 1),
    "group.pop": lambda t: t.group.pop("lr"),
    "group.popitem": lambda t: t.group.popitem(),
    "group.clear": lambda t: t.group.clear(),
    "del group": lambda t: t.group.__delitem__("lr"),
    "param_groups.append": lambda t: t.optimizer.param_groups.append({}),
    "params.append": lambda t: t.group["params"].append(nn.Parameter(np.ones(1))),
    "add_param_group": lambda t: t.optimizer.add_param_group({"params": [nn.Parameter(np.ones(1))]}),
    "scheduler.step": lambda t: t.scheduler.step(),
    "scheduler.load_state_dict": lambda t: t.scheduler.load_state_dict({"gamma": 0.1}),
    "scheduler.last_epoch": lambda t: setattr(t.scheduler, "last_epoch", 7),
    "scheduler.gamma": lambda t: setattr(t.scheduler, "gamma", 0.7),
    "a new scheduler": lambda t: lr_scheduler.ExponentialLR(t.optimizer, 0.5),
    "plateau.step": lambda t: t.plateau.step(1.0),
    "average.update_parameters": lambda t: t.average.update_parameters(t.model),
    "update_bn": lambda t: swa_utils.update_bn([t.batch], t.model),
    "batch norm": lambda t: t.model(t.batch),
    "manual_seed": lambda t: t.generator.manual_seed(5),
    "set_state": lambda t: t.generator.set_state(np.zeros(3, np.uint32)),
    "fnn.manual_seed": lambda t: fnn.manual_seed(5),
    "counter of a scaler": lambda t: t.scaler.update(),
}


@pytest.mark.parametrize("transformation", list(TRANSFORMATIONS))
def test_every_change_raises_says_what_to_do_and_changes_nothing(transformation):
    things = Things()
    before = things.state()
    for name, change in CHANGES.items():
        with pytest.raises(RuntimeError, match="inside a JAX transformation") as raised:
            within(transformation, lambda change=change: change(things))
        message = str(raised.value)
        assert "fnn.jit" in message or "key_scope" in message, name
        assert things.state() == before, name


NEW = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2]),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.5),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.5**epoch),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.5),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 5),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.1, 0.2),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.2, total_steps=9),
    "SWALR": lambda o: swa_utils.SWALR(o, 0.05),
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ExponentialLR(o, 0.5)]),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.ExponentialLR(o, 0.5)], milestones=[]),
}


def test_each_scheduler_raises_under_plain_jit():
    for name, new in NEW.items():
        scheduler = new(optim.SGD([nn.Parameter(np.ones(2, np.float32))], lr=0.1, momentum=0.9))
        before = repr(scheduler.state_dict())
        with pytest.raises(RuntimeError, match=rf"{name}\.step: .*fnn\.optim\.schedule"):
            within("jit", scheduler.step)
        assert repr(scheduler.state_dict()) == before, name


def test_what_is_made_in_the_transformation_may_be_used_in_it():
    @jax.jit
    def train(x):
        parameter = nn.Parameter(x)
        optimizer = optim.SGD([parameter], lr=0.5)
        scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(2):
            optimizer.step(lambda: (parameter**2).sum() / 2)
            scheduler.step()
        optimizer.param_groups[0]["lr"] = 1.0
        optimizer.step(lambda: (parameter**2).sum() / 4)
        return parameter.data

    np.testing.assert_allclose(train(jnp.ones(2)), [0.5 * 0.75 * 0.5] * 2)


def test_changes_under_fnn_jit_and_backward_are_carried_out():
    things = Things()

    @fnn.jit
    def step():
        things.group["lr"] = things.group["lr"] / 2
        loss = things.optimizer.step(lambda: (things.parameter**2).sum())
        things.scheduler.step()
        return loss

    step(), step()
    np.testing.assert_allclose(things.group["lr"], 0.1 / 16, rtol=1e-6)
    assert int(things.scheduler.last_epoch) == 2
    fnn.backward(lambda: (things.scheduler.step(), things.parameter.sum())[1], things.parameter)
    np.testing.assert_allclose(things.group["lr"], 0.1 / 32, rtol=1e-6)
