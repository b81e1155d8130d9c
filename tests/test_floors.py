"""A file imports only from the floors below its own."""

import ast
from pathlib import Path

import fnn

ROOT = Path(fnn.__file__).parent
FLOORS = {
    "random": 0,
    "stateful": 0,
    "kernels": 0,
    "functional": 1,
    "nn": 2,
    "transforms": 3,
    "optim": 4,
    "parallel": 5,
    "checkpoint": 5,
    "tools": 5,
    "": 6,
}
# nn/parallel is torch's import path for what lives on floor 5.
EXCEPTIONS = {("nn/parallel.py", "parallel"), ("nn/parallel/__init__.py", "parallel")}


def part_of(dotted):
    """The first word below fnn, "" for fnn itself."""
    words = dotted.split(".")
    return words[1] if len(words) > 1 and words[1] in FLOORS else ""


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "fnn")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "fnn":
            if node.module == "fnn":
                yield from (f"fnn.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_every_file_imports_downwards():
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        relative = path.relative_to(ROOT).as_posix()
        own = part_of("fnn." + relative.removesuffix(".py").replace("/", "."))
        for name in imports(path):
            other = part_of(name)
            if own != other and FLOORS[other] >= FLOORS[own] and (relative, other) not in EXCEPTIONS:
                if not (FLOORS[own] == FLOORS[other] == 0):
                    wrong.append(f"{relative} imports {name}")
    assert not wrong


def test_required_dependencies_are_few():
    import subprocess
    import sys

    heavy = ("torch", "optax", "flax", "safetensors", "matplotlib", "sklearn")
    code = f"import sys, fnn, fnn.nn, fnn.optim; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
