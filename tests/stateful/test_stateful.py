"""The ground of fnn.jit: the trace state, boxes, and banks. These say when JAX changes beneath."""

import copy
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.stateful.boxes import Box, OptionalBox
from fnn.stateful.donation import Bank, BankEntry, publish
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
    with pytest.raises(RuntimeError, match="array 'some box' of shape"):
        jax.jit(lambda x: setattr(box, "data", x))(jnp.ones(2))
    assert box.data.tolist() == [0.0, 0.0]


def test_structure_moves_with_shapes_and_dtypes_only():
    box = Box(jnp.zeros(2))
    version = structure.version
    box.data = jnp.ones(2)
    assert structure.version == version
    box.data = jnp.ones(3)
    changed = structure.version
    assert changed != version
    grad = OptionalBox()
    grad.write(jnp.ones(3))
    grad.write(None)
    assert structure.version == changed


def step(bank):
    """What a program does that adds 1 to every array it takes over."""
    arrays = bank.take()
    publish([bank.target], [[a + 1 for a in arrays]])
    return arrays


def pointers(arrays):
    return [array.unsafe_buffer_pointer() for array in arrays]


def banked(count=3):
    boxes = [Box(jnp.full(2, float(i)), owned=True) for i in range(count)]
    bank = Bank(boxes)
    step(bank)
    return boxes, bank


def contents(boxes):
    return [float(box.peek()[0]) for box in boxes]


def test_a_bank_keeps_the_contents_of_its_boxes():
    boxes, bank = banked()
    for _ in range(3):
        held = pointers(bank.look())
        assert pointers(step(bank)) == held
    assert contents(boxes) == [4.0, 5.0, 6.0]
    twin = copy.deepcopy(boxes[0])
    assert type(twin._content) is not BankEntry
    assert float(twin.data[0]) == 4.0


def test_a_bank_copies_what_was_handed_out():
    boxes, bank = banked()
    before = pointers(bank.look())
    boxes[1].data  # noqa: B018  nobody keeps it, but who knows what was made of it
    taken = pointers(step(bank))
    assert [old == new for old, new in zip(before, taken, strict=True)] == [True, False, True]
    assert pointers(bank.look()) == pointers(step(bank))
    boxes[0].peek()
    assert pointers(bank.look()) == pointers(step(bank))


def test_a_bank_copies_what_came_from_outside():
    mine = jnp.full(2, 7.0)
    boxes = [Box(mine), Box(jnp.zeros(2), owned=True)]
    bank = Bank(boxes)
    of_second = boxes[1].peek().unsafe_buffer_pointer()
    taken = pointers(step(bank))
    assert taken[0] != mine.unsafe_buffer_pointer()
    assert taken[1] == of_second
    boxes[1].data = mine
    assert pointers(step(bank))[1] != mine.unsafe_buffer_pointer()
    assert contents(boxes) == [9.0, 8.0]


def test_a_box_that_is_written_to_leaves_its_bank():
    boxes, bank = banked()
    boxes[1].data = jnp.zeros(2)
    assert bank.look()[1].tolist() == [0.0, 0.0]
    step(bank)
    assert contents(boxes) == [2.0, 1.0, 4.0]


def test_a_bank_takes_boxes_over_from_another():
    boxes, bank = banked()
    other = Bank(boxes[1:])
    held = pointers([box.peek() for box in boxes[1:]])
    assert pointers(step(other)) == held
    assert not bank.whole
    assert contents(boxes) == [1.0, 3.0, 4.0]
    bank.abandon()
    assert type(boxes[0]._content) is not BankEntry
    assert contents(boxes) == [1.0, 3.0, 4.0]
    boxes[1].data  # noqa: B018
    another = Bank(boxes[:2])
    assert pointers([box.peek() for box in boxes[:2]])[1] != pointers(step(another))[1]


def test_arrays_that_a_failed_program_left_alone_are_back():
    boxes, bank = banked()
    bank.take()
    assert contents(boxes) == [1.0, 2.0, 3.0]
    step(bank)
    assert contents(boxes) == [2.0, 3.0, 4.0]
    for array in bank.take():
        array.delete()
    bank.settle()
    assert bank.lost() == boxes


def test_readers_of_other_threads_wait_for_the_program():
    from fnn.stateful.donation import exclusive

    boxes, bank = banked(1)
    seen = []
    with exclusive:
        arrays = bank.take()
        thread = threading.Thread(target=lambda: seen.append(float(boxes[0].data[0])))
        thread.start()
        thread.join(0.2)
        assert not seen
        publish([bank.target], [[a + 1 for a in arrays]])
    thread.join(10)
    assert seen == [2.0]


def test_static_keys():
    assert static_key(1) != static_key(True)
    assert static_key(1) != static_key(1.0)
    assert static_key([1, "a", (2.0, None)]) == static_key([1, "a", (2.0, None)])
    assert static_key({"a": [1]}) == static_key({"a": [1]})
    array = np.ones(2)
    assert static_key(array) == Identity(array)
    assert static_key(array) != static_key(np.ones(2))
