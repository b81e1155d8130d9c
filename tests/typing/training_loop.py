# pyright: strict
"""A user's script: a Module of their own, two optimizers' worth of torch habits, a compiled step."""

from __future__ import annotations

from typing import assert_type

import jax
import numpy as np
from jax.typing import ArrayLike

import fnn
import fnn.nn.functional as F
from fnn import nn, optim


class Net(nn.Module):
    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(2)
        self.blocks = nn.ModuleList([nn.Linear(8, 8) for _ in range(2)])
        self.head = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, classes))
        self.scale = nn.Parameter(np.ones(8, np.float32))

    def forward(self, x: ArrayLike) -> jax.Array:
        h = self.pool(F.relu(self.norm(self.conv(x))))
        assert_type(h, jax.Array)
        h = h.mean((2, 3)) * self.scale + 1
        for block in self.blocks:
            assert_type(block, nn.Linear)
            h = h + block(h)
        return self.head(h)


fnn.manual_seed(0)
model = Net()
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)


@fnn.jit
def train_step(x: ArrayLike, y: ArrayLike) -> jax.Array:
    loss = optimizer.step(lambda: criterion(model(x), y))
    assert_type(loss, jax.Array)
    return loss


@fnn.jit(static_argnames="reduction")
def evaluate(x: ArrayLike, y: ArrayLike, reduction: str = "mean") -> tuple[jax.Array, jax.Array]:
    logits = model(x)
    return F.cross_entropy(logits, y, reduction=reduction), logits.argmax(-1)


def four_steps(x: ArrayLike, y: ArrayLike) -> tuple[jax.Array, jax.Array]:
    def closure() -> tuple[jax.Array, jax.Array]:
        logits = model(x)
        return criterion(logits, y), logits

    optimizer.zero_grad()
    loss, logits = fnn.backward(closure, model, has_aux=True)
    assert_type(loss, jax.Array)
    assert_type(logits, jax.Array)
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    assert_type(norm, jax.Array)
    optimizer.step()
    return loss, logits


def main() -> None:
    x, y = np.ones((4, 1, 8, 8), np.float32), np.zeros(4, np.int32)
    for _ in range(2):
        loss = train_step(x, y)
        assert_type(loss, jax.Array)
        scheduler.step()
    assert_type(scheduler.get_last_lr(), list[float | jax.Array])
    value, classes = evaluate(x, y, reduction="sum")
    assert_type(value, jax.Array)
    assert_type(classes, jax.Array)
    assert_type(model(x), jax.Array)
    for name, parameter in model.named_parameters():
        assert_type(name, str)
        assert_type(parameter, nn.Parameter)
    for parameter in model.parameters():
        if parameter.grad is not None:
            assert_type(parameter.grad, jax.Array)
    state = model.state_dict()
    model.load_state_dict(state, strict=True)
    fnn.save(state, "model.safetensors")
    loss, _ = four_steps(x, y)
    print(float(loss), optimizer.param_groups[0]["lr"])


if __name__ == "__main__":
    main()
