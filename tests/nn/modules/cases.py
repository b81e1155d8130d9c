"""Tables of layers, and what every row is tested for: the layer against torch's of the same arguments and state."""

import copy
import pickle
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from tests.oracle import assert_close, from_torch, leaves, needs_torch, rand, to_torch


class Fixed:
    """An argument that no gradient is taken of."""

    def __init__(self, array):
        self.array = np.asarray(array)


def ints(*values):
    return Fixed(np.array(values, np.int64))


def drawn(high, *shape, low=0):
    return Fixed(np.random.default_rng([high, *shape]).integers(low, high, shape))


IMAGE, VOLUME, LINE = (2, 4, 6, 5), (1, 2, 4, 5, 4), (2, 4, 9)

# torch computes these derivatives with a float32 constant.
IMPRECISE = ("Hardsigmoid", "CELU", "ELU", "SELU")

# Layers that do something else in training mode.
MODAL = ("BatchNorm", "InstanceNorm", "Dropout", "AlphaDropout", "FeatureAlphaDropout", "RReLU")


def identify(case):
    name, args, options, *_ = case
    short = [*args, *(f"{k}={v}" for k, v in options.items() if not isinstance(v, np.ndarray))]
    return "-".join([name, *(str(v) for v in short if not isinstance(v, np.ndarray))])


def as_inputs(inputs):
    """The inputs of a row: a tuple is the shape of a random array."""
    return [Fixed(rand(i, *x)).array if isinstance(x, tuple) else x for i, x in enumerate(inputs)]


def torch_layer(name, args, options):
    import torch

    torch.manual_seed(0)
    layer = getattr(torch.nn, name)(*to_torch(args), **to_torch(options)).double()
    with torch.no_grad():
        for i, (key, value) in enumerate(layer.state_dict().items()):
            if key.startswith("running"):
                value.copy_(torch.from_numpy(rand(50 + i, *value.shape, low=0.2, high=1.5)))
            elif "Norm" in name and value.is_floating_point():
                value.copy_(torch.from_numpy(rand(50 + i, *value.shape)))
    return layer


def same_description(ours, theirs):
    assert repr(ours) == repr(theirs)
    mine, others = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(others)
    for key, value in others.items():
        assert mine[key].shape == tuple(value.shape), key
        assert str(mine[key].dtype) == str(value.dtype).removeprefix("torch."), key
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]


def check_case(case):
    """One compiled value_and_grad of the layer in training mode, if that matters, then in evaluation mode."""
    import torch

    name, args, options = case[:3]
    inputs = as_inputs(case[3:])
    theirs = torch_layer(name, args, options)
    ours = getattr(nn, name)(*args, **options).double()
    before = {k: from_torch(v.clone()) for k, v in theirs.state_dict().items()}
    assert repr(ours.load_state_dict(theirs.state_dict())) == "<All keys matched successfully>"
    same_description(ours, theirs)

    tensors = [to_torch(x.array) if isinstance(x, Fixed) else to_torch(x, requires_grad=True) for x in inputs]
    modes = (True, False) if name.startswith(MODAL) else (True,)
    expected, total = [], 0
    for mode in modes:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
            expected += leaves(theirs.train(mode)(*(t.clone() for t in tensors)))  # some write in place
    weights = [rand(97 + i, *y.shape) for i, y in enumerate(expected)]
    for y, w in zip(expected, weights, strict=True):
        if y.is_floating_point() and y.requires_grad:
            total = total + (y * torch.tensor(w)).sum()
    wanted = [*theirs.parameters(), *(t for t in tensors if t.requires_grad)]
    some = torch.is_tensor(total) and bool(wanted)
    their_grads = torch.autograd.grad(total, wanted, allow_unused=True) if some else [None] * len(wanted)

    params, buffers = fnn.state(ours)
    floats = [x for x in inputs if not isinstance(x, Fixed)]

    @jax.jit
    def run(params, floats, buffers):
        def loss(params, floats):
            rest = iter(floats)
            values = [x.array if isinstance(x, Fixed) else next(rest) for x in inputs]
            outs, state = [], buffers
            for mode in modes:
                ours.train(mode)
                out, state = fnn.functional_call(ours, params, state, *values, rng=jax.random.key(0))
                outs += leaves(out)
            terms = [(o * w).sum() for o, w in zip(outs, weights, strict=True) if jnp.issubdtype(o.dtype, jnp.floating)]
            return sum(terms), (outs, state)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, floats)

    (_, (outs, state)), (param_grads, input_grads) = run(params, floats, buffers)
    for i, (a, b) in enumerate(zip(outs, expected, strict=True)):
        assert_close(a, from_torch(b), 1e-9, 1e-11, f"output {i}")
    names = [n for n, _ in ours.named_parameters()]
    for what, a, b in zip(
        [*names, *floats], [*(param_grads[n] for n in names), *input_grads], their_grads, strict=True
    ):
        label = f"gradient of {what if isinstance(what, str) else 'an input'}"
        rtol = 1e-7 if name in IMPRECISE else 1e-8
        assert_close(a, np.zeros(a.shape) if b is None else from_torch(b), rtol, 1e-10, label)
    for key, value in theirs.named_buffers():
        assert_close(state[key], from_torch(value), 1e-9, 1e-12, key)
    for key, value in before.items():
        assert_close(ours.state_dict()[key], value, 0, 0, f"{key} of the layer itself")


