"""The names that a pickle of ``torch.save`` may mention, and what each of them does here: plain data, and nothing run."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, NamedTuple, NoReturn

import numpy as np

from fnn.checkpoint.arrays import DTYPES
from fnn.checkpoint.unpickler import Known, Pending, hashable

__all__ = ["Storage", "TensorView", "find", "storage_of"]

_MOST_ELEMENTS = 2**48
_NUMPY_KINDS = "biufc"


class Storage(NamedTuple):
    """A stretch of numbers in the file; ``dtype`` is ``None`` for one of bytes."""

    key: str
    dtype: np.dtype[Any] | None
    length: int

    @property
    def nbytes(self) -> int:
        return self.length * (1 if self.dtype is None else self.dtype.itemsize)


class TensorView(NamedTuple):
    """A tensor as the pickle describes it: a view of a storage, whose numbers are read later."""

    storage: Storage
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    conjugate: bool = False
    negative: bool = False
    cast: np.dtype[Any] | None = None

    @property
    def span(self) -> int:
        """How many numbers of the storage lie between the first and the last of the view, both included."""
        if 0 in self.shape:
            return 0
        return 1 + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _damaged(what: str) -> NoReturn:
    raise ValueError(f"its pickle is damaged: {what}")


def _whole(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value < 2**62:
        _damaged(f"{what} is {value!r}" if type(value) in (int, float, str) and len(str(value)) < 50 else what)
    return value


def _view(storage: Any, offset: Any, size: Any, stride: Any, dtype: Any = None, metadata: Any = None) -> TensorView:
    if type(storage) is not Storage:
        _damaged("a tensor without a storage")
    dtype = storage.dtype if dtype is None else dtype
    if not isinstance(dtype, np.dtype):
        _damaged("a tensor without a dtype")
    if type(size) is not tuple or type(stride) is not tuple or len(size) != len(stride) or len(size) > 32:
        _damaged("a tensor's shape or strides")
    shape = tuple(_whole(n, "a tensor's size") for n in size)
    strides = tuple(_whole(n, "a tensor's stride") for n in stride)
    metadata = metadata if isinstance(metadata, dict) else {}
    view = TensorView(
        storage,
        dtype,
        _whole(offset, "a tensor's offset"),
        shape,
        strides,
        metadata.get("conj") is True,
        metadata.get("neg") is True,
    )
    if math.prod(shape) > _MOST_ELEMENTS:
        raise ValueError(f"a tensor of shape {list(shape)} is larger than any memory")
    if (view.offset + view.span) * dtype.itemsize > storage.nbytes and view.span:
        raise ValueError(f"a tensor of shape {list(shape)} reaches beyond its storage of {storage.nbytes} bytes")
    return view


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> TensorView:
    return _view(storage, offset, size, stride)


def _rebuild_tensor_v2(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, metadata: Any = None
) -> TensorView:
    return _view(storage, offset, size, stride, None, metadata)


def _rebuild_tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, metadata: Any = None
) -> TensorView:
    return _view(storage, offset, size, stride, dtype, metadata)


def _rebuild_parameter(data: Any, *others: Any) -> Any:
    return data


def _rebuild_from_cpu(data: Any, dtype: Any, device: Any, grad: Any) -> Any:
    if type(data) is TensorView and isinstance(dtype, np.dtype):
        return data._replace(cast=dtype)
    return data


def _rebuild_from_type(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """A tensor with attributes of its own, which are left out."""
    plain = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer")
    if not isinstance(function, Known) or function.call is None or not function.name.startswith("torch._utils."):
        _damaged("a tensor made by something else")
    if not isinstance(kind, Known) or kind.name not in plain or type(arguments) is not tuple:
        _damaged("a tensor of a kind that is none")
    return function.call(*arguments)


def _ordered_dict(items: Any = ()) -> OrderedDict[Any, Any]:
    return OrderedDict(_pairs(items))


def _pairs(items: Any) -> list[tuple[Any, Any]]:
    if type(items) in (dict, OrderedDict):
        return list(items.items())
    if type(items) not in (list, tuple) or not all(type(p) in (list, tuple) and len(p) == 2 for p in items):
        _damaged("the items of a dict")
    if not all(hashable(key) for key, _ in items):
        _damaged("a key of a dict")
    return [(key, value) for key, value in items]


def _plain_dict(*arguments: Any) -> dict[Any, Any]:
    return dict(_pairs(arguments[-1]) if arguments and not isinstance(arguments[-1], Known) else ())


def _sequence(kind: type) -> Any:
    def make(items: Any = ()) -> Any:
        if type(items) not in (list, tuple):
            _damaged(f"a {kind.__name__} of something else")
        if kind in (set, frozenset) and not all(hashable(v) for v in items):
            _damaged(f"a {kind.__name__} of what is no plain value")
        return kind(items)

    return make


def _deque(items: Any = (), longest: Any = None) -> list[Any]:
    return _sequence(list)(items)


def _text(value: Any) -> str:
    if type(value) is not str:
        _damaged("a text")
    return value


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        _damaged("a complex number")
    return complex(real, imaginary)


def _bytearray(*arguments: Any) -> bytearray:
    if not arguments:
        return bytearray()
    if len(arguments) == 2 and type(arguments[0]) is str:
        return bytearray(arguments[0].encode("latin1"))
    if type(arguments[0]) is not bytes:
        _damaged("a bytearray")
    return bytearray(arguments[0])


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if type(text) is not str or encoding != "latin1":
        _damaged("bytes written as text")
    return text.encode("latin1")


def _device(kind: Any, index: Any = None) -> str:
    if type(kind) is not str:
        _damaged("a device")
    return kind if index is None else f"{kind}:{_whole(index, 'the number of a device')}"


def _path(*parts: Any) -> str:
    if not all(type(p) is str for p in parts):
        _damaged("a path")
    return "/".join(parts).replace("//", "/")


# numpy


def _numpy_dtype(text: Any, *others: Any) -> Pending:
    text = text.decode() if type(text) is bytes else text
    if type(text) is not str or text[:1] not in _NUMPY_KINDS or not text[1:].isdigit() or len(text) > 4:
        raise ValueError(f"it has an array of numpy of dtype {text!r:.40}; only numbers can be read")
    dtype = np.dtype(text)

    def complete(state: Any) -> np.dtype[Any]:
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "=", b"<", b">", b"|"):
            _damaged("a dtype of numpy")
        return dtype.newbyteorder(">") if state[1] in (">", b">") else dtype

    return Pending(complete)


def _numbers(dtype: Any, data: Any) -> np.ndarray[Any, Any]:
    if not isinstance(dtype, np.dtype):
        _damaged("an array of numpy without a dtype")
    data = data.encode("latin1") if type(data) is str else data
    if type(data) is not bytes or len(data) % dtype.itemsize:
        _damaged("the numbers of an array of numpy")
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))


def _numpy_scalar(dtype: Any, data: Any) -> Any:
    return _numbers(dtype, data).reshape(())[()]


def _numpy_array(kind: Any, shape: Any, code: Any) -> Pending:
    def complete(state: Any) -> np.ndarray[Any, Any]:
        if type(state) is not tuple or len(state) != 5:
            _damaged("the state of an array of numpy")
        _, shape, dtype, fortran, data = state
        return _shaped(_numbers(dtype, data), shape, "F" if fortran is True else "C")

    return Pending(complete)


def _numpy_array_of(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray[Any, Any]:
    """An array of numpy as the pickle protocol 5 has it."""
    if order not in ("C", "F"):
        _damaged("the order of an array of numpy")
    return _shaped(_numbers(dtype, bytes(data) if type(data) is bytearray else data), shape, order)


def _shaped(numbers: np.ndarray[Any, Any], shape: Any, order: Any) -> np.ndarray[Any, Any]:
    if type(shape) is not tuple or len(shape) > 32:
        _damaged("the shape of an array of numpy")
    shape = tuple(_whole(n, "the shape of an array of numpy") for n in shape)
    if numbers.size != math.prod(shape):
        _damaged("the shape of an array of numpy")
    return numbers.reshape(shape, order=order)


_CALLS: dict[str, Any] = {
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _plain_dict,
    "collections.defaultdict": _plain_dict,
    "collections.deque": _deque,
    "builtins.dict": _plain_dict,
    "builtins.list": _sequence(list),
    "builtins.tuple": _sequence(tuple),
    "builtins.set": _sequence(set),
    "builtins.frozenset": _sequence(frozenset),
    "builtins.complex": _complex,
    "builtins.bytearray": _bytearray,
    "_codecs.encode": _encode,
    "pathlib.PosixPath": _path,
    "pathlib.WindowsPath": _path,
    "pathlib._local.PosixPath": _path,
    "pathlib._local.WindowsPath": _path,
    "torch.Size": _sequence(tuple),
    "torch.device": _device,
    "torch.torch_version.TorchVersion": _text,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _rebuild_from_cpu,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "numpy.dtype": _numpy_dtype,
    "numpy._core.multiarray.scalar": _numpy_scalar,
    "numpy._core.multiarray._reconstruct": _numpy_array,
    "numpy._core.numeric._frombuffer": _numpy_array_of,
}

# Objects that are little more than dicts; they become dicts.
_LIKE_DICTS = (
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "argparse.Namespace",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)


def _own_dict(state: Any) -> dict[Any, Any]:
    """The contents of an object that is little more than its ``__dict__``."""
    if state is not None and not isinstance(state, dict):
        _damaged("the state of an object")
    return state or {}


# OmegaConf, as which Hydra hands hyperparameters to Lightning: containers of nodes, each of which holds a plain value.


def _content(state: Any) -> Any:
    """The contents of a container of OmegaConf; one that is missing or a reference is a text there, and empty here."""
    content = _own_dict(state).get("_content")
    return content if isinstance(content, dict | list) else None


def _config_list(state: Any) -> Any:
    return _content(state) or []


def _config_dict(state: Any) -> Any:
    return _content(state) or {}


def _config_node(*arguments: Any) -> Pending:
    return Pending(lambda state: _own_dict(state).get("_val"))


# Names that are only passed on, to the calls above.
_PASSED_ON = (
    "numpy.ndarray",
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
    "builtins.int",
    "builtins.long",
    "builtins.float",
    "builtins.str",
    "builtins.bool",
    "builtins.bytes",
    "typing.Any",
)

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
}

_KNOWN: dict[str, Any] = {
    **{name: Known(name, call) for name, call in _CALLS.items()},
    **{name: Known(name, lambda *a: {}, _own_dict) for name in _LIKE_DICTS},
    "omegaconf.dictconfig.DictConfig": Known("omegaconf.dictconfig.DictConfig", lambda *a: {}, _config_dict),
    "omegaconf.listconfig.ListConfig": Known("omegaconf.listconfig.ListConfig", lambda *a: [], _config_list),
    **{
        f"omegaconf.nodes.{kind}Node": Known(f"omegaconf.nodes.{kind}Node", _config_node)
        for kind in ("Any", "String", "Integer", "Float", "Boolean", "Bytes", "Path")
    },
    **{name: Known(name) for name in _PASSED_ON},
    **{f"torch.{name}": Known(f"torch.{name}") for name in _STORAGES},
    **{f"torch.{name}": dtype for name, dtype in DTYPES.items()},
    "torch.storage.UntypedStorage": Known("torch.UntypedStorage"),
}

_OTHER_PATHS = {
    "__builtin__": "builtins",
    "torch.tensor": "torch._tensor",
    "torch.cuda": "torch",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "torch.nn": "torch.nn.parameter",
}

_REFUSED = {
    "torch._utils._rebuild_qtensor": "a quantized tensor; in torch, save tensor.dequantize()",
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor; in torch, save tensor.to_dense()",
    "torch._utils._rebuild_nested_tensor": "a nested tensor; in torch, save tensor.unbind()",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the meta device, which has no values",
    "torch._utils._rebuild_wrapper_subclass": "a subclass of Tensor; in torch, save plain tensors",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of another device; in torch, save tensor.cpu()",
    "torch.storage._load_from_bytes": "tensors pickled by pickle; write them by torch.save",
    "torch.complex32": "numbers of dtype complex32; in torch, save tensor.to(torch.complex64)",
    "torch.float4_e2m1fn_x2": "numbers of dtype float4_e2m1fn_x2, of which JAX has no packed form",
}


def find(module: str, name: str) -> Any:
    """What a name of a pickle stands for.

    Raises:
        ValueError: if it is not on the list, naming it and saying what to do.
    """
    full = f"{_OTHER_PATHS.get(module, module)}.{name}"
    known = _KNOWN.get(full)
    if known is not None:
        return known
    shown = f"{module}.{name}"[:200]
    if full in _REFUSED:
        raise ValueError(f"it holds {_REFUSED[full]}")
    if module in ("torch", "torch.cuda") and name.endswith("Storage"):
        raise ValueError(f"it holds a quantized tensor or one of another kind ({shown}); in torch, save plain tensors")
    if module.split(".")[0] == "torch" and name.islower() and module == "torch":
        raise ValueError(f"it holds {shown}, of which JAX has no counterpart; in torch, save plain tensors")
    raise ValueError(
        f"it holds an object {shown!r}, which is not read because that could run code; load the file with torch where you trust "
        "it, and save only what is plain: torch.save(model.state_dict(), ...), numbers, strings, dicts and lists"
    )


def storage_of(identity: Any, keys: int) -> Storage:
    """The storage of a persistent id ``("storage", kind, key, location, count, ...)`` of ``keys`` parts."""
    if type(identity) is not tuple or len(identity) != keys or identity[0] not in ("storage", b"storage"):
        if type(identity) is tuple and identity[:1] in (("module",), (b"module",)):
            raise ValueError("it holds a whole model; load it with torch and save model.state_dict()")
        _damaged("the name of a storage")
    kind, key, count = identity[1], identity[2], _whole(identity[4], "the size of a storage")
    key = str(key) if type(key) is int else key.decode("ascii", "replace") if type(key) is bytes else key
    if not isinstance(kind, Known) or type(key) is not str:
        _damaged("the name of a storage")
    if kind.name == "torch.UntypedStorage":
        return Storage(key, None, count)
    name = _STORAGES.get(kind.name.removeprefix("torch."))
    if name is None:
        _damaged("the kind of a storage")
    return Storage(key, DTYPES[name], count)
