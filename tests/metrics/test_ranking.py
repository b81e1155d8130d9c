"""The area under the ROC curve against scikit-learn, and against its definition by pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import fnn
from fnn.metrics import ROCAUC, roc_auc
from tests.metrics.test_classification import check
from tests.oracle import assert_close

sk = pytest.importorskip("sklearn.metrics")

N, C = 50, 4
DRAW = np.random.default_rng(0)
SCORE, TIES = DRAW.normal(size=N), DRAW.integers(0, 4, N).astype(float)
BINARY, WEIGHT = DRAW.integers(0, 2, N), DRAW.random(N)
MANY = DRAW.dirichlet(np.ones(C), N)
TARGET = DRAW.integers(0, C, N)
HELD = DRAW.random((N, C)) < 0.4


@pytest.mark.one_in(5)
@pytest.mark.parametrize("score", [SCORE, TIES, np.zeros(N)], ids=["distinct", "ties", "equal"])
@pytest.mark.parametrize("weight", [None, WEIGHT, WEIGHT > 0.4], ids=["plain", "weighted", "masked"])
def test_two_classes(score, weight):
    args = () if weight is None else (weight,)
    expected = sk.roc_auc_score(BINARY, score, sample_weight=weight)
    check(lambda x, y, *w: roc_auc(x, y, sample_weight=w[0] if w else None), expected, score, BINARY, *args)


@pytest.mark.one_in(8)
@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("ties", [False, True])
def test_many(average, weight, ties):
    scores = np.round(MANY, 1) if ties else MANY
    rows = scores / scores.sum(1, keepdims=True) if not ties else scores
    args = () if weight is None else (weight,)

    def ours(x, y, *w):
        return roc_auc(x, y, average=average, sample_weight=w[0] if w else None)

    if not ties:
        expected = sk.roc_auc_score(TARGET, rows, multi_class="ovr", average=average, sample_weight=weight)
        check(ours, expected, rows, TARGET, *args)
    check(ours, sk.roc_auc_score(HELD, scores, average=average, sample_weight=weight), scores, HELD, *args)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.floats(0.1, 2)), min_size=2, max_size=20))
def test_by_pairs(rows):
    score, held, weight = (np.array(column) for column in zip(*rows, strict=True))
    pairs = [(i, j) for i in np.flatnonzero(held) for j in np.flatnonzero(~held)]
    wins = sum(weight[i] * weight[j] * ((score[i] > score[j]) + 0.5 * (score[i] == score[j])) for i, j in pairs)
    expected = wins / sum(weight[i] * weight[j] for i, j in pairs) if pairs else np.nan
    score, held, weight = (np.pad(a, (0, 20 - len(a)), constant_values=9) for a in (score, held, weight))
    weight[len(rows) :] = 0
    assert_close(roc_auc(score.astype(float), held, sample_weight=weight), expected)


def test_what_has_no_area_is_nan():
    assert np.isnan(roc_auc(SCORE, np.ones(N, int)))
    assert np.isnan(roc_auc(np.where(np.arange(N) == 3, np.nan, SCORE), BINARY))
    masked = roc_auc(np.where(np.arange(N) == 3, np.nan, SCORE), BINARY, sample_weight=np.arange(N) != 3)
    assert_close(masked, sk.roc_auc_score(np.delete(BINARY, 3), np.delete(SCORE, 3)))


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"roc_auc: target must be of shape \[50\]"):
        roc_auc(SCORE, BINARY[:5])
    with pytest.raises(IndexError, match=r"target must be in \[0, 1\], got 2"):
        roc_auc(SCORE, BINARY + 1)
    with pytest.raises(TypeError, match="integer or bool"):
        roc_auc(SCORE, BINARY * 1.0)
    with pytest.raises(ValueError, match="average must be one of"):
        roc_auc(SCORE, BINARY, average="samples")
    with pytest.raises(ValueError, match="num_classes must be given with multilabel"):
        ROCAUC(5, multilabel=True)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("options", "score", "target"),
    [
        ({}, TIES, BINARY),
        ({"num_classes": C, "average": "weighted"}, MANY, TARGET),
        ({"num_classes": C, "multilabel": True}, MANY, HELD),
    ],
    ids=["two", "classes", "labels"],
)
def test_over_batches(compiled, options, score, target):
    metric = ROCAUC(60, **options)

    def update(x, y, w):
        metric.update(x, y, w)

    run = fnn.jit(update) if compiled else update
    for start in range(0, N, 10):
        part = slice(start, start + 10)
        run(score[part], target[part], WEIGHT[part])
    expected = roc_auc(score, target, average=metric.average, sample_weight=WEIGHT)
    assert_close(metric.compute(), expected)


def test_more_rows_than_room():
    metric = ROCAUC(4)
    metric.update(SCORE[:3], BINARY[:3])
    with pytest.raises(RuntimeError, match="capacity must be at least 6"):
        metric.update(SCORE[:3], BINARY[:3])
    assert int(metric.state["rows"]) == 3
    fnn.jit(lambda: metric.update(SCORE[:3], BINARY[:3]))()
    assert np.isnan(metric.compute())
    assert np.isnan(metric.result(metric.merge(metric.state, ROCAUC(9).init())))
    metric.reset()
    metric.update(jnp.array([0.1, 0.2]), jnp.array([0, 1]))
    assert metric.compute() == 1


def test_merged_states_are_the_state_of_all_rows():
    metric = ROCAUC(30)
    a = metric.add(metric.init(), SCORE[:20], BINARY[:20])
    b = metric.add(metric.init(), SCORE[20:], BINARY[20:])
    assert_close(jax.jit(lambda a, b: metric.result(metric.merge(a, b)))(a, b), roc_auc(SCORE, BINARY))
