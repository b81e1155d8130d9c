"""Whole runs in bfloat16 follow those in float32: digits by convolutions, a small GPT on text; float16 with a scaled loss."""

import importlib.util
import sys
from itertools import islice
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import optim
from fnn.nn import functional as F

for package in ("sklearn", "matplotlib", "tqdm"):
    pytest.importorskip(package)

BF16, F16, F32 = jnp.bfloat16, jnp.float16, jnp.float32


def example(name):
    path = Path(__file__).parents[2] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_in_half_precision", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(model, loss_of, batches, dtype, lr):
    """The losses of a run in a dtype, all of it in float32 if that is ``None``; in float16 the loss is scaled."""
    optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-2)
    scaler = fnn.amp.GradScaler(enabled=dtype == F16)

    @fnn.jit
    def step(x, y):
        def closure():
            with fnn.autocast("cpu", dtype=dtype or BF16, enabled=dtype is not None):
                loss = loss_of(model(x), y)
            return scaler.scale(loss), loss

        optimizer.zero_grad()
        _, loss = fnn.backward(closure, model, has_aux=True)
        scaler.step(optimizer)
        scaler.update()
        return loss

    losses = [float(step(x, y)) for x, y in batches]
    assert {p.dtype for p in model.parameters()} == {p.grad.dtype for p in model.parameters()} == {jnp.dtype(F32)}
    return np.array(losses), scaler


@pytest.fixture(scope="module")
def digits():
    return example("digits")


def digits_run(digits, dtype):
    data = digits.load_data()
    fnn.manual_seed(0)
    model = digits.Net(0.0)
    losses, scaler = run(model, F.cross_entropy, islice(digits.training_batches(data), 30), dtype, 5e-4)
    model.eval()
    with fnn.autocast("cpu", dtype=dtype or BF16, enabled=dtype is not None):
        logits = model(data.x_val)
    assert logits.dtype == jnp.dtype(dtype or F32)
    return losses, float(F.cross_entropy(logits.astype(F32), data.y_val)), scaler


def test_digits(digits):
    exact, exact_validation, _ = digits_run(digits, None)
    losses, validation, _ = digits_run(digits, BF16)
    assert exact[-1] < exact[0] / 3
    assert (losses != exact).any()
    assert abs(losses.mean() / exact.mean() - 1) < 0.005
    assert abs(validation / exact_validation - 1) < 0.005


@pytest.mark.slow
def test_digits_in_float16_with_a_scaled_loss(digits):
    exact, exact_validation, _ = digits_run(digits, None)
    losses, validation, scaler = digits_run(digits, F16)
    assert abs(losses.mean() / exact.mean() - 1) < 0.005
    assert abs(validation / exact_validation - 1) < 0.005
    assert scaler.get_scale() >= 1024


def test_a_small_gpt():
    gpt = example("char_transformer")
    gpt.CONTEXT, gpt.BATCH, gpt.WIDTH, gpt.HEADS, gpt.DEPTH = 32, 8, 32, 2, 2
    characters, text = gpt.load_text()

    def losses(dtype):
        fnn.manual_seed(0)
        model, rng = gpt.GPT(len(characters)).eval(), np.random.default_rng(0)
        batches = (gpt.windows(text, rng) for _ in range(60))
        return run(
            model, lambda out, y: F.cross_entropy(out.reshape(-1, len(characters)), y.reshape(-1)), batches, dtype, 2e-3
        )[0]

    exact, half = losses(None), losses(BF16)
    assert exact[-10:].mean() < 0.75 * exact[0]
    assert (half != exact).any()
    np.testing.assert_allclose(half, exact, rtol=0.005)
