"""Sizes that no layer has are refused by the layer that was asked for, in the name of its own argument."""

import warnings

import pytest

from fnn import nn

ATTENTION = {"embed_dim": 4, "num_heads": 2}
TRANSFORMER = {"d_model": 4, "nhead": 2, "dim_feedforward": 4}
ADAPTIVE = {"in_features": 4, "n_classes": 10, "cutoffs": [3]}


def cases():
    for kind in ("RNNCell", "LSTMCell", "GRUCell"):
        for name in ("input_size", "hidden_size"):
            yield kind, {"input_size": 2, "hidden_size": 3, name: -1}, name, ValueError, "at least 0, got -1"
            yield kind, {"input_size": 2, "hidden_size": 3, name: 2.5}, name, TypeError, "an int, got 2.5"
    base = {"input_size": 2, "hidden_size": 3, "bias": True, "num_chunks": -1}
    yield "RNNCellBase", base, "num_chunks", ValueError, "at least 0, got -1"
    for name in ("kdim", "vdim"):
        yield "MultiheadAttention", {**ATTENTION, name: -1}, name, ValueError, "at least 0, got -1"
        yield "MultiheadAttention", {**ATTENTION, name: 1.5}, name, TypeError, "an int"
    for kind in ("TransformerEncoderLayer", "TransformerDecoderLayer", "Transformer"):
        for name, value, error, expected in (
            ("d_model", -4, ValueError, "at least 1, got -4"),
            ("d_model", 0, ValueError, "at least 1, got 0"),
            ("nhead", 0, ValueError, "at least 1, got 0"),
            ("nhead", 3, ValueError, r"a number that divides d_model \(4\), got 3"),
            ("dim_feedforward", -1, ValueError, "at least 0, got -1"),
            ("dropout", 2, ValueError, "between 0 and 1, got 2"),
            ("dropout", "a", TypeError, "a number, got 'a'"),
            ("activation", "x", RuntimeError, "'relu', 'gelu' or a callable, got 'x'"),
        ):
            yield kind, {**TRANSFORMER, name: value}, name, error, expected
    for value in (0, -1, float("nan")):
        options = {**ADAPTIVE, "div_value": value}
        yield "AdaptiveLogSoftmaxWithLoss", options, "div_value", ValueError, f"a number above 0, got {value}"
    yield "AdaptiveLogSoftmaxWithLoss", {**ADAPTIVE, "in_features": -1}, "in_features", ValueError, "at least 0, got -1"


@pytest.mark.parametrize(("kind", "options", "name", "error", "expected"), list(cases()), ids=str)
def test_refused(kind, options, name, error, expected):
    with pytest.raises(error, match=f"^{kind}: {name} must be {expected}"):
        getattr(nn, kind)(**options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GRUCell", {"input_size": 0, "hidden_size": 2}),
        ("MultiheadAttention", {**ATTENTION, "kdim": 0}),
        ("AdaptiveLogSoftmaxWithLoss", {**ADAPTIVE, "div_value": 0.5}),
    ],
)
def test_what_torch_takes_too(kind, options):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's initializers warn of tensors without elements
        theirs = getattr(torch.nn, kind)(**options)
    ours = getattr(nn, kind)(**options)
    assert [(n, tuple(p.shape)) for n, p in ours.named_parameters()] == [
        (n, tuple(p.shape)) for n, p in theirs.named_parameters()
    ]
