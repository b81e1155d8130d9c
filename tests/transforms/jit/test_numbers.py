"""Numbers that a step writes, freezing and thawing compile one program each; values are those without ``fnn.jit``."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.optim import lr_scheduler as S
from tests.compilations import HEARD
from tests.oracle import assert_close

X = np.ones((4, 3), np.float32)


def sgd(parameters, **options):
    return optim.SGD(parameters, **{"lr": 0.1, "momentum": 0.9, **options})


def model_of():
    fnn.manual_seed(0)
    return nn.Linear(3, 2)


SCHEDULERS = {
    "StepLR": lambda o: S.StepLR(o, 2),
    "OneCycleLR": lambda o: S.OneCycleLR(o, 0.2, total_steps=100),  # writes the momentum too
    "SequentialLR": lambda o: S.SequentialLR(o, [S.ConstantLR(o), S.ExponentialLR(o, 0.9)], [2]),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_scheduler_that_steps_within_compiles_once(name):
    def run(compiled):
        model = model_of()
        optimizer = sgd(model.parameters())
        scheduler = SCHEDULERS[name](optimizer)

        def step(x):
            loss = optimizer.step(lambda: (model(x) ** 2).mean())
            scheduler.step()
            return loss

        if not compiled:
            return [step(X) for _ in range(6)], optimizer
        step = fnn.jit(step)
        first = step(X)
        before = HEARD.count
        rest = [step(X) for _ in range(5)]
        assert step._cache_size() == 1
        assert HEARD.count == before
        return [first, *rest], optimizer

    (losses, optimizer), (expected, reference) = run(True), run(False)
    assert_close(jnp.stack(losses), np.array(expected), rtol=1e-5)
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(reference.param_groups[0]["lr"], rel=1e-6)


def test_numbers_set_between_compiled_steps_compile_nothing():
    model = model_of()
    optimizer = sgd(model.parameters())
    scheduler = S.ExponentialLR(optimizer, 0.5)

    @fnn.jit
    def step(x):
        optimizer.step(lambda: (model(x) ** 2).mean())
        scheduler.step()

    step(X)
    before = HEARD.count
    for rate in (0.25, np.float32(0.5), jnp.asarray(1.0), 1):
        optimizer.param_groups[0]["lr"] = rate
        step(X)
        assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(float(rate) / 2)
        scheduler.step()
        step(X)
        assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(float(rate) / 8)
    assert step._cache_size() == 1
    assert int(scheduler.last_epoch) == 13
    assert HEARD.count - before < 9  # eager steps of the scheduler compute with arrays


WRITES = {
    "a constant": lambda group: 0.5,
    "of the old": lambda group: group["lr"] * 0.5,
    "of the default dtype": lambda group: jnp.asarray(0.5),
    "of another dtype": lambda group: jnp.bfloat16(0.5),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_number_that_the_function_sets(name):
    model = model_of()
    optimizer = sgd(model.parameters(), lr=1.0)

    @fnn.jit
    def step(x):
        group = optimizer.param_groups[0]
        group["lr"] = WRITES[name](group)
        return model(x).sum()

    for n in range(3):
        if n == 1:
            before = HEARD.count
        step(X)
        assert float(optimizer.param_groups[0]["lr"]) == (0.5 ** (n + 1) if name == "of the old" else 0.5)
    assert step._cache_size() == 1
    assert HEARD.count == before


def test_a_number_that_is_only_read_stays_a_python_number():
    model = model_of()
    optimizer = sgd(model.parameters())
    step = fnn.jit(lambda x: optimizer.step(lambda: model(x).sum()))
    step(X)
    assert type(optimizer.param_groups[0]["lr"]) is float


def test_a_counter_is_exact_beyond_what_float32_counts():
    with jax.enable_x64(False):
        model = model_of()
        scheduler = S.ConstantLR(sgd(model.parameters()), total_iters=1)
        scheduler.last_epoch = start = 2**24 + 1
        step = fnn.jit(scheduler.step)
        step()
        assert int(scheduler.last_epoch) == start + 1


def test_a_failing_step_leaves_the_numbers_as_they_were():
    optimizer = sgd(model_of().parameters())
    scheduler = S.ExponentialLR(optimizer, 0.5)

    @fnn.jit
    def step(x):
        scheduler.step()
        return jnp.dot(x, x)

    with pytest.raises(TypeError):
        step(X)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert type(optimizer.param_groups[0]["lr"]) is float
    assert scheduler.last_epoch == 0


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD with momentum": sgd,
    "Adam": lambda p: optim.Adam(p, lr=0.1),
}


@pytest.mark.parametrize("by", ["closure", "gradients"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_freezing_and_thawing_compile_once_each(name, by):
    def run(jit):
        fnn.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        optimizer = OPTIMIZERS[name](model.parameters())

        @jit
        def step(x):
            if by == "closure":
                return optimizer.step(lambda: (model(x) ** 2).mean())
            loss = fnn.backward(lambda: (model(x) ** 2).mean(), model)
            optimizer.step()
            optimizer.zero_grad()
            return loss

        sizes = []
        for trained in (True, False, True, False, True):
            model[0].requires_grad_(trained)
            step(X), step(X)
            sizes.append(step._cache_size() if jit is fnn.jit else 0)
        return (
            sizes,
            {key: np.asarray(value) for key, value in model.state_dict().items()},
            optimizer.state_dict()["state"],
        )

    sizes, weights, state = run(fnn.jit)
    # The second time that all are trained the counts of steps differ; after that nothing is new.
    assert sizes == [1, 2, 3, 3, 3]
    _, expected, expected_state = run(lambda function: function)
    for key, value in expected.items():
        assert_close(weights[key], value, rtol=1e-5, atol=1e-7)
    assert {k: set(v) for k, v in state.items()} == {k: set(v) for k, v in expected_state.items()}
    if name == "Adam":
        assert [int(entry["step"]) for entry in state.values()] == [6, 6, 10, 10]
