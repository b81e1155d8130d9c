"""In-place methods on the way through fnn's transformations, what they keep, and what they refuse; the draws' distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from tests.nn.tensor_methods.comparison import f64


class Counter(nn.Module):
    """Changes its buffers by a chain of in-place methods at each call."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(f64(3))
        self.register_buffer("average", np.zeros(3))
        self.register_buffer("seen", np.zeros((), np.int64))
        self.register_buffer("window", np.zeros((4, 3)))

    def forward(self, x):
        self.average.mul_(0.9).add_(x, alpha=0.1)
        self.window[self.seen % 4] = x
        self.seen.add_(1)
        self.average.clamp_(max=1.0)
        return (self.weight * x).sum()


def expected(inputs):
    average, window = np.zeros(3), np.zeros((4, 3))
    for i, x in enumerate(inputs):
        average = np.minimum(0.9 * average + 0.1 * x, 1.0)
        window[i % 4] = x
    return average, window, len(inputs)


def check(model, inputs):
    average, window, seen = expected(inputs)
    assert np.allclose(model.average, average)
    assert np.array_equal(model.window, window)
    assert int(model.seen) == seen


INPUTS = [3 * f64(3) + i for i in range(5)]


def test_eagerly():
    model = Counter()
    for x in INPUTS:
        model(x)
    check(model, INPUTS)


def test_under_jit_of_fnn():
    model = Counter()
    call = fnn.jit(model)
    for x in INPUTS:
        call(x)
    check(model, INPUTS)


def test_under_functional_call_and_jit():
    model = Counter()
    params, buffers = fnn.state(model)
    step = jax.jit(lambda b, x: fnn.functional_call(model, params, b, x)[1])
    for x in INPUTS:
        buffers = step(buffers, x)
    check(model, [])
    fnn.update(model, params, buffers)
    check(model, INPUTS)


def test_under_backward():
    model = Counter()
    for x in INPUTS:
        model.zero_grad()
        fnn.backward(lambda x=x: model(x), model)
        assert np.allclose(model.weight.grad, x)
    check(model, INPUTS)


def test_under_a_plain_jit_the_box_says_what_to_use():
    model = Counter()
    with pytest.raises(RuntimeError, match="functional_call"):
        jax.jit(model)(INPUTS[0])
    check(model, [])


def test_dtype_shape_and_device_stay():
    box = nn.Buffer(np.zeros((2, 3), np.float16))
    place = box.data.sharding
    for change in (
        lambda: box.add_(np.ones(3, np.float64)),
        lambda: box.copy_(np.ones(3, np.int32)),
        lambda: box.uniform_(),
        lambda: box.masked_fill_(np.array(True), 2.0),
        lambda: box.cumsum_(1),
        lambda: box.addcmul_(np.ones(3, np.float32), np.ones((2, 1), np.float64)),
    ):
        assert change() is box
        assert (box.dtype, box.shape, box.data.sharding) == (jnp.float16, (2, 3), place)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b.add_(1.5),
        lambda b: b.div_(2),
        lambda b: b.sqrt_(),
        lambda b: b.add_(np.ones((2, 3), np.int64)),
        lambda b: b.normal_(),
        lambda b: b.uniform_(),
        lambda b: b.exponential_(),
        lambda b: b.random_(3, 3),
        lambda b: b.bernoulli_(1.5),
        lambda b: b.bernoulli_(np.ones((2, 3))),
        lambda b: b.geometric_(0.0),
        lambda b: b.fill_(np.ones(3)),
        lambda b: b.copy_(np.ones(4)),
        lambda b: b.index_fill_(0, np.array([7]), 0),
        lambda b: b.__iadd__(0.5),
        lambda b: b.__itruediv__(2),
        lambda b: b.__setitem__(9, 1),
    ],
)
def test_a_refused_call_changes_nothing(change):
    box = nn.Buffer(np.arange(3))
    generator = fnn.get_rng_state()
    before = box.data
    with pytest.raises((RuntimeError, ValueError, TypeError, IndexError), match=r"[\w\[\]=+/]+: .*"):
        change(box)
    assert box.data is before
    assert np.array_equal(fnn.get_rng_state(), generator)


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("normal_", (0.0, -1.0)),
        ("normal_", ("a",)),
        ("uniform_", (1.0, 0.0)),
        ("exponential_", (0.0,)),
        ("cauchy_", (0.0, 0.0)),
        ("log_normal_", (0.0, 0.0)),
        ("geometric_", (1.5,)),
        ("random_", (1, 2, 3)),
    ],
)
def test_a_refused_draw_says_why(method, args):
    box = nn.Buffer(np.ones(3))
    before = box.data
    with pytest.raises((RuntimeError, ValueError, TypeError), match=f"{method}: "):
        getattr(box, method)(*args)
    assert box.data is before


def test_the_generator_must_be_one():
    with pytest.raises(TypeError, match="generator must be an fnn"):
        nn.Buffer(np.ones(3)).normal_(generator=3)


def test_operators_in_place_keep_the_box():
    box = kept = nn.Buffer(np.arange(3.0))
    box += 1
    box *= nn.Buffer(np.array(2.0))
    box -= 0.5
    box /= 2
    box **= 2
    assert box is kept
    assert np.allclose(kept, ((np.arange(3.0) + 1) * 2 - 0.5) ** 2 / 4)


