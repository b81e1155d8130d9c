"""Calls that are right of what is not a function of arrays: constructors, layers, methods, optimizers, schedules, services."""

from __future__ import annotations

import inspect
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import fnn
from fnn import nn, optim, parallel
from fnn.nn import init, utils
from fnn.nn.utils import parametrizations, parametrize, prune, rnn as packing
from fnn.optim import lr_scheduler, schedule, swa_utils
from tests.nn.test_signatures import MODULES, PLAIN
from tests.optim.optimizer_cases import CASES as OPTIMIZERS
from tests.wrong_arguments.functional_calls import labels, ramp
from tests.wrong_arguments.parallel_calls import RIGHT


class Call(NamedTuple):
    """A callable, its right arguments by name, and the objects that an error must leave as they are."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    watched: tuple[Any, ...] = ()


def _bound(function: Callable[..., Any], *args: Any, **options: Any) -> Call:
    return Call(function, dict(inspect.signature(function).bind(*args, **options).arguments))


CALLS: dict[str, Callable[[], Call]] = {}


def _key() -> Any:
    return jax.random.key(0)


# fnn.nn.init

_NUMBERS = {"constant_": {"val": 1.0}, "sparse_": {"sparsity": 0.5}}


def _filling(name: str) -> Callable[[], Call]:
    def make() -> Call:
        box = nn.Parameter(ramp(*((3, 4, 2) if name == "dirac_" else (3, 4))))
        return Call(getattr(init, name), {"tensor": box, **_NUMBERS.get(name, {})}, (box,))

    return make


def _drawing(name: str) -> Callable[[], Call]:
    shape = (3, 4, 2) if name == "dirac" else (3, 4)
    return lambda: Call(getattr(init, name), {"key": _key(), "shape": shape})


for _name in init.__all__:
    if _name != "calculate_gain":
        CALLS[f"init.{_name}"] = (_filling if _name.endswith("_") else _drawing)(_name)
CALLS["init.calculate_gain"] = lambda: Call(init.calculate_gain, {"nonlinearity": "leaky_relu"})

# Constructors of layers, and what the layers take


def _linear() -> nn.Linear:
    return nn.Linear(4, 3)


_encoder = lambda: nn.TransformerEncoderLayer(4, 2, 8)  # noqa: E731
_decoder = lambda: nn.TransformerDecoderLayer(4, 2, 8)  # noqa: E731
CONSTRUCTED: dict[str, Callable[[], tuple[Any, ...]]] = {
    "AdaptiveLogSoftmaxWithLoss": lambda: (4, 10, [3, 6]),
    **dict.fromkeys(("GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"), lambda: (4, 3)),
    "ModuleDict": lambda: ({"a": _linear()},),
    "ModuleList": lambda: ([_linear()],),
    "MultiheadAttention": lambda: (4, 2),
    "ParameterDict": lambda: ({"a": _linear().weight},),
    "ParameterList": lambda: ([_linear().weight],),
    "RNNBase": lambda: ("LSTM", 4, 3),
    "RNNCellBase": lambda: (4, 3, True, 4),
    "Sequential": lambda: (_linear(),),
    "Repeated": lambda: (lambda: nn.Linear(4, 4), 2),
    "Transformer": lambda: (4, 2, 1, 1, 8),
    "TransformerDecoder": lambda: (_decoder(), 1),
    "TransformerDecoderLayer": lambda: (4, 2, 8),
    "TransformerEncoder": lambda: (_encoder(), 1),
    "TransformerEncoderLayer": lambda: (4, 2, 8),
    "LinearCrossEntropyLoss": lambda: (4, 3),
    "Linear": lambda: (4, 3),
    "LazyLinear": lambda: (3,),
    "Bilinear": lambda: (4, 3, 5),
    "LayerNorm": lambda: (4,),
    **dict.fromkeys(("Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"), lambda: (None, 2)),
    "RMSNorm": lambda: (4,),
    "Embedding": lambda: (5, 3),
    "EmbeddingBag": lambda: (5, 3),
    "Unflatten": lambda: (1, (2, 2)),
    "Unfold": lambda: (2,),
    "Fold": lambda: ((3, 4), 2),
    "Threshold": lambda: (0.5, 2.0),
    "SyncBatchNorm": lambda: (4,),
}
for _n in (1, 2, 3):
    CONSTRUCTED |= dict.fromkeys((f"BatchNorm{_n}d", f"InstanceNorm{_n}d"), lambda: (4,))
    CONSTRUCTED[f"ZeroPad{_n}d"] = CONSTRUCTED[f"CircularPad{_n}d"] = lambda: (1,)
    CONSTRUCTED[f"ReflectionPad{_n}d"] = CONSTRUCTED[f"ReplicationPad{_n}d"] = lambda: (1,)
    CONSTRUCTED[f"ConstantPad{_n}d"] = lambda: (1, 3.5)
    CONSTRUCTED[f"Conv{_n}d"] = CONSTRUCTED[f"ConvTranspose{_n}d"] = lambda: (4, 4, 2)
    CONSTRUCTED[f"LazyConv{_n}d"] = CONSTRUCTED[f"LazyConvTranspose{_n}d"] = lambda: (4, 2)


def construct(name: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lazy and deprecated layers warn
        args = CONSTRUCTED[name]() if name in CONSTRUCTED else PLAIN.get(name, ())
        return getattr(nn, name)(*args)


def _constructor(name: str) -> Callable[[], Call]:
    return lambda: _bound(getattr(nn, name), *(CONSTRUCTED[name]() if name in CONSTRUCTED else PLAIN.get(name, ())))


_ELSEWHERE = {
    "Module",
    "DataParallel",
    "DistributedDataParallel",
}  # the last two are there once somebody asked for them

for _name in [*MODULES, "Repeated"]:
    if _name not in _ELSEWHERE:
        CALLS[f"nn.{_name}"] = _constructor(_name)

_LOSS = (ramp(2, 4), ramp(2, 4))
_CLASSES = (ramp(2, 4), labels(0, 3))
_CELL = (ramp(2, 4), ramp(2, 3))
TAKEN: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("CrossEntropyLoss", "NLLLoss", "NLLLoss2d", "MultiMarginLoss"), _CLASSES),
    "AdaptiveLogSoftmaxWithLoss": (ramp(2, 4), labels(0, 8)),
    "Bilinear": (ramp(2, 4), ramp(2, 3)),
    "CTCLoss": (-ramp(4, 2, 3), labels([1, 2], [2, 1]), labels(4, 3), labels(1, 2)),
    "CosineEmbeddingLoss": (ramp(2, 4), ramp(2, 4), labels(1, -1)),
    "CosineSimilarity": _LOSS,
    "Embedding": (labels(0, 2),),
    "EmbeddingBag": (labels(0, 2, 1), labels(0, 1)),
    "Fold": (ramp(2, 4, 6),),
    "GRU": (ramp(5, 2, 4), ramp(1, 2, 3)),
    "GRUCell": _CELL,
    "GaussianNLLLoss": (*_LOSS, ramp(2, 4)),
    "LSTM": (ramp(5, 2, 4), (ramp(1, 2, 3), ramp(1, 2, 3))),
    "LSTMCell": (ramp(2, 4), (ramp(2, 3), ramp(2, 3))),
    "LinearCrossEntropyLoss": (ramp(2, 4), labels(0, 2)),
    "MarginRankingLoss": (ramp(3), ramp(3), ramp(3)),
    "MultiLabelMarginLoss": (ramp(2, 4), labels([0, 2, -1, 0], [1, -1, 0, 0])),
    "MultiheadAttention": (ramp(3, 2, 4), ramp(5, 2, 4), ramp(5, 2, 4)),
    "PairwiseDistance": _LOSS,
    "RNN": (ramp(5, 2, 4), ramp(1, 2, 3)),
    "RNNCell": _CELL,
    "Transformer": (ramp(3, 2, 4), ramp(5, 2, 4)),
    "TransformerDecoder": (ramp(3, 2, 4), ramp(5, 2, 4)),
    "TransformerDecoderLayer": (ramp(3, 2, 4), ramp(5, 2, 4)),
    "TransformerEncoder": (ramp(3, 2, 4),),
    "TransformerEncoderLayer": (ramp(3, 2, 4),),
    "TripletMarginLoss": (*_LOSS, ramp(2, 4)),
    "TripletMarginWithDistanceLoss": (*_LOSS, ramp(2, 4)),
    "PixelUnshuffle": (ramp(2, 4, 6, 4),),
    "Softmax2d": (ramp(2, 4, 6, 5),),
    "LocalResponseNorm": (ramp(2, 4, 6),),
}
for _n in (1, 2, 3):
    TAKEN[f"MaxUnpool{_n}d"] = (ramp(1, 1, *(2,) * _n), jnp.arange(2**_n, dtype=jnp.int32).reshape(1, 1, *(2,) * _n))
SPATIAL = {1: (2, 4, 6), 2: (2, 4, 6, 5), 3: (1, 4, 4, 6, 5)}
# Containers without a forward, and abstract bases.
UNCALLED = {*_ELSEWHERE, "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "RNNBase", "RNNCellBase"}


def taken(name: str) -> tuple[Any, ...]:
    if name in TAKEN:
        return TAKEN[name]
    if name.endswith("Loss"):
        return _LOSS
    digits = [c for c in name if c in "123"] if name.endswith("d") else []
    if digits:
        return (ramp(*SPATIAL[int(digits[0])]),)
    if name in ("ChannelShuffle", "PixelShuffle", "CrossMapLRN2d", "Unfold", "Upsample"):
        return (ramp(*SPATIAL[2]),)
    return (ramp(2, 4),)


class Layer:
    """A layer, called by the names of its forward."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.__signature__ = inspect.signature(module.forward)
        self.__name__ = type(module).__name__

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.module(*args, **options)


