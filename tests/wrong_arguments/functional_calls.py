"""A right call of every function of ``fnn.nn.functional``: the arguments that must be given, and some that need company."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from fnn.nn import functional as F

Arguments = dict[str, Any]
Make = Callable[[], Arguments]


def ramp(*shape: int) -> Any:
    """float32 numbers in (0, 1), all different."""
    size = int(np.prod(shape))
    return jnp.asarray((np.arange(size, dtype=np.float32) + 0.5).reshape(shape) / max(size, 1))


def labels(*values: Any) -> Any:
    return jnp.asarray(np.array(values, np.int32))


IMAGES = {1: (2, 4, 6), 2: (2, 4, 6, 5), 3: (1, 4, 4, 6, 5)}
CALLS: dict[str, Make] = {}


def _add(names: str, make: Make) -> None:
    CALLS.update(dict.fromkeys(names.split(), make))


_add(
    "celu celu_ elu elu_ selu selu_ relu relu_ relu6 leaky_relu leaky_relu_ rrelu rrelu_ gelu silu mish softplus softsign"
    " softshrink hardshrink hardsigmoid hardswish hardtanh hardtanh_ tanhshrink logsigmoid sigmoid tanh glu normalize flatten"
    " dropout alpha_dropout pdist",
    lambda: {"input": ramp(2, 4)},
)
_add("softmax log_softmax softmin", lambda: {"input": ramp(2, 4), "dim": -1})
_add("gumbel_softmax", lambda: {"logits": ramp(2, 4)})
_add("threshold threshold_", lambda: {"input": ramp(2, 4), "threshold": 0.5, "value": 2.0})
_add("prelu", lambda: {"input": ramp(2, 4), "weight": ramp(4)})
_add("unflatten", lambda: {"input": ramp(2, 4), "dim": 1, "sizes": (2, 2)})
_add("dropout1d feature_alpha_dropout", lambda: {"input": ramp(*IMAGES[1])})
_add("dropout2d", lambda: {"input": ramp(*IMAGES[2])})
_add("dropout3d", lambda: {"input": ramp(*IMAGES[3])})
_add("linear", lambda: {"input": ramp(2, 4), "weight": ramp(3, 4), "bias": ramp(3)})
_add("bilinear", lambda: {"input1": ramp(2, 4), "input2": ramp(2, 3), "weight": ramp(5, 4, 3), "bias": ramp(5)})


def _spatial(n: int) -> None:
    image, window = IMAGES[n], (2,) * n
    _add(f"avg_pool{n}d max_pool{n}d max_pool{n}d_with_indices", lambda: {"input": ramp(*image), "kernel_size": 2})
    _add(f"lp_pool{n}d", lambda: {"input": ramp(*image), "norm_type": 2.0, "kernel_size": 2})
    _add(
        f"adaptive_avg_pool{n}d adaptive_max_pool{n}d adaptive_max_pool{n}d_with_indices",
        lambda: {"input": ramp(*image), "output_size": 2},
    )
    _add(
        f"fractional_max_pool{n}d fractional_max_pool{n}d_with_indices",
        lambda: {
            "input": ramp(*image),
            "kernel_size": 2,
            "output_size": 2,
            "_random_samples": ramp(*image[:2], n),
        },
    )
    _add(
        f"max_unpool{n}d",
        lambda: {
            "input": ramp(1, 1, *window),
            "indices": jnp.arange(2**n, dtype=jnp.int32).reshape(1, 1, *window),
            "kernel_size": 2,
        },
    )
    _add(f"conv{n}d", lambda: {"input": ramp(*image), "weight": ramp(3, 4, *window), "bias": ramp(3)})
    _add(f"conv_transpose{n}d", lambda: {"input": ramp(*image), "weight": ramp(4, 3, *window), "bias": ramp(3)})


for _n in (1, 2, 3):
    _spatial(_n)
del CALLS["fractional_max_pool1d"], CALLS["fractional_max_pool1d_with_indices"]

_add("conv_tbc", lambda: {"input": ramp(5, 2, 3), "weight": ramp(2, 3, 4), "bias": ramp(4)})
_add("affine_grid", lambda: {"theta": ramp(2, 2, 3), "size": (2, 3, 4, 5), "align_corners": False})
_add("grid_sample", lambda: {"input": ramp(*IMAGES[2]), "grid": ramp(2, 3, 3, 2), "align_corners": False})
_add("interpolate upsample", lambda: {"input": ramp(*IMAGES[2]), "scale_factor": 2.0})
_add("upsample_bilinear upsample_nearest", lambda: {"input": ramp(*IMAGES[2]), "scale_factor": 2})
_add("fold", lambda: {"input": ramp(2, 4, 6), "output_size": (3, 4), "kernel_size": 2})
_add("unfold", lambda: {"input": ramp(*IMAGES[2]), "kernel_size": 2})
_add("pad", lambda: {"input": ramp(2, 4), "pad": (1, 2)})
_add("channel_shuffle native_channel_shuffle", lambda: {"input": ramp(*IMAGES[2]), "groups": 2})
_add("pixel_shuffle", lambda: {"input": ramp(*IMAGES[2]), "upscale_factor": 2})
_add("pixel_unshuffle", lambda: {"input": ramp(2, 4, 6, 4), "downscale_factor": 2})

_statistics = {"running_mean": ramp(4), "running_var": ramp(4)}
_scales = {"weight": ramp(4), "bias": ramp(4)}
_add("batch_norm", lambda: {"input": ramp(2, 4), **_statistics, **_scales, "training": True})
_add("batch_norm_update", lambda: {"input": ramp(2, 4), **_statistics})
_add("instance_norm", lambda: {"input": ramp(2, 4, 3), **_statistics, **_scales})
_add("instance_norm_update", lambda: {"input": ramp(2, 4, 3), **_statistics})
_add("group_norm", lambda: {"input": ramp(2, 4, 3), "num_groups": 2, **_scales})
_add("layer_norm", lambda: {"input": ramp(2, 4), "normalized_shape": (4,), **_scales})
_add("rms_norm", lambda: {"input": ramp(2, 4), "normalized_shape": (4,), "weight": ramp(4)})
_add("local_response_norm", lambda: {"input": ramp(2, 4, 3), "size": 3})

_add(
    "l1_loss mse_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div"
    " poisson_nll_loss soft_margin_loss hinge_embedding_loss multilabel_soft_margin_loss",
    lambda: {"input": ramp(2, 4), "target": ramp(2, 4)},
)
_add("gaussian_nll_loss", lambda: {"input": ramp(2, 4), "target": ramp(2, 4), "var": ramp(2, 4)})
_add("cross_entropy nll_loss", lambda: {"input": ramp(2, 4), "target": labels(0, 3), "weight": ramp(4)})
_add("multi_margin_loss", lambda: {"input": ramp(2, 4), "target": labels(0, 3), "weight": ramp(4)})
_add("multilabel_margin_loss", lambda: {"input": ramp(2, 4), "target": labels([0, 2, -1, 0], [1, -1, 0, 0])})
_add("margin_ranking_loss", lambda: {"input1": ramp(3), "input2": ramp(3), "target": ramp(3)})
_add("cosine_embedding_loss", lambda: {"input1": ramp(2, 4), "input2": ramp(2, 4), "target": labels(1, -1)})
_add(
    "triplet_margin_loss triplet_margin_with_distance_loss",
    lambda: {"anchor": ramp(2, 4), "positive": ramp(2, 4), "negative": ramp(2, 4)},
)
_add(
    "ctc_loss",
    lambda: {
        "log_probs": -ramp(4, 2, 3),
        "targets": labels([1, 2], [2, 1]),
        "input_lengths": labels(4, 3),
        "target_lengths": labels(1, 2),
    },
)
_add(
    "linear_cross_entropy",
    lambda: {"input": ramp(2, 4), "linear_weight": ramp(3, 4), "target": labels(0, 2), "linear_bias": ramp(3)},
)
_add("cosine_similarity pairwise_distance", lambda: {"x1": ramp(2, 4), "x2": ramp(2, 4)})

_add("embedding", lambda: {"input": labels(0, 2), "weight": ramp(3, 4)})
_add("embedding_bag", lambda: {"input": labels(0, 2, 1), "weight": ramp(3, 4), "offsets": labels(0, 1)})
_add("embedding_renorm", lambda: {"input": labels(0, 2), "weight": ramp(3, 4), "max_norm": 1.0})
_add("one_hot", lambda: {"input": labels(0, 2), "num_classes": 3})

_cell = {"w_ih": (3, 4), "w_hh": (3, 3), "b_ih": (3,), "b_hh": (3,)}


def _recurrent(gates: int) -> Arguments:
    return {k: ramp(gates * v[0], *v[1:]) for k, v in _cell.items()}


def _weights(gates: int) -> list[Any]:
    return list(_recurrent(gates).values())


_add("rnn_cell", lambda: {"input": ramp(2, 4), "hx": ramp(2, 3), **_recurrent(1)})
_add("gru_cell", lambda: {"input": ramp(2, 4), "hx": ramp(2, 3), **_recurrent(3)})
_add("lstm_cell", lambda: {"input": ramp(2, 4), "hx": (ramp(2, 3), ramp(2, 3)), **_recurrent(4)})
_add("rnn", lambda: {"input": ramp(5, 2, 4), "hx": ramp(1, 2, 3), "weights": _weights(1)})
_add("gru", lambda: {"input": ramp(5, 2, 4), "hx": ramp(1, 2, 3), "weights": _weights(3)})
_add("lstm", lambda: {"input": ramp(5, 2, 4), "hx": (ramp(1, 2, 3), ramp(1, 2, 3)), "weights": _weights(4)})

_add("scaled_dot_product_attention", lambda: {"query": ramp(2, 3, 4), "key": ramp(2, 5, 4), "value": ramp(2, 5, 4)})
_add("rotary_embedding", lambda: {"input": ramp(2, 3, 4), "positions": labels(0, 1, 2)})
_add("rotary_frequencies", lambda: {"dim": 4})
_add(
    "cache_update",
    lambda: {
        "cache": F.KeyValueCache(ramp(2, 3, 4), ramp(2, 3, 5), jnp.zeros((), jnp.int32)),
        "key": ramp(2, 1, 4),
        "value": ramp(2, 1, 5),
    },
)
_add(
    "multi_head_attention_forward",
    lambda: {
        "query": ramp(3, 2, 4),
        "key": ramp(5, 2, 4),
        "value": ramp(5, 2, 4),
        "embed_dim_to_check": 4,
        "num_heads": 2,
        "in_proj_weight": ramp(12, 4),
        "in_proj_bias": ramp(12),
        "bias_k": None,
        "bias_v": None,
        "add_zero_attn": False,
        "dropout_p": 0.0,
        "out_proj_weight": ramp(4, 4),
        "out_proj_bias": ramp(4),
    },
)
