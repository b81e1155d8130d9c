"""Modules: ``Module``, ``Parameter``, containers and layers, with torch's names."""

import importlib
from typing import Any

from fnn import functional
from fnn.nn import init, parameter, utils
from fnn.nn.activation import *
from fnn.nn.adaptive import *
from fnn.nn.attention import *
from fnn.nn.containers import *
from fnn.nn.conv import *
from fnn.nn.distance import *
from fnn.nn.dropout import *
from fnn.nn.fold import *
from fnn.nn.hooks import (
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from fnn.nn.lazy import UninitializedBuffer, UninitializedParameter
from fnn.nn.lazy_layers import *
from fnn.nn.linear import *
from fnn.nn.loss import *
from fnn.nn.module import Module
from fnn.nn.normalization import *
from fnn.nn.padding import *
from fnn.nn.parameter import Buffer, Parameter
from fnn.nn.pooling import *
from fnn.nn.recurrent import *
from fnn.nn.sparse import *
from fnn.nn.sync_batch_norm import *
from fnn.nn.transformer import *
from fnn.nn.vision import *


def __getattr__(name: str) -> Any:
    # These live on a higher floor, so that they are imported when first asked for.
    if name in ("DataParallel", "parallel"):
        package = importlib.import_module("fnn.nn.parallel")
        return package if name == "parallel" else package.DataParallel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