def _layer(name: str) -> Callable[[], Call]:
    def make() -> Call:
        module = construct(name)
        given = inspect.signature(module.forward).bind(*taken(name)).arguments
        # A lazy layer takes its shapes from the first input, as torch does, before it looks at the rest.
        return Call(Layer(module), dict(given), () if name.startswith("Lazy") else (module,))

    return make


for _name in [*MODULES, "Repeated"]:
    if _name not in UNCALLED:
        CALLS[f"nn.{_name}()"] = _layer(_name)

# Methods of modules


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


def _method(of: Callable[[], Any], name: str, *args: Any, **options: Any) -> None:
    def make() -> Call:
        target = of()
        call = _bound(getattr(target, name), *args, **options)
        return call._replace(watched=(target,))

    CALLS[f"{type(of()).__name__}.{name}"] = make


def _a_hook(*args: Any) -> None:
    pass


_method(_net, "add_module", "extra", nn.ReLU())
_method(_net, "register_module", "extra", nn.ReLU())
_method(_net, "apply", _a_hook)
_method(_net, "get_buffer", "1.running_mean")
_method(_net, "get_parameter", "0.weight")
_method(_net, "get_submodule", "0")
_method(_net, "load_state_dict", _net().state_dict())
_method(_net, "named_parameters", "a")
_method(_net, "named_buffers", "a")
_method(_net, "named_modules", None, "a")
_method(_net, "parameters")
_method(_net, "buffers")
for _name in (
    "register_backward_hook register_forward_hook register_forward_pre_hook register_full_backward_hook"
    " register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook"
    " register_state_dict_post_hook register_state_dict_pre_hook"
).split():
    _method(_net, _name, _a_hook)
