"""``compare``: a model of torch and its twin side by side, layer by layer."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.functional.checks import fail
from fnn.nn.modules.module import Module
from fnn.stateful.tracing import trace_state
from fnn.stateful.watching import Watch, watching
from fnn.tools.table import as_text
from fnn.transforms.functional import functional_call, state

__all__ = ["Comparison", "Difference", "Layer", "compare"]

# Of the largest number of the array: what rounding adds up to in deep networks of each dtype.
_TOLERANCES = {8: 1e-8, 4: 1e-4, 2: 5e-2}


class Difference(NamedTuple):
    """The largest difference between two arrays, and the largest number of torch's, by which it is to be judged."""

    largest: float
    scale: float

    @property
    def relative(self) -> float:
        """The one divided by the other; 0 for two arrays of zeros."""
        return self.largest / self.scale if self.scale else math.inf if self.largest else 0.0


class Layer(NamedTuple):
    """One call of a submodule, in the order in which the calls end; what there is nothing of to compare is ``None``.

    ``output`` is of its outputs, ``gradient`` of the gradient with respect to its outputs, ``weights`` of the gradients of its
    own parameters. ``shape`` is of its first output, ``note`` says what else differs.
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    output: Difference | None
    gradient: Difference | None
    weights: Difference | None
    note: str = ""


class Comparison(NamedTuple):
    """What ``compare`` returns: the layers, the first that departs, and the bound by which it does.

    ``str`` of it is the table. ``only_torch`` and ``only_fnn`` are names of submodules that only one of the models calls.
    """

    layers: tuple[Layer, ...]
    first: str | None
    tolerance: float
    only_torch: tuple[str, ...] = ()
    only_fnn: tuple[str, ...] = ()

    def __str__(self) -> str:
        def cell(one: Difference | None) -> str:
            return "" if one is None else f"{one.relative:.1e}"

        rows = [
            (
                one.name or "(whole)",
                one.kind,
                "" if one.shape is None else str(list(one.shape)),
                cell(one.output),
                cell(one.gradient),
                cell(one.weights),
                one.note,
            )
            for one in self.layers
        ]
        lines = [as_text(("layer", "kind", "shape", "output", "gradient", "weights", ""), rows, 2)]
        for whose, names in (("torch's", self.only_torch), ("fnn's", self.only_fnn)):
            if names:
                lines.append(f"called by {whose} model only: {', '.join(names)}")
        if self.first is None:
            lines.append(f"no layer departs by more than {self.tolerance:.0e} of its largest number")
        else:
            lines.append(f"the first that departs by more than {self.tolerance:.0e}: {self.first or '(whole)'}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Comparison(of {len(self.layers)} layers, first={self.first!r}, tolerance={self.tolerance:.0e})"


def compare(
    torch_model: Any,
    fnn_model: Module,
    *inputs: Any,
    train: bool = False,
    tolerance: float | None = None,
    **kwargs: Any,
) -> Comparison:
    """Gives a model the weights of its twin in torch, runs both, and prints where they differ, layer by layer.

    Outputs and gradients of all submodules that both call are compared, by name. The gradients are those of the sum of all
    outputs times fixed random numbers. Each difference is the largest one divided by the largest of torch's numbers.

    Args:
        torch_model: a ``torch.nn.Module``; it is left as it was.
        fnn_model: its twin, whose ``state_dict`` has the same names and shapes; it gets torch's weights and buffers, and is else
            left as it was.
        inputs: the arguments of the call, of numpy, JAX or torch; floating ones are given to each model in its own dtype.
        train: compares in training mode, with dropout off: ``p`` of every dropout must be 0 for the numbers to agree.
        tolerance: how large a difference is too large; by default 1e-8 of the largest number in float64, 1e-4 in float32, 5e-2
            in less.
        kwargs: further arguments of the call.

    Returns:
        The table as data. ``first`` is the first layer whose output departs, or if no output does, the last one whose gradients
        do, for gradients go through the layers backwards; ``None`` if nothing departs.

    Raises:
        ImportError: if torch is missing.
        TypeError: if a model is none.
        RuntimeError: if the names or shapes of the weights differ.

    Source: https://docs.pytorch.org/docs/2.13/testing.html

    Example:
        >>> import fnn, pytest
        >>> torch = pytest.importorskip("torch")
        >>> theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(approximate="tanh"))
        >>> ours = fnn.nn.Sequential(fnn.nn.Linear(3, 4), fnn.nn.GELU())
        >>> fnn.tools.compare(theirs, ours, torch.ones(2, 3)).first
        layer    kind          shape   output  gradient  weights
        ...
        the first that departs by more than 1e-04: 1
        '1'
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("compare: needs torch, whose model it runs") from error
    if not isinstance(torch_model, torch.nn.Module):
        fail(TypeError, "compare", "torch_model", "a torch.nn.Module", type(torch_model).__name__)
    if not isinstance(fnn_model, Module):
        fail(TypeError, "compare", "fnn_model", "an fnn.nn.Module", type(fnn_model).__name__)
    fnn_model.load_state_dict(torch_model.state_dict())
    theirs = _of_torch(torch, torch_model, inputs, kwargs, train)
    ours = _of_fnn(fnn_model, inputs, kwargs, train)
    if tolerance is None:
        widths = [
            a.dtype.itemsize for run in (theirs, ours) for a in _floats(run.gradients.values(), run.outputs.values())
        ]
        tolerance = _TOLERANCES.get(min(widths, default=4), 5e-2)
    layers = tuple(_layer(call, kind, theirs, ours) for call, kind in theirs.kinds.items() if call in ours.kinds)
    result = Comparison(
        layers,
        _first(layers, tolerance),
        tolerance,
        tuple(_shown(call) for call in theirs.kinds if call not in ours.kinds),
        tuple(_shown(call) for call in ours.kinds if call not in theirs.kinds),
    )
    print(result)
    return result


