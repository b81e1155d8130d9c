"""Stacked boxes and their parts. As parts of Modules: tests/nn/modules/container/test_repeated.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.nn.lifting.stacks import add_layers, is_part, part_of, refuse_parts, stack_of
from tests.oracle import assert_close, rand


def stacked(*shape, layers=(3,)):
    box = nn.Parameter(rand(0, *layers, *shape))
    for n in reversed(layers):
        add_layers(box, n)
    return box


def test_how_many_layers():
    assert stack_of(stacked(2)) == (3,)
    assert stack_of(stacked(2, layers=(3, 4))) == (3, 4)
    assert stack_of(part_of(stacked(2, layers=(3, 4)), 1)) == (4,)
    assert stack_of(part_of(stacked(2), 1)) == ()
    for other in (nn.Parameter(np.ones(3)), np.ones(3), jnp.ones(3), None):
        assert stack_of(other) == ()


def test_parts_of_parts():
    whole = stacked(2, layers=(3, 4))
    part = part_of(part_of(whole, 1), 2)
    assert_close(part, whole.data[1, 2])
    assert part.shape == (2,)
    assert part.home is whole
    assert part.part != part_of(part_of(whole, 2), 1).part
    part.fill_(7.0)
    assert_close(whole.data[1, 2], np.full(2, 7.0))
    part.grad = np.ones(2)
    assert float(whole.grad.sum()) == 2
    assert_close(whole.grad[1, 2], np.ones(2))


def test_a_part_is_an_array_and_a_box_everywhere():
    whole = stacked(2, 2)
    part = part_of(whole, 1)
    assert is_part(part)
    assert not is_part(whole)
    assert isinstance(part, nn.Parameter)
    assert_close(jnp.exp(part), np.exp(np.asarray(whole)[1]))
    assert_close(part @ part, np.asarray(whole)[1] @ np.asarray(whole)[1])
    assert_close(jax.jit(lambda p: p * 2)(part), 2 * np.asarray(whole)[1])
    assert_close(jax.tree.leaves(part)[0], whole.data[1])
    assert_close(np.asarray(part), whole.data[1])
    assert "Parameter containing" in repr(part)
    assert part.numel() == 4
    assert part.peek().shape == (2, 2)


def test_writes_within_transformations_reach_the_stack():
    whole = stacked(2)
    part = part_of(whole, 1)

    def step():
        part.data = part.data * 2
        whole.data = whole.data + 1
        return part.data

    expected = np.array(whole)
    expected[1] *= 2
    expected += 1
    assert_close(fnn.jit(step)(), expected[1])
    assert_close(whole, expected)
    assert_close(fnn.jit(lambda: fnn.backward(lambda: (part * part).sum(), whole))(), (expected[1] ** 2).sum())
    assert_close(whole.grad, np.stack([np.zeros(2), 2 * expected[1], np.zeros(2)]))


def test_refuse_parts():
    whole = stacked(2)
    refuse_parts("f", [whole, nn.Parameter(np.ones(2))])
    with pytest.raises(ValueError, match=r"f: Parameter .* of shape \(2,\) is one layer's part of a stack"):
        refuse_parts("f", [whole, part_of(whole, 0)])
