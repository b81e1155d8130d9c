"""How samples become a batch, and what is taken for an array on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fnn.functional.checks import fail

__all__ = ["default_collate", "on_host"]


def on_host(value: Any) -> np.ndarray[Any, Any]:
    """A jax, numpy or torch array, a box or a number as a numpy array."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
    return np.asarray(value)


def default_collate(batch: Sequence[Any]) -> Any:
    """Stacks samples into one batch of numpy arrays.

    Arrays and numbers are stacked along a new first axis; tuples, named tuples, lists and dicts of them are gone into, and
    the batch has the structure of a sample. Strings and bytes become a list.

    Args:
        batch: the samples, all of one structure; arrays are those of numpy, jax or torch.

    Shape:
        N samples with arrays of shape ``(*)`` give arrays of shape ``(N, *)``.

    Returns:
        the batch.

    Raises:
        ValueError: if there is no sample, or shapes or lengths differ.
        TypeError: if a sample holds something else.

    Source: https://docs.pytorch.org/docs/2.13/data.html#torch.utils.data.default_collate

    Example:
        >>> x, y = default_collate([([1.0, 2.0], 0), ([3.0, 4.0], 1)])
        >>> x[0].tolist(), y.tolist()
        ([1.0, 3.0], [0, 1])
    """
    if not batch:
        fail(ValueError, "default_collate", "batch", "one sample at least", batch)
    first = batch[0]
    if isinstance(first, str | bytes):
        return list(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, tuple | list):
        lengths = {len(sample) for sample in batch}
        if len(lengths) > 1:
            fail(ValueError, "default_collate", "batch", "of samples of one length", sorted(lengths))
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)
    if not (hasattr(first, "__array__") or isinstance(first, bool | int | float | complex)):
        expected = "of arrays, numbers, strings, and dicts, lists and tuples of them"
        fail(TypeError, "default_collate", "batch", expected, type(first).__name__)
    arrays = [on_host(sample) for sample in batch]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        fail(ValueError, "default_collate", "batch", "of arrays of one shape (else pass collate_fn)", sorted(shapes))
    return np.stack(arrays)
