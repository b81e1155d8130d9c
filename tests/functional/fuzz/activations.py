"""Random calls of activations."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.functional.fuzz.draws import Call, Draw, Dtype
from tests.functional.fuzz.table import Row

NUMBERS = (1.0, 0.5, 2, 0.0, -1.0, 1e-3)


def elementwise(d: Draw, **options: Any) -> Call:
    return Call((d.reals(d.shape()),), d.some(**options))


def threshold(d: Draw) -> Call:
    return Call((d.reals(d.shape()), d.pick(*NUMBERS), d.pick(*NUMBERS)))


def along(d: Draw, dtype: bool = True) -> Call:
    """A function along an axis."""
    options = d.some(
        dim=(-1, 0, 1, -2, None, 3), **({"dtype": (Dtype("float32"), Dtype("float64"), None)} if dtype else {})
    )
    return Call((d.reals(d.shape(0, 1, 2, 2, 3, 3)),), options)


def glu(d: Draw) -> Call:
    shape = tuple(d.size(2, 4) for _ in range(d.pick(1, 2, 3)))
    return Call((d.reals(shape if not d.rarely() else d.shape()),), d.some(dim=(-1, 0, 1, 3)))


def prelu(d: Draw) -> Call:
    shape = d.shape(0, 1, 2, 3, 4)
    channels = shape[1] if len(shape) > 1 else 1
    return Call(
        (d.reals(shape), d.reals(d.pick((1,), (channels,), (channels,), (), (1, 1)) if not d.rarely() else (5,)))
    )


CURVES = {
    "relu": {},
    "relu6": {},
    "relu_": {},
    "selu": {},
    "selu_": {},
    "sigmoid": {},
    "tanh": {},
    "silu": {},
    "mish": {},
    "softsign": {},
    "tanhshrink": {},
    "hardsigmoid": {},
    "hardswish": {},
    "logsigmoid": {},
    "elu": {"alpha": NUMBERS},
    "elu_": {"alpha": NUMBERS},
    "celu": {"alpha": NUMBERS},
    "celu_": {"alpha": NUMBERS},
    "leaky_relu": {"negative_slope": NUMBERS},
    "leaky_relu_": {"negative_slope": NUMBERS},
    "hardtanh": {"min_val": (-1.0, 0.5, 0, -3), "max_val": (1.0, 0.5, 6, 2)},
    "hardtanh_": {"min_val": (-1.0, 0.5, 0, -3), "max_val": (1.0, 0.5, 6, 2)},
    "softplus": {"beta": NUMBERS, "threshold": (20, 1.0, 0.0, -5)},
    "softshrink": {"lambd": NUMBERS},
    "hardshrink": {"lambd": NUMBERS},
    "gelu": {"approximate": ("none", "tanh", "tanh", "fast")},
}

ROWS = [
    *[Row(name, partial(elementwise, **options)) for name, options in CURVES.items()],
    *[Row(name, threshold) for name in ("threshold", "threshold_")],
    *[Row(name, along) for name in ("softmax", "softmin", "log_softmax")],
    Row("glu", glu),
    Row("prelu", prelu),
]
