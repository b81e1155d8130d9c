"""Sequential, ModuleList, ModuleDict."""

from collections import OrderedDict

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn
from tests.oracle import needs_torch


def layers(n):
    return [nn.Linear(i + 1, i + 2) for i in range(n)]


def test_sequential_is_a_list_of_modules():
    a, b, c = layers(3)
    net = nn.Sequential(a, b)
    assert net.append(c) is net
    assert len(net) == 3
    assert net[-1] is c
    assert list(net) == [a, b, c]
    assert isinstance(net[:2], nn.Sequential)
    assert list(net[:2]) == [a, b]
    net.insert(0, nn.Identity())
    assert [n for n, _ in net.named_children()] == ["0", "1", "2", "3"]
    assert net.pop(0).__class__ is nn.Identity
    del net[1]
    assert list(net) == [a, c]
    assert [n for n, _ in net.named_children()] == ["0", "1"]
    net[1] = b
    assert net(jnp.ones((1, 1), jnp.float32)).shape == (1, 3)
    assert len(net + net) == 4
    assert len(net * 3) == 6
    net += nn.Sequential(c)
    assert len(net) == 3
    named = nn.Sequential(OrderedDict(first=a, second=b))
    assert named.first is a


@pytest.mark.parametrize("kind", [nn.Sequential, nn.ModuleList])
def test_bad_indices(kind):
    net = kind(*layers(2)) if kind is nn.Sequential else kind(layers(2))
    with pytest.raises(IndexError, match="out of range"):
        net[2]
    with pytest.raises(TypeError, match="index must be"):
        net["a"]
    with pytest.raises(TypeError, match="modules must be an iterable"):
        net.extend(3)
    with pytest.raises(TypeError, match="must be a Module"):
        net.insert(0, 3)
    with pytest.raises(TypeError, match="module must be a Module"):
        net.append(3)


def test_sequential_bad_operands():
    with pytest.raises(ValueError, match="must be a Sequential"):
        nn.Sequential() + 3
    with pytest.raises(TypeError, match="must be an int"):
        nn.Sequential() * 2.0
    with pytest.raises(ValueError, match="must be positive"):
        nn.Sequential() * 0


def test_module_list():
    a, b, c = layers(3)
    items = nn.ModuleList([a, b])
    items += [c]
    assert list(items) == [a, b, c]
    assert list(items[1:]) == [b, c]
    assert list(items + [a]) == [a, b, c, a]
    with pytest.raises(NotImplementedError):
        items(1)


def test_module_dict():
    a, b, _ = layers(3)
    items = nn.ModuleDict({"a": a})
    items["b"] = b
    assert list(items) == ["a", "b"]
    assert "b" in items
    assert len(items) == 2
    assert items.pop("a") is a
    items.update([("c", a)])
    assert dict(items.items()) == {"b": b, "c": a}
    items.clear()
    assert not list(items.keys())
    with pytest.raises(TypeError, match="modules must be a mapping or an iterable"):
        items.update(3)
    with pytest.raises(ValueError, match="must be a pair"):
        items.update([("c", a, b)])
    with pytest.raises(KeyError):
        items["nothing"]


@needs_torch
def test_repr_is_torchs():
    import torch

    def build(lib, array):
        return [
            lib.Sequential(),
            lib.ModuleList(),
            lib.ModuleList([lib.Linear(1, 2), lib.Linear(1, 2), lib.ReLU(), lib.Sequential(lib.Linear(2, 2))]),
            lib.ModuleDict({"a": lib.Linear(1, 2), "b": lib.ModuleList([lib.ReLU()])}),
            lib.Sequential(lib.Sequential(lib.Linear(1, 1)), lib.Flatten()),
        ]

    for ours, theirs in zip(build(nn, np.ones), build(torch.nn, torch.ones), strict=True):
        assert repr(ours) == repr(theirs)
