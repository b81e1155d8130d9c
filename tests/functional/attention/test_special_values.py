"""Attention with infinities and NaN in each operand and in floating masks, in both forms, against torch."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn
from fnn.kernels.attention.config import BOUNDS
from fnn.kernels.attention.operations import attention
from tests.oracle import from_torch, rand

torch = pytest.importorskip("torch")

HEADS, LENGTH, SOURCE, WIDTH = 2, 40, 38, 4
# Blocks of 16 queries, so that the special one lies in the middle of three; and none at all.
FORMS = {
    "blocks": dataclasses.replace(
        BOUNDS, few_queries=1, small=1, rows=(16, 16), causal_rows=(16, 16), step=1000, causal_step=1000, most=600
    ),
    "plain": dataclasses.replace(BOUNDS, small=1 << 40),
}

INF, NAN = math.inf, math.nan
OPERANDS = [(name, value) for name in ("query", "key", "value") for value in (INF, -INF, NAN)]
MASKS = {
    "a row of -inf": [(4, slice(None), -INF)],
    "every other column -inf": [(slice(None), slice(None, None, 2), -INF)],
    "inf": [(4, 7, INF)],
    "inf twice": [(4, 7, INF), (4, 9, INF)],
    "nan": [(4, 7, NAN)],
    "all -inf but one nan": [(4, slice(None), -INF), (4, 7, NAN)],
}


def _arrays(name: str | None = None, value: float = 0.0) -> dict[str, np.ndarray]:
    arrays = {n: rand(i, 1, HEADS, (LENGTH, SOURCE, SOURCE)[i], WIDTH) for i, n in enumerate(("query", "key", "value"))}
    if name is not None:
        arrays[name][0, 0, 20, 1] = value
    return arrays


def _ours(form: str, arrays: dict[str, np.ndarray], mask: np.ndarray | None, causal: bool) -> list[np.ndarray]:
    def run(q: Any, k: Any, v: Any) -> jax.Array:
        added = None if mask is None else jnp.asarray(mask)
        return attention(q * WIDTH**-0.5, k, v, added, causal, bounds=FORMS[form])

    out, pull = jax.vjp(run, *map(jnp.asarray, arrays.values()))
    return [np.asarray(a) for a in (out, *pull(jnp.asarray(rand(7, *out.shape))))]


def _by_torch(arrays: dict[str, np.ndarray], mask: np.ndarray | None) -> list[np.ndarray]:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    tensors = [torch.tensor(a, requires_grad=True) for a in arrays.values()]
    with sdpa_kernel(SDPBackend.MATH):
        added = None if mask is None else torch.tensor(mask)
        out = torch.nn.functional.scaled_dot_product_attention(*tensors, attn_mask=added)
    grads = torch.autograd.grad(out, tensors, torch.tensor(rand(7, *out.shape)))
    return [from_torch(t) for t in (out, *grads)]


def _same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for name, a, b in zip(("output", "of query", "of key", "of value"), ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True, err_msg=name)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "value"), OPERANDS)
def test_operands(form: str, name: str, value: float) -> None:
    arrays = _arrays(name, value)
    _same(_ours(form, arrays, None, False), _by_torch(arrays, None))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("entries", MASKS.values(), ids=list(MASKS))
def test_masks(form: str, entries: list[tuple[Any, Any, float]]) -> None:
    mask = rand(5, LENGTH, SOURCE)
    for row, column, value in entries:
        mask[row, column] = value
    _same(_ours(form, _arrays(), mask, False), _by_torch(_arrays(), mask))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "value"), OPERANDS)
def test_causal(form: str, name: str, value: float) -> None:
    """What a query sees is in its row; a key that it does not see may spoil it where torch's own kernels let it.

    torch adds -inf to the scores or leaves them out, by kernel, and 0 times infinity is NaN: here no key is multiplied that
    lies in a block after the query's.
    """
    arrays = _arrays(name, value)
    ours = _ours(form, arrays, None, True)
    mask = np.where(np.tril(np.ones((LENGTH, SOURCE), bool)), 0, -INF)
    theirs = _by_torch(arrays, mask)
    for a, b in zip(ours, theirs, strict=True):
        # Finite here means right, and torch has no value that is not one here.
        known = np.isfinite(a) & np.isfinite(b)
        np.testing.assert_allclose(a[known], b[known], rtol=1e-9, atol=1e-12)
        assert not (np.isfinite(b) & ~np.isfinite(a)).any()
    # Each query by itself, with the keys that it sees alone: 0 to its own number.
    q, k, v = arrays.values()
    for row in (3, 19, 20, 25, 37):
        seen = min(row + 1, SOURCE)
        alone = _by_torch({"q": q[..., row : row + 1, :], "k": k[..., :seen, :], "v": v[..., :seen, :]}, None)[0]
        got = ours[0][..., row : row + 1, :]
        if form == "blocks" and row // 16 < 20 // 16:
            np.testing.assert_allclose(got, alone, rtol=1e-9, atol=1e-12)
        known = np.isfinite(got)
        np.testing.assert_allclose(got[known], alone[known], rtol=1e-9, atol=1e-12)
        assert not (known & ~np.isfinite(alone)).any()


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("name", ["query", "key", "value", "attn_mask", "key_padding_mask"])
@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_multi_head_attention(need_weights: bool, name: str, value: float) -> None:
    theirs = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64)
    ours = nn.MultiheadAttention(4, 2, batch_first=True, dtype=jnp.float64)
    ours.load_state_dict({n: from_torch(t) for n, t in theirs.state_dict().items()})
    inputs = {n: rand(i, 2, 5, 4) for i, n in enumerate(("query", "key", "value"))}
    masks = {"attn_mask": rand(8, 5, 5), "key_padding_mask": rand(9, 2, 5)}
    changed = inputs[name][0, 2] if name in inputs else masks[name][1]
    changed[1] = value
    mine = ours(*map(jnp.asarray, inputs.values()), need_weights=need_weights, **masks)
    wanted = theirs(
        *map(torch.tensor, inputs.values()),
        need_weights=need_weights,
        **{n: torch.tensor(m) for n, m in masks.items()},
    )
    for a, b in zip(mine, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(np.asarray(a), from_torch(b), rtol=1e-9, atol=1e-12, equal_nan=True)
