"""The template of a kernel in ``fnn/kernels/README.md`` works as it stands there."""

import re
import sys
from pathlib import Path
from types import ModuleType

import jax
import pytest

from fnn import kernels
from tests.kernels.derivatives import check_derivatives
from tests.oracle import rand

TEXT = (Path(kernels.__file__).parent / "README.md").read_text()


@pytest.fixture
def template(monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    module = ModuleType("template_of_a_kernel")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where dataclasses look for the module of a class
    exec(compile(code, "README.md", "exec"), module.__dict__)
    return module


@pytest.mark.parametrize(("short", "name"), [(0, "products"), (64, "plain")])
def test_template(template, short, name):
    bounds, x = template.Bounds(short=short), rand(0, 3, 5)
    assert template.choose(template.FORMS, x, bounds).name == name
    check_derivatives(lambda x: template.sum_of_squares(x, bounds=bounds), template.plain, x, second=True)
    assert "fnn_operation" in str(jax.make_jaxpr(template.sum_of_squares)(x))


def test_every_file_that_it_names_is_there():
    for name in re.findall(r"`([a-z_]+(?:\.py|/))`", TEXT):
        assert (Path(kernels.__file__).parent / name).exists(), name
