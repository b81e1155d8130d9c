"""Every method that a box shares with torch's tensors does what torch's does: values, dtypes, shapes, refusals."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.nn.tensor_methods.absent import ADVICE
from tests.nn.tensor_methods.comparison import Call, compare, f64, i64, mask, name_of, ours, same, theirs
from tests.nn.tensor_methods.elementwise_calls import CALLS as ELEMENTWISE
from tests.nn.tensor_methods.placing_calls import CALLS as PLACING
from tests.nn.tensor_methods.product_calls import CALLS as PRODUCTS
from tests.nn.tensor_methods.reducing_calls import CALLS as REDUCING
from tests.oracle import needs_torch, to_torch

CALLS: dict[str, list[Call]] = {}
for c in [*ELEMENTWISE, *REDUCING, *PLACING, *PRODUCTS]:
    CALLS.setdefault(c.method, []).append(c)

# Tested below by a property, since torch's result is random, a device's, or not the only right one.
BY_PROPERTY = set(
    """bernoulli bernoulli_ cauchy_ cuda data_ptr detach_ exponential_ geometric_ is_set_to log_normal_ lu lu_solve
    multinomial new_empty normal_ numpy pin_memory qr random_ requires_grad_ share_memory_ svd uniform_""".split()
)


@needs_torch
@pytest.mark.one_in(3)
@pytest.mark.parametrize("method", CALLS)
def test_a_method(method):
    compare(CALLS[method][0], boxes=True)


@needs_torch
@pytest.mark.slow
@pytest.mark.parametrize("method", CALLS)
def test_a_method_in_full(method):
    for c in CALLS[method]:
        try:
            compare(c)
        except AssertionError as error:
            raise AssertionError(f"{name_of(c)}: {error}") from error


@needs_torch
def test_every_method_of_torch_is_there_or_advised_upon():
    import torch

    names = {n for n in dir(torch.Tensor) if not n.startswith("_")}
    box = nn.Parameter(f64(2, 3))
    defined = {n for n in dir(nn.Parameter) if not n.startswith("_")}
    forwarded = {"T", "itemsize", "nbytes"}
    assert names - defined - forwarded - set(ADVICE) == set()
    assert set(ADVICE) <= names
    assert set(ADVICE).isdisjoint(defined)
    for name in sorted(names - set(ADVICE)):
        getattr(box, name) if name not in ("imag", "H") else None
    methods = {n for n in names & defined if inspect.isfunction(getattr(nn.Buffer, n, None))} | {"size"}
    assert methods - set(CALLS) - BY_PROPERTY == set()


@pytest.mark.parametrize("name", ADVICE)
def test_what_is_absent_says_what_to_write(name):
    box = nn.Parameter(np.ones(2, np.float32))
    assert not hasattr(box, name)
    with pytest.raises(AttributeError, match=rf"Parameter of shape \(2,\) has no '{name}': \w+"):
        getattr(box, name)


def test_what_jax_has_and_torch_has_not_is_the_arrays():
    box = nn.Parameter(np.arange(3.0))
    assert box.astype(jnp.int32).dtype == jnp.int32
    assert box.at[0].set(5).tolist() == [5, 1, 2]
    assert box.sharding == box.data.sharding
    assert len(box.addressable_shards) == 1
    with pytest.raises(AttributeError, match="nonsense"):
        box.nonsense  # noqa: B018


def test_numpys_names_of_arguments():
    box = nn.Buffer(np.arange(6.0).reshape(2, 3))
    assert box.sum(axis=0, keepdims=True).tolist() == [[3, 5, 7]]
    assert box.max(axis=1).indices.tolist() == [2, 2]
    assert box.squeeze(axis=0).shape == (2, 3)


def test_numpys_functions_see_the_array():
    box = nn.Buffer(np.array([[1.0, 4.0], [2.0, 2.0]]))
    assert np.max(box, axis=1).tolist() == [4, 2]
    assert np.std(box) == np.std(box.numpy())
    assert np.concatenate([box, box]).shape == (4, 2)
    assert np.shape(box) == (2, 2)
    assert np.transpose(box).tolist() == [[1, 2], [4, 2]]


# Attributes


@needs_torch
@pytest.mark.parametrize("name", "T mT H mH itemsize nbytes ndim is_leaf is_sparse is_quantized is_meta is_cpu".split())
def test_an_attribute(name):
    value = f64(2, 3)
    got, wanted = getattr(nn.Buffer(value), name), getattr(to_torch(value), name)
    same(got, wanted, name) if hasattr(wanted, "numpy") else None
    assert hasattr(wanted, "numpy") or got == wanted


def test_attributes_of_autograd():
    buffer, parameter = nn.Buffer(np.ones(2)), nn.Parameter(np.ones(2))
    for box in (buffer, parameter):
        assert box.grad is None
        assert box.grad_fn is None
        assert box.is_leaf
        assert not box.retains_grad
        assert box.detach_() is box
        assert box.share_memory_() is box
        assert box.requires_grad_(False) is box
    with pytest.raises(RuntimeError, match="Parameter"):
        buffer.requires_grad_()
    assert parameter.requires_grad_().requires_grad


def test_parts_of_complex_numbers():
    box = nn.Buffer(np.array([1 + 2j]))
    assert (box.real.tolist(), box.imag.tolist()) == ([1], [2])
    with pytest.raises(RuntimeError, match="complex"):
        nn.Buffer(np.ones(2)).imag  # noqa: B018


def test_memory():
    box = nn.Buffer(np.ones((2, 3)))
    other = nn.Buffer(np.ones((2, 3)))
    assert box.data_ptr() == box.data.unsafe_buffer_pointer()
    assert box.data_ptr() != other.data_ptr()
    assert box.is_set_to(box)
    assert box.is_set_to(box.data)
    assert not box.is_set_to(other)
    assert box.pin_memory() is box.data
    assert box.new_empty(2, 2).shape == (2, 2)
    with pytest.raises(RuntimeError):
        box.cuda() if jax.default_backend() == "cpu" else box.cuda(99)


# Decompositions that are not unique


def test_qr_svd_and_lu_multiply_back():
    x = f64(4, 3)
    box = nn.Buffer(x)
    q, r = box.qr()
    assert np.allclose(q @ r, x)
    assert box.qr(some=False).Q.shape == (4, 4)
    u, s, v = box.svd()
    assert np.allclose(u * s @ v.T, x)
    assert box.svd(some=False).U.shape == (4, 4)
    square = nn.Buffer(f64(4, 4) + 3 * np.eye(4))
    packed, pivots = square.lu()
    b = nn.Buffer(f64(4, 2))
    assert np.allclose(square.data @ b.lu_solve(packed, pivots), b.data)
    assert pivots.dtype == jnp.int32
    assert int(pivots.min()) >= 1


# Indexing

INDICES = [
    0, -1, 2, -3, slice(1, None), (0, 1), (slice(None), 1), (Ellipsis, 0), None, (None, 0), (0, Ellipsis), True, [0, 1],
    ([0, 1], [1, 2]), (slice(None), [2, 0]), np.array([1, 0]), (np.array([0, 1]), slice(None), np.array([1, 2])), mask(2, 3),
    mask(2, 3, 4), (0, mask(3)), [True, False], (slice(None), slice(0, 3, 2)), (Ellipsis, np.array([3, -4])), np.array(1),
    (0, 0, 0, 0), 5, (0, 3), np.array([2]), 1.5, np.array([0.5]), mask(3), (slice(None), np.array([-5])), (),
]  # fmt: skip


@needs_torch
@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_reading_by_index(index, boxes):
    x = f64(2, 3, 4)
    tensor, box = to_torch(x), nn.Buffer(x)
    try:
        wanted = tensor[theirs(index)]
    except (IndexError, TypeError, ValueError, RuntimeError):
        with pytest.raises((IndexError, TypeError)):
            box[ours(index, boxes)]
        return
    same(box[ours(index, boxes)], wanted, str(index))


@needs_torch
@pytest.mark.parametrize("value", [2, 1.5, f64(4), f64(1, 1, 1, 1), f64(5)], ids=lambda v: str(np.shape(v)))
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_writing_by_index(index, value):
    x = f64(2, 3, 4)
    tensor, box = to_torch(x), nn.Buffer(x)
    try:
        tensor[theirs(index)] = theirs(value)
    except (IndexError, TypeError, ValueError, RuntimeError):
        before = box.data
        with pytest.raises((IndexError, TypeError, ValueError)):
            box[ours(index, True)] = ours(value, True)
        assert box.data is before
        return
    box[ours(index, True)] = ours(value, True)
    same(box.data, tensor, str(index))


@needs_torch
def test_writing_by_index_casts():
    tensor, box = to_torch(i64(3)), nn.Buffer(i64(3))
    tensor[1], box[1] = 2.7, 2.7
    same(box.data, tensor, "truncated")


def test_a_box_as_the_index_of_an_array_says_what_to_write():
    rows, x = nn.Buffer(np.array([1, 0])), jnp.arange(4.0).reshape(2, 2)
    rows._label = "rows"
    for use in (lambda: x[rows], lambda: x[:, rows], lambda: x.at[rows].set(0), lambda: jax.lax.neg(rows)):
        with pytest.raises(ValueError, match=r"Buffer 'rows' of shape \(2,\) .* use \.data"):
            use()
    assert x[rows.data].tolist() == x[rows.view(-1)].tolist() == [[2, 3], [0, 1]]
    assert nn.Parameter(x)[:, rows].tolist() == [[1, 0], [3, 2]]


class Reader(nn.Module):
    """Uses its boxes in functions of JAX."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(f64(2, 3))
        self.register_buffer("rows", np.array([1, 0]))
        self.register_buffer("mask", np.array([True, False, True]))

    def forward(self, x):
        picked = self.weight[self.rows] + self.weight[self.rows, [2, 0]][:, None]
        return picked * x + jax.nn.gelu(self.weight) + jnp.take(x, self.rows, axis=0) + np.ones((2, 3)) * self.weight


