"""Random calls of normalizations."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.functional.fuzz.draws import Call, Draw
from tests.functional.fuzz.table import Row

EPS = (1e-5, 1e-3, 1.0)


def statistics(d: Draw, n: int) -> tuple[Any, Any]:
    if d.rarely(20):
        n += 1
    return d.reals((n,), differentiated=False), d.reals((n,), "positive", False)


def affine(d: Draw, shape: Any) -> dict[str, Any]:
    if d.rarely(20):
        shape = (*shape, 2)
    return {name: d.reals(shape) for name in ("weight", "bias") if d.flag()}


def batch(d: Draw) -> Call:
    shape = d.shape(2, 2, 3, 3, 4, 5, 1)
    n = shape[min(1, len(shape) - 1)]
    training = d.flag()
    mean, var = (None, None) if training and d.flag() else statistics(d, n)
    options = {**affine(d, (n,)), **d.some(eps=EPS, momentum=(0.1, 1.0, 0.0))}
    return Call((d.reals(shape), mean, var), {**options, "training": training})


def instance(d: Draw) -> Call:
    shape = d.shape(2, 3, 3, 4, 4, 5)
    n = shape[1]
    own = not d.rarely(3)
    mean, var = statistics(d, n) if not own or d.rarely(3) else (None, None)
    options = {**affine(d, (n,)), **d.some(eps=EPS), "use_input_stats": own}
    return Call((d.reals(shape), mean, var), options)


def update(d: Draw, *ranks: int) -> Call:
    shape = d.shape(*ranks)
    n = shape[1]
    return Call((d.reals(shape), *statistics(d, n)), d.some(momentum=(0.1, 1.0, 0.0)))


def running(function: str, statistics: str) -> Any:
    """The statistics that torch's function leaves behind."""

    def updated(input: Any, mean: Any, var: Any, momentum: float = 0.1) -> Any:
        import torch

        mean, var = mean.clone(), var.clone()
        getattr(torch.nn.functional, function)(input, mean, var, momentum=momentum, **{statistics: True})
        return mean, var

    return updated


def group(d: Draw) -> Call:
    groups = d.pick(1, 2, 2, 3) if not d.rarely(20) else d.pick(0, -1, 5)
    shape = [
        d.size(),
        groups * d.pick(1, 2) if not d.rarely() else d.size(),
        *[d.size() for _ in range(d.pick(0, 1, 2, 3))],
    ]
    shape = tuple(max(s, 0) for s in shape)
    return Call((d.reals(shape), groups), {**affine(d, (shape[1],)), **d.some(eps=EPS)})


def layer(d: Draw, bias: bool = True) -> Call:
    shape = d.shape(1, 2, 2, 3, 4)
    k = d.pick(*range(1, len(shape) + 1))
    over = shape[-k:] if not d.rarely(20) else d.like(shape[-k:])
    options = affine(d, over)
    if not bias:
        options.pop("bias", None)
    return Call((d.reals(shape), over), {**options, **d.some(eps=EPS if bias else (*EPS, None))})


def local_response(d: Draw) -> Call:
    size = d.pick(1, 2, 3, 5) if not d.rarely(20) else d.pick(0, -1)
    return Call(
        (d.reals(d.shape(2, 3, 3, 4, 5)), size), d.some(alpha=(1e-4, 1.0), beta=(0.75, 0.5, 1.0), k=(1.0, 0.5, 2))
    )


def normalize(d: Draw) -> Call:
    options = d.some(p=(2.0, 1, 3.0, float("inf"), 0.5, 0), dim=(1, 0, -1, (0, 1)), eps=(1e-12, 1e-3, 1.0))
    return Call((d.reals(d.shape(1, 2, 2, 3)),), options)


ROWS = [
    Row("batch_norm", batch),
    Row("instance_norm", instance),
    Row("batch_norm_update", lambda d: update(d, 2, 3, 4), running("batch_norm", "training"), gradients=False),
    Row(
        "instance_norm_update", lambda d: update(d, 3, 4), running("instance_norm", "use_input_stats"), gradients=False
    ),
    Row("group_norm", group),
    Row("layer_norm", layer),
    Row("rms_norm", partial(layer, bias=False)),
    Row("local_response_norm", local_response),
    Row("normalize", normalize),
]
