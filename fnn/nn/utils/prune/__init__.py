"""Pruning: elements of a parameter held at zero by a mask.

The parameter ``weight`` becomes ``weight_orig``, the mask is the buffer ``weight_mask``, and ``weight`` is their product,
computed each time it is read; nothing computed is stored, so that no traced array can stay behind.
"""

from fnn.nn.utils.prune.base import BasePruningMethod as BasePruningMethod, PruningContainer as PruningContainer
from fnn.nn.utils.prune.functions import (
    custom_from_mask as custom_from_mask,
    global_unstructured as global_unstructured,
    identity as identity,
    is_pruned as is_pruned,
    l1_unstructured as l1_unstructured,
    ln_structured as ln_structured,
    random_structured as random_structured,
    random_unstructured as random_unstructured,
    remove as remove,
)
from fnn.nn.utils.prune.methods import (
    CustomFromMask as CustomFromMask,
    Identity as Identity,
    L1Unstructured as L1Unstructured,
    LnStructured as LnStructured,
    RandomStructured as RandomStructured,
    RandomUnstructured as RandomUnstructured,
)

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]
