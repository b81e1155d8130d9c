"""Pruning: elements of a parameter held at zero by a mask.

The parameter ``weight`` becomes ``weight_orig``, the mask is the buffer ``weight_mask``, and ``weight`` is their product,
computed each time it is read; nothing computed is stored, so that no traced array can stay behind.
"""

from fnn.nn.utils.prune.base import BasePruningMethod as BasePruningMethod
from fnn.nn.utils.prune.base import PruningContainer as PruningContainer
from fnn.nn.utils.prune.functions import custom_from_mask as custom_from_mask
from fnn.nn.utils.prune.functions import global_unstructured as global_unstructured
from fnn.nn.utils.prune.functions import identity as identity
from fnn.nn.utils.prune.functions import is_pruned as is_pruned
from fnn.nn.utils.prune.functions import l1_unstructured as l1_unstructured
from fnn.nn.utils.prune.functions import ln_structured as ln_structured
from fnn.nn.utils.prune.functions import random_structured as random_structured
from fnn.nn.utils.prune.functions import random_unstructured as random_unstructured
from fnn.nn.utils.prune.functions import remove as remove
from fnn.nn.utils.prune.methods import CustomFromMask as CustomFromMask
from fnn.nn.utils.prune.methods import Identity as Identity
from fnn.nn.utils.prune.methods import L1Unstructured as L1Unstructured
from fnn.nn.utils.prune.methods import LnStructured as LnStructured
from fnn.nn.utils.prune.methods import RandomStructured as RandomStructured
from fnn.nn.utils.prune.methods import RandomUnstructured as RandomUnstructured

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
