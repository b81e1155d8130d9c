"""The public names of torch.nn and what belongs to them, and what every Module class can do: its default form, copies."""

import copy
import inspect
import pickle
import sys
import types
import warnings

import jax
import numpy as np
import pytest

from fnn import nn
from tests.oracle import needs_torch

# How a class is built whose arguments are modules or depend on one another; the others by PLAIN, or without arguments.
BUILT = {
    "AdaptiveLogSoftmaxWithLoss": lambda m: m.AdaptiveLogSoftmaxWithLoss(4, 10, [3, 6]),
    "GRU": lambda m: m.GRU(2, 3, bidirectional=True),
    "GRUCell": lambda m: m.GRUCell(2, 3),
    "LSTM": lambda m: m.LSTM(2, 3, num_layers=2, proj_size=2),
    "LSTMCell": lambda m: m.LSTMCell(2, 3),
    "ModuleDict": lambda m: m.ModuleDict({"a": m.Linear(2, 3), "b": m.ReLU()}),
    "ModuleList": lambda m: m.ModuleList([m.Linear(2, 3), m.Linear(2, 3)]),
    "MultiheadAttention": lambda m: m.MultiheadAttention(4, 2, kdim=3, add_bias_kv=True),
    "ParameterDict": lambda m: m.ParameterDict({"a": m.Linear(2, 3).weight}),
    "ParameterList": lambda m: m.ParameterList([m.Linear(2, 3).weight]),
    "RNN": lambda m: m.RNN(2, 3, nonlinearity="relu"),
    "RNNBase": lambda m: m.RNNBase("LSTM", 2, 3),
    "RNNCell": lambda m: m.RNNCell(2, 3),
    "RNNCellBase": lambda m: m.RNNCellBase(2, 3, bias=True, num_chunks=4),
    "Sequential": lambda m: m.Sequential(m.Linear(2, 3), m.Tanh(), m.BatchNorm1d(3)),
    "Transformer": lambda m: m.Transformer(4, 2, 1, 1, 8),
    "TransformerDecoder": lambda m: m.TransformerDecoder(m.TransformerDecoderLayer(4, 2, 8), 2, m.LayerNorm(4)),
    "TransformerDecoderLayer": lambda m: m.TransformerDecoderLayer(4, 2, 8),
    "TransformerEncoder": lambda m: m.TransformerEncoder(
        m.TransformerEncoderLayer(4, 2, 8), 2, enable_nested_tensor=False
    ),
    "TransformerEncoderLayer": lambda m: m.TransformerEncoderLayer(4, 2, 8, norm_first=True),
}

PLAIN = {
    "AdaptiveAvgPool1d": (2,),
    "AdaptiveAvgPool2d": ((2, None),),
    "AdaptiveAvgPool3d": (2,),
    "AdaptiveMaxPool1d": (2,),
    "AdaptiveMaxPool2d": ((2, None),),
    "AdaptiveMaxPool3d": (2,),
    "Bilinear": (2, 3, 4),
    "ChannelShuffle": (2,),
    "CrossMapLRN2d": (3,),
    "Embedding": (5, 3, -1),
    "EmbeddingBag": (5, 3),
    "Fold": ((4, 5), 2),
    "FractionalMaxPool2d": (2, 3),
    "FractionalMaxPool3d": (2, (2, 3, 2)),
    "GroupNorm": (2, 4),
    "LayerNorm": ((3, 4),),
    "LazyLinear": (3,),
    "Linear": (3, 4),
    "LinearCrossEntropyLoss": (3, 4),
    "LocalResponseNorm": (2,),
    "PixelShuffle": (2,),
    "PixelUnshuffle": (2,),
    "RMSNorm": (4,),
    "SyncBatchNorm": (3,),
    "Threshold": (0.1, 20.0),
    "Unflatten": (1, (2, 3)),
    "Unfold": ((2, 3),),
}
for n in (1, 2, 3):
    PLAIN |= {f"{kind}{n}d": (2,) for kind in ("AvgPool", "MaxPool", "MaxUnpool")}
    PLAIN |= {f"{kind}Pad{n}d": ((1, 2) * n,) for kind in ("Circular", "Reflection", "Replication", "Zero")}
    PLAIN |= {f"ConstantPad{n}d": (1, 3.5), f"LPPool{n}d": (2, 3), f"BatchNorm{n}d": (3,), f"InstanceNorm{n}d": (3,)}
    PLAIN |= {f"Conv{n}d": (4, 4, 3), f"ConvTranspose{n}d": (4, 4, 3)}
    PLAIN |= {f"LazyConv{n}d": (4, 3), f"LazyConvTranspose{n}d": (4, 3)}

MODULES = sorted(
    name
    for name in dir(nn)
    if inspect.isclass(getattr(nn, name)) and issubclass(getattr(nn, name), nn.Module) and not name.startswith("_")
    if name not in ("DataParallel", "Repeated")  # tests/parallel tests the one, torch has not the other
)


def make(name, package):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lazy and deprecated layers warn
        if name in BUILT:
            return BUILT[name](package)
        return getattr(package, name)(*PLAIN.get(name, ()))


@needs_torch
@pytest.mark.parametrize("name", MODULES)
def test_default_form(name):
    """Without ``dtype``: the repr, the names, shapes and dtypes of state and parameters are torch's."""
    import torch

    ours, theirs = make(name, nn), make(name, torch.nn)
    assert ours.training
    if name not in ("ParameterDict", "ParameterList"):  # torch's tell its tensor types
        assert repr(ours) == repr(theirs)
    if not name.startswith("Lazy"):
        mine = {k: (tuple(v.shape), str(v.dtype)) for k, v in ours.state_dict().items()}
        assert mine == {
            k: (tuple(v.shape), str(v.dtype).removeprefix("torch.")) for k, v in theirs.state_dict().items()
        }
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for kind in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [k for k, _ in getattr(ours, kind)()] == [k for k, _ in getattr(theirs, kind)()], kind


