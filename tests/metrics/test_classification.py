"""Functions of arrays against scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import metrics as M
from tests.oracle import assert_close

sk = pytest.importorskip("sklearn.metrics")

N, C = 60, 5
DRAW = np.random.default_rng(0)
SCORES = DRAW.normal(size=(N, C))
TARGET = DRAW.integers(0, C, N)
LABELS = np.where(DRAW.random(N) < 0.5, TARGET, DRAW.integers(0, C, N))
WEIGHT = DRAW.random(N)
MASK = DRAW.random(N) < 0.7
BINARY, PROBABILITY = DRAW.integers(0, 2, N), DRAW.random(N)
MANY, MANY_SCORES = DRAW.random((N, 4)) < 0.3, DRAW.random((N, 4))

FOUR = ["precision", "recall", "f1_score"]
AVERAGES = ["micro", "macro", "weighted", None]


def theirs(name):
    return getattr(sk, name if name == "f1_score" else f"{name}_score")


def check(function, expected, *args):
    """The value; the same under jit, of numpy and of jax, and over a leading axis under vmap."""
    assert_close(function(*args), expected)
    arrays = [jnp.asarray(a) for a in args]
    assert_close(jax.jit(function)(*arrays), expected)
    assert_close(jax.vmap(function)(*[jnp.stack([a, a]) for a in arrays]), np.stack([expected, expected]))


@pytest.mark.one_in(12)
@pytest.mark.parametrize("weight", [None, WEIGHT, MASK], ids=["plain", "weighted", "masked"])
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", FOUR)
def test_over_classes(name, average, weight):
    def ours(x, y, *w):
        return getattr(M, name)(x, y, C, average=average, sample_weight=w[0] if w else None)

    args = () if weight is None else (weight,)
    check(ours, theirs(name)(TARGET, LABELS, average=average, sample_weight=weight), LABELS, TARGET, *args)


@pytest.mark.one_in(6)
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", FOUR)
def test_over_labels(name, average):
    held = MANY_SCORES >= 0.4

    def ours(x, y):
        return getattr(M, name)(x, y, 4, average=average, multilabel=True, threshold=0.4)

    expected = theirs(name)(MANY, held, average=average, zero_division=0)
    check(ours, expected, MANY_SCORES, MANY)
    check(ours, expected, held, MANY.astype(int))
    weighted = getattr(M, name)(held, MANY, 4, average=average, multilabel=True, sample_weight=WEIGHT)
    assert_close(weighted, theirs(name)(MANY, held, average=average, sample_weight=WEIGHT, zero_division=0))


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", FOUR)
def test_of_two_classes(name):
    def ours(x, y):
        return getattr(M, name)(x, y, average="binary")

    check(ours, theirs(name)(BINARY, PROBABILITY >= 0.5), PROBABILITY, BINARY)
    check(ours, theirs(name)(BINARY, PROBABILITY >= 0.5), np.stack([1 - PROBABILITY, PROBABILITY], 1), BINARY == 1)


@pytest.mark.one_in(6)
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", FOUR)
def test_classes_that_do_not_occur(name, average):
    x, y = np.array([0, 0, 2]), np.array([0, 3, 3])
    present = [0, 2, 3]
    expected = theirs(name)(y, x, average=average, zero_division=0)
    ours = getattr(M, name)(x, y, C, average=average)
    assert_close(ours if average is not None else ours[np.array(present)], expected)
    if average is None:
        assert ours[1] == ours[4] == 0


def test_accuracy():
    check(M.accuracy, sk.accuracy_score(TARGET, LABELS), LABELS, TARGET)
    check(M.accuracy, sk.accuracy_score(TARGET, SCORES.argmax(1)), SCORES, TARGET)
    check(M.accuracy, sk.accuracy_score(BINARY, PROBABILITY >= 0.5), PROBABILITY, BINARY)
    assert_close(M.accuracy(PROBABILITY - 0.3, BINARY, threshold=0), sk.accuracy_score(BINARY, PROBABILITY >= 0.3))
    for weight in (WEIGHT, MASK):
        expected = sk.accuracy_score(TARGET, LABELS, sample_weight=weight)
        check(lambda x, y, w: M.accuracy(x, y, sample_weight=w), expected, LABELS, TARGET, weight)
    held = MANY_SCORES >= 0.5
    check(lambda x, y: M.accuracy(x, y, multilabel=True), sk.accuracy_score(MANY, held), MANY_SCORES, MANY)
    assert np.isnan(M.accuracy(LABELS, TARGET, sample_weight=np.zeros(N)))


def test_accuracy_of_dense_predictions():
    scores, target = DRAW.normal(size=(2, 3, 4, 5)), DRAW.integers(0, 3, (2, 4, 5))
    assert_close(M.accuracy(scores, target), (scores.argmax(1) == target).mean())
    rows = M.accuracy(scores, target, sample_weight=np.array([1, 0]))
    assert_close(rows, (scores.argmax(1) == target)[0].mean())


@pytest.mark.one_in(3)
@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_top_k(k):
    def expected(weight=None):
        return sk.top_k_accuracy_score(TARGET, SCORES, k=k, labels=np.arange(C), sample_weight=weight)

    check(lambda x, y: M.top_k_accuracy(x, y, k), 1.0 if k == C else expected(), SCORES, TARGET)
    if k < C:
        assert_close(M.top_k_accuracy(SCORES, TARGET, k, sample_weight=MASK), expected(MASK))


def test_top_k_takes_the_first_of_equal_scores_as_argmax_does():
    ties = DRAW.integers(0, 3, (N, C)).astype(float)
    assert_close(M.top_k_accuracy(ties, TARGET, 1), M.accuracy(ties, TARGET))
    stable = np.argsort(-ties, axis=1, kind="stable")
    assert_close(M.top_k_accuracy(ties, TARGET, 3), (stable[:, :3] == TARGET[:, None]).any(1).mean())
    nan = np.array([[0.0, np.nan, 1.0]])
    assert M.top_k_accuracy(nan, np.array([1]), 3) == 0
    assert M.top_k_accuracy(nan, np.array([2]), 1) == M.accuracy(nan, np.array([2])) == 0
    assert M.top_k_accuracy(nan, np.array([2]), 2) == 1


@pytest.mark.one_in(3)
@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_confusion_matrix(normalize, weight):
    def ours(x, y, *w):
        return M.confusion_matrix(x, y, C, normalize=normalize, sample_weight=w[0] if w else None)

    expected = sk.confusion_matrix(TARGET, LABELS, normalize=normalize, sample_weight=weight, labels=np.arange(C))
    check(ours, expected, LABELS, TARGET, *(() if weight is None else (weight,)))


def test_a_confusion_matrix_counts_in_integers():
    assert jnp.issubdtype(M.confusion_matrix(LABELS, TARGET, C).dtype, jnp.integer)
    masked = M.confusion_matrix(LABELS, TARGET, C, sample_weight=MASK)
    assert jnp.issubdtype(masked.dtype, jnp.integer)
    assert_close(masked, sk.confusion_matrix(TARGET[MASK], LABELS[MASK], labels=np.arange(C)))


def test_labels_out_of_range():
    wrong = np.array([0, 7])
    for function in (M.precision, M.recall, M.f1_score, M.confusion_matrix):
        with pytest.raises(IndexError, match=r"target must be in \[0, 4\], got 7"):
            function(np.array([0, 1]), wrong, C)
    with pytest.raises(IndexError):
        M.top_k_accuracy(SCORES[:2], wrong, 1)
    traced = jax.jit(lambda y: M.confusion_matrix(jnp.array([0, 1]), y, C))(jnp.asarray(wrong))
    assert traced.sum() == 1  # it counts nowhere, and never as a neighbour
    assert jax.jit(lambda y: M.confusion_matrix(y, jnp.array([0, 1]), C))(jnp.array([0, -1])).sum() == 1
    assert jax.jit(lambda y: M.top_k_accuracy(jnp.asarray(SCORES[:2]), y, C))(jnp.asarray(wrong)) == 0.5


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_half_scores_are_counted_in_full(dtype):
    rows = 3000  # more than bfloat16 counts
    assert M.accuracy(jnp.ones((rows, 2), dtype), jnp.zeros(rows, jnp.int32)) == 1
    assert M.accuracy(jnp.ones((rows, 2), dtype), jnp.zeros(rows, jnp.int32), sample_weight=jnp.ones(rows, dtype)) == 1


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"accuracy: input must be of shape \[60\]"):
        M.accuracy(LABELS[:50], TARGET)
    with pytest.raises(ValueError, match=r"precision: input must be of shape \[60, 5\]"):
        M.precision(SCORES[:, :4], TARGET, C)
    with pytest.raises(TypeError, match="target must be of an integer or bool dtype"):
        M.accuracy(LABELS, TARGET * 1.0)
    with pytest.raises(ValueError, match="precision: num_classes must be given unless"):
        M.precision(LABELS, TARGET)
    with pytest.raises(ValueError, match="num_classes must be 2 with average='binary'"):
        M.recall(LABELS, TARGET, C, average="binary")
    with pytest.raises(ValueError, match="average must be one of"):
        M.f1_score(LABELS, TARGET, C, average="samples")
    with pytest.raises(ValueError, match="average must be micro"):
        M.f1_score(MANY, MANY, average="binary", multilabel=True)
    with pytest.raises(ValueError, match="sample_weight must be of shape"):
        M.accuracy(LABELS, TARGET, sample_weight=WEIGHT[:5])
    with pytest.raises(ValueError, match="normalize must be one of"):
        M.confusion_matrix(LABELS, TARGET, C, normalize="rows")
    with pytest.raises(ValueError, match="target must be of shape"):
        M.accuracy(LABELS, TARGET, multilabel=True)
    with pytest.raises(ValueError, match="k must be at least 1"):
        M.top_k_accuracy(SCORES, TARGET, 0)
    with pytest.raises(TypeError, match="target must be of an integer dtype"):
        M.top_k_accuracy(SCORES, TARGET * 1.0)


def test_the_shapes_that_weights_may_have_are_said_once():
    with pytest.raises(ValueError, match=r"accuracy: sample_weight must be of shape \[3\], got float64\[4\]$"):
        M.accuracy(np.ones(3, int), np.ones(3, int), sample_weight=np.ones(4))
    with pytest.raises(
        ValueError, match=r"accuracy: sample_weight must be of shape \[3, 4\] or \[3\], got float64\[4\]$"
    ):
        M.accuracy(np.ones((3, 2, 4)), np.ones((3, 4), int), sample_weight=np.ones(4))
