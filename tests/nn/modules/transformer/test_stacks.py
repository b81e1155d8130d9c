"""Stacks of Transformer layers and the whole Transformer: against torch, copied, wrongly called."""

import copy
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.nn.modules.transformer import _get_activation_fn, _get_clones
from tests.nn.modules.transformer.against_torch import CAUSAL, FLOATING, OPTIONS, PADDING, compare, load, pair, sequence
from tests.oracle import assert_close, needs_torch, rand, to_torch


@needs_torch
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_stacks():
    import torch

    layer = nn.TransformerEncoderLayer(6, 2, 8, 0.0, nn.GELU(), dtype=jnp.float64)
    torch_layer = torch.nn.TransformerEncoderLayer(6, 2, 8, 0.0, torch.nn.GELU(), dtype=torch.float64)
    ours, theirs = load(
        nn.TransformerEncoder(layer, 2, nn.LayerNorm(6, dtype=jnp.float64)),
        torch.nn.TransformerEncoder(torch_layer, 2, torch.nn.LayerNorm(6, dtype=torch.float64)),
    )
    x = sequence(1, {})
    compare(ours, theirs, [x], mask=FLOATING)
    assert_close(ours(x, CAUSAL), ours(x, FLOATING))
    assert_close(jax.jit(ours)(x, CAUSAL), ours(x, CAUSAL))
    layer = nn.TransformerDecoderLayer(6, 2, 8, 0.0, activation=jnp.tanh, dtype=jnp.float64)
    torch_layer = torch.nn.TransformerDecoderLayer(6, 2, 8, 0.0, activation=torch.tanh, dtype=torch.float64)
    ours, theirs = load(nn.TransformerDecoder(layer, 2), torch.nn.TransformerDecoder(torch_layer, 2))
    compare(ours, theirs, [x, sequence(2, {}, 5)], tgt_mask=CAUSAL)


@needs_torch
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("options", OPTIONS[:2])
def test_transformer(options):
    ours, theirs = pair("Transformer", 6, 2, 1, 2, 8, 0.0, **options)
    src, tgt = sequence(1, options, 5), sequence(2, options)
    compare(ours, theirs, [src, tgt], tgt_mask=FLOATING)
    far = np.zeros((3, 5), bool)
    far[1, 3:] = True
    own = rand(3, 6, 5, 5) > 0.5
    own[:, :, 0] = False
    masks = {
        "src_mask": own,
        "tgt_mask": CAUSAL,
        "memory_mask": own[0, :4],
        "src_key_padding_mask": far,
        "tgt_key_padding_mask": PADDING,
        "memory_key_padding_mask": far,
        "src_is_causal": False,
        "tgt_is_causal": True,
    }
    assert_close(ours(src, tgt, **masks), theirs(*to_torch([src, tgt]), **to_torch(masks)).detach().numpy())
    assert_close(ours(src[0], tgt[0]), theirs(*to_torch([src[0], tgt[0]])).detach().numpy())
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    assert_close(mask, theirs.generate_square_subsequent_mask(4).numpy())
    assert mask.dtype == jnp.float32


@needs_torch
@pytest.mark.parametrize(
    "name",
    [
        "Transformer",
        "TransformerDecoder",
        "TransformerDecoderLayer",
        "TransformerEncoder",
        "TransformerEncoderLayer",
        "MultiheadAttention",
        "AdaptiveLogSoftmaxWithLoss",
    ],
)
def test_signatures(name):
    import torch

    for method in ("__init__", "forward"):
        ours, theirs = (
            [(p.name, getattr(p.default, "__name__", p.default)) for p in inspect.signature(f).parameters.values()]
            for f in (getattr(getattr(package, name), method) for package in (nn, torch.nn))
        )
        own = [("cache", None)] if (name, method) == ("MultiheadAttention", "forward") else []
        assert ours == theirs + own


def test_initial_distribution():
    model = nn.Transformer(16, 2, 1, 1, 48)
    for name, p in model.named_parameters():
        bound = np.sqrt(6 / sum(p.shape)) if p.ndim > 1 else 0.25
        assert abs(np.asarray(p)).max() <= (1 if "norm" in name else bound), name
        assert p.ndim == 1 or abs(np.asarray(p)).max() > 0.9 * bound, name


def test_layers_are_copies():
    layer = nn.TransformerEncoderLayer(6, 2, 8)
    stack = nn.TransformerEncoder(layer, 3)
    assert len({id(p) for p in [*stack.parameters(), *layer.parameters()]}) == 4 * len(list(layer.parameters()))
    for copied in stack.layers:
        assert_close(copied.linear1.weight, layer.linear1.weight)
    layer.linear1.weight.copy_(np.zeros((8, 6)))
    assert np.asarray(stack.layers[0].linear1.weight).any()


def test_dropout_and_copies():
    model = nn.Transformer(6, 2, 1, 1, 8, dtype=jnp.float64)
    src, tgt = sequence(1, {}, 5), sequence(2, {})
    params, buffers = fnn.state(model)
    run = jax.jit(lambda params, key: fnn.functional_call(model, params, buffers, src, tgt, rng=key)[0])
    first, again, other = (run(params, jax.random.key(seed)) for seed in (0, 0, 1))
    assert_close(first, again)
    assert not np.allclose(first, other)
    model.eval()
    expected = model(src, tgt)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_close(twin(src, tgt), expected)


def test_custom_parts():
    class Double(nn.Module):
        def forward(self, x, *args, **kwargs):
            return 2 * jnp.asarray(x)

    model = nn.Transformer(6, 2, custom_encoder=Double(), custom_decoder=Double())
    assert not list(model.parameters())
    x = np.ones((4, 3, 6), np.float32)
    assert_close(model(x, x), 2 * x)


def test_errors():
    for name in ("TransformerEncoderLayer", "TransformerDecoderLayer"):
        with pytest.raises(RuntimeError, match="activation"):
            getattr(nn, name)(6, 2, activation="tanh")
        with pytest.raises(ValueError, match="nhead must be a number that divides d_model"):
            getattr(nn, name)(6, 4)
    model = nn.Transformer(6, 2, 1, 1, 8)
    x = np.ones((4, 3, 6), np.float32)
    with pytest.raises(RuntimeError, match="batch number"):
        model(x, x[:, :2])
    with pytest.raises(RuntimeError, match="batch number"):
        model(x, x[0])
    for length in (3, 5):
        with pytest.raises((ValueError, RuntimeError), match="mask"):
            model(x, x, nn.Transformer.generate_square_subsequent_mask(length))
    with pytest.raises(ValueError, match="2-D or 3-D"):
        model(x[None], x)
    with pytest.raises(RuntimeError, match="d_model"):
        model(x[..., :4], x)


def test_names_within_torch():
    assert _get_activation_fn("gelu") is nn.functional.gelu
    with pytest.raises(RuntimeError, match="activation must be 'relu', 'gelu' or a callable, got 'tanh'"):
        _get_activation_fn("tanh")
    layer = nn.Linear(2, 3)
    copies = _get_clones(layer, 2)
    assert [type(copy) for copy in copies] == [nn.Linear] * 2
    assert not {id(layer.weight)} & {id(copy.weight) for copy in copies}
    assert_close(copies[1].weight, layer.weight)
