"""The ground of fnn.jit: the trace state, boxes, and the check before donation. These say when JAX changes beneath."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.stateful.boxes import Box, OptionalBox
from fnn.stateful.donation import Bank, BankEntry, donatable, held_elsewhere
from fnn.stateful.protocol import Identity, static_key
from fnn.stateful.structure import structure
from fnn.stateful.tracing import is_eager, trace_state


def test_trace_state_tells_every_transformation_apart():
    assert is_eager()
    outer = trace_state()
    seen = []

    def look(x):
        seen.append((is_eager(), trace_state() == outer))
        return x * 2.0

    x = jnp.ones(3)
    jax.jit(look)(x)
    jax.grad(lambda x: look(x).sum())(x)
    jax.vmap(look)(x)
    jax.jvp(look, (x,), (x,))
    jax.vjp(look, x)
    jax.lax.map(look, x)
    jax.checkpoint(look)(x)
    jax.eval_shape(look, x)
    jax.make_jaxpr(look)(x)
    jax.lax.cond(True, look, look, x)
    assert len(seen) >= 8
    assert set(seen) == {(False, False)}
    assert trace_state() == outer


def test_trace_state_of_nested_traces():
    states = []

    def inner(x):
        states.append(trace_state())
        return x

    def outer(x):
        states.append(trace_state())
        jax.vmap(inner)(x)
        states.append(trace_state())
        return x

    jax.jit(outer)(jnp.ones(2))
    assert states[0] == states[2]
    assert states[0] != states[1]


def test_a_box_made_inside_a_trace_may_be_written_there():
    def run(x):
        box = Box(x)
        box.data = box.data + 1
        return box.data

    assert float(jax.jit(run)(jnp.zeros(()))) == 1.0


def test_a_box_made_outside_may_not():
    box = Box(jnp.zeros(2), "some box")
    with pytest.raises(RuntimeError, match="Box 'some box' of shape"):
        jax.jit(lambda x: setattr(box, "data", x))(jnp.ones(2))
    assert box.data.tolist() == [0.0, 0.0]


def test_structure_moves_with_shapes_and_dtypes_only():
    box = Box(jnp.zeros(2))
    version = structure.version
    box.data = jnp.ones(2)
    assert structure.version == version
    box.data = jnp.ones(3)
    assert structure.version == version + 1
    grad = OptionalBox()
    grad.write(jnp.ones(3))
    grad.write(None)
    assert structure.version == version + 1


def test_donatable_copies_what_somebody_else_holds():
    boxes = [Box(jnp.full(2, float(i))) for i in range(3)]
    kept = boxes[1].data
    arrays = donatable([box._data for box in boxes])
    assert arrays[0] is boxes[0]._data
    assert arrays[1] is not kept
    assert arrays[1].tolist() == kept.tolist()
    assert arrays[2] is boxes[2]._data


def banked(count=3):
    boxes = [Box(jnp.full(2, float(i))) for i in range(count)]
    bank = Bank(boxes)
    bank.put([a + 1 for a in bank.take()])
    return boxes, bank


def test_a_bank_keeps_the_contents_of_its_boxes():
    boxes, bank = banked()
    for _ in range(3):
        assert bank.take() is bank.arrays
        bank.put([a + 1 for a in bank.arrays])
    assert [float(box.data[0]) for box in boxes] == [4.0, 5.0, 6.0]
    twin = copy.deepcopy(boxes[0])
    assert type(twin._content) is not BankEntry
    assert float(twin.data[0]) == 4.0


def test_a_bank_copies_what_somebody_else_holds():
    boxes, bank = banked()
    kept = boxes[1].data
    arrays = bank.take()
    assert arrays[0] is bank.arrays[0]
    assert arrays[1] is not kept
    assert arrays[1].tolist() == kept.tolist()
    del arrays
    bank.put([a + 1 for a in bank.take()])
    assert boxes[1].data.tolist() == [3.0, 3.0]
    del kept


def test_a_bank_does_not_give_away_what_was_put_in_shared():
    boxes, bank = banked(2)
    mine = [jnp.full(2, 7.0), jnp.full(2, 8.0)]
    assert held_elsewhere([*mine])
    assert not held_elsewhere([jnp.full(2, 7.0)])
    bank.put([*mine], shared=True)
    assert all(a is not b for a, b in zip(bank.take(), mine, strict=True))
    assert boxes[1].data is mine[1]


def test_a_box_that_is_written_to_leaves_its_bank():
    boxes, bank = banked()
    boxes[1].data = jnp.zeros(2)
    assert bank.arrays[1] is None
    assert [a.tolist() for a in bank.take()] == [[1.0, 1.0], [0.0, 0.0], [3.0, 3.0]]
    bank.put([a + 1 for a in bank.take()])
    assert [float(box.data[0]) for box in boxes] == [2.0, 1.0, 4.0]


def test_a_bank_takes_boxes_over_from_another():
    boxes, bank = banked()
    other = Bank(boxes[1:])
    other.put([a + 1 for a in other.take()])
    assert not bank.whole
    assert bank.arrays[1:] == [None, None]
    assert [float(box.data[0]) for box in boxes] == [1.0, 3.0, 4.0]
    bank.close()
    assert type(boxes[0]._content) is not BankEntry
    assert [float(box.data[0]) for box in boxes] == [1.0, 3.0, 4.0]


def test_a_bank_whose_boxes_are_always_written_to_closes():
    boxes, bank = banked()
    for i in range(10):
        boxes[0].data = jnp.full(2, float(i))
        bank.put([a + 1 for a in bank.take()])
        assert float(boxes[0].data[0]) == i + 1
    assert not any(type(box._content) is BankEntry for box in boxes)
    assert float(boxes[2].data[0]) == 13.0


def test_static_keys():
    assert static_key(1) != static_key(True)
    assert static_key(1) != static_key(1.0)
    assert static_key([1, "a", (2.0, None)]) == static_key([1, "a", (2.0, None)])
    assert static_key({"a": [1]}) == static_key({"a": [1]})
    array = np.ones(2)
    assert static_key(array) == Identity(array)
    assert static_key(array) != static_key(np.ones(2))