_method(_net, "register_buffer", "extra", ramp(2))
_method(_net, "register_parameter", "extra", nn.Parameter(ramp(2)))
_method(_net, "requires_grad_")
_method(_net, "set_submodule", "1", nn.ReLU())
_method(_net, "state_dict")
_method(_net, "to_empty")
_method(_net, "train")
_method(_net, "type", jnp.bfloat16)
_method(_net, "zero_grad")
_method(_net, "append", nn.ReLU())
_method(_net, "extend", [nn.ReLU()])
_method(_net, "insert", 0, nn.ReLU())
_method(_net, "pop", 0)
_list, _dict = lambda: nn.ModuleList([_linear()]), lambda: nn.ModuleDict({"a": _linear()})
_method(_list, "append", nn.ReLU())
_method(_list, "extend", [nn.ReLU()])
_method(_list, "insert", 0, nn.ReLU())
_method(_list, "pop", 0)
_method(_dict, "pop", "a")
_method(_dict, "update", {"b": nn.ReLU()})
_method(lambda: nn.ParameterList([ramp(2)]), "append", ramp(2))
_method(lambda: nn.ParameterList([ramp(2)]), "extend", [ramp(2)])
_method(lambda: nn.ParameterDict({"a": ramp(2)}), "pop", "a")
_method(lambda: nn.ParameterDict({"a": ramp(2)}), "update", {"b": ramp(2)})
for _hook in (
    "forward_hook forward_pre_hook full_backward_hook full_backward_pre_hook buffer_registration_hook"
    " module_registration_hook parameter_registration_hook"
).split():
    CALLS[f"nn.register_module_{_hook}"] = lambda _hook=_hook: Call(
        getattr(nn, f"register_module_{_hook}"), {"hook": _a_hook}
    )
