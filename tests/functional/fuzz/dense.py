"""Random calls of products, lookups, distances and shapes."""

from __future__ import annotations

from typing import Any

from tests.functional.fuzz.draws import Array, Call, Draw
from tests.functional.fuzz.table import Row


def linear(d: Draw) -> Call:
    n_in, n_out = d.size(), d.size()
    lead = tuple(d.size() for _ in range(d.pick(0, 1, 1, 2)))
    weight = (n_out, n_in) if not d.rarely(15) else d.pick((n_in,), (n_out, n_in + 1), ())
    bias = None if d.flag() else d.reals((n_out,) if not d.rarely(15) else d.pick((), (n_out + 1,), (1,)))
    return Call((d.reals((*lead, n_in)), d.reals(weight), bias))


def bilinear(d: Draw) -> Call:
    a, b, n_out = d.size(), d.size(), d.size()
    lead = tuple(d.size() for _ in range(d.pick(0, 1, 1, 2)))
    args = (d.reals((*lead, a)), d.reals((*d.like(lead), b)), d.reals((n_out, a if not d.rarely(15) else a + 1, b)))
    return Call((*args, None if d.flag() else d.reals((n_out,))))


def index_dtype(d: Draw) -> str:
    return d.pick("int64", "int64", "int32")


def embedding(d: Draw) -> Call:
    rows, width = d.size(3, 5), d.size()
    index = d.indices(d.shape(), rows, dtype=index_dtype(d))
    options = d.some(padding_idx=(None, 0, -1, rows - 1 if not d.rarely() else rows), scale_grad_by_freq=(False, True))
    return Call((index, d.reals((rows, width))), options)


def embedding_renorm(d: Draw) -> Call:
    rows, width = d.size(3, 5), d.size()
    args = (d.reals((rows, width)), d.indices(d.shape(1, 2), rows), d.pick(1.0, 0.5, 0.0))
    return Call(args, d.some(norm_type=(2.0, 1, 3.0, float("inf"))))


def torch_renorm(weight: Any, input: Any, max_norm: float, norm_type: float = 2.0) -> Any:
    import torch

    table = weight.clone()
    torch.nn.functional.embedding(input, table, max_norm=max_norm, norm_type=norm_type)
    return table


def embedding_bag(d: Draw) -> Call:
    rows, width = d.size(3, 5), d.size()
    options: dict[str, Any] = {"mode": d.pick("sum", "mean", "max")} if not d.rarely(20) else d.some(mode=("median",))
    options |= d.some(padding_idx=(None, 0, -1), scale_grad_by_freq=(False, False, True))
    flat = d.flag()
    shape = (d.size(4, 6),) if flat else d.shape(2)
    dtype = index_dtype(d)
    index = d.indices(shape, rows, dtype=dtype)
    if flat:
        inner = sorted(d.pick(*range(shape[0] + 1)) for _ in range(d.pick(0, 1, 2)))
        offsets = [0, *inner] if not d.rarely(20) else [1, *inner]
        if d.rarely(3):
            options["include_last_offset"] = True
            offsets.append(shape[0])
        options["offsets"] = d.given(offsets, dtype)
    if (options.get("mode") == "sum" and d.rarely(3)) or d.rarely(20):
        options["per_sample_weights"] = d.reals(shape)
    return Call((index, d.reals((rows, width))), options)


def one_hot(d: Draw) -> Call:
    index = Array(d.shape(), d.pick("int64", "int64", "int64", "int32"), "index", 0 if not d.rarely(15) else -1, 4)
    return Call((index,), d.some(num_classes=(-1, 4, 6, 3, 0)))


def similarity(d: Draw) -> Call:
    shape = d.shape(1, 2, 2, 3)
    return Call((d.reals(shape), d.reals(d.like(shape))), d.some(dim=(1, 0, -1), eps=(1e-8, 1e-2, 0.0)))


def distance(d: Draw) -> Call:
    shape = d.shape(1, 2, 2, 3)
    options = d.some(p=(2.0, 1, 3.0, float("inf"), 0.5, 0), eps=(1e-6, 1e-2, 0.0), keepdim=(True, False))
    return Call((d.reals(shape), d.reals(d.like(shape))), options)


def pdist(d: Draw) -> Call:
    shape = d.shape(2) if not d.rarely(15) else d.shape(1, 3)
    return Call((d.reals(shape),), d.some(p=(2, 1, 3.0, float("inf"), 0.5, 0, -1.0)))


def flatten(d: Draw) -> Call:
    return Call((d.reals(d.shape(0, 1, 2, 3, 4)),), d.some(start_dim=(0, 1, -2, 2), end_dim=(-1, 1, 2, 0)))


def unflatten(d: Draw) -> Call:
    sizes = d.pick((2, 3), (-1, 2), (6, 1), (3, -1, 1), (0, 2), (-1, -1), (2,), ())
    shape = d.pick((6,), (2, 6), (6, 0), (4, 6, 1), (0,), (0, 6), (1, 1), ())
    return Call((d.reals(shape), d.pick(0, 1, -1), sizes))


def torch_flatten(*args: Any, **options: Any) -> Any:
    import torch

    return torch.flatten(*args, **options)


def torch_unflatten(*args: Any) -> Any:
    import torch

    return torch.unflatten(*args)


ROWS = [
    Row("linear", linear),
    Row("bilinear", bilinear),
    Row("embedding", embedding),
    Row("embedding_renorm", embedding_renorm, torch_renorm, gradients=False),
    Row("embedding_bag", embedding_bag),
    Row("one_hot", one_hot),
    Row("cosine_similarity", similarity),
    Row("pairwise_distance", distance),
    Row("pdist", pdist),
    Row("flatten", flatten, torch_flatten),
    Row("unflatten", unflatten, torch_unflatten),
]