def test_boxes_in_functions_of_jax_eagerly_and_traced():
    model, x = Reader(), jnp.asarray(f64(2, 3))
    params, buffers = fnn.state(model)
    eager = model(x)
    w = model.weight.data
    wanted = (w[::-1] + w[jnp.array([1, 0]), jnp.array([2, 0])][:, None]) * x + jax.nn.gelu(w) + x[::-1] + w
    assert np.allclose(eager, wanted)
    traced = jax.jit(lambda p, b: fnn.functional_call(model, p, b, x)[0])(params, buffers)
    assert np.allclose(traced, eager)
    grads = jax.grad(lambda p: fnn.functional_call(model, p, buffers, x)[0].sum())(params)
    assert np.isfinite(grads["weight"]).all()
    assert jnp.size(model.weight) == 6
    assert jnp.shape(model.weight) == (2, 3)
    assert jnp.ndim(model.weight) == 2
    assert jnp.reshape(model.weight, (3, 2)).shape == (3, 2)


def test_a_traced_index_out_of_range_gives_nan():
    weight = nn.Parameter(f64(3))
    assert np.isnan(jax.jit(lambda i: weight[i])(jnp.array([0, 3]))).tolist() == [False, True]
    assert np.isnan(jax.jit(lambda i: weight.gather(0, i))(jnp.array([-1, 1]))).tolist() == [True, False]
    assert np.isnan(jax.jit(lambda i: weight.index_select(0, i))(jnp.array([-1, 1]))).tolist() == [True, False]


