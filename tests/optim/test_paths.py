"""Every import path of a public name of torch.optim, with torch spelled fnn; and functions not hidden by their modules."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from fnn import optim
from tests.oracle import needs_torch


@needs_torch
def test_torchs_import_paths():
    import torch

    for module in pkgutil.iter_modules(torch.optim.__path__):
        theirs = importlib.import_module(f"torch.optim.{module.name}")
        if names := getattr(theirs, "__all__", None):
            ours = importlib.import_module(f"fnn.optim.{module.name}")
            assert set(names) <= set(dir(ours)), module.name


RULES = [m.name for m in pkgutil.iter_modules(optim.__path__) if m.name in optim.__all__ and not m.ispkg]


@pytest.mark.parametrize("name", [name for name in RULES if name != "swa_utils"])
def test_the_function_is_seen_and_not_its_module(name):
    importlib.import_module(f"fnn.optim.{name}")
    found = getattr(optim, name)
    assert callable(found)
    assert found.__name__ == name