CALLS["nn.Parameter"] = lambda: Call(nn.Parameter, {"data": ramp(2)})
CALLS["nn.Buffer"] = lambda: Call(nn.Buffer, {"data": ramp(2)})

# fnn.nn.utils


def _with_gradients() -> nn.Sequential:
    net = _net()
    for p in net.parameters():
        p.grad = jnp.ones(p.shape, p.dtype)
    return net


def _of_net(function: Callable[..., Any], **options: Any) -> Callable[[], Call]:
    def make() -> Call:
        net = _with_gradients()
        return Call(function, {"parameters": list(net.parameters()), **options}, (net,))

    return make


def _of_linear(function: Callable[..., Any], *before: Callable[..., Any], **options: Any) -> Callable[[], Call]:
    def make() -> Call:
        layer = _linear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the older weight_norm says that there is a newer one
            for prepare in before:
                prepare(layer)
        return Call(function, {"module": layer, **options}, (layer,))

    return make


_STATS = {"bn_rm": ramp(3), "bn_rv": ramp(3), "bn_eps": 1e-5, "bn_w": ramp(3), "bn_b": ramp(3)}
_rows = [ramp(3, 2), ramp(2, 2)]
CALLS |= {
    "clip_grad_norm_": _of_net(utils.clip_grad_norm_, max_norm=1.0),
    "clip_grad_value_": _of_net(utils.clip_grad_value_, clip_value=1.0),
    "clip_grads_with_norm_": _of_net(utils.clip_grads_with_norm_, max_norm=1.0, total_norm=ramp(1)[0]),
    "get_total_norm": lambda: Call(utils.get_total_norm, {"tensors": [ramp(2)]}),
    "fuse_conv_bn_eval": lambda: Call(
        utils.fuse_conv_bn_eval, {"conv": nn.Conv1d(2, 3, 2).eval(), "bn": nn.BatchNorm1d(3).eval()}
    ),
    "fuse_conv_bn_weights": lambda: Call(
        utils.fuse_conv_bn_weights, {"conv_w": ramp(3, 2, 2), "conv_b": ramp(3), **_STATS}
    ),
    "fuse_linear_bn_eval": lambda: Call(
        utils.fuse_linear_bn_eval, {"linear": _linear().eval(), "bn": nn.BatchNorm1d(3).eval()}
    ),
    "fuse_linear_bn_weights": lambda: Call(
        utils.fuse_linear_bn_weights, {"linear_w": ramp(3, 4), "linear_b": ramp(3), **_STATS}
    ),
    "parameters_to_vector": _of_net(utils.parameters_to_vector),
    "vector_to_parameters": _of_net(utils.vector_to_parameters, vec=ramp(21)),
    "skip_init": lambda: Call(utils.skip_init, {"module_cls": nn.Linear, "args": (4, 3)}),
    "spectral_norm": _of_linear(utils.spectral_norm),
    "weight_norm": _of_linear(utils.weight_norm),
    "remove_spectral_norm": _of_linear(utils.remove_spectral_norm, utils.spectral_norm),
    "remove_weight_norm": _of_linear(utils.remove_weight_norm, utils.weight_norm),
    "rnn.PackedSequence": lambda: Call(packing.PackedSequence, {"data": ramp(3, 2), "batch_sizes": np.array([2, 1])}),
    "rnn.invert_permutation": lambda: Call(packing.invert_permutation, {"permutation": labels(1, 0)}),
    "rnn.pack_padded_sequence": lambda: Call(
        packing.pack_padded_sequence, {"input": ramp(3, 2, 2), "lengths": np.array([3, 2])}
    ),
    "rnn.pack_sequence": lambda: Call(packing.pack_sequence, {"sequences": _rows}),
    "rnn.pad_packed_sequence": lambda: Call(packing.pad_packed_sequence, {"sequence": packing.pack_sequence(_rows)}),
    "rnn.pad_sequence": lambda: Call(packing.pad_sequence, {"sequences": _rows}),
    "rnn.unpack_sequence": lambda: Call(packing.unpack_sequence, {"packed_sequences": packing.pack_sequence(_rows)}),
    "rnn.unpad_sequence": lambda: Call(
        packing.unpad_sequence, {"padded_sequences": ramp(3, 2, 2), "lengths": np.array([3, 2])}
    ),
    "parametrizations.orthogonal": _of_linear(parametrizations.orthogonal),
    "parametrizations.spectral_norm": _of_linear(parametrizations.spectral_norm),
    "parametrizations.weight_norm": _of_linear(parametrizations.weight_norm),
    "parametrize.ParametrizationList": lambda: Call(
        parametrize.ParametrizationList, {"modules": [nn.ReLU()], "original": nn.Parameter(ramp(2))}
    ),
    "parametrize.is_parametrized": _of_linear(parametrize.is_parametrized, tensor_name="weight"),
    "parametrize.register_parametrization": _of_linear(
        parametrize.register_parametrization, tensor_name="weight", parametrization=nn.ReLU()
    ),
    "parametrize.remove_parametrizations": _of_linear(
        parametrize.remove_parametrizations, parametrizations.weight_norm, tensor_name="weight"
    ),
    "parametrize.transfer_parametrizations_and_params": lambda: Call(
        parametrize.transfer_parametrizations_and_params,
        {"from_module": parametrizations.weight_norm(_linear()), "to_module": _linear(), "tensor_name": "weight"},
    ),
    "parametrize.type_before_parametrizations": _of_linear(parametrize.type_before_parametrizations),
    "prune.CustomFromMask": lambda: Call(prune.CustomFromMask, {"mask": jnp.ones((3, 4))}),
    "prune.L1Unstructured": lambda: Call(prune.L1Unstructured, {"amount": 0.5}),
    "prune.LnStructured": lambda: Call(prune.LnStructured, {"amount": 0.5, "n": 2}),
    "prune.PruningContainer": lambda: Call(prune.PruningContainer, {}),
    "prune.RandomStructured": lambda: Call(prune.RandomStructured, {"amount": 0.5}),
    "prune.RandomUnstructured": lambda: Call(prune.RandomUnstructured, {"amount": 0.5}),
    "prune.custom_from_mask": _of_linear(prune.custom_from_mask, name="weight", mask=jnp.ones((3, 4))),
    "prune.global_unstructured": lambda: Call(
        prune.global_unstructured,
        {"parameters": [(_linear(), "weight")], "pruning_method": prune.L1Unstructured, "kwargs": {"amount": 0.5}},
    ),
    "prune.identity": _of_linear(prune.identity, name="weight"),
    "prune.is_pruned": _of_linear(prune.is_pruned),
    "prune.l1_unstructured": _of_linear(prune.l1_unstructured, name="weight", amount=0.5),
    "prune.ln_structured": _of_linear(prune.ln_structured, name="weight", amount=0.5, n=2, dim=0),
    "prune.random_structured": _of_linear(prune.random_structured, name="weight", amount=0.5, dim=0),
    "prune.random_unstructured": _of_linear(prune.random_unstructured, name="weight", amount=0.5),
    "prune.remove": _of_linear(prune.remove, lambda m: prune.l1_unstructured(m, "weight", 0.5), name="weight"),
}