# A call of a submodule is known by the submodule's name and how many calls of it were before.
_Call = tuple[str, int]
_Arrays = list[np.ndarray[Any, Any] | None]


class _Run(NamedTuple):
    """What one model gave: of each call in order its kind, outputs and gradients, and by parameter the gradients."""

    kinds: dict[_Call, str]
    outputs: dict[_Call, _Arrays]
    gradients: dict[_Call, _Arrays]
    weights: dict[str, np.ndarray[Any, Any]]


def _shown(call: _Call) -> str:
    name, count = call
    return f"{name or '(whole)'}" + (f" (call {count + 1})" if count else "")


def _floats(*many: Any) -> Iterator[np.ndarray[Any, Any]]:
    for one in many:
        for arrays in one:
            yield from (a for a in arrays if a is not None and jnp.issubdtype(a.dtype, jnp.inexact))


def _layer(call: _Call, kind: str, theirs: _Run, ours: _Run) -> Layer:
    name, _ = call
    mine, its = ours.outputs[call], theirs.outputs[call]
    note = "" if ours.kinds[call] == kind else f"fnn's is {ours.kinds[call]}"
    shapes = [[None if a is None else a.shape for a in arrays] for arrays in (its, mine)]
    if shapes[0] != shapes[1]:
        note = f"torch gives shapes {shapes[0]}, fnn {shapes[1]}"
    own = [n for n in theirs.weights if n.rpartition(".")[0] == name and n in ours.weights]
    return Layer(
        _shown(call) if name else name,
        kind,
        next((a.shape for a in its if a is not None), None),
        _difference(its, mine),
        _difference(theirs.gradients.get(call, []), ours.gradients.get(call, [])),
        _pooled([_of_pair(theirs.weights[n], ours.weights[n]) for n in own]),
        note,
    )


def _difference(theirs: _Arrays, ours: _Arrays) -> Difference | None:
    """The worst of several pairs of arrays."""
    if len(theirs) != len(ours):
        return Difference(math.inf, 1.0)
    worst = None
    for a, b in zip(theirs, ours, strict=True):
        if a is None or b is None:
            continue
        one = _of_pair(a, b)
        if worst is None or not one.relative <= worst.relative:
            worst = one
    return worst


def _pooled(ones: list[Difference]) -> Difference | None:
    """Of the gradients of a layer's parameters, some of which may be nothing but rounding: a bias before a normalization."""
    if not ones:
        return None
    return Difference(max(one.largest for one in ones), max(one.scale for one in ones))


