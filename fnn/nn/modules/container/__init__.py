"""Modules and Parameters in lists and dicts."""

from fnn.nn.modules.container.modules import (
    ModuleDict as ModuleDict,
    ModuleList as ModuleList,
    Sequential as Sequential,
)
from fnn.nn.modules.container.parameters import ParameterDict as ParameterDict, ParameterList as ParameterList
from fnn.nn.modules.container.repeated import Repeated as Repeated

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Repeated", "Sequential"]
