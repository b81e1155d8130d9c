"""Attention by cuDNN: where a program for CUDA has it, and, without a GPU, that what it is given and gives is right."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo

import fnn.nn.functional as F
from fnn import kernels
from fnn.kernels.attention import cudnn, operations
from fnn.kernels.attention.operations import cudnn_operation
from tests.oracle import assert_close, rand

needs_gpu = pytest.mark.skipif(
    jax.default_backend() != "gpu" or not cudnn.has_cudnn(), reason="needs a GPU with cuDNN's attention"
)

FORWARD, BACKWARD = "fmhaSoftmax", "fmhaSoftmaxBackward"
MASKED, MASKED_BACKWARD = "fmhaScaleBiasSoftmax", "fmhaScaleBiasSoftmaxBackward"


def arrays(batch=(2, 4), length=96, source=96, width=40, out=None, dtype=jnp.bfloat16):
    return [
        jnp.asarray(rand(i, *batch, *shape), dtype)
        for i, shape in enumerate([(length, width), (source, width), (source, out or width)])
    ]


def calls(function, *args, platform="cuda"):
    """The calls of cuDNN in ``function`` lowered for a platform."""
    text = jax.jit(function).trace(*args).lower(lowering_platforms=(platform,)).as_text()
    return set(re.findall(r"@__cudnn\$(\w+)", text))


def loss(q, k, v, **options):
    return (F.scaled_dot_product_attention(q, k, v, **options).astype(jnp.float32) ** 2).sum()


@pytest.fixture
def pretended(monkeypatch):
    """cuDNN as if it were here, also to JAX, which asks for its version."""
    monkeypatch.setattr(operations, "has_cudnn", lambda: True)
    monkeypatch.setattr(fused_attention_stablehlo, "check_cudnn_version", lambda: 91000)


@pytest.fixture
def imitated(monkeypatch):
    """cuDNN's part computed by XLA."""
    real = jax.nn.dot_product_attention

    def imitation(*args, implementation, **options):
        assert implementation == "cudnn"
        return real(*args, implementation="xla", **options)

    monkeypatch.setattr(jax.nn, "dot_product_attention", imitation)


@pytest.mark.parametrize(
    ("sizes", "options", "forward"),
    [
        ({}, {}, FORWARD),
        ({}, {"is_causal": True}, FORWARD),
        ({}, {"scale": 0.3}, FORWARD),
        ({"dtype": jnp.float16, "length": 64, "source": 98}, {}, FORWARD),
        ({"batch": (3,)}, {}, FORWARD),
        ({"batch": (2, 3, 4), "width": 128}, {}, FORWARD),
        ({}, {"attn_mask": np.ones((2, 1, 1, 96), bool)}, MASKED),
        ({"length": 66}, {"attn_mask": np.ones((66, 96), bool)}, MASKED),
    ],
)
def test_programs_for_cuda_with_it(pretended, sizes, options, forward):
    args = arrays(**sizes)

    def run(*args):
        return F.scaled_dot_product_attention(*args, **options)

    def gradients(*args):
        return jax.grad(loss, (0, 1, 2))(*args, **options)

    assert calls(run, *args) == {forward}
    assert calls(gradients, *args) == {forward, forward + "Backward"}
    for platform in ("cpu", "tpu"):
        assert calls(run, *args, platform=platform) == calls(gradients, *args, platform=platform) == set()
    with kernels.plain():
        assert calls(run, *args) == set()


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ({"dtype": jnp.float32}, {}),
        ({"width": 44}, {}),
        ({"width": 136}, {}),
        ({"out": 48}, {}),
        ({"length": 63}, {}),
        ({"source": 63}, {}),
        ({"length": 97}, {}),
        ({"source": 97}, {}),
        ({"length": 98}, {"is_causal": True}),
        ({}, {"attn_mask": np.zeros((96, 96), np.float32)}),
        ({"batch": (1, 1)}, {"attn_mask": np.ones((2, 1, 96, 96), bool)}),
        ({}, {"scale": jnp.asarray(0.3)}),
        ({}, {"dropout_p": 0.1, "rng": np.zeros(2, np.uint32)}),
    ],
)
def test_programs_for_cuda_without_it(pretended, sizes, options):
    args = arrays(**sizes)
    assert calls(lambda *a: loss(*a, **options), *args) == set()


def test_without_cudnn_programs_for_cuda_are_plain():
    if cudnn.has_cudnn():
        pytest.skip("there is a GPU here")
    assert calls(lambda *a: loss(*a), *arrays(batch=(2, 5))) == set()


def test_grouped_heads(pretended):
    q, k, v = arrays()
    k, v = k[:, :2], v[:, :2]
    assert calls(lambda *a: loss(*a, enable_gqa=True), q, k, v) == {FORWARD}


def test_other_derivatives_are_plain_and_vmap_is_not(pretended):
    q, k, v = arrays()
    gradient = jax.grad(loss)
    assert calls(lambda q: jax.jvp(lambda q: loss(q, k, v), (q,), (q,))[1], q) <= {FORWARD}
    twice = calls(jax.grad(lambda q: (gradient(q, k, v).astype(jnp.float32) ** 2).sum()), q)
    assert twice <= {FORWARD, BACKWARD}
    both = {FORWARD, BACKWARD}
    assert calls(jax.vmap(gradient, (0, None, None)), jnp.stack([q, q]), k, v) == both
    assert calls(jax.grad(lambda q: jax.vmap(loss, (0, None, None))(q, k, v).sum()), jnp.stack([q, q])) == both
    mask = jnp.ones((2, 1, 96, 96), bool)
    one_mask = jax.vmap(lambda q, m: gradient(q, k, v, attn_mask=m), (0, None))
    assert calls(one_mask, jnp.stack([q, q]), mask) == {MASKED, MASKED_BACKWARD}