def _of_pair(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> Difference:
    if a.shape != b.shape:
        return Difference(math.inf, 1.0)
    if not a.size:
        return Difference(0.0, 0.0)
    wide = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
    a, b = a.astype(wide), b.astype(wide)
    same = (a == b) | (np.isnan(a) & np.isnan(b))  # infinities of one sign too
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(a - b))
    finite = np.abs(a[np.isfinite(a)])
    return Difference(float(np.nan_to_num(apart, nan=math.inf).max()), float(finite.max(initial=0.0)))


def _first(layers: tuple[Layer, ...], tolerance: float) -> str | None:
    def departs(*ones: Difference | None) -> bool:
        return any(one is not None and not one.relative <= tolerance for one in ones)

    for one in layers:
        if departs(one.output):
            return one.name
    for one in reversed(layers):
        if departs(one.gradient, one.weights):
            return one.name
    return None


def _host(value: Any) -> Any:
    """An array of either library as numpy; bfloat16 too."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            return value.float().numpy().astype(jnp.bfloat16)
        return value.numpy().copy()
    return np.asarray(value)


def _is_floating(value: Any) -> bool:
    return jnp.issubdtype(value.dtype, jnp.floating)


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _leaves(value: Any) -> list[Any]:
    """The arrays of an output, in an order that both libraries share: dicts by their sorted keys."""
    if _is_array(value):
        return [value]
    if isinstance(value, Mapping):
        return [leaf for key in sorted(value, key=str) for leaf in _leaves(value[key])]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    return [leaf for leaf in jax.tree.leaves(value) if _is_array(leaf)]


def _weights_of(outputs: list[Any]) -> list[np.ndarray[Any, Any]]:
    """The numbers by which outputs are multiplied and added to the one that is differentiated."""
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 1.5, tuple(one.shape)) * rng.choice([-1.0, 1.0], tuple(one.shape)) for one in outputs]


# torch


def _of_torch(torch: Any, model: Any, inputs: Any, kwargs: Any, train: bool) -> _Run:
    run, count = _Run({}, {}, {}, {}), Counter[str]()
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    device = next((p.device for p in model.parameters()), None)
    handles: list[Any] = []
    leaves: list[Any] = []

    def given(value: Any) -> Any:
        if not _is_array(value):
            return value
        tensor = value.detach() if hasattr(value, "detach") else torch.from_numpy(np.array(_float_of(value)))
        if not tensor.is_floating_point():
            return tensor.to(device)
        leaf = tensor.to(device, dtype or tensor.dtype, copy=True).requires_grad_()
        leaves.append(leaf)
        return leaf.clone()  # a leaf could not be changed in place

    def hook(name: str) -> Callable[..., Any]:
        def after(module: Any, args: Any, output: Any) -> Any:
            call = name, count[name]
            count[name] += 1
            # Tensors of their own: the gradients shall be of what is done with the output, not of uses within the module.
            output = _mapped(output, {})
            found = _leaves(output)
            run.kinds[call] = type(module).__name__
            run.outputs[call] = [_host(one) for one in found]
            gradients: _Arrays = [None] * len(found)
            run.gradients[call] = gradients
            for i, one in enumerate(found):
                if one.requires_grad:
                    one.register_hook(lambda grad, i=i: gradients.__setitem__(i, _host(grad)))
            return output

        return after

    with _as_before(torch, model):
        try:
            for name, module in model.named_modules():
                handles.append(module.register_forward_hook(hook(name)))
            model.train(train)
            with torch.enable_grad():
                outputs = _leaves(model(*map(given, inputs), **{k: given(v) for k, v in kwargs.items()}))
            weighed = zip(outputs, _weights_of(outputs), strict=True)
            terms = [(one * torch.from_numpy(w).to(one)).sum() for one, w in weighed if one.requires_grad]
        finally:
            for handle in handles:
                handle.remove()
        names = [name for name, p in model.named_parameters() if p.requires_grad]
        wanted = [p for p in model.parameters() if p.requires_grad]
        if terms and wanted + leaves:
            found = torch.autograd.grad(sum(terms), wanted + leaves, allow_unused=True)
            for name, grad in zip(names, found, strict=False):
                if grad is not None:
                    run.weights[name] = _host(grad.to_dense() if grad.is_sparse else grad)
    return run


def _mapped(value: Any, clones: dict[int, Any]) -> Any:
    """The same containers with clones of the tensors; of one that comes twice, one clone."""
    if _is_array(value):
        return clones.setdefault(id(value), value.clone()) if hasattr(value, "clone") else value
    if isinstance(value, Mapping):
        out = copy.copy(value)
        for key, item in value.items():
            out[key] = _mapped(item, clones)  # pyright: ignore[reportIndexIssue]
        return out
    if isinstance(value, list | tuple):
        items = [_mapped(item, clones) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


@contextmanager
def _as_before(torch: Any, model: Any) -> Iterator[None]:
    """Buffers, modes and the state of torch's generator are put back."""
    modes = {module: module.training for module in model.modules()}
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode
            with torch.no_grad():
                for name, buffer in model.named_buffers():
                    if name in buffers:
                        buffer.copy_(buffers[name])


