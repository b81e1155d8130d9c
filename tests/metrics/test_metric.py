"""Objects: batch after batch, in every style, saved, over processes."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import metrics as M
from fnn.metrics.metric import plus, total
from tests.devices import on_two_processes
from tests.oracle import assert_close

N, C = 40, 4
DRAW = np.random.default_rng(0)
SCORES, TARGET, WEIGHT = DRAW.normal(size=(N, C)), DRAW.integers(0, C, N), DRAW.random(N)
HELD, MANY = DRAW.random((N, C)) < 0.4, DRAW.random((N, C))
CASES = {
    "accuracy": (M.Accuracy, {}, M.accuracy, {}),
    "top k": (M.TopKAccuracy, {"k": 2}, M.top_k_accuracy, {"k": 2}),
    "confusion": (M.ConfusionMatrix, {"num_classes": C}, M.confusion_matrix, {"num_classes": C}),
    "confusion by row": (M.ConfusionMatrix, {"num_classes": C, "normalize": "true"}, M.confusion_matrix, None),
    "precision": (M.Precision, {"num_classes": C, "average": "weighted"}, M.precision, None),
    "recall": (M.Recall, {"num_classes": C, "average": None}, M.recall, None),
    "f1": (M.F1Score, {"num_classes": C}, M.f1_score, None),
    "auc": (M.ROCAUC, {"capacity": N, "num_classes": C}, M.roc_auc, {}),
    "perplexity": (M.Perplexity, {}, M.perplexity, {}),
}


@pytest.fixture(params=CASES)
def case(request):
    make, options, function, own = CASES[request.param]
    return make(**options), lambda *a, **k: function(*a, **{**(options if own is None else own), **k})


def batches(size=10):
    return [slice(start, start + size) for start in range(0, N, size)]


@pytest.mark.one_in(2)
def test_batches_add_up_eagerly_and_compiled(case):
    metric, function = case
    expected = function(SCORES, TARGET, sample_weight=WEIGHT)
    for part in batches():
        metric.update(SCORES[part], TARGET[part], WEIGHT[part])
    assert_close(metric.compute(), expected)
    metric.reset()

    @fnn.jit
    def step(x, y, w):
        metric.update(x, y, sample_weight=w)
        return metric.compute()

    for part in batches():
        value = step(SCORES[part], TARGET[part], WEIGHT[part])
    assert_close(value, expected)
    assert_close(metric.compute(), expected)


@pytest.mark.one_in(3)
def test_the_pure_form_in_a_scan(case):
    metric, function = case
    x, y = jnp.asarray(SCORES).reshape(4, 10, C), jnp.asarray(TARGET).reshape(4, 10)
    before = jax.tree.map(np.asarray, metric.state)
    state, _ = jax.lax.scan(lambda state, xy: (metric.add(state, *xy), None), metric.init(), (x, y))
    assert_close(metric.result(state), function(SCORES, TARGET))
    jax.tree.map(np.testing.assert_array_equal, metric.state, before)


@pytest.mark.one_in(3)
def test_states_are_saved_loaded_copied(case, tmp_path):
    metric, function = case
    first, *rest = batches(20)
    metric.update(SCORES[first], TARGET[first])
    fnn.save(metric.state_dict(), tmp_path / "metric.safetensors")
    fresh = copy.deepcopy(metric)
    fresh.reset()
    fresh.load_state_dict(fnn.load(tmp_path / "metric.safetensors"))
    for other in (fresh, copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        for part in rest:
            other.update(SCORES[part], TARGET[part])
        assert_close(other.compute(), function(SCORES, TARGET))
    assert_close(metric.compute(), function(SCORES[first], TARGET[first]))


def test_an_update_that_raises_changes_nothing(case):
    metric, _ = case
    metric.update(SCORES[:5], TARGET[:5])
    before = jax.tree.map(np.asarray, metric.state)
    with pytest.raises((ValueError, IndexError)):
        metric.update(SCORES[:5], TARGET[:4])
    with pytest.raises(IndexError) if not isinstance(metric, M.Accuracy) else pytest.raises(TypeError):
        metric.update(SCORES[:5], TARGET[:5] + (C if not isinstance(metric, M.Accuracy) else 0.5))
    jax.tree.map(np.testing.assert_array_equal, metric.state, before)


def test_multilabel_objects():
    accuracy, f1 = M.Accuracy(multilabel=True), M.F1Score(C, "micro", multilabel=True, threshold=0.3)
    for part in batches():
        accuracy.update(MANY[part], HELD[part])
        f1.update(MANY[part], HELD[part])
    assert_close(accuracy.compute(), M.accuracy(MANY, HELD, multilabel=True))
    assert_close(f1.compute(), M.f1_score(MANY, HELD, C, average="micro", multilabel=True, threshold=0.3))


def test_changing_an_attribute_compiles_anew():
    metric = M.Accuracy()
    step = fnn.jit(lambda x, y: metric.update(x, y))
    x, y = np.array([0.4, 0.4]), np.array([1, 1])
    step(x, y)
    metric.threshold = 0.3
    step(x, y)
    assert metric.compute() == 0.5
    assert repr(metric) == "Accuracy(threshold=0.3, multilabel=False)"


def test_wrong_states_and_arguments():
    metric = M.Accuracy()
    with pytest.raises(ValueError, match=r"Accuracy.load_state_dict: state_dict must be with the names"):
        metric.load_state_dict({"right": np.zeros(2)})
    with pytest.raises(ValueError, match=r"right must be of shape \[2\], got float64\[3\]"):
        metric.load_state_dict({"right": np.zeros(3), "weight": np.zeros(2)})
    with pytest.raises(ValueError, match="Precision: num_classes must be given"):
        M.Precision()
    with pytest.raises(NotImplementedError):
        M.Metric()


def test_sums_do_not_wear_out():
    """A float32 stops to count at 2**24; the pair does not, compiled or not."""
    with jax.enable_x64(False):
        metric = M.Mean()
        state = metric.init()
        assert state["sum"].dtype == jnp.float32
        big, one = jnp.float32(2**24), jnp.float32(1)
        state = metric.add(state, big)
        state, _ = jax.lax.scan(lambda s, _: (metric.add(s, one), None), state, length=1001)
        exact = np.asarray(state["sum"], np.float64).sum()
        assert exact == 2**24 + 1001
        eager = metric.add(metric.add(metric.init(), big), one)
        assert np.asarray(eager["sum"], np.float64).sum() == 2**24 + 1
        assert_close(metric.result(state), np.float32((2**24 + 1001) / 1002), rtol=2e-7)


def test_infinities_and_nan_come_through():
    for values, expected in (([jnp.inf, 1.0], np.inf), ([jnp.inf, -jnp.inf], np.nan), ([jnp.nan, 1.0], np.nan)):
        pair = jnp.zeros(2)
        for value in values:
            pair = plus(pair, jnp.array([value, 0.0]))
        np.testing.assert_equal(float(total(pair)), expected)


def test_a_metric_keeps_its_place():
    device = jax.devices()[0]
    metric = M.Mean().to(device)
    metric.update(1.0)
    metric.reset()
    assert metric.state["sum"].committed


PROGRAM = """
import sys, numpy as np, jax
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
import fnn
from fnn import metrics as M
from jax.sharding import NamedSharding, PartitionSpec as P

