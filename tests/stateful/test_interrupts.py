"""A KeyboardInterrupt at any line of a call leaves the state as it was before the call or as it is after it."""

import os
import sys

import jax
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.stateful.scopes import current_scopes
from tests.oracle import rand

# What is raised in a finalizer goes nowhere: Python reports it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

HERE = os.path.dirname(fnn.__file__)
X, Y = rand(0, 4, 3).astype(np.float32), rand(1, 4, 2).astype(np.float32)


class Interrupter:
    """Raises KeyboardInterrupt when line number ``at`` of the lines of fnn that run is about to; counts them."""

    def __init__(self, at=-1):
        self.at = at
        self.count = 0

    def __call__(self, frame, event, _):
        return self.line if frame.f_code.co_filename.startswith(HERE) else None

    def line(self, frame, event, _):
        if event == "line":
            self.count += 1
            if self.count - 1 == self.at:
                raise KeyboardInterrupt
        return self.line

    def run(self, call):
        sys.settrace(self)
        try:
            call()
            return True
        except KeyboardInterrupt:
            return False
        finally:
            sys.settrace(None)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)
        self.drop = nn.Dropout(0.1)
        self.cache = {}

    def forward(self, x):
        if not hasattr(self, "mask"):
            self.register_buffer("mask", jax.numpy.ones(2) * x[0, 0])
        self.cache.setdefault("scale", x.mean())
        return self.drop(self.norm(self.fc(x))) * self.mask


def setting(kind):
    model = Net()
    optimizer = optim.AdamW(model.parameters(), lr=0.1)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=5000)

    @fnn.jit
    def one_call(x, y):
        loss = optimizer.step(lambda: ((model(x) - y) ** 2).mean())
        scheduler.step()
        return loss

    @fnn.jit
    def four_steps(x, y):
        loss = fnn.backward(lambda: ((model(x) - y) ** 2).mean(), model)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss

    step = {"one call": one_call, "four steps": four_steps}[kind]
    return model, optimizer, scheduler, step


def snapshot(model, optimizer, scheduler):
    """Everything that a step changes, as numpy arrays and numbers; raises if anything is not an array."""
    out = {name: np.array(box.data) for name, box in [*model.named_parameters(), *model.named_buffers()]}
    out |= {f"{name}.grad": None if p.grad is None else np.array(p.grad) for name, p in model.named_parameters()}
    for i, named in enumerate(optimizer.state.values()):
        out |= {f"{i}.{name}": np.array(value) for name, value in named.items()}
    group = optimizer.param_groups[0]
    out["group"] = np.array([float(group["lr"]), *map(float, group["betas"])])
    out["epoch"] = int(scheduler.last_epoch), [float(r) for r in scheduler.get_last_lr()]
    out["cache"] = {k: float(v) for k, v in model.cache.items()}
    out["draws"] = np.array(fnn.get_rng_state())
    return out


def same(a, b):
    return a.keys() == b.keys() and all(
        (a[k] is None) == (b[k] is None) and (a[k] is None or np.all(np.asarray(a[k] == b[k]))) for k in a
    )


def put_back(saved, parts):
    model, optimizer, scheduler = parts
    state, of_optimizer, of_scheduler, draws = saved
    model.load_state_dict(state)
    optimizer.load_state_dict(of_optimizer)
    scheduler.load_state_dict(of_scheduler)
    fnn.set_rng_state(draws)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("kind", ["one call", "four steps"])
def test_an_interrupt_at_any_line_of_a_call_that_was_compiled(kind):
    fnn.manual_seed(0)
    *parts, step = setting(kind)
    for _ in range(3):
        step(X, Y)
    before = snapshot(*parts)
    outcomes = set()
    finished, at = False, -1
    while not finished:
        at += 1
        finished = Interrupter(at).run(lambda at=at: step(X, Y))
        assert not current_scopes()
        now = snapshot(*parts)
        if same(now, before):
            assert not finished
            outcomes.add("before")
            continue
        # Had it happened before the interrupt, the same step from the same state must have led there.
        outcomes.add("after")
        assert all(np.isfinite(np.asarray(v, float)).all() for v in now.values() if isinstance(v, np.ndarray))
        assert now["epoch"][0] == before["epoch"][0] + (kind == "one call")
        assert now["0.step"] == before["0.step"] + 1
        assert now["norm.num_batches_tracked"] == before["norm.num_batches_tracked"] + 1
        assert now["draws"][-1] == before["draws"][-1] + 1
        for name in ("fc.weight", "fc.bias", "norm.weight", "norm.running_mean", "0.exp_avg", "1.exp_avg_sq"):
            assert (now[name] != before[name]).any(), name
        before = now
    assert at > 50
    assert outcomes == {"before", "after"}
    assert np.isfinite(float(step(X, Y)))


@pytest.mark.one_in(12)
@pytest.mark.parametrize("part", range(12))
def test_an_interrupt_at_any_line_of_the_first_call(part):
    """A trace, new optimizer state, a new buffer and a new value in a dict; at 96 lines in all."""
    interrupter = Interrupter()
    *parts, step = setting("one call")
    assert interrupter.run(lambda: step(X, Y))
    for at in range(interrupter.count * part // 96, interrupter.count, max(interrupter.count // 8, 1)):
        *parts, step = setting("one call")
        draws = fnn.get_rng_state()
        before = snapshot(*parts)
        finished = Interrupter(at).run(lambda step=step: step(X, Y))
        assert not current_scopes()
        now = snapshot(*parts)
        if not finished and not same(now, before):
            assert now["epoch"][0] == before["epoch"][0] + 1
            assert int(parts[0].norm.num_batches_tracked) == 1
            assert hasattr(parts[0], "mask")
            assert parts[0].cache.keys() == {"scale"}
            assert fnn.get_rng_state()[-1] == draws[-1] + 1
        assert np.isfinite(float(step(X, Y)))
        assert np.isfinite(float(step(X, Y)))


def test_an_interrupt_at_any_line_of_eager_code_leaves_no_scope_and_no_tracer():
    *parts, _ = setting("one call")
    model, optimizer, _ = parts

    def eager():
        fnn.functional_call(model, *fnn.state(model), X, rng=jax.random.key(0))
        optimizer.step(lambda: ((model(X) - Y) ** 2).mean())

    eager()
    interrupter = Interrupter()
    interrupter.run(eager)
    for at in range(0, interrupter.count, max(interrupter.count // 60, 1)):
        Interrupter(at).run(eager)
        assert not current_scopes()
        snapshot(*parts)
        assert nn.functional.dropout(jax.numpy.ones(2)).shape == (2,)