def check_output_size(name, args, inputs, size):
    """The size asked for in the call, of the spatial axes or of all."""
    arrays = [x.array if isinstance(x, Fixed) else x for x in as_inputs(inputs)]
    theirs = torch_layer(name, args, {})
    ours = getattr(nn, name)(*args).double()
    ours.load_state_dict(theirs.state_dict())
    expected = from_torch(theirs(*to_torch(arrays), output_size=list(size)))
    assert_close(ours(*arrays, output_size=size), expected, 1e-9, 1e-11)


class LayerTests:
    """The tests of a file of layers: a subclass fills the tables, and each of their rows is a test or more.

    A row of ``CASES`` (every run) and ``MORE`` (slow) is: name, arguments, options, inputs. The first row of a layer is
    also copied, and run by ``fnn.jit`` if ``COMPILED`` names the layer. A row of ``BAD`` is: error, match, name,
    arguments, options.
    """

    CASES = []
    MORE = []
    BAD = []
    COMPILED = []

    def __init_subclass__(cls):
        for table, test in [
            ("MORE", "test_against_torch_with_more_options"),
            ("BAD", "test_bad_arguments"),
            ("BAD", "test_bad_arguments_are_bad_in_torch"),
            ("COMPILED", "test_under_fnn_jit"),
        ]:
            if not getattr(cls, table):
                setattr(cls, test, None)

    def pytest_generate_tests(self, metafunc):
        first = list({case[0]: case for case in self.CASES}.values())
        rows = {
            "case": self.CASES,
            "more": self.MORE,
            "first": first,
            "compiled": [case for case in first if case[0] in self.COMPILED],
        }
        for argument in metafunc.fixturenames:
            if argument in rows:
                ids = [case[0] if argument in ("first", "compiled") else identify(case) for case in rows[argument]]
                metafunc.parametrize(argument, rows[argument], ids=ids)
            elif argument == "bad":
                metafunc.parametrize("bad", self.BAD, ids=lambda row: identify(row[2:]))

    @needs_torch
    def test_against_torch(self, case):
        check_case(case)

    @needs_torch
    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore:.*nitializing.* zero.element")
    def test_against_torch_with_more_options(self, more):
        check_case(more)

    def test_copies(self, first):
        name, args, options = first[:3]
        layer = getattr(nn, name)(*args, **options)
        for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert type(twin) is type(layer)
            assert repr(twin) == repr(layer)
            assert list(twin.state_dict()) == list(layer.state_dict())
            for key, value in layer.state_dict().items():
                assert_close(twin.state_dict()[key], value, 0, 0, key)
            boxes = [*layer.parameters(), *layer.buffers()]
            assert not any(a is b for a in [*twin.parameters(), *twin.buffers()] for b in boxes)
            assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in layer.parameters()]

    def test_under_fnn_jit(self, compiled):
        name, args, options = compiled[:3]
        inputs = [x.array if isinstance(x, Fixed) else x for x in as_inputs(compiled[3:])]
        layer = getattr(nn, name)(*args, **options).double()
        twin = copy.deepcopy(layer)
        for a, b in zip(leaves(fnn.jit(layer)(*inputs)), leaves(twin(*inputs)), strict=True):
            assert_close(a, b, 1e-10, 1e-12)
        for (key, a), b in zip(layer.state_dict().items(), twin.state_dict().values(), strict=True):
            assert_close(a, b, 1e-10, 1e-12, key)

    def test_bad_arguments(self, bad):
        error, match, name, args, options = bad
        with pytest.raises(error, match=match):
            getattr(nn, name)(*args, **options)

    @needs_torch
    def test_bad_arguments_are_bad_in_torch(self, bad):
        import torch

        errors = (TypeError, ValueError, RuntimeError, AssertionError, NotImplementedError, ZeroDivisionError)
        name, args, options = bad[2:]
        with pytest.raises(errors):
            getattr(torch.nn, name)(*to_torch(args), **to_torch(options))
