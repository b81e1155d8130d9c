"""Examples as modules."""

import importlib.util
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    """The module of ``examples/NAME.py``; what it imports is looked for where a script's imports are, and in ``examples``."""
    path = EXAMPLES / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name.replace('/', '_')}_example", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    folders = [str(folder) for folder in dict.fromkeys((path.parent, EXAMPLES))]
    sys.path[:0] = folders
    try:
        spec.loader.exec_module(module)
    finally:
        for folder in folders:
            sys.path.remove(folder)
    return module
