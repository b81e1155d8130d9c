"""Rotary position embedding, and its frequencies."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike, widen
from fnn.functional.checks import as_array, as_int, check_floating, check_real, check_shape, fail
from fnn.functional.explained import explained

__all__ = ["rotary_embedding", "rotary_frequencies"]


@explained
def rotary_frequencies(
    dim: int,
    *,
    base: float = 10000.0,
    factor: float = 1.0,
    low_freq_factor: float | None = None,
    high_freq_factor: float | None = None,
    original_max_position_embeddings: int | None = None,
    dtype: jax.typing.DTypeLike | None = None,
) -> jax.Array:
    """The angles, in radians, by which ``rotary_embedding`` turns the pairs of features from one position to the next.

    Pair i has ``base ** (-2 i / dim)``. A ``factor`` divides them, so that a model trained on some length reads one that is
    so much longer (Chen et al., 2023). With the three arguments that follow, those of Llama 3.1, only slow pairs are divided:
    a pair that turns at most ``low_freq_factor`` times in the original length is divided, one that turns at least
    ``high_freq_factor`` times is not, those between are partly.

    Args:
        dim: number of features that are rotated; even.
        base: the base of the powers, ``rope_theta`` in Hugging Face's configurations.
        factor: by what frequencies are divided.
        low_freq_factor: turns up to which a pair is divided; the last three only together.
        high_freq_factor: turns from which a pair is left alone.
        original_max_position_embeddings: the length that the turns are counted in.
        dtype: of the result, float32 if not given.

    Shape:
        - output: (dim / 2).

    Returns:
        the frequencies.

    Raises:
        TypeError: if the dtype is not floating.
        ValueError: if ``dim`` is odd or less than 2, a number is not positive, or some of the last three are missing.

    Source: Su et al., RoFormer, 2021; Chen et al., Extending Context Window of Large Language Models via Positional
    Interpolation, 2023; Grattafiori et al., The Llama 3 Herd of Models, 2024

    Example:
        >>> rotary_frequencies(4, base=100.0).round(3).tolist()
        [1.0, 0.10000000149011612]
    """
    name = "rotary_frequencies"
    if as_int(name, "dim", dim, 2) % 2:
        fail(ValueError, name, "dim", "even", dim)
    kind = jnp.dtype(jnp.float32 if dtype is None else dtype)
    if not jnp.issubdtype(kind, jnp.floating):
        fail(TypeError, name, "dtype", "a floating dtype", kind.name)
    bands = {
        "low_freq_factor": low_freq_factor,
        "high_freq_factor": high_freq_factor,
        "original_max_position_embeddings": original_max_position_embeddings,
    }
    missing = [n for n, value in bands.items() if value is None]
    if missing and len(missing) < 3:
        fail(
            ValueError,
            name,
            missing[0],
            f"given together with {' and '.join(n for n in bands if n != missing[0])}",
            None,
        )
    for n, value in {"base": base, "factor": factor, **({} if missing else bands)}.items():
        if not float(value) > 0:  # type: ignore[arg-type]
            fail(ValueError, name, n, "greater than 0", value)
    frequencies = float(base) ** -(np.arange(0, dim, 2) / dim)
    if low_freq_factor is None or high_freq_factor is None or original_max_position_embeddings is None:
        return jnp.asarray(frequencies / factor, kind)
    if high_freq_factor <= low_freq_factor:
        fail(
            ValueError, name, "high_freq_factor", f"greater than low_freq_factor ({low_freq_factor})", high_freq_factor
        )
    turns = original_max_position_embeddings * frequencies / (2 * math.pi)
    kept = np.clip((turns - low_freq_factor) / (high_freq_factor - low_freq_factor), 0, 1)
    frequencies = frequencies * (kept + (1 - kept) / factor)
    return jnp.asarray(frequencies, kind)


@partial(jax.jit, static_argnames=("interleaved",))
def _rotated(x: jax.Array, cos: jax.Array, sin: jax.Array, interleaved: bool) -> jax.Array:
    """The first features of ``x``, two for each number of ``cos``, rotated; the others as they are."""
    dim = 2 * cos.shape[-1]
    turned, rest = x[..., :dim], x[..., dim:]
    turned = widen(turned)
    cos, sin = cos.astype(turned.dtype), sin.astype(turned.dtype)
    if interleaved:
        pairs = turned.reshape(*turned.shape[:-1], dim // 2, 2)
        a, b = pairs[..., 0], pairs[..., 1]
        turned = jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(*x.shape[:-1], dim)
    else:
        a, b = turned[..., : dim // 2], turned[..., dim // 2 :]
        turned = jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)
    turned = turned.astype(x.dtype)
    return jnp.concatenate([turned, rest], -1) if rest.shape[-1] else turned


@partial(jax.jit, static_argnames=("interleaved",))
def _rotated_by_positions(x: jax.Array, positions: jax.Array, frequencies: jax.Array, interleaved: bool) -> jax.Array:
    dtype = jnp.promote_types(widen(x).dtype, jnp.float32)
    angles = positions.astype(dtype)[..., None] * frequencies.astype(dtype)
    return _rotated(x, jnp.cos(angles), jnp.sin(angles), interleaved)


def _placed(name: str, argument: str, array: jax.Array, x: jax.Array, last: int) -> jax.Array:
    """An array over (*, L), with ``last`` more axes, so that its first axes meet those of ``x`` and its L that of ``x``."""
    own = array.shape[: array.ndim - last]
    if not own:
        return array
    wanted = (*x.shape[: len(own) - 1], x.shape[-2])
    if len(own) > x.ndim - 1 or any(n not in (1, m) for n, m in zip(own, wanted, strict=True)):
        whole = ", ".join(map(str, x.shape[:-1]))
        fail(ValueError, name, argument, f"of axes that end with L and begin as those of input ([{whole}])", array)
    between = (1,) * (x.ndim - 1 - len(own))
    return array.reshape(*own[:-1], *between, own[-1], *array.shape[array.ndim - last :])


@explained
def rotary_embedding(
    input: ArrayLike,
    positions: ArrayLike | None = None,
    *,
    base: float = 10000.0,
    dim: int | None = None,
    interleaved: bool = False,
    frequencies: ArrayLike | None = None,
    cos: ArrayLike | None = None,
    sin: ArrayLike | None = None,
) -> jax.Array:
    """Rotates pairs of features by angles that grow with the position, for queries and keys of an attention.

    The features a and b of pair i at position p become ``a cos(w) - b sin(w)`` and ``a sin(w) + b cos(w)``, with
    ``w = p * base ** (-2 i / dim)``. The product of a query and a key so rotated depends on the distance of their positions only.

    Pair i is features i and i + dim / 2, as in GPT-NeoX and in Hugging Face's Llama, or with ``interleaved`` features 2 i and
    2 i + 1, as in RoFormer, GPT-J and Meta's Llama: take what the weights were trained with.

    Args:
        input: queries or keys.
        positions: the position of each; those of a cache's next tokens are ``cache.positions(L)``. Not with ``cos``, ``sin``.
        base: the base of the frequencies.
        dim: how many features, the first ones, are rotated; all if not given.
        interleaved: whether neighbours are a pair.
        frequencies: the angle of each pair from one position to the next, in place of those by ``base`` and ``dim``:
            ``rotary_frequencies`` has Llama 3's.
        cos: the cosines of the angles, in place of ``positions``: so that several layers share one table.
        sin: their sines.

    Shape:
        - input: (*, L, E).
        - positions: (L); or with the first axes of input as well, (N, L) for (N, H, L, E). An axis of length 1 broadcasts.
        - frequencies: (dim / 2).
        - cos, sin: (dim / 2) more than positions has, such as (L, dim / 2).
        - output: as input.

    Returns:
        the rotated array, in the dtype of ``input``. Angles and products are in float32 for half types.

    Raises:
        TypeError: if ``input``, ``frequencies``, ``cos`` or ``sin`` is not floating, or positions are no numbers.
        ValueError: if shapes do not fit, ``dim`` is odd or larger than E, or both or neither of positions and tables are given.

    Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021

    Example:
        >>> import jax.numpy as jnp
        >>> q = jnp.ones((2, 4, 3, 8))
        >>> rotary_embedding(q, jnp.arange(3)).shape
        (2, 4, 3, 8)
    """
    name = "rotary_embedding"
    x = as_array(name, "input", input)
    check_floating(name, input=x)
    if x.ndim < 2:
        fail(ValueError, name, "input", "at least 2-D", x)
    tables = {"cos": cos, "sin": sin}
    if positions is None:
        for argument, table in tables.items():
            if table is None:
                fail(ValueError, name, argument, "given when positions is None", table)
        if frequencies is not None:
            fail(ValueError, name, "frequencies", "None when cos and sin are given", frequencies)
        given = {n: as_array(name, n, table) for n, table in tables.items()}
        check_floating(name, **given)
        for argument, table in given.items():
            if table.ndim < 1:
                fail(ValueError, name, argument, "at least 1-D", table)
        check_shape(name, "sin", given["sin"], given["cos"].shape, "as cos")
        pairs = _pairs(name, "cos", given["cos"], x, dim)
        c, s = (_placed(name, n, table, x, 1) for n, table in given.items())
        return _rotated(x, c, s, bool(interleaved)) if pairs else x
    for argument, table in tables.items():
        if table is not None:
            fail(ValueError, name, argument, "None when positions are given", table)
    where = as_array(name, "positions", positions)
    check_real(name, positions=where)
    if frequencies is None:
        count = x.shape[-1] if dim is None else as_int(name, "dim", dim, 2)
        if count % 2 or not 2 <= count <= x.shape[-1]:
            expected = f"even and from 2 to the {x.shape[-1]} features of input"
            fail(ValueError, name, "dim", expected, count)
        w = rotary_frequencies(count, base=base, dtype=jnp.promote_types(x.dtype, jnp.float32))
    else:
        w = as_array(name, "frequencies", frequencies)
        check_floating(name, frequencies=w)
        check_shape(name, "frequencies", w, (None,))
        if not _pairs(name, "frequencies", w, x, dim):
            return x
    return _rotated_by_positions(x, _placed(name, "positions", where, x, 0), w, bool(interleaved))


def _pairs(name: str, argument: str, given: jax.Array, x: jax.Array, dim: int | None) -> int:
    """How many pairs of features are rotated, by the last axis of what is given."""
    pairs = given.shape[-1]
    if dim is not None and as_int(name, "dim", dim, 2) != 2 * pairs:
        fail(ValueError, name, "dim", f"{2 * pairs}, twice the last length of {argument}", dim)
    if 2 * pairs > x.shape[-1]:
        fail(
            ValueError, name, argument, f"of last length {x.shape[-1] // 2} at most, half the features of input", given
        )
    return pairs
