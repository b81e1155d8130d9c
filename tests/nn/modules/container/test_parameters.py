"""ParameterList, ParameterDict."""

import numpy as np
import pytest

from fnn import nn


def test_parameter_list():
    items = nn.ParameterList([np.ones(2), nn.Parameter(np.ones(3)), "text"])
    assert len(items) == 3
    assert isinstance(items[0], nn.Parameter)
    assert items[-1] == "text"
    assert [n for n, _ in items.named_parameters()] == ["0", "1"]
    items[0] = np.zeros(4)
    assert items[0].shape == (4,)
    assert len(items[:2]) == 2
    items += [np.ones(1)]
    assert len(items) == 4
    with pytest.raises(RuntimeError, match="should not be called"):
        items()
    with pytest.raises(TypeError, match="expected an iterable"):
        items.extend(np.ones(3))
    with pytest.raises(IndexError, match="out of range"):
        items[9]


def test_parameter_dict():
    items = nn.ParameterDict({"a": np.ones(2)})
    items["b"] = np.ones(3)
    assert [n for n, _ in items.named_parameters()] == ["a", "b"]
    assert list(reversed(items)) == ["b", "a"]
    assert items.get("z", 5) == 5
    assert items.setdefault("c", np.ones(1)).shape == (1,)
    assert items.popitem()[0] == "c"
    assert "b" in (items | nn.ParameterDict({"d": np.ones(1)}))
    assert list(items.copy()) == ["a", "b"]
    assert list(items.fromkeys(["x", "y"], np.ones(1))) == ["x", "y"]
    del items["a"]
    with pytest.raises(KeyError):
        items["a"]
    with pytest.raises(TypeError, match="must be a string"):
        items[3] = np.ones(1)
