"""``help`` of every layer, function and optimizer is complete: arguments, shapes, source, an example of its own."""

import inspect
import re

import pytest

from fnn import nn, optim

LAYERS = {
    name: value
    for name, value in vars(nn).items()
    if isinstance(value, type) and issubclass(value, nn.Module) and not name.startswith("_")
}
# What holds other modules or any values has no shape of its own, nor has what is only to be derived from.
WITHOUT_SHAPE = {"Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "DataParallel"}
WITHOUT_SHAPE |= {"RNNBase", "RNNCellBase"}
FUNCTIONS = {name: value for name, value in vars(nn.functional).items() if inspect.isfunction(value) and name[0] != "_"}
OPTIMIZERS = {
    name: value for name, value in vars(optim).items() if isinstance(value, type) and issubclass(value, optim.Optimizer)
}


def missing(value, sections):
    """The sections and arguments that the docstring of a function or class lacks."""
    text = inspect.getdoc(value) or ""
    found = [section for section in sections if not re.search(rf"^{section}:", text, re.M)]
    signature = inspect.signature(value.__init__ if isinstance(value, type) else value)
    names = [
        p.name
        for p in signature.parameters.values()
        if p.name != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if names and "Args:" not in text:
        return [*found, "Args"]
    listed = set(re.findall(r"\w+", " ".join(re.findall(r"^ {4}\*{0,2}([\w, *]+?)(?: \(.*?\))?:", text, re.M))))
    return found + [name for name in names if name not in listed]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(name):
    sections = ["Source", "Example"] if name in WITHOUT_SHAPE else ["Shape", "Source", "Example"]
    assert missing(LAYERS[name], sections) == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function(name):
    assert missing(FUNCTIONS[name], ["Source", "Example"]) == []


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer(name):
    assert missing(OPTIMIZERS[name], ["Source", "Example"]) == []


def test_the_check_finds_what_is_missing():
    def poor(a, b):
        """One line.

        Args:
            a: the first.
        """

    assert missing(poor, ["Source", "Example"]) == ["Source", "Example", "b"]
