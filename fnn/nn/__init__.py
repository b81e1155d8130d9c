"""Modules: ``Module``, ``Parameter``, containers and layers, with torch's names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fnn import functional as functional
from fnn.nn import init as init
from fnn.nn import modules as modules
from fnn.nn import parameter as parameter
from fnn.nn import utils as utils
from fnn.nn.modules import *
from fnn.nn.modules.hooks import (
    register_module_buffer_registration_hook as register_module_buffer_registration_hook,
)
from fnn.nn.modules.hooks import (
    register_module_forward_hook as register_module_forward_hook,
)
from fnn.nn.modules.hooks import (
    register_module_forward_pre_hook as register_module_forward_pre_hook,
)
from fnn.nn.modules.hooks import (
    register_module_full_backward_hook as register_module_full_backward_hook,
)
from fnn.nn.modules.hooks import (
    register_module_full_backward_pre_hook as register_module_full_backward_pre_hook,
)
from fnn.nn.modules.hooks import (
    register_module_module_registration_hook as register_module_module_registration_hook,
)
from fnn.nn.modules.hooks import (
    register_module_parameter_registration_hook as register_module_parameter_registration_hook,
)
from fnn.nn.parameter import Buffer as Buffer
from fnn.nn.parameter import Parameter as Parameter
from fnn.nn.parameter import UninitializedBuffer as UninitializedBuffer
from fnn.nn.parameter import UninitializedParameter as UninitializedParameter

if TYPE_CHECKING:
    from fnn.nn import parallel as parallel
    from fnn.nn.parallel import DataParallel as DataParallel


def __getattr__(name: str) -> Any:
    # These live on a higher floor, so that they are imported when first asked for.
    if name in ("DataParallel", "parallel"):
        package = importlib.import_module("fnn.nn.parallel")
        return package if name == "parallel" else package.DataParallel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
