"""Modules: ``Module``, ``Parameter``, containers and layers, with torch's names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fnn import functional as functional
from fnn.nn import init as init, modules as modules, parameter as parameter, utils as utils
from fnn.nn.modules.activation.attention import *
from fnn.nn.modules.activation.piecewise import *
from fnn.nn.modules.activation.smooth import *
from fnn.nn.modules.activation.softmax import *
from fnn.nn.modules.adaptive import *
from fnn.nn.modules.batchnorm import *
from fnn.nn.modules.channelshuffle import *
from fnn.nn.modules.container import *
from fnn.nn.modules.conv import *
from fnn.nn.modules.distance import *
from fnn.nn.modules.dropout import *
from fnn.nn.modules.flatten import *
from fnn.nn.modules.fold import *
from fnn.nn.modules.instancenorm import *
from fnn.nn.modules.linear import *
from fnn.nn.modules.loss import *
from fnn.nn.modules.module import *
from fnn.nn.modules.normalization import *
from fnn.nn.modules.padding import *
from fnn.nn.modules.pixelshuffle import *
from fnn.nn.modules.pooling import *
from fnn.nn.modules.rnn import *
from fnn.nn.modules.sparse import *
from fnn.nn.modules.transformer import *
from fnn.nn.modules.upsampling import *
from fnn.nn.parameter import (
    Buffer as Buffer,
    Parameter as Parameter,
    UninitializedBuffer as UninitializedBuffer,
    UninitializedParameter as UninitializedParameter,
)
from fnn.stateful.exports import export as _export

if TYPE_CHECKING:
    from fnn.nn import parallel as parallel
    from fnn.nn.parallel import DataParallel as DataParallel

_export(globals(), "DataParallel", "functional", "init", "modules", "parallel", "parameter", "utils")


def __getattr__(name: str) -> Any:
    # These live on a higher floor, so that they are imported when first asked for.
    if name in ("DataParallel", "parallel"):
        package = importlib.import_module("fnn.nn.parallel")
        return package if name == "parallel" else package.DataParallel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals()["__all__"], *(name for name in globals() if name[:2] == "__")]