def test_several_platforms_in_one_program(pretended):
    allowed = [jax.export.DisabledSafetyCheck.custom_call(f"__cudnn${name}") for name in (FORWARD,)]
    q, k, v = arrays(batch=(3, 2))
    run = jax.jit(lambda *a: F.scaled_dot_product_attention(*a))
    program = jax.export.export(run, platforms=["cpu", "cuda"], disabled_checks=allowed)(q, k, v)
    assert "__cudnn$" in program.mlir_module()
    assert_close(program.call(q, k, v).astype(jnp.float64), run(q, k, v).astype(jnp.float64))


HIDING = np.arange(96)[:, None] % 7 != 3
MASKS = {
    "none": None,
    "shared": (rand(3, 1, 1, 96, 96) > 0) & HIDING,
    "keys": rand(4, 2, 1, 1, 96) > 0,
    "heads": (rand(5, 1, 4, 96, 96) > 0) & HIDING,
    "all": (rand(6, 2, 4, 96, 96) > 0) & HIDING,
}


def compare_with_plain(function, plain, args, tolerance):
    def both(f):
        def total(*args):
            return (f(*args).astype(jnp.float32) * rand(9, *args[0].shape)).sum()

        return f(*args), *jax.grad(total, (0, 1, 2))(*args)

    for ours, theirs in zip(jax.jit(lambda: both(function))(), jax.jit(lambda: both(plain))(), strict=True):
        assert ours.dtype == theirs.dtype
        assert_close(ours.astype(jnp.float64), theirs.astype(jnp.float64), rtol=tolerance, atol=tolerance)


@pytest.mark.one_in(5)
@pytest.mark.parametrize(("name", "causal"), [*((name, False) for name in MASKS), ("none", True)])
def test_values(imitated, name, causal):
    args, mask = arrays(dtype=jnp.float32), MASKS[name]
    mask = None if mask is None else jnp.asarray(mask)
    operation = cudnn_operation(causal, mask is not None, 0.3, False)
    masks = () if mask is None else (mask,)
    compare_with_plain(
        lambda q, k, v: cudnn.attention_cudnn(q, k, v, mask, causal, 0.3),
        lambda *a: operation.plain(*a, *masks),
        args,
        2e-5,
    )


@pytest.mark.one_in(2)
@pytest.mark.parametrize("blocks", [False, True])
def test_forms_off_cuda(imitated, blocks):
    """The other forms of the Operation, which a process with a GPU runs on its CPU."""
    args, mask = arrays(dtype=jnp.float32), jnp.asarray(MASKS["all"])
    operation = cudnn_operation(False, True, 0.3, blocks)
    compare_with_plain(lambda *a: operation(*a, mask), lambda *a: operation.plain(*a, mask), args, 2e-5)


@pytest.mark.parametrize("name", ["none", "shared", "all"])
def test_cuda_form_under_vmap(imitated, name):
    """The form for CUDA of the batched Operation and of its gradients, run here."""
    q, k, v = arrays(dtype=jnp.float32)
    masks = () if MASKS[name] is None else (jnp.asarray(MASKS[name]),)
    operation = cudnn_operation(False, bool(masks), 0.3, False)
    many = jnp.stack([q, q + 1, q - 1])
    axes = (0, None, None, *(None for _ in masks))
    (ours,) = operation.batched(axes).cuda_flat(many, k, v, *masks)
    assert_close(ours, jax.vmap(operation.plain, axes)(many, k, v, *masks), rtol=2e-5, atol=2e-5)
    gradients = operation.gradients((0, 1), len(axes), 1).batched((*axes, 0, 0))
    operands = (many, k, v, *masks, ours, jnp.cos(ours))
    for a, b in zip(gradients.cuda_flat(*operands), gradients.plain_flat(*operands), strict=True):
        assert_close(a, b, rtol=2e-5, atol=2e-5)


@needs_gpu
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("name", [*MASKS, "causal"])
def test_on_a_gpu(dtype, name):
    args = arrays(dtype=dtype)
    options = {"is_causal": True} if name == "causal" else {"attn_mask": MASKS[name]}

    def run(*args):
        return F.scaled_dot_product_attention(*args, **options)

    def plain(*args):
        with kernels.plain():
            return run(*args)

    assert "__cudnn$" in jax.jit(run).lower(*args).as_text()
    compare_with_plain(run, plain, args, 0.03)


@needs_gpu
def test_vmap_second_derivatives_and_forward_mode_on_a_gpu():
    q, k, v = arrays()
    many = jnp.stack([q, q + 1])
    one = lambda q: jax.grad(loss, (0, 1))(q, k, v, is_causal=True)  # noqa: E731
    second = lambda q: jax.grad(lambda q: (one(q)[0].astype(jnp.float32) ** 2).mean())(q)  # noqa: E731
    forward = lambda q: jax.jvp(lambda q: loss(q, k, v), (q,), (jnp.cos(q),))[1]  # noqa: E731
    for function, x in ((jax.vmap(one), many), (second, q), (forward, q)):
        ours = jax.jit(function)(x)
        with kernels.plain():
            theirs = jax.jit(function)(x)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            scale = float(jnp.abs(b).max())
            assert_close(a.astype(jnp.float64) / scale, b.astype(jnp.float64) / scale, rtol=0.05, atol=0.02)