@pytest.mark.parametrize("way", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("name", MODULES)
def test_copies(name, way):
    """A copy has the same form and arrays, and shares no box."""
    module = make(name, nn).eval()
    twin = way(module)
    assert type(twin) is type(module)
    assert repr(twin) == repr(module)
    assert [m.training for m in twin.modules()] == [m.training for m in module.modules()]
    plain = (str, int, float, tuple, bool, type(None))
    told = {k: v for k, v in vars(module).items() if not k.startswith("_") and isinstance(v, plain)}
    assert {k: vars(twin)[k] for k in told} == told
    mine, its = module.state_dict(), twin.state_dict()
    assert list(mine) == list(its)
    boxes = {id(b) for b in [*module.parameters(), *module.buffers()]}
    assert not any(id(b) in boxes for b in [*twin.parameters(), *twin.buffers()])
    assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in module.parameters()]
    if name.startswith("Lazy"):
        assert [type(b) for b in twin.parameters()] == [type(b) for b in module.parameters()]
        return
    for key, array in mine.items():
        assert its[key].dtype == array.dtype
        np.testing.assert_array_equal(its[key], array)
    for p in twin.parameters():
        before = np.asarray(p)
        p.data = jax.device_put(before + 1)
    for key, array in mine.items():
        np.testing.assert_array_equal(module.state_dict()[key], array)


# Public names of torch.nn that fnn.nn does not have, and why.
ABSENT_CLASSES = {"Container"}  # raises when it is constructed
ABSENT_FUNCTIONS = {
    # plumbing of torch's own files
    *("assert_int_or_pair", "boolean_dispatch", "handle_torch_function", "has_torch_function"),
    *("has_torch_function_unary", "has_torch_function_variadic"),
    # matrix products of 8-bit floats and of groups, for CUDA alone
    *("grouped_mm", "scaled_mm", "scaled_grouped_mm"),
}
ABSENT_UTILS = {
    "clip_grad_norm",  # deprecated name of clip_grad_norm_
    # the memory order of an array belongs to XLA
    *("convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"),
    "stateless",  # fnn.functional_call
}
UTILITIES = (  # the files of torch.nn.utils that fnn.nn.utils has
    *("clip_grad", "convert_parameters", "fusion", "init", "parametrizations", "parametrize", "prune", "rnn"),
    *("spectral_norm", "weight_norm"),
)
ABSENT_METHODS = {
    *("T_destination", "dump_patches"),  # typing and subclassing internals
    "compile",  # fnn.jit
    *("ipu", "mtia", "xpu"),  # torch's devices
}


@needs_torch
def test_every_class_is_here():
    import torch

    names = {n for n in dir(torch.nn) if inspect.isclass(getattr(torch.nn, n)) and not n.startswith("_")}
    assert len(names) > 150
    assert {n for n in names if not hasattr(nn, n)} == ABSENT_CLASSES
    assert {n for n in torch.nn.modules.__all__ if not hasattr(nn, n)} == ABSENT_CLASSES


@needs_torch
def test_every_method_is_here():
    import torch

    public = {n for n in dir(torch.nn.Module) if not n.startswith("_")}
    assert {n for n in public if not hasattr(nn.Module, n)} == ABSENT_METHODS
    for name in MODULES:
        if name not in BUILT:
            extra = {n for n in dir(getattr(torch.nn, name)) if not n.startswith("_")} - public
            assert not {n for n in extra if not hasattr(getattr(nn, name), n)}, name


@needs_torch
def test_every_function_is_here():
    import torch

    F = torch.nn.functional
    skipped = ("typing", "collections", "enum", "torch._C._distributed")
    names = {
        n
        for n in dir(F)
        if callable(getattr(F, n))
        and not inspect.isclass(getattr(F, n))
        and not n.startswith(("_", "Broadcasting"))
        and not str(getattr(getattr(F, n), "__module__", "")).startswith(skipped)
    }
    assert len(names) > 120
    assert {n for n in names if not hasattr(nn.functional, n)} == ABSENT_FUNCTIONS
    kept_private = {"rnn_cell", "lstm_cell", "gru_cell", "rnn", "lstm", "gru", "embedding_renorm", "batch_norm_update"}
    assert not {n for n in {*kept_private, "instance_norm_update"} if not hasattr(nn.functional, n)}
    assert not {n for n in torch.nn.init.__all__ if not hasattr(nn.init, n)}


@needs_torch
def test_every_utility_is_here():
    import torch
    import torch.nn.utils.prune

    assert {n for n in torch.nn.utils.__all__ if not hasattr(nn.utils, n)} == ABSENT_UTILS
    for name in UTILITIES:
        # of some files the package shows a function of the same name
        theirs, ours = sys.modules[f"torch.nn.utils.{name}"], sys.modules[f"fnn.nn.utils.{name}"]
        public = getattr(theirs, "__all__", None) or [
            n for n in dir(theirs) if not n.startswith("_") and not isinstance(getattr(theirs, n), types.ModuleType)
        ]
        wanted = [n for n in public if str(getattr(getattr(theirs, n), "__module__", "torch")).startswith("torch.nn")]
        assert wanted
        assert not {n for n in wanted if not hasattr(ours, n)} - ABSENT_UTILS - {"Module"}, name