def test_a_box_contains_and_formats():
    box = nn.Buffer(np.array([1.0, 2.5]))
    assert 2.5 in box
    assert 3.0 not in box
    assert f"{nn.Buffer(np.array(2.345)):.2f}" == "2.35"


def test_known_values_under_a_trace():
    """What needs values works on boxes that a trace does not trace: numpy computes it."""
    x, m = nn.Buffer(np.array([3, 1, 0, 1])), nn.Buffer(np.array([True, False, True, True]))
    zero = nn.Buffer(np.zeros(1))

    def known(y):
        assert x.equal(x.data)
        assert x.allclose(x.data)
        assert not zero.is_nonzero()
        assert x.tolist() == [3, 1, 0, 1]
        return (
            x.nonzero(),
            x.unique(return_counts=True),
            x.unique_consecutive(),
            x.bincount(),
            x.take(np.array([0, -1])),
            x.masked_select(m),
            x.masked_scatter(m, np.array([7, 8, 9])),
            x.index_select(0, x.data),
            x[x],
            x[m],
            x.float().sum() + y,
        )

    for eager, traced in zip(jax.tree.leaves(known(1.0)), jax.tree.leaves(jax.jit(known)(1.0)), strict=True):
        assert np.array_equal(eager, traced)


@pytest.mark.parametrize("method", ["nonzero", "unique", "unique_consecutive", "bincount"])
def test_traced_values_of_which_the_shape_depends_are_refused(method):
    def of(x):
        return getattr(nn.Buffer(x), method)()

    with pytest.raises(RuntimeError, match=f"{method}: .* traced|{method}: .* transformation"):
        jax.jit(of)(jnp.array([1, 2]))


def test_dtypes_without_64_bit_types():
    with jax.enable_x64(False):
        box = nn.Parameter(np.ones(2, np.float32))
        assert box.long().dtype == box.to(jnp.int64).dtype == box.sum(dtype=jnp.int64).dtype == jnp.int32
        assert box.argmax().dtype == box.sort().indices.dtype == box.nonzero().dtype == jnp.int32
        for cast in (box.double, lambda: box.to(jnp.float64), lambda: box.new_zeros(2, dtype=jnp.float64)):
            with pytest.raises(RuntimeError, match="jax_enable_x64"):
                cast()
