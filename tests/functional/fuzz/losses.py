"""Random calls of losses."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.functional.fuzz.draws import Call, Draw
from tests.functional.fuzz.table import Row

REDUCTIONS = ("mean", "sum", "none")


def reduced(d: Draw, *more: str) -> dict[str, Any]:
    """How a loss is reduced: by name, by the two legacy flags, by a wrong name."""
    if d.rarely():
        return d.some(size_average=(True, False, None), reduce=(True, False, None))
    return {"reduction": d.pick(*REDUCTIONS * 4, *more, "average")}


def modern(d: Draw) -> dict[str, Any]:
    return {"reduction": d.pick(*REDUCTIONS * 5, "average")}


def pair(
    d: Draw, kinds: tuple[str, str] = ("real", "real"), weight: bool = False, legacy: bool = True, **options: Any
) -> Call:
    """A loss of two arrays of one shape."""
    shape = d.shape()
    args = (d.reals(shape, kinds[0]), d.reals(d.like(shape), kinds[1], kinds[1] in ("real", "positive")))
    more = {"weight": d.reals(d.like(shape), "positive", False)} if weight and d.rarely(3) else {}
    return Call(args, {**(reduced(d) if legacy else modern(d)), **d.some(**options), **more})


def poisson(d: Draw) -> Call:
    return pair(d, ("real", "positive"), log_input=(True, False), full=(True, False), eps=(1e-8, 0.1))


def kl_div(d: Draw) -> Call:
    shape, log = d.shape(), d.flag()
    options = {**reduced(d, "batchmean", "batchmean"), "log_target": log}
    return Call((d.reals(shape, "log"), d.reals(d.like(shape), "log" if log else "unit")), options)


def with_logits(d: Draw) -> Call:
    shape = d.shape()
    more = {"weight": d.reals(d.like(shape), "positive", False)} if d.rarely(3) else {}
    if d.rarely(3):
        more["pos_weight"] = d.reals(shape[-1:] if d.flag() else shape, "positive", False)
    return Call((d.reals(shape), d.reals(shape if not d.rarely() else d.like(shape), "unit")), {**reduced(d), **more})


def gaussian(d: Draw) -> Call:
    shape = d.shape(1, 2, 2, 3)
    var = d.pick(shape, shape, shape[:-1], (*shape[:-1], 1), d.like(shape))
    return Call(
        (d.reals(shape), d.reals(d.like(shape)), d.reals(var, "positive")),
        {**modern(d), **d.some(full=(True, False), eps=(1e-6, 0.1, 0.0))},
    )


def classes(d: Draw, smoothing: bool = True) -> Call:
    """Cross entropy or NLL, with indices or probabilities."""
    shape = d.shape(1, 2, 2, 2, 3, 4)
    n = shape[min(1, len(shape) - 1)]
    rest = (shape[0], *shape[2:]) if len(shape) > 1 else ()
    probabilities = smoothing and d.rarely(3)
    if d.rarely():
        rest = d.like(rest)
    target = d.reals(d.like(shape), "unit") if probabilities else d.indices(rest, n)
    options = {**reduced(d), **({} if probabilities else d.some(ignore_index=(-100, 1, 0)))}
    if smoothing:
        options |= d.some(label_smoothing=(0.0, 0.1, 1.0))
    if d.rarely(3):
        options["weight"] = d.reals((n,) if not d.rarely() else (n + 1,), "positive", False)
    return Call((d.reals(shape, "real" if smoothing else "log"), target), options)


def signs(d: Draw, **options: Any) -> Call:
    shape = d.shape()
    return Call((d.reals(shape), d.reals(d.like(shape), "sign", False)), {**reduced(d), **d.some(**options)})


def ranking(d: Draw) -> Call:
    shape = d.shape(0, 1, 1, 2)
    return Call(
        (d.reals(shape), d.reals(d.like(shape)), d.reals(shape, "sign", False)),
        {**reduced(d), **d.some(margin=(0, 0.5, -1.0))},
    )


def cosine(d: Draw) -> Call:
    shape = d.shape(1, 2, 2, 2)
    return Call(
        (d.reals(shape), d.reals(d.like(shape)), d.reals(d.like(shape[:-1]), "sign", False)),
        {**reduced(d), **d.some(margin=(0, 0.5, -1.0))},
    )


def multilabel(d: Draw) -> Call:
    shape = d.shape(1, 2, 2)
    return Call((d.reals(shape), d.indices(d.like(shape), shape[-1], -1)), reduced(d))


def soft_multilabel(d: Draw) -> Call:
    shape = d.shape(1, 2, 2, 3)
    more = {"weight": d.reals(shape[-1:], "positive", False)} if d.rarely(3) else {}
    return Call((d.reals(shape), d.reals(d.like(shape), "unit", False)), {**reduced(d), **more})


def multi_margin(d: Draw) -> Call:
    shape = d.shape(1, 2, 2)
    options = {**reduced(d), **d.some(p=(1, 2, 2, 3), margin=(1.0, 0.5, 0.0))}
    if d.rarely(3):
        options["weight"] = d.reals(shape[-1:], "positive", False)
    return Call((d.reals(shape), d.indices(d.like(shape[:-1]), shape[-1])), options)


def triplet(d: Draw, distance: bool = False) -> Call:
    shape = d.shape(1, 2, 2, 3)
    options = {**(modern(d) if distance else reduced(d)), **d.some(margin=(1.0, 0.5, 2), swap=(True, False))}
    if not distance:
        options |= d.some(p=(2, 1, 3.0, float("inf")), eps=(1e-6, 1e-3))
    return Call((d.reals(shape), d.reals(d.like(shape)), d.reals(d.like(shape))), options)


def ctc(d: Draw) -> Call:
    steps, rows, n, most = d.size(4, 6), d.size(1, 2), d.pick(3, 4), d.pick(1, 2, 3, 0)
    single = d.rarely()
    shape = (steps, n) if single else (steps, rows, n)
    lengths = tuple(d.pick(*range(steps + 1)) for _ in range(1 if single else rows))
    target_lengths = tuple(d.pick(*range(most + 1)) for _ in range(1 if single else rows))
    if d.flag() and not single:
        target = d.indices((sum(target_lengths),), n, 1)
    else:
        target = d.indices((most,) if single else (rows, most), n, 1)
    return Call(
        (d.reals(shape, "log"), target, lengths, target_lengths),
        {**modern(d), **d.some(zero_infinity=(True, False), blank=(0, 0, 0, 1, n))},
    )


def of_linear(d: Draw) -> Call:
    rows, features, n = d.size(), d.size(), d.size(3, 4)
    options = {**modern(d), **d.some(ignore_index=(-100, 1, None), label_smoothing=(0.0, 0.1))}
    if d.flag():
        options["linear_bias"] = d.reals((n,))
    if d.rarely(3):
        options["weight"] = d.reals((n,), "positive", False)
    args = (d.reals((rows, features)), d.reals((n, features)), d.indices(d.like((rows,)), n))
    return Call(args, options)


ROWS = [
    Row("l1_loss", partial(pair, weight=True)),
    Row("mse_loss", partial(pair, weight=True)),
    Row("smooth_l1_loss", partial(pair, beta=(1.0, 0.5, 0.0, -1.0))),
    Row("huber_loss", partial(pair, weight=True, legacy=False, delta=(1.0, 0.5, 0.0, 3))),
    Row("soft_margin_loss", signs),
    Row("hinge_embedding_loss", partial(signs, margin=(1.0, 0.5, -1))),
    Row("binary_cross_entropy", partial(pair, kinds=("unit", "unit"), weight=True)),
    Row("poisson_nll_loss", poisson),
    Row("binary_cross_entropy_with_logits", with_logits),
    Row("kl_div", kl_div),
    Row("gaussian_nll_loss", gaussian),
    Row("cross_entropy", classes),
    Row("nll_loss", partial(classes, smoothing=False)),
    Row("margin_ranking_loss", ranking),
    Row("cosine_embedding_loss", cosine),
    Row("multilabel_margin_loss", multilabel),
    Row("multilabel_soft_margin_loss", soft_multilabel),
    Row("multi_margin_loss", multi_margin),
    Row("triplet_margin_loss", triplet),
    Row("triplet_margin_with_distance_loss", partial(triplet, distance=True)),
    Row("ctc_loss", ctc),
    Row("linear_cross_entropy", of_linear),
]
