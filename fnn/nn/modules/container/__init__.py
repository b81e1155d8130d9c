"""Modules and Parameters in lists and dicts."""

from fnn.nn.modules.container.modules import ModuleDict as ModuleDict
from fnn.nn.modules.container.modules import ModuleList as ModuleList
from fnn.nn.modules.container.modules import Sequential as Sequential
from fnn.nn.modules.container.parameters import ParameterDict as ParameterDict
from fnn.nn.modules.container.parameters import ParameterList as ParameterList

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]
