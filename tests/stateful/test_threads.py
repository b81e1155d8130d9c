"""Threads that train, build, evaluate and draw at the same time."""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from tests.oracle import rand

X, Y = rand(0, 4, 3).astype(np.float32), rand(1, 4, 2).astype(np.float32)


def trainer(seed=0, rate=0.1):
    """A model with dropout and running statistics, its optimizer and a compiled step, drawing from a generator of its own."""
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    with fnn.random.key_scope(jax.random.key(seed)):
        for p in model.parameters():
            nn.init.normal_(p)
    optimizer = optim.Adam(model.parameters(), lr=rate)

    @fnn.jit
    def step(x, y):
        return optimizer.step(lambda: ((model(x) - y) ** 2).mean())

    return model, optimizer, step


def run_all(*works):
    """Runs functions in threads of their own, all at once; raises what the first that failed raised."""
    errors = []
    barrier = threading.Barrier(len(works))

    def guarded(work):
        try:
            barrier.wait()
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_threads_that_each_train_a_model_get_what_one_thread_gets():
    alone = []
    for seed in range(4):
        _, _, step = trainer(seed)
        alone.append([float(step(X, Y)) for _ in range(6)])
    together = [[] for _ in range(4)]
    steps = [trainer(seed)[2] for seed in range(4)]

    def work(i):
        together[i] = [float(steps[i](X, Y)) for _ in range(6)]

    run_all(*(lambda i=i: work(i) for i in range(4)))
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_what_other_threads_see_during_a_trace_are_arrays():
    model, optimizer, _ = trainer()
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    inside, looked = threading.Event(), threading.Event()
    seen = {}

    @fnn.jit
    def step(x, y):
        loss = optimizer.step(lambda: ((model(x) - y) ** 2).mean())
        scheduler.step()
        inside.set()
        assert looked.wait(30)
        return loss

    def look():
        assert inside.wait(30)
        try:
            seen["weight"] = np.asarray(model[0].weight.data)
            seen["mean"] = model[1].running_mean.tolist()
            seen["rate"] = float(optimizer.param_groups[0]["lr"]), dict(optimizer.param_groups[0])["lr"]
            seen["epoch"] = int(scheduler.last_epoch)
            seen["out"] = np.asarray(model.eval()(X))
            seen["layer"] = np.asarray(nn.Linear(2, 2).weight.data)
            seen["drop"] = np.asarray(nn.functional.dropout(jnp.ones(8)))
        finally:
            looked.set()

    before = np.asarray(model[0].weight.data)
    run_all(lambda: step(X, Y), look)
    np.testing.assert_array_equal(seen["weight"], before)
    assert seen["mean"] == [0.0] * 5
    assert (seen["rate"], seen["epoch"]) == ((0.1, 0.1), 0)
    assert np.isfinite(seen["out"]).all()
    assert (np.asarray(model[0].weight.data) != before).any()


def test_threads_draw_different_numbers():
    fnn.manual_seed(0)
    drawn = [[] for _ in range(4)]
    drop = nn.Dropout()
    mask = fnn.jit(lambda x: drop(x))
    mask(jnp.ones(256))

    def work(i):
        for _ in range(30):
            drawn[i].append(np.asarray(nn.functional.dropout(jnp.ones(256))).tobytes())
            drawn[i].append(np.asarray(mask(jnp.ones(256))).tobytes())

    run_all(*(lambda i=i: work(i) for i in range(4)))
    every = [mask for mine in drawn for mask in mine]
    assert len(set(every)) == len(every) == 240
    assert int(fnn.get_rng_state()[-1]) == 241


def stress(seconds):
    """Four threads: one trains, one builds and trains anew, one evaluates the first's model, one draws and reads it."""
    model, optimizer, step = trainer()
    evaluate = fnn.jit(lambda x: model(x))
    end = time.monotonic() + seconds
    counts = [0] * 4

    def loop(i, work):
        while time.monotonic() < end:
            work()
            counts[i] += 1

    def train():
        assert np.isfinite(float(step(X, Y)))

    def build():
        mine, _, own_step = trainer(counts[1])
        first = float(own_step(X, Y))
        assert float(own_step(X, Y)) != first
        assert int(mine[1].num_batches_tracked) == 2

    def look():
        assert np.isfinite(np.asarray(evaluate(X))).all()

    def draw():
        assert np.isfinite(np.asarray(model[0].weight.data)).all()
        kept = [p.data for p in model.parameters()]
        copies = [np.array(a) for a in kept]
        nn.functional.dropout(jnp.ones(16))
        nn.Linear(2, 2)
        time.sleep(0.001)
        for array, copy in zip(kept, copies, strict=True):
            np.testing.assert_array_equal(array, copy)
        assert all(np.isfinite(np.asarray(v)).all() for s in optimizer.state.values() for v in s.values())

    run_all(*(lambda i=i, w=w: loop(i, w) for i, w in enumerate((train, build, look, draw))))
    assert all(counts)


def test_threads_at_once():
    stress(3)


@pytest.mark.slow
def test_threads_at_once_for_long():
    stress(20)