# fnn.optim

_TREE = {"a": ramp(3, 4), "b": ramp(2, 3)}


def _optimizer(name: str) -> Callable[[], Call]:
    def make() -> Call:
        layer = nn.Linear(4, 3, bias=False)
        return Call(getattr(optim, name), {"params": [layer.weight]}, (layer,))

    return make


def _rule(name: str) -> Callable[[], Call]:
    return lambda: Call(OPTIMIZERS[name].rule if name in OPTIMIZERS else optim.lbfgs, {})


def _transform(method: str) -> Callable[[str], Callable[[], Call]]:
    def of(name: str) -> Callable[[], Call]:
        def make() -> Call:
            tx = _TRANSFORMS[name]()
            if method == "init":
                return Call(tx.init, {"params": _TREE})
            return _bound(tx.update, _TREE, tx.init(_TREE), _TREE)

        return make

    return of


_TRANSFORMS: dict[str, Callable[[], Any]] = {name.lower(): OPTIMIZERS[name].rule for name in OPTIMIZERS} | {
    "chain": lambda: optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(0.1)),
    "clip_by_global_norm": lambda: optim.clip_by_global_norm(1.0),
    "clip_by_value": lambda: optim.clip_by_value(1.0),
    "ema": lambda: optim.ema(0.9),
    "accumulate": lambda: optim.accumulate(optim.sgd(0.1), 2),
    "scaled": lambda: optim.scaled(optim.sgd(0.1)),
    "partition": lambda: optim.partition({"x": optim.sgd(0.1), "y": None}, {"a": "x", "b": "y"}),
}
_TRANSFORMS.pop("sparseadam")
for _name in [*OPTIMIZERS, "LBFGS"]:
    CALLS[f"optim.{_name}"] = _optimizer(_name)
    CALLS[f"optim.{_rule(_name)().function.__name__}"] = _rule(_name)
