"""Random calls of recurrent cells and layers, against torch's."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.functional.fuzz.draws import Call, Draw
from tests.functional.fuzz.table import Row

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def cell(d: Draw, kind: str) -> Call:
    gates = GATES[kind]
    n_in, hidden = d.size(), d.size()
    batch = (d.size(),) if not d.rarely(4) else ()
    state: Any = d.reals((*batch, hidden if not d.rarely(20) else hidden + 1))
    if kind == "lstm":
        state = (state, d.reals((*batch, hidden)))
    biases = (d.reals((gates * hidden,)), d.reals((gates * hidden,))) if d.flag() else (None, None)
    args = (d.reals((*batch, n_in if not d.rarely(20) else n_in + 1)), state if not d.rarely(5) else None)
    weights = (d.reals((gates * hidden, n_in)), d.reals((gates * hidden, hidden)))
    return Call((*args, *weights, *biases), d.some(nonlinearity=("tanh", "relu", "sigmoid")) if kind == "rnn" else {})


def torch_cell(
    input: Any,
    state: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any = None,
    b_hh: Any = None,
    *,
    kind: str,
    nonlinearity: str = "tanh",
) -> Any:
    """torch's cell with the weights given."""
    import torch

    size = (w_ih.shape[1], w_hh.shape[1])
    more = {"nonlinearity": nonlinearity} if kind == "rnn" else {}
    layer = getattr(torch.nn, f"{kind.upper()}Cell")(*size, bias=b_ih is not None, **more)
    given = {"weight_ih": w_ih, "weight_hh": w_hh}
    if b_ih is not None:
        given |= {"bias_ih": b_ih, "bias_hh": b_hh}
    return torch.func.functional_call(layer, given, (input, state))


def layers(d: Draw, kind: str) -> Call:
    gates = GATES[kind]
    n_in, hidden, steps = d.size(), d.pick(1, 2, 3), d.size(3, 4)
    batch = (d.size(),) if not d.rarely(4) else ()
    count, both, first = d.pick(1, 1, 2), d.rarely(3), d.rarely(3)
    projected = d.pick(0, 0, 2) if kind == "lstm" and hidden > 2 else 0
    ways, out = 2 if both else 1, projected or hidden
    shape = (*batch, steps, n_in) if first and batch else (steps, *batch, n_in)
    weights = []
    bias = d.flag()
    for k in range(count):
        for _ in range(ways):
            weights.append(d.reals((gates * hidden, n_in if k == 0 else out * ways)))
            weights.append(d.reals((gates * hidden, out)))
            if bias:
                weights += [d.reals((gates * hidden,)), d.reals((gates * hidden,))]
            if projected:
                weights.append(d.reals((projected, hidden)))
    state: Any = d.reals((count * ways, *batch, out))
    if kind == "lstm":
        state = (state, d.reals((count * ways, *batch, hidden)))
    options: dict[str, Any] = {"num_layers": count, "bidirectional": both, "batch_first": first}
    if projected:
        options["proj_size"] = projected
    if kind == "rnn":
        options |= d.some(nonlinearity=("tanh", "relu"))
    return Call((d.reals(shape), state if d.flag() else None, weights), options)


def torch_layers(
    input: Any, state: Any, weights: list[Any], *, kind: str, num_layers: int, bidirectional: bool, **options: Any
) -> Any:
    """torch's layers with the weights given."""
    import torch

    hidden = weights[0].shape[0] // GATES[kind]
    options |= {"num_layers": num_layers, "bidirectional": bidirectional}
    per = len(weights) // (num_layers * (2 if bidirectional else 1))
    bias = per - (1 if options.get("proj_size") else 0) == 4
    layer = getattr(torch.nn, kind.upper())(weights[0].shape[1], hidden, bias=bias, **options)
    names = [name for name, _ in layer.named_parameters()]
    layer.to(input.dtype)
    return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (input, state))


ROWS = [
    *[Row(f"{kind}_cell", partial(cell, kind=kind), partial(torch_cell, kind=kind)) for kind in GATES],
    *[Row(kind, partial(layers, kind=kind), partial(torch_layers, kind=kind)) for kind in GATES],
]
