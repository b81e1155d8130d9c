"""Transformer layers against torch."""

import copy
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from tests.oracle import assert_close, needs_torch, rand, to_torch

PADDING = np.array([[False] * 4, [False, False, True, True], [False] * 4])
CAUSAL = np.triu(np.ones((4, 4), bool), 1)
FLOATING = np.triu(np.full((4, 4), -np.inf), 1)
OPTIONS = [
    {},
    {"activation": "gelu", "batch_first": True, "norm_first": True},
    pytest.param({"bias": False, "layer_norm_eps": 1e-3, "norm_first": True}, marks=pytest.mark.slow),
]


def pair(name, *args, **options):
    import torch

    theirs = getattr(torch.nn, name)(*args, **options, dtype=torch.float64)
    ours = getattr(nn, name)(*args, **options, dtype=jnp.float64)
    return load(ours, theirs)


def load(ours, theirs):
    import torch

    for p in theirs.parameters():
        torch.nn.init.uniform_(p, -0.7, 0.7)
    ours.load_state_dict(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    return ours, theirs


def compare(ours, theirs, arrays, **masks):
    wanted = theirs(*to_torch(list(arrays)), **to_torch(masks))
    assert_close(ours(*arrays, **masks), wanted.detach().numpy())
    (wanted**2).sum().backward()
    theirs_grads = {name: p.grad.numpy().copy() for name, p in theirs.named_parameters()}
    theirs.zero_grad()
    fnn.jit(lambda arrays: fnn.backward(lambda: (ours(*arrays, **masks) ** 2).sum(), ours))(arrays)
    for name, grad in theirs_grads.items():
        assert_close(ours.get_parameter(name).grad, grad, what=name)
    ours.zero_grad()


def sequence(seed, options, length=4):
    return rand(seed, *((3, length) if options.get("batch_first") else (length, 3)), 6)


@needs_torch
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("options", OPTIONS)
def test_encoder_layer(options):
    ours, theirs = pair("TransformerEncoderLayer", 6, 2, 8, 0.0, **options)
    x = sequence(1, options)
    compare(ours, theirs, [x])
    for masks in (
        {"src_mask": CAUSAL, "is_causal": True},
        {"src_mask": FLOATING, "src_key_padding_mask": FLOATING[:3]},
    ):
        assert_close(ours(x, **masks), theirs(to_torch(x), **to_torch(masks)).detach().numpy())
    ours.eval()
    theirs.eval()
    masks = {"src_key_padding_mask": PADDING}
    assert_close(ours(x, **masks), theirs(to_torch(x), **to_torch(masks)).detach().numpy())
    assert_close(ours(x[0]), theirs(to_torch(x[0])).detach().numpy())


@needs_torch
@pytest.mark.parametrize("options", OPTIONS)
def test_decoder_layer(options):
    ours, theirs = pair("TransformerDecoderLayer", 6, 2, 8, 0.0, **options)
    x, memory = sequence(1, options), sequence(2, options, 5)
    compare(ours, theirs, [x, memory])
    masks = {
        "tgt_mask": CAUSAL,
        "memory_mask": rand(3, 4, 5) > 0.5,
        "tgt_key_padding_mask": PADDING,
        "memory_key_padding_mask": np.array([[False] * 5] * 2 + [[False] * 4 + [True]]),
        "tgt_is_causal": True,
    }
    masks["memory_mask"][:, 0] = False
    assert_close(ours(x, memory, **masks), theirs(*to_torch([x, memory]), **to_torch(masks)).detach().numpy())


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
        assert ours == theirs


def test_initial_distribution():
    model = nn.Transformer(16, 2, 1, 1, 48)
    for name, p in model.named_parameters():
        bound = np.sqrt(6 / sum(p.shape)) if p.ndim > 1 else 0.25
        assert abs(np.asarray(p)).max() <= (1 if "norm" in name else bound), name
        assert p.ndim == 1 or abs(np.asarray(p)).max() > 0.9 * bound, name


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_dtypes(dtype):
    layer = nn.TransformerDecoderLayer(6, 2, 8, 0.0, dtype=jnp.float64)
    x, memory = sequence(1, {}), sequence(2, {}, 5)
    expected = layer(x, memory, tgt_mask=CAUSAL)
    layer.to(dtype)
    out = layer(jnp.asarray(x, dtype), jnp.asarray(memory, dtype), tgt_mask=CAUSAL)
    assert out.dtype == dtype
    assert_close(out.astype(jnp.float64), expected, 0.05, 0.05)


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
        with pytest.raises(ValueError, match="divisible"):
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
