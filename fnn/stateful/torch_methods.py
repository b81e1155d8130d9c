"""Methods of torch's tensors that arrays of JAX lack, or have with other arguments: the error gets a line with the remedy."""

from __future__ import annotations

import re
import traceback

import jax

from fnn.stateful.remedies import with_remedy

__all__ = ["note_torch_method"]

_SECTION = "a-method-of-tensors"
_BACKWARD = "an-array-has-no-backward"
# What torch's tensors have and arrays lack.
_MISSING = frozenset(
    """abs add bernoulli_ bfloat16 bmm chunk clamp contiguous cos cpu cuda detach dim div double eq erf exp expand
    expand_as fill_ flip float gather half index_select int is_contiguous log logical_not logsumexp long masked_fill masked_fill_
    matmul mm movedim mul narrow neg new_zeros norm numel numpy permute pow relu requires_grad requires_grad_ roll rsqrt scatter
    scatter_ sigmoid sin softmax split sqrt stride sub t tanh tensor_split tile to topk tril triu type type_as unbind unflatten
    unfold unsqueeze view_as where zero_""".split()
)
# What JAX and Python say of a method that arrays have too, with arguments of torch's.
_OTHER_ARGUMENTS = re.compile(
    r"^_?\w+\(\) got an unexpected keyword argument '(dim|keepdim|dims|unbiased|repeats|descending)'"
    r"|^_(flatten|repeat|view|std|var|sort|squeeze|transpose|reshape)\(\) takes "
    r"|^`type` argument of array\.view\(\)"
    r"|^Unexpected value for 'order' argument: -?\d"
    r"|^transpose permutation isn't a permutation"
)


def note_torch_method(error: BaseException) -> None:
    """Adds to an error of a method that an array has not, or not as torch's tensors have it, where to read what to write.

    Args:
        error: the error of a user's code; others stay as they are.

    Example:
        >>> import jax.numpy as jnp
        >>> try:
        ...     jnp.ones((2, 3)).permute(1, 0)
        ... except AttributeError as error:
        ...     note_torch_method(error)
        ...     print(error.__notes__)
        ['Remedies: python -m fnn explain a-method-of-tensors']
    """
    if isinstance(error, AttributeError) and error.name == "backward" and isinstance(error.obj, jax.Array):
        if not any(_BACKWARD in note for note in getattr(error, "__notes__", ())):
            with_remedy(error, _BACKWARD)
    elif _is_torch_method(error) and not any(_SECTION in note for note in getattr(error, "__notes__", ())):
        with_remedy(error, _SECTION)


def _is_torch_method(error: BaseException) -> bool:
    if isinstance(error, AttributeError):
        return error.name in _MISSING and isinstance(error.obj, jax.Array)
    if not isinstance(error, TypeError | ValueError | NotImplementedError):
        return False
    message = str(error)
    if message == "'int' object is not callable":  # x.size(1)
        frames = traceback.extract_tb(error.__traceback__)
        return bool(frames) and ".size(" in (frames[-1].line or "")
    return _OTHER_ARGUMENTS.search(message) is not None
