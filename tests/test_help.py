"""``dir()`` and ``help()`` of what is public: no name but what is meant, and every section that a name needs."""

import dataclasses
import importlib
import inspect
import pydoc
import re
import subprocess
import sys
import textwrap
import types

import pytest

import fnn
from fnn import nn

PACKAGES = """fnn fnn.checkpoint fnn.data fnn.debug fnn.functional fnn.kernels fnn.metrics fnn.nn fnn.nn.init fnn.nn.modules
    fnn.nn.parallel fnn.nn.utils fnn.nn.utils.parametrizations fnn.nn.utils.parametrize fnn.nn.utils.prune fnn.nn.utils.rnn
    fnn.optim fnn.optim.lr_scheduler fnn.optim.schedule fnn.optim.swa_utils fnn.parallel fnn.random fnn.tools
    fnn.utils.checkpoint""".split()
# What a function returns; the example is that function's.
RESULTS = {"Checkpoint", "Saved", "Compile", "Compiles", "Features", "Histograms"}
# Layers that take no arrays themselves.
WITHOUT_SHAPE = {"Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "RNNBase", "RNNCellBase"}


def public():
    """Every public function and class, once, under its first name."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            own = (getattr(value, "__module__", None) or "").startswith("fnn")
            if own and (inspect.isclass(value) or inspect.isroutine(value)):
                found.setdefault(id(value), (f"{package}.{name}", value))
    return list(found.values())


PUBLIC = public()


def is_result(value):
    return inspect.isclass(value) and (
        hasattr(value, "_fields")
        or dataclasses.is_dataclass(value)
        or issubclass(value, BaseException)
        or value.__name__ in RESULTS
    )


def has_arguments(value):
    if inspect.isclass(value) and (value.__init__ is nn.Module.__init__ or is_result(value)):
        return False
    return any(name not in ("self", "cls") for name in inspect.signature(value).parameters)


def raises(value):
    """Whether its own code, or that of its constructor and call, has a word for an error."""
    parts = [value.__dict__.get(name) for name in ("__init__", "forward")] if inspect.isclass(value) else [value]
    for part in parts:
        part = inspect.unwrap(part) if callable(part) else None
        if isinstance(part, types.FunctionType):
            code = textwrap.dedent(inspect.getsource(part)).replace(part.__doc__ or "\0", "")
            if re.search(r"^\s*raise \w|\bfail\(", code, re.MULTILINE):
                return True
    return False


def missing(value):
    doc = inspect.getdoc(value) or ""
    if not value.__doc__:
        return ["a docstring of its own"]
    is_class = inspect.isclass(value)
    wanted = {
        "Args:": has_arguments(value),
        "Returns:": not is_class and inspect.signature(value).return_annotation not in (None, "None", "NoReturn"),
        "Raises:": not is_result(value) and raises(value),
        "Example:": not is_result(value),
        "Shape:": value.__module__.startswith("fnn.functional.")
        if not is_class
        else issubclass(value, nn.Module)
        and value.__module__.startswith("fnn.nn.modules.")
        and value.__name__ not in WITHOUT_SHAPE,
    }
    return [section for section, is_wanted in wanted.items() if is_wanted and section not in doc]


def test_every_public_name_has_every_section_that_it_needs():
    assert len(PUBLIC) > 500
    assert {name: sections for name, value in PUBLIC if (sections := missing(value))} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_shows_what_is_public_and_nothing_else(package):
    module = importlib.import_module(package)
    assert set(module.__all__) <= set(dir(module))
    others = [name for name in dir(module) if name[:1] != "_" and name not in module.__all__]
    assert [name for name in others if not _is_submodule(module, name)] == []


def _is_submodule(module, name):
    value = getattr(module, name)
    return isinstance(value, types.ModuleType) and value.__name__ == f"{module.__name__}.{name}"


@pytest.mark.one_in(5)
@pytest.mark.parametrize("package", PACKAGES)
def test_help_of_a_package_lists_its_functions_and_classes(package):
    module = importlib.import_module(package)
    text = pydoc.plain(pydoc.render_doc(module))
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert re.search(rf"\b{re.escape(value.__name__)}\b", text), name


def test_a_fresh_fnn_shows_its_names_too():
    code = "import fnn; print(*[n for n in dir(fnn) if n[:1] != '_'])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(out.stdout.split()) == sorted(fnn.__all__)


def test_every_name_of_fnn_is_listed():
    assert {*fnn._HOMES, *fnn._PACKAGES} <= set(fnn.__all__)


def test_tools_are_imported_when_they_are_asked_for():
    code = (
        "import sys, fnn; print([m for m in sys.modules if m.startswith(('fnn.tools', 'fnn.debug', 'fnn.transforms'))])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "hint"), [("no_grad", "nothing is needed"), ("cat", "jax.numpy"), ("compile", "fnn.jit")]
)
def test_names_of_torchs_that_are_absent_say_what_to_write(name, hint):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'; .*{hint}"):
        getattr(fnn, name)


@pytest.mark.parametrize(("name", "value"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_signatures_are_shown_as_they_are_written(name, value):
    if hasattr(value, "_fields"):
        pytest.skip("the constructor of a NamedTuple is Python's")
    shown = str(inspect.signature(value))
    assert not re.search(r"(: |-> )[\"']", shown), shown