for _name in _TRANSFORMS:
    CALLS[f"optim.{_name}.init"] = _transform("init")(_name)
    CALLS[f"optim.{_name}.update"] = _transform("update")(_name)
CALLS |= {
    "optim.accumulate": lambda: Call(optim.accumulate, {"transform": optim.sgd(0.1), "k": 2}),
    "optim.apply_updates": lambda: Call(optim.apply_updates, {"params": _TREE, "updates": _TREE}),
    "optim.chain": lambda: Call(optim.chain, {"transforms": (optim.sgd(0.1),)}),
    "optim.clip_by_global_norm": lambda: Call(optim.clip_by_global_norm, {"max_norm": 1.0}),
    "optim.clip_by_value": lambda: Call(optim.clip_by_value, {"clip_value": 1.0}),
    "optim.ema": lambda: Call(optim.ema, {"decay": 0.9}),
    "optim.global_norm": lambda: Call(optim.global_norm, {"tree": _TREE}),
    "optim.partition": lambda: Call(
        optim.partition, {"transforms": {"x": optim.sgd(0.1)}, "labels": {"a": "x", "b": "x"}}
    ),
    "optim.scaled": lambda: Call(optim.scaled, {"transform": optim.sgd(0.1)}),
    "optim.register_optimizer_step_post_hook": lambda: Call(optim.register_optimizer_step_post_hook, {"hook": _a_hook}),
    "optim.register_optimizer_step_pre_hook": lambda: Call(optim.register_optimizer_step_pre_hook, {"hook": _a_hook}),
}


def _stepped(kind: str = "SGD") -> optim.Optimizer:
    layer = _with_gradients()[0]
    optimizer = getattr(optim, kind)([layer.weight], lr=0.1)
    optimizer.step()
    return optimizer


_method(_stepped, "add_param_group", {"params": [nn.Parameter(ramp(2))]})
_method(_stepped, "load_state_dict", _stepped().state_dict())
_method(_stepped, "register_step_post_hook", _a_hook)
_method(_stepped, "register_step_pre_hook", _a_hook)
_method(_stepped, "step")
_method(_stepped, "zero_grad")
for _name in (
    "register_state_dict_pre_hook register_state_dict_post_hook register_load_state_dict_pre_hook"
    " register_load_state_dict_post_hook"
).split():
    _method(_stepped, _name, _a_hook)

# fnn.optim.schedule, fnn.optim.lr_scheduler


def _half(count: Any) -> Any:
    return 0.5


SCHEDULES: dict[str, dict[str, Any]] = {
    "constant_lr": {"lr": 0.1},
    "cosine_annealing_lr": {"lr": 0.1, "T_max": 5},
    "cosine_annealing_warm_restarts": {"lr": 0.1, "T_0": 5},
    "cyclic_lr": {"base_lr": 0.1, "max_lr": 0.5},
    "exponential_lr": {"lr": 0.1, "gamma": 0.9},
    "lambda_lr": {"lr": 0.1, "lr_lambda": _half},
    "linear_lr": {"lr": 0.1},
    "multi_step_lr": {"lr": 0.1, "milestones": [2, 4]},
    "multiplicative_lr": {"lr": 0.1, "lr_lambda": _half},
    "one_cycle_lr": {"max_lr": 0.5, "total_steps": 10},
    "polynomial_lr": {"lr": 0.1},
    "step_lr": {"lr": 0.1, "step_size": 2},
}


def _schedule(name: str) -> Callable[[], Call]:
    """The schedule is made and asked for its first values."""

    def make() -> Call:
        function = getattr(schedule, name)

        def call(**options: Any) -> Any:
            made = function(**options)
            return made(0), made(3)

        call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return Call(call, SCHEDULES[name])

    return make


for _name in SCHEDULES:
    CALLS[f"schedule.{_name}"] = _schedule(_name)