def _float_of(value: Any) -> Any:
    """As numpy, in a dtype that torch takes from it."""
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == jnp.bfloat16 else array


# fnn


class _Taps(Watch):
    """Adds zeros to the outputs of submodules, by which those are differentiated, and keeps the outputs."""

    def __init__(self, names: Mapping[int, str], taps: Mapping[_Call, Mapping[int, jax.Array]]) -> None:
        self._names = names
        self._taps = taps
        self._count: Counter[str] = Counter()
        self.kinds: dict[_Call, str] = {}
        self.outputs: dict[_Call, list[Any]] = {}
        self.floats: dict[_Call, list[int]] = {}
        self._origins: dict[_Call, Any] = {}

    def call(self, module: Any, run: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        output = run()
        name = self._names.get(id(module))
        if name is None:
            return output
        call = name, self._count[name]
        self._count[name] += 1
        positions: dict[int, int] = {}
        for i, leaf in enumerate(_leaves(output)):
            positions.setdefault(id(leaf), i)  # what comes twice is tapped once
        taps = self._taps.get(call, {})
        flat, structure = jax.tree.flatten(output)
        flat = [leaf + taps[i] if (i := positions.get(id(leaf), -1)) in taps else leaf for leaf in flat]
        output = jax.tree.unflatten(structure, flat)
        self.kinds[call] = type(module).__name__
        self.outputs[call] = _leaves(output)
        self.floats[call] = [i for i in positions.values() if _is_floating(self.outputs[call][i])]
        self._origins[call] = trace_state()
        return output

    def drop_inner(self) -> None:
        """Forgets what was called inside a JAX transformation of the model's own, out of which no output comes."""
        here = trace_state()
        for call, origin in self._origins.items():
            if origin != here and any(isinstance(one, Tracer) for one in self.outputs[call]):
                del self.kinds[call], self.outputs[call]


def _of_fnn(model: Module, inputs: Any, kwargs: Any, train: bool) -> _Run:
    names = {id(module): name for name, module in model.named_modules()}
    params, buffers = state(model)
    dtype = next((p.dtype for p in model.parameters() if _is_floating(p)), None)

    def given(value: Any) -> Any:
        if not _is_array(value):
            return value
        array = jnp.asarray(_host(value))
        return array.astype(dtype) if dtype is not None and _is_floating(array) else array

    given_inputs = [given(v) for v in inputs]
    given_kwargs = {k: given(v) for k, v in kwargs.items()}

    watches: list[_Taps] = []

    def run(params: Any, taps: Any) -> Any:
        watches.append(watch := _Taps(names, taps))
        with watching(watch, key=len(watches)):
            out, _ = functional_call(
                model, params, buffers, *given_inputs, rng=jax.random.key(0), training=train, **given_kwargs
            )
        watch.drop_inner()
        outputs = _leaves(out)
        weighed = zip(outputs, _weights_of(outputs), strict=True)
        loss = sum((jnp.sum(one * jnp.asarray(w, one.dtype)) for one, w in weighed if _is_floating(one)), jnp.zeros(()))
        return loss, watch.outputs

    outputs = run(params, {})[1]
    floats = watches[0].floats
    taps = {
        call: {i: jnp.zeros(found[i].shape, found[i].dtype) for i in floats[call]} for call, found in outputs.items()
    }
    (weights, gradients), outputs = jax.grad(run, (0, 1), has_aux=True)(params, taps)
    return _Run(
        watches[0].kinds,
        {call: [np.asarray(one) for one in outputs[call]] for call in watches[0].kinds},
        {
            call: [_host(of[i]) if i in of else None for i in range(len(outputs[call]))]
            for call, of in gradients.items()
        },
        {name: np.asarray(grad) for name, grad in weights.items()},
    )
