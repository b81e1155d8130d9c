"""repeat: a Sequential or ModuleList as a loop. What the result is: tests/nn/modules/container/test_repeated.py."""

import jax.numpy as jnp
import pytest

import fnn
from fnn import nn
from tests.oracle import assert_close, rand

X = jnp.asarray(rand(0, 5, 4))


@pytest.mark.parametrize("container", [nn.Sequential, lambda *layers: nn.ModuleList(layers)])
@pytest.mark.parametrize("remat", [None, False, True, "dots_saveable"])
def test_it_computes_the_same_and_leaves_the_layers(container, remat):
    layers = container(*[nn.Linear(4, 4).double() for _ in range(3)])
    looped = fnn.repeat(layers, remat=remat)
    expected = X
    for layer in layers:
        expected = layer(expected)
    assert type(looped) is nn.Repeated
    assert list(looped.state_dict()) == list(layers.state_dict())
    assert_close(fnn.jit(looped)(X), expected)
    looped.layer.weight.zero_()
    assert layers[0].weight.any()
    assert looped.remat is remat


def test_in_the_place_of_the_layers_of_an_encoder():
    fnn.manual_seed(0)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.3), 3, enable_nested_tensor=False).double()
    names = list(encoder.state_dict())
    src = jnp.asarray(rand(1, 5, 2, 8))
    fnn.manual_seed(1)
    expected = encoder(src)
    encoder.layers = fnn.repeat(encoder.layers)
    assert list(encoder.state_dict()) == names
    for run in (encoder, fnn.jit(encoder)):
        fnn.manual_seed(1)
        assert_close(run(src), expected, 1e-11)


@pytest.mark.parametrize("layers", [3, nn.Linear(4, 4), [nn.Linear(4, 4)], nn.ModuleDict({"a": nn.Linear(4, 4)})])
def test_other_things_are_refused(layers):
    with pytest.raises(TypeError, match="repeat: layers must be a Sequential or a ModuleList, got"):
        fnn.repeat(layers)


def test_what_cannot_be_repeated_is_refused():
    with pytest.raises(ValueError, match=r"Repeated\.of: layers must be at least one Module"):
        fnn.repeat(nn.Sequential())
    with pytest.raises(ValueError, match=r"layer 1 has another class, ReLU, than layer 0"):
        fnn.repeat(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
