"""The shape of the house: a file imports only from the floors below its own, and there are no circles."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fnn

ROOT = Path(fnn.__file__).parent
TESTS = Path(__file__).parent
FLOORS = {
    "amp": 0,
    "random": 0,
    "stateful": 0,
    "kernels": 1,
    "functional": 2,
    "tensor": 2,
    "nn": 3,
    "transforms": 4,
    "optim": 5,
    "parallel": 6,
    "checkpoint": 6,
    "data": 6,
    "metrics": 6,
    "tools": 6,
    "debug": 6,
    "": 7,
}
# torch's import paths of what lives on a higher floor.
ALIASES = {
    "amp/grad_scaler.py",
    "nn/parallel/__init__.py",
    "nn/parallel/data_parallel.py",
    "nn/parallel/distributed.py",
}
# File names that begin with an underscore because torch's do.
TORCHS = {"optim/_adafactor.py", "optim/_muon.py"}

FILES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}


def module_of(relative):
    """The dotted name of a file below fnn."""
    dotted = "fnn." + relative.removesuffix(".py").replace("/", ".")
    return dotted.removesuffix(".__init__")


MODULES = {module_of(relative): relative for relative in FILES}


def imports(relative):
    """The modules that a file imports when it runs, and not only for a type checker."""
    tree = ast.parse(FILES[relative].read_text())
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for statement in branch.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "fnn")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "fnn":
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in MODULES and not _is_bound(node.module, alias.name) else node.module


def _is_bound(package, name):
    """Whether a package binds the name itself: a function that bears its file's name."""
    relative = MODULES.get(package)
    if relative is None or not relative.endswith("__init__.py"):
        return False
    value = getattr(sys.modules.get(package), name, None)
    return value is not None and not isinstance(value, type(sys))


def floor_of(module):
    """The word below fnn, "" for fnn itself."""
    words = module.split(".")
    return words[1] if len(words) > 1 and words[1] in FLOORS else ""


@pytest.mark.parametrize("relative", FILES)
def test_a_file_imports_from_floors_below_its_own(relative):
    own = floor_of(module_of(relative))
    others = {(name, floor_of(name)) for name in imports(relative)}
    wrong = [name for name, other in others if own != other and FLOORS[other] > FLOORS[own]]
    level = [name for name, other in others if own != other and FLOORS[other] == FLOORS[own] and FLOORS[own] > 2]
    assert relative in ALIASES or not wrong + level


def test_there_is_no_circle():
    graph = {
        module: {n for n in imports(relative) if n in MODULES and n != module} for module, relative in MODULES.items()
    }
    done, path = set(), []

    def visit(module):
        if module in path:
            raise AssertionError(" -> ".join([*path[path.index(module) :], module]))
        if module in done:
            return
        path.append(module)
        for other in sorted(graph[module]):
            visit(other)
        path.pop()
        done.add(module)

    for module in sorted(graph):
        visit(module)


def test_a_file_with_an_underscore_is_private_to_its_package():
    private = {r for r in FILES if Path(r).name.startswith("_") and not Path(r).name.startswith("__")} - TORCHS
    for relative in FILES:
        for name in imports(relative):
            if MODULES.get(name) in private:
                assert Path(relative).parent.is_relative_to(Path(MODULES[name]).parent), f"{relative} imports {name}"


def test_no_file_is_longer_than_700_lines():
    long = {
        path.as_posix(): count
        for folder in (ROOT, TESTS)
        for path in folder.rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 700
    }
    assert not long


def test_the_tests_mirror_the_library():
    """Every folder of fnn has its folder of tests, and a test file of one name with a file of fnn lies where that does."""
    folders = {Path(relative).parent for relative in FILES if relative not in ALIASES}
    assert {folder.as_posix() for folder in folders if not (TESTS / folder).is_dir()} == set()
    rooms = {}
    for relative in FILES:
        rooms.setdefault(Path(relative).stem, set()).add(Path(relative).parent)
        rooms.setdefault(Path(relative).parent.name, set()).add(Path(relative).parent)
    for path in TESTS.rglob("test_*.py"):
        relative = path.relative_to(TESTS)
        homes = rooms.get(path.stem.removeprefix("test_"))
        if homes is not None and relative.parent != Path():
            assert any(relative.parent == home or relative.parent in home.parents for home in homes), (
                relative.as_posix()
            )


def test_required_dependencies_are_few():
    heavy = ("torch", "optax", "flax", "safetensors", "matplotlib", "sklearn")
    code = f"import sys, fnn, fnn.nn, fnn.optim; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
