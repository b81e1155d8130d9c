"""Checks that look at values: each argument known while the others are traced, inside every transformation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from fnn import nn, optim
from fnn.functional.arrays import known
from fnn.tensor import arithmetic, drawing, indexing, ordering, reducing, scattering

X = np.array([[0.25, 0.5, 0.75], [0.5, 0.75, 0.25]], np.float32)
LABELS = np.array([0, 2])


class Case(NamedTuple):
    """A function, arguments that are right, and for each argument with a check a value that is not."""

    function: Callable[..., Any]
    good: dict[str, Any]
    bad: dict[str, Any]


def _lstm(lengths: Any, dropout: Any = 0.0, *, x: Any) -> Any:
    weights = [np.ones(s, np.float32) for s in ((8, 3), (8, 2), (8,), (8,), (8, 2), (8, 2), (8,), (8,))]
    hx = (jnp.zeros((2, 2, 2), jnp.float32),) * 2
    key = jax.random.key(0)
    return F.lstm(x, hx, weights, num_layers=2, lengths=lengths, dropout=dropout, training=True, rng=key)[0]


def _dropped(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda input, p: function(input, p, rng=jax.random.key(0))


def _attention(query: Any, dropout_p: Any) -> Any:
    return F.scaled_dot_product_attention(query, query, query, dropout_p=dropout_p, rng=jax.random.key(0))


def _sgd(params: Any, lr: Any, momentum: Any) -> Any:
    rule = optim.sgd(lr=lr, momentum=momentum)
    return rule.update(params, rule.init(params), params)[0]


def _drawn(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with fnn.random.key_scope(jax.random.key(0)):
            return function(*args, **kwargs)

    return call


CASES = {
    "binary_cross_entropy": Case(
        F.binary_cross_entropy, {"input": X, "target": X, "weight": X}, {"input": X - 1, "target": X + 1}
    ),
    "gaussian_nll_loss": Case(F.gaussian_nll_loss, {"input": X, "target": X, "var": X}, {"var": -X}),
    "cross_entropy": Case(
        F.cross_entropy,
        {"input": X, "target": LABELS, "label_smoothing": np.float32(0.1)},
        {"target": LABELS + 1, "label_smoothing": np.float32(2)},
    ),
    "nll_loss": Case(F.nll_loss, {"input": X, "target": LABELS}, {"target": LABELS - 1}),
    "linear_cross_entropy": Case(
        F.linear_cross_entropy, {"input": X, "linear_weight": X, "target": LABELS // 2}, {"target": LABELS}
    ),
    "multi_margin_loss": Case(F.multi_margin_loss, {"input": X, "target": LABELS}, {"target": LABELS + 1}),
    "multilabel_margin_loss": Case(
        F.multilabel_margin_loss,
        {"input": X, "target": np.array([[0, -1, -1], [1, 2, -1]])},
        {"target": np.array([[0, -1, -1], [1, 3, -1]])},
    ),
    "ctc_loss": Case(
        F.ctc_loss,
        {
            "log_probs": np.log(np.stack([X, X, X])),
            "targets": np.array([[1, 2], [2, 1]]),
            "input_lengths": np.array([3, 2]),
            "target_lengths": np.array([1, 2]),
        },
        {"input_lengths": np.array([3, 4]), "target_lengths": np.array([-1, 2])},
    ),
    "ctc_loss of a row of targets": Case(
        lambda log_probs, targets: F.ctc_loss(log_probs, targets, (3, 2), jnp.array([1, 2])),
        {"log_probs": np.log(np.stack([X, X, X])), "targets": np.array([1, 2, 1])},
        {"targets": np.array([1, 3, 1])},
    ),
    "smooth_l1_loss": Case(
        F.smooth_l1_loss, {"input": X, "target": X, "beta": np.float32(1)}, {"beta": np.float32(-1)}
    ),
    "huber_loss": Case(F.huber_loss, {"input": X, "target": X, "delta": np.float32(1)}, {"delta": np.float32(0)}),
    "triplet_margin_loss": Case(
        F.triplet_margin_loss,
        {"anchor": X, "positive": X, "negative": X + 1, "margin": np.float32(1)},
        {"margin": np.float32(-1)},
    ),
    "embedding": Case(F.embedding, {"input": LABELS, "weight": X.T}, {"input": LABELS + 1}),
    "embedding_bag": Case(
        F.embedding_bag,
        {"input": LABELS, "weight": X.T, "offsets": np.array([0, 1])},
        {"input": LABELS - 1, "offsets": np.array([1, 1])},
    ),
    "one_hot": Case(F.one_hot, {"input": LABELS, "num_classes": 3}, {"input": LABELS + 1}),
    "max_unpool1d": Case(
        lambda input, indices: F.max_unpool1d(input, indices, 2),
        {"input": X[None], "indices": np.array([[[0, 2, 4], [1, 3, 5]]])},
        {"indices": np.array([[[0, 2, 4], [1, 3, 6]]])},
    ),
    "dropout": Case(_dropped(F.dropout), {"input": X, "p": np.float32(0.5)}, {"p": np.float32(1.5)}),
    "dropout1d": Case(_dropped(F.dropout1d), {"input": X[None], "p": np.float32(0)}, {"p": np.float32(-1)}),
    "alpha_dropout": Case(_dropped(F.alpha_dropout), {"input": X, "p": np.float32(1)}, {"p": np.float32(-1)}),
    "hardtanh": Case(
        F.hardtanh,
        {"input": X, "min_val": np.float32(0.3), "max_val": np.float32(0.6)},
        {"min_val": np.float32(1), "max_val": np.float32(0)},
    ),
    "rrelu": Case(
        F.rrelu, {"input": -X, "lower": np.float32(0.25), "upper": np.float32(0.5)}, {"lower": np.float32(1)}
    ),
    "softshrink": Case(F.softshrink, {"input": X, "lambd": np.float32(0.3)}, {"lambd": np.float32(-1)}),
    "celu": Case(F.celu, {"input": -X, "alpha": np.float32(2)}, {"alpha": np.float32(0)}),
    "layer_norm": Case(lambda input, eps: F.layer_norm(input, (3,), eps=eps), {"input": X, "eps": np.float32(0.1)}, {}),
    "scaled_dot_product_attention": Case(
        _attention, {"query": X[None], "dropout_p": np.float32(0.5)}, {"dropout_p": np.float32(2)}
    ),
    "lstm": Case(
        _lstm,
        {"x": np.stack([X, X, X]), "lengths": np.array([3, 2]), "dropout": np.float32(0.5)},
        {"lengths": np.array([4, 2]), "dropout": np.float32(2)},
    ),
    "pad": Case(
        lambda input, value: F.pad(input, (1, 1), "reflect", value),
        {"input": X, "value": np.float32(0)},
        {"value": np.float32(1)},
    ),
    "take": Case(indexing.take, {"input": X, "index": LABELS}, {"index": LABELS + 9}),
    "index_select": Case(
        lambda input, index: indexing.index_select(input, 1, index),
        {"input": X, "index": LABELS},
        {"index": LABELS + 1},
    ),
    "gather": Case(
        lambda input, index: indexing.gather(input, 1, index),
        {"input": X, "index": LABELS[:, None]},
        {"index": LABELS[:, None] + 1},
    ),
    "getitem": Case(
        lambda input, index: indexing.getitem(jnp.asarray(input), index),
        {"input": X, "index": LABELS // 2},
        {"index": LABELS + 1},
    ),
    "quantile": Case(ordering.quantile, {"input": X, "q": np.float32(0.5)}, {"q": np.float32(2)}),
    "floor_divide": Case(
        arithmetic.floor_divide, {"input": np.array([4, 5]), "other": np.array([1, 2])}, {"other": np.array([0, 1])}
    ),
    "masked_scatter": Case(scattering.masked_scatter, {"input": X, "mask": X > 0.5, "source": X[0]}, {"mask": X > 0}),
    "renorm": Case(
        lambda input, maxnorm: reducing.renorm(input, 2, 0, maxnorm),
        {"input": X, "maxnorm": np.float32(0.1)},
        {"maxnorm": np.float32(-1)},
    ),
    "bernoulli": Case(
        _drawn(lambda input, p: drawing.bernoulli_of(input, p, None)),
        {"input": X, "p": np.float32(0.5)},
        {"p": np.float32(2)},
    ),
    "bernoulli of chances": Case(
        _drawn(lambda input: drawing.bernoulli_of(input, None, None)), {"input": X}, {"input": X + 1}
    ),
    "multinomial": Case(_drawn(lambda input: drawing.multinomial(input, 2)), {"input": X}, {"input": -X}),
    "sgd": Case(
        _sgd,
        {"params": X, "lr": np.float32(0.1), "momentum": np.float32(0.9)},
        {"lr": np.float32(-1), "momentum": np.float32(-1)},
    ),
}

FORMS = {"jax": jnp.asarray, "numpy": np.asarray}
CHECKED = [(name, argument) for name, case in CASES.items() for argument in case.good]


def _value(argument: str, value: Any, form: str) -> Any:
    return value if argument == "num_classes" else FORMS[form](value)


def _under(transformation: str, case: Case, argument: str, value: Any) -> Any:
    """The call with one known argument; the arrays among the others are traced."""
    rest = {k: v for k, v in case.good.items() if k != argument}
    traced = {k: jnp.asarray(v) for k, v in rest.items() if np.ndim(v)}
    known = {k: v for k, v in rest.items() if not np.ndim(v)}

    def call(traced: dict[str, Any], extra: jax.Array) -> Any:
        out = case.function(**{argument: value}, **traced, **known)
        return out + jnp.zeros_like(extra, out.dtype)

    zero = jnp.zeros(())
    if transformation == "jit":
        return jax.jit(call)(traced, zero)
    if transformation == "vmap":
        return jax.vmap(call)(jax.tree.map(lambda a: a[None], traced), zero[None])[0]

    def total(floats: dict[str, Any], extra: jax.Array) -> Any:
        out = call({**traced, **floats}, extra)
        return jnp.sum(out.astype(jnp.float32)), out

    floats = {k: v for k, v in traced.items() if jnp.issubdtype(v.dtype, jnp.floating)}
    return jax.grad(total, (0, 1), has_aux=True)(floats, zero)[1]


@pytest.mark.one_in(23)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "argument"), CHECKED)
def test_a_known_argument_among_traced_ones(name: str, argument: str, form: str) -> None:
    case = CASES[name]
    good = _value(argument, case.good[argument], form)
    expected = case.function(**{**case.good, argument: good})
    for transformation in ("jit", "vmap", "grad"):
        np.testing.assert_allclose(_under(transformation, case, argument, good), expected, rtol=2e-6, atol=1e-7)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "argument"), [(n, a) for n, a in CHECKED if a in CASES[n].bad])
def test_a_wrong_known_argument_among_traced_ones(name: str, argument: str, form: str) -> None:
    case = CASES[name]
    bad = FORMS[form](case.bad[argument])
    with pytest.raises((ValueError, IndexError, RuntimeError)) as eager:
        case.function(**{**case.good, argument: bad})
    for transformation in ("jit", "vmap", "grad"):
        with pytest.raises(eager.type) as traced:
            _under(transformation, case, argument, bad)
        assert str(traced.value) == str(eager.value)


LAYERS = {
    "BCELoss": (nn.BCELoss(), [X, X], {0: X - 1, 1: X + 1}),
    "GaussianNLLLoss": (nn.GaussianNLLLoss(), [X, X, X], {2: -X}),
    "CrossEntropyLoss": (nn.CrossEntropyLoss(), [X, LABELS], {1: LABELS + 1}),
    "MultiMarginLoss": (nn.MultiMarginLoss(), [X, LABELS], {1: LABELS + 1}),
    "Embedding": (nn.Embedding(3, 2), [LABELS], {0: LABELS + 1}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_within_functional_call(name: str, form: str) -> None:
    layer, good, wrong = LAYERS[name]
    params, buffers = fnn.state(layer)
    expected = layer(*good)

    def call(known: dict[int, Any]) -> Any:
        def step(params: Any, traced: dict[int, Any]) -> Any:
            args = [known[i] if i in known else traced[i] for i in range(len(good))]
            return fnn.functional_call(layer, params, buffers, *args)[0]

        return jax.jit(step)(params, {i: jnp.asarray(a) for i, a in enumerate(good) if i not in known})

    for i, value in enumerate(good):
        np.testing.assert_allclose(call({i: FORMS[form](value)}), expected, rtol=2e-6)
    for i, value in wrong.items():
        with pytest.raises((ValueError, IndexError)) as eager:
            layer(*(FORMS[form](value) if j == i else a for j, a in enumerate(good)))
        with pytest.raises(eager.type, match="got") as traced:
            call({i: FORMS[form](value)})
        assert str(traced.value) == str(eager.value)


def test_known() -> None:
    assert known(2).tolist() == 2
    assert known(jnp.arange(2)).tolist() == [0, 1]
    assert known(nn.Parameter(jnp.ones(1))).tolist() == [1]
    jax.jit(lambda x: [known(x), known(x + jnp.ones(2))] == [None, None] or pytest.fail("traced"))(jnp.ones(2))
    box = nn.Parameter(jnp.ones(2))
    fnn.jit(lambda x: x * (1 if known(box) is None else pytest.fail("a box under fnn.jit is traced")))(jnp.ones(2))
