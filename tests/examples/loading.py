"""Examples as modules."""

import importlib.util
import sys
from pathlib import Path


def example(name):
    """The module of ``examples/NAME.py``."""
    path = Path(__file__).parents[2] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_example", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
