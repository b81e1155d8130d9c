"""The state of small parameters kept end to end: what steps see and what users read must be as if it were not."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import optim
from fnn.nn import Parameter
from fnn.optim import _buckets
from fnn.optim._buckets import buckets_of
from fnn.stateful.structure import structure_changed
from fnn.tensor.row_sparse import RowSparse
from tests.devices import on_two_devices
from tests.optim.optimizer_cases import CASES
from tests.oracle import assert_close, rand

SHAPES = [(3,), (), (2, 2), (1, 3), (5000,)]
RULES = {name: case.in_bucket for name, case in CASES.items() if case.in_bucket is not None}


def start(shapes=SHAPES):
    return [Parameter(rand(i, *shape)) for i, shape in enumerate(shapes)]


def grads(step, parameters, without=()):
    for i, p in enumerate(parameters):
        p.grad = None if i in without else rand(100 * step + i, *p.shape)


def sizes(optimizer):
    return [len(bucket.slots) for bucket in buckets_of(optimizer._slots.values())]


@pytest.fixture
def without_buckets(monkeypatch):
    """Makes an optimizer whose state is never in a bucket."""

    def make(name, parameters, **options):
        with monkeypatch.context() as patch:
            patch.setattr(getattr(optim, name), "_elementwise", False)
            optimizer = getattr(optim, name)(parameters, **options)
            optimizer._stateful_prepare_()
        assert sizes(optimizer) == []
        return optimizer

    return make


def check(one, other, what=""):
    for a, b in zip(one.param_groups[0]["params"], other.param_groups[0]["params"], strict=True):
        assert_close(a.data, b.data, 1e-12, 1e-12, what)
    first, second = one.state_dict()["state"], other.state_dict()["state"]
    assert first.keys() == second.keys()
    for key, values in first.items():
        assert values.keys() == second[key].keys()
        for name, value in values.items():
            assert_close(value, second[key][name], 1e-12, 1e-12, f"{what} {key} {name}")


@pytest.mark.parametrize("name", RULES)
def test_steps_and_states_are_those_of_single_arrays(name, without_buckets):
    ours, theirs = start(), start()
    one, other = getattr(optim, name)(ours, lr=0.1, **RULES[name]), without_buckets(name, theirs, lr=0.1, **RULES[name])
    for step in range(4):
        grads(step, ours)
        grads(step, theirs)
        one.step()
        other.step()
        check(one, other, f"step {step}")
    assert sizes(one) == [4]


def test_only_rules_on_single_numbers_are_sizes():
    classes = {name for name in optim.__all__ if isinstance(getattr(optim, name), type)}
    named = [name for name in classes if issubclass(getattr(optim, name), optim.Optimizer)]
    assert set(RULES) < set(named)
    for name in named:
        assert getattr(optim, name)._elementwise == (name in RULES), name

    class Own(optim.Adam):
        def _transform(self, group):
            return super()._transform(group)

    class Renamed(optim.Adam):
        pass

    assert not Own._elementwise
    assert Renamed._elementwise


def test_parameters_that_skip_steps_leave_their_bucket(without_buckets):
    ours, theirs = start(), start()
    one, other = optim.Adam(ours, lr=0.1), without_buckets("Adam", theirs, lr=0.1)
    for step, without in enumerate([(), (0,), (0,), (2, 3, 4), (), (1,)]):
        grads(step, ours, without)
        grads(step, theirs, without)
        one.step()
        other.step()
        check(one, other, f"step {step}")
    assert sizes(one) == [2]  # the third and the fourth have always stepped together


def test_a_part_that_steps_alone_stays_a_bucket():
    parameters = start([(2,)] * 5)
    optimizer = optim.SGD(parameters, lr=0.1, momentum=0.9)
    for step in range(2):
        grads(step, parameters, (0, 1))
        optimizer.step()
    assert [len(bucket.slots) for bucket in buckets_of(optimizer._slots[p] for p in parameters[2:])] == [3]


def test_groups_and_dtypes_have_buckets_of_their_own():
    groups = [{"params": start([(2,)] * 3)}, {"params": start([(2,)] * 2), "lr": 0.5}]
    groups[0]["params"] += [Parameter(jnp.ones(2, jnp.float32)) for _ in range(2)]
    optimizer = optim.Adam(groups, lr=0.1)
    for group in groups:
        for p in group["params"]:
            p.grad = jnp.ones(2, p.dtype)
    optimizer.step()
    assert sorted(sizes(optimizer)) == [2, 2, 3]
    assert groups[0]["params"][0].dtype == jnp.float64
    assert groups[0]["params"][3].dtype == jnp.float32


def test_gradients_that_do_not_fit_dissolve_the_bucket(without_buckets):
    """A row-sparse gradient, or a parameter that was cast."""
    ours, theirs = start([(4, 2), (3,), (3,), (2,)]), start([(4, 2), (3,), (3,), (2,)])
    options = {"lr": 0.1, "momentum": 0.9}
    one, other = optim.SGD(ours, **options), without_buckets("SGD", theirs, **options)
    for step in range(4):
        for parameters in (ours, theirs):
            grads(step, parameters)
            if step == 1:
                parameters[0].grad = RowSparse(jnp.array([1, 1]), jnp.ones((2, 2)), (4, 2))
            if step == 2:
                parameters[3].data = parameters[3].data.astype(jnp.float32)
                parameters[3].grad = parameters[3].grad.astype(jnp.float32)
        one.step()
        other.step()
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype
            assert_close(a.data, b.data, 1e-6 if a.dtype == jnp.float32 else 1e-12)
    assert sizes(one) == [2]


def test_options_that_need_more_state(without_buckets):
    ours, theirs = start(), start()
    one, other = optim.Adam(ours, lr=0.1), without_buckets("Adam", theirs, lr=0.1)
    for step in range(4):
        if step == 2:
            one.param_groups[0]["amsgrad"] = other.param_groups[0]["amsgrad"] = True
        grads(step, ours)
        grads(step, theirs)
        one.step()
        other.step()
        check(one, other, f"step {step}")


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "state_dict"])
def test_copies_continue_alike(how):
    parameters = start()
    optimizer = optim.Adam(parameters, lr=0.1)
    grads(0, parameters)
    optimizer.step()
    if how == "deepcopy":
        twins, twin = copy.deepcopy((parameters, optimizer))
    elif how == "pickle":
        twins, twin = pickle.loads(pickle.dumps((parameters, optimizer)))
    else:
        twins = [Parameter(p.data) for p in parameters]
        twin = optim.Adam(twins, lr=0.5)
        twin.load_state_dict(optimizer.state_dict())
    assert sizes(twin) == sizes(optimizer) == [4]
    for p, q in zip(parameters, twins, strict=True):
        assert p is not q
    for step in range(1, 3):
        for some, one in ((parameters, optimizer), (twins, twin)):
            grads(step, some)
            one.step()
        check(optimizer, twin)


def test_a_step_that_raises_leaves_the_bucket():
    parameters = start()
    optimizer = optim.Adam(parameters, lr=0.1)
    grads(0, parameters)
    optimizer.step()
    before = copy.deepcopy(optimizer.state_dict())

    def closure():
        raise KeyError("no loss")

    @fnn.jit
    def step():
        grads(1, parameters, (0,))
        optimizer.step()
        return optimizer.step(closure)

    with pytest.raises(KeyError, match="no loss"):
        step()
    assert sizes(optimizer) == [4]
    after = optimizer.state_dict()
    for key, values in before["state"].items():
        for name, value in values.items():
            assert_close(after["state"][key][name], value, 0, 0)


def test_state_is_read_while_it_is_sizes():
    parameters = start()
    optimizer = optim.Adam(parameters, lr=0.1)
    assert len(optimizer.state) == 0
    grads(0, parameters)
    held = [p.grad for p in parameters]
    optimizer.step()
    assert list(optimizer.state) == parameters
    for p, g in zip(parameters, held, strict=True):
        state = optimizer.state[p]
        assert state["exp_avg"].shape == p.shape
        assert_close(state["exp_avg"], 0.1 * g)
    kept = optimizer.state[parameters[0]]["exp_avg"]
    value = np.array(kept)
    grads(1, parameters)
    optimizer.step()
    assert_close(kept, value, 0, 0)
    with pytest.raises(KeyError):
        optimizer.state[Parameter(np.ones(1))]
    assert "exp_avg" in repr(optimizer.state)


def test_few_arrays_go_in_and_out():
    """All small states of a field are one array; a large one is its own."""
    parameters = start([(2,)] * 20 + [(_buckets.LARGEST + 1,)])
    optimizer = optim.Adam(parameters, lr=0.1)
    grads(0, parameters)
    optimizer.step()
    of_state = [box for box in optimizer._stateful_boxes_() if box._label.startswith("Adam state")]
    assert len(of_state) == 2 + 2 + 1  # both averages of each, and the count


def test_parameters_on_several_devices_are_not_sizes():
    on_two_devices(f"from {__name__} import check_several_devices; check_several_devices()")


def check_several_devices():
    mesh = jax.make_mesh((2,), ("x",), devices=jax.devices()[:2])
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    parameters = start([(2,), (3,)])
    optimizer = optim.Adam(parameters, lr=0.1)
    grads(0, parameters)
    optimizer.step()
    assert sizes(optimizer) == [2]
    for p in parameters:
        p.data = jax.device_put(p.data, everywhere)
    fresh = optim.Adam(parameters, lr=0.1)
    fresh.load_state_dict(optimizer.state_dict())
    grads(1, parameters)
    fresh.step()
    assert sizes(fresh) == []
    structure_changed()
    grads(1, parameters)
    optimizer.step()
    assert sizes(optimizer) == []
    assert len(parameters[0].data.sharding.device_set) == 2