CALLS |= {
    "schedule.chained": lambda: Call(schedule.chained, {"lr": 0.1, "schedules": (schedule.step_lr(0.1, 2),)}),
    "schedule.sequential": lambda: Call(
        schedule.sequential, {"schedules": [schedule.step_lr(0.1, 2), schedule.step_lr(0.1, 3)], "milestones": [2]}
    ),
    "schedule.reduce_lr_on_plateau": lambda: Call(schedule.reduce_lr_on_plateau, {"lr": 0.1}),
    "schedule.reduce_lr_on_plateau.update": lambda: _bound(
        schedule.reduce_lr_on_plateau(0.1).update, 1.0, schedule.reduce_lr_on_plateau(0.1).init()
    ),
}
SCHEDULERS: dict[str, dict[str, Any]] = {
    "ConstantLR": {},
    "CosineAnnealingLR": {"T_max": 5},
    "CosineAnnealingWarmRestarts": {"T_0": 5},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 0.5},
    "ExponentialLR": {"gamma": 0.9},
    "LambdaLR": {"lr_lambda": _half},
    "LinearLR": {},
    "MultiStepLR": {"milestones": [2, 4]},
    "MultiplicativeLR": {"lr_lambda": _half},
    "OneCycleLR": {"max_lr": 0.5, "total_steps": 10},
    "PolynomialLR": {},
    "ReduceLROnPlateau": {},
    "StepLR": {"step_size": 2},
    "SWALR": {"swa_lr": 0.1},
}


def _scheduler(name: str) -> Callable[[], Call]:
    def make() -> Call:
        optimizer = optim.SGD([nn.Parameter(ramp(2))], lr=0.1, momentum=0.9)
        kind = swa_utils.SWALR if name == "SWALR" else getattr(lr_scheduler, name)
        return Call(kind, {"optimizer": optimizer, **SCHEDULERS[name]}, (optimizer,))

    return make


for _name in SCHEDULERS:
    CALLS[f"lr_scheduler.{_name}"] = _scheduler(_name)


def _two() -> tuple[optim.Optimizer, list[Any]]:
    optimizer = optim.SGD([nn.Parameter(ramp(2))], lr=0.1)
    return optimizer, [lr_scheduler.StepLR(optimizer, 2), lr_scheduler.StepLR(optimizer, 3)]


def _composite(kind: Any, **options: Any) -> Callable[[], Call]:
    def make() -> Call:
        optimizer, parts = _two()
        return Call(kind, {"optimizer": optimizer, "schedulers": parts, **options}, (optimizer,))

    return make


CALLS["lr_scheduler.ChainedScheduler"] = _composite(lr_scheduler.ChainedScheduler)
CALLS["lr_scheduler.SequentialLR"] = _composite(lr_scheduler.SequentialLR, milestones=[2])
_method(lambda: _two()[1][0], "load_state_dict", _two()[1][0].state_dict())
_method(lambda: lr_scheduler.ReduceLROnPlateau(_two()[0]), "step", 1.0)
_method(lambda: _two()[1][0], "step")

# fnn.optim.swa_utils

CALLS |= {
    "swa_utils.AveragedModel": lambda: Call(swa_utils.AveragedModel, {"model": _linear()}),
    "swa_utils.get_ema_avg_fn": lambda: Call(swa_utils.get_ema_avg_fn, {}),
    "swa_utils.get_ema_multi_avg_fn": lambda: Call(swa_utils.get_ema_multi_avg_fn, {}),
    "swa_utils.update_bn": lambda: Call(swa_utils.update_bn, {"loader": [ramp(2, 4)], "model": _net()}),
}
_method(lambda: swa_utils.AveragedModel(_linear()), "update_parameters", _linear())

# fnn, fnn.random


_BATCH = ramp(2, 4)


def _functional_call() -> Call:
    net = _net()
    params, buffers = fnn.state(net)

    def call(model: Any, params: Any, buffers: Any, args: Any = _BATCH, rng: Any = None) -> Any:
        return fnn.functional_call(model, params, buffers, args, rng=rng)

    return Call(call, {"model": net, "params": params, "buffers": buffers}, (net,))


def _backward() -> Call:
    net = _net()

    def call(closure: Any, targets: Any, has_aux: Any = False) -> Any:
        return fnn.backward(closure, targets, has_aux=has_aux)

    return Call(call, {"closure": lambda: net(ramp(2, 4)).sum(), "targets": net}, (net,))


def _update() -> Call:
    net = _net()
    params, buffers = fnn.state(net)
    return Call(fnn.update, {"model": net, "params": params, "buffers": buffers}, (net,))


def _key_scope(key: Any) -> None:
    with fnn.random.key_scope(key):
        pass