draw = np.random.default_rng(0)
scores, target = draw.normal(size=(40, 4)), draw.integers(0, 4, 40)
cases = [
    (M.Accuracy(), M.accuracy(scores, target)),
    (M.F1Score(4), M.f1_score(scores, target, 4)),
    (M.ConfusionMatrix(4), M.confusion_matrix(scores, target, 4)),
    (M.ROCAUC(30, 4), M.roc_auc(scores, target)),
    (M.Perplexity(), M.perplexity(scores, target)),
]
me = jax.process_index()
mine = slice(0, 15) if me == 0 else slice(15, 40)  # parts of different lengths
for metric, expected in cases:
    metric.update(scores[mine], target[mine])
    assert np.allclose(metric.compute(), expected), (metric, metric.compute(), expected)
    assert np.allclose(metric.compute(), expected)  # it changes nothing

mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
split, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
own = slice(0, 20) if me == 0 else slice(20, 40)
x, y = (jax.make_array_from_process_local_data(split, a[own]) for a in (scores, target))
metric = M.Accuracy().to(whole)

@fnn.jit
def step(x, y):
    metric.update(x, y)

step(x, y)
assert np.allclose(metric.compute(), M.accuracy(scores, target))
print("done")
"""


@pytest.mark.slow
def test_over_two_processes(tmp_path):
    for out in on_two_processes(PROGRAM, tmp_path):
        assert out.strip().endswith("done")  # Gloo has its say before
