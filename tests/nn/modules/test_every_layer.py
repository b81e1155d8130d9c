"""Over all layer classes: each has its row in a table, and torch's signature."""

import importlib
import inspect
import pkgutil

import pytest

import tests.nn.modules as here
from fnn import nn
from tests.nn.modules.cases import LayerTests
from tests.oracle import needs_torch

# Files of layers whose tests are not tables.
ELSEWHERE = ("activation.attention", "adaptive", "container", "module", "rnn.", "transformer.")


def layer_classes():
    return {k: v for k, v in vars(nn).items() if inspect.isclass(v) and issubclass(v, nn.Module)}


def test_the_tables_have_every_layer():
    for module in pkgutil.walk_packages(here.__path__, f"{here.__name__}."):
        if ".test_" in module.name and module.name != __name__:
            importlib.import_module(module.name)
    rows = [row[0] for tests in LayerTests.__subclasses__() for row in tests.CASES + tests.MORE]
    classes = {k: v.__module__.removeprefix("fnn.nn.modules.") for k, v in layer_classes().items()}
    missing = {k for k, file in classes.items() if not file.startswith(ELSEWHERE)} - set(rows)
    # These have their own files.
    assert {k for k in missing if not k.startswith("Lazy")} == {"NLLLoss2d", "SyncBatchNorm"}


def simplified(signature):
    def plain(value):
        return f"function {value.__name__}" if inspect.isfunction(value) or inspect.isbuiltin(value) else value

    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [(p.name, plain(p.default), p.kind) for p in signature.parameters.values() if p.kind not in kinds]


@needs_torch
@pytest.mark.parametrize("name", [name for name in layer_classes() if name != "Repeated"])  # torch has none
def test_signatures(name):
    import torch

    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    mine, others = (simplified(inspect.signature(c)) for c in (ours, theirs))
    if name in ("RNN", "GRU", "LSTM", "NLLLoss2d"):  # torch's take *args
        return
    pairs = [(mine, others)]
    if theirs.forward.__name__ == "forward":
        pairs.append(tuple(simplified(inspect.signature(c.forward)) for c in (ours, theirs)))
    for mine, others in pairs:
        extra = [p for p in mine if p not in others]
        assert [p for p in mine if p in others] == others
        assert all(kind == inspect.Parameter.KEYWORD_ONLY for _, _, kind in extra)