def _random(name: str) -> Callable[[], Call]:
    return lambda: Call(getattr(fnn.random, name), {"key": _key(), "shape": (2, 3)})


CALLS |= {
    "functional_call": _functional_call,
    "backward": _backward,
    "update": _update,
    "state": lambda: Call(fnn.state, {"model": _net()}),
    "stack": lambda: Call(fnn.stack, {"models": [_net(), _net()]}),
    "jit": lambda: Call(fnn.jit, {"function": _half}),
    "manual_seed": lambda: Call(fnn.manual_seed, {"seed": 3}),
    "set_rng_state": lambda: Call(fnn.set_rng_state, {"state": fnn.get_rng_state()}),
    "Generator": lambda: Call(fnn.Generator, {}),
    "RowSparse": lambda: Call(fnn.RowSparse, {"indices": labels(0, 1), "values": ramp(2, 3), "shape": (4, 3)}),
    "key_scope": lambda: Call(_key_scope, {"key": _key()}),
    **{f"random.{name}": _random(name) for name in ("bits", "normal", "truncated_normal", "uniform")},
    "random.next_key": lambda: Call(fnn.random.next_key, {"function": "dropout"}),
}
_method(fnn.Generator, "manual_seed", 3)
_method(fnn.Generator, "set_state", fnn.Generator().get_state())
_dense = lambda: fnn.RowSparse(labels(0, 1), ramp(2, 3), (4, 3))  # noqa: E731
for _name in ("add_to", "rows_of", "set_in"):
    _method(_dense, _name, ramp(4, 3))
_method(_dense, "astype", jnp.float32)
_method(_dense, "map", lambda x: x)

# fnn.amp

CALLS |= {
    "amp.autocast": lambda: Call(fnn.amp.autocast, {"device_type": "cuda"}),
    "amp.get_autocast_dtype": lambda: Call(fnn.amp.get_autocast_dtype, {"device_type": "cuda"}),
    "amp.custom_fwd": lambda: Call(fnn.amp.custom_fwd, {"fwd": _half, "cast_inputs": "float32"}),
    "amp.custom_bwd": lambda: Call(fnn.amp.custom_bwd, {"bwd": _half}),
    "amp.is_autocast_available": lambda: Call(fnn.amp.is_autocast_available, {"device_type": "cuda"}),
    "amp.is_autocast_enabled": lambda: Call(fnn.amp.is_autocast_enabled, {}),
    "amp.is_autocast_cache_enabled": lambda: Call(fnn.amp.is_autocast_cache_enabled, {}),
    "amp.GradScaler": lambda: Call(fnn.amp.GradScaler, {"init_scale": 4.0}),
}
_method(fnn.amp.GradScaler, "scale", ramp(2))
_method(fnn.amp.GradScaler, "load_state_dict", fnn.amp.GradScaler().state_dict())
_method(fnn.amp.GradScaler, "update", 4.0)
_method(fnn.amp.GradScaler, "set_growth_interval", 10)

# fnn.checkpoint, fnn.parallel

FOLDER = Path(tempfile.mkdtemp())


def _file() -> Path:
    path = FOLDER / "model.safetensors"
    if not path.exists():
        fnn.save({"a": ramp(2)}, path)
    return path


def _state() -> dict[str, Any]:
    return {"module.a": ramp(2), "module.b": ramp(3)}


CALLS |= {
    "checkpoint.load": lambda: Call(fnn.load, {"path": _file()}),
    "checkpoint.open_checkpoint": lambda: Call(fnn.open_checkpoint, {"path": _file()}),
    "checkpoint.save": lambda: Call(fnn.save, {"obj": _state(), "path": FOLDER / "other.safetensors"}),
    "checkpoint.rename": lambda: Call(fnn.checkpoint.rename, {"state": _state(), "rules": {r"module\.": ""}}),
    "checkpoint.strip_prefix": lambda: Call(fnn.checkpoint.strip_prefix, {"state": _state(), "prefix": "module."}),
    "checkpoint.Manager": lambda: Call(fnn.checkpoint.Manager, {"folder": FOLDER / "runs"}),
}
for _name, _right in RIGHT.items():
    CALLS[f"parallel.{_name}"] = lambda name=_name, right=_right: Call(getattr(parallel, name), right())
_method(lambda: fnn.checkpoint.Manager(FOLDER / "saved"), "save", 1, _state())
_method(lambda: fnn.checkpoint.Manager(FOLDER / "saved"), "load")
