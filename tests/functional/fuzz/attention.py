"""Random calls of attention."""

from __future__ import annotations

from typing import Any

from tests.functional.fuzz.draws import Call, Draw
from tests.functional.fuzz.table import Row


def dot_product(d: Draw) -> Call:
    lead = tuple(d.size(2, 3) for _ in range(d.pick(0, 1, 2, 2, 2)))
    queries, keys, width, values = d.size(), d.size(), d.size(2, 4), d.size(2, 4)
    options: dict[str, Any] = d.some(scale=(None, 0.5, 1.0))
    grouped = len(lead) == 2 and d.rarely(4)
    heads = (lead[0], lead[1] * d.pick(1, 2, 3)) if grouped else lead
    if grouped:
        options["enable_gqa"] = True
    mask = d.pick("none", "none", "bool", "float", "causal", "both")
    if mask in ("bool", "float", "both"):
        shape = d.pick((queries, keys), (*heads, queries, keys), (1, keys), (queries, keys))
        options["attn_mask"] = d.bools(shape) if mask == "bool" else d.reals(shape)
    if mask in ("causal", "both"):
        options["is_causal"] = True
    other = d.like(lead)
    args = (d.reals((*heads, queries, width)), d.reals((*other, keys, width)), d.reals((*other, keys, values)))
    return Call(args, options)


def multi_head(d: Draw) -> Call:
    heads = d.pick(1, 2)
    width = heads * d.pick(1, 2)
    queries, keys = d.size(2, 3), d.size(2, 3)
    batch = (d.size(2, 3),) if not d.rarely(5) else ()
    separate = d.rarely(4)
    k_width, v_width = (d.pick(2, 3), d.pick(2, 3)) if separate else (width, width)
    n = batch[0] if batch else 1
    options: dict[str, Any] = {
        "training": False,
        **d.some(need_weights=(True, False), average_attn_weights=(True, False)),
    }
    if d.rarely(3):
        options["key_padding_mask"] = (
            d.bools((*batch, keys)) if d.flag() else d.reals((*batch, keys), differentiated=False)
        )
    if d.rarely(3):
        shape = d.pick((queries, keys), (queries, keys), (n * heads, queries, keys))
        options["attn_mask"] = d.bools(shape) if d.flag() else d.reals(shape, differentiated=False)
        if d.rarely(5):
            options["is_causal"] = True
    extra = d.rarely(4)
    bias_k, bias_v = (d.reals((1, 1, width)), d.reals((1, 1, width))) if extra else (None, None)
    if separate:
        options |= {
            "use_separate_proj_weight": True,
            "q_proj_weight": d.reals((width, width)),
            "k_proj_weight": d.reals((width, k_width)),
            "v_proj_weight": d.reals((width, v_width)),
        }
    args = (
        d.reals((queries, *batch, width)),
        d.reals((keys, *batch, k_width)),
        d.reals((keys, *batch, v_width)),
        width if not d.rarely(30) else width + 1,
        heads,
        None if separate else d.reals((3 * width, width)),
        d.perhaps((3 * width,)),
        bias_k,
        bias_v,
        d.rarely(4),
        0.0,
        d.reals((width, width)),
        d.perhaps((width,)),
    )
    return Call(args, options)


ROWS = [
    Row("scaled_dot_product_attention", dot_product),
    Row("multi_head_attention_forward", multi_head),
]