# Draws. Each is compared with its distribution function at its own quantiles.

N = 40_000


def uniform_distance(unit):
    """The distance of numbers from the uniform distribution on [0, 1] (Kolmogorov and Smirnov)."""
    ordered = np.sort(np.asarray(unit, np.float64))
    return np.abs(ordered - (np.arange(len(ordered)) + 0.5) / len(ordered)).max()


def normal_cdf(x):
    return 0.5 * (1 + np.asarray(jax.lax.erf(jnp.asarray(x) / np.sqrt(2.0))))


DRAWS = {
    "normal_": ((1.0, 2.0), lambda x: normal_cdf((x - 1) / 2)),
    "uniform_": ((-1.0, 3.0), lambda x: (x + 1) / 4),
    "log_normal_": ((0.5, 0.7), lambda x: normal_cdf((np.log(x) - 0.5) / 0.7)),
    "exponential_": ((2.0,), lambda x: 1 - np.exp(-2 * x)),
    "cauchy_": ((1.0, 2.0), lambda x: 0.5 + np.arctan((x - 1) / 2) / np.pi),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", DRAWS)
def test_a_draw_has_its_distribution(method, dtype):
    args, cdf = DRAWS[method]
    box = nn.Buffer(np.zeros(N, dtype))
    assert getattr(box, method)(*args, generator=fnn.Generator().manual_seed(1)) is box
    assert box.dtype == dtype
    assert uniform_distance(cdf(box.numpy())) < 1.63 / np.sqrt(N)  # passed with probability 0.99


def test_draws_of_integers():
    g = fnn.Generator().manual_seed(2)
    box = nn.Buffer(np.zeros(N))
    geometric = box.geometric_(0.3, generator=g).numpy()
    assert geometric.min() == 1
    assert abs(geometric.mean() - 1 / 0.3) < 0.06
    assert abs((geometric == 2).mean() - 0.21) < 0.01
    assert abs(box.bernoulli_(0.3, generator=g).numpy().mean() - 0.3) < 0.01
    chances = np.linspace(0, 1, N)
    drawn = box.bernoulli_(chances, generator=g).numpy()
    assert abs(drawn[: N // 2].mean() - 0.25) < 0.02
    assert set(np.unique(box.random_(3, generator=g).numpy())) == {0, 1, 2}
    assert set(np.unique(box.random_(-2, 1, generator=g).numpy())) == {-2, -1, 0}
    assert set(np.unique(box.random_(to=2, generator=g).numpy())) == {0, 1}
    counts = np.bincount(nn.Buffer(np.zeros(N, np.int64)).random_(5, generator=g).numpy(), minlength=5)
    assert np.abs(counts / N - 0.2).max() < 0.02
    assert nn.Buffer(np.zeros(N, np.int8)).random_(generator=g).numpy().max() > 120
    assert nn.Buffer(np.zeros(N, np.float32)).random_(generator=g).numpy().max() > 2**23
    assert nn.Buffer(np.zeros(9, np.int64)).random_(generator=g).numpy().min() >= 0


def test_bernoulli_and_multinomial():
    g = fnn.Generator().manual_seed(3)
    chances = nn.Buffer(np.full(N, 0.7))
    drawn = chances.bernoulli(generator=g)
    assert abs(float(drawn.mean()) - 0.7) < 0.01
    assert drawn.dtype == chances.dtype
    assert abs(float(chances.bernoulli(0.2, generator=g).mean()) - 0.2) < 0.01
    weights = nn.Buffer(np.array([1.0, 0.0, 3.0]))
    often = weights.multinomial(N, replacement=True, generator=g)
    assert np.allclose(np.bincount(often, minlength=3) / N, [0.25, 0, 0.75], atol=0.01)
    rows = nn.Buffer(np.array([[1.0, 2.0, 3.0]] * 5000)).multinomial(2, generator=g)
    assert rows.shape == (5000, 2)
    assert (rows[:, 0] != rows[:, 1]).all()
    assert np.allclose(np.bincount(rows[:, 0], minlength=3) / 5000, [1 / 6, 2 / 6, 3 / 6], atol=0.03)
    for wrong in (
        lambda: weights.multinomial(4),
        lambda: weights.multinomial(0),
        lambda: nn.Buffer(np.array([-1.0, 2])).multinomial(1),
    ):
        with pytest.raises(RuntimeError, match="multinomial: "):
            wrong()
    with pytest.raises(RuntimeError, match="bernoulli: "):
        nn.Buffer(np.array([2.0])).bernoulli()


def test_draws_come_from_the_ambient_source():
    box = nn.Buffer(np.zeros(3))
    fnn.manual_seed(0)
    first = box.normal_().numpy()
    second = box.normal_().numpy()
    fnn.manual_seed(0)
    assert np.array_equal(box.normal_().numpy(), first)
    with fnn.random.key_scope(jax.random.key(1)):
        third = box.normal_().numpy()
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, third)
    fnn.manual_seed(0)
    jitted = fnn.jit(lambda b: b.normal_().sum())
    assert np.allclose(jitted(box), first.sum())
    assert np.array_equal(box.numpy(), first)
    with pytest.raises(RuntimeError):
        jax.jit(lambda x: box.normal_().data + x)(1.0)
