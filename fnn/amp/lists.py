"""What ``autocast`` does to which function of ``fnn.nn.functional`` and which method of boxes: torch's lists for CUDA."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

__all__ = ["POLICIES", "UNLESS", "Policy"]


class Policy(Enum):
    """What happens to the floating arguments of a function, those of float64 left out."""

    LOW = "in the dtype of the autocast"
    FLOAT32 = "in float32"
    WIDEST = "in the widest dtype among the arguments"
    REFUSED = "refused in float16, else in float32"


_LISTS: dict[Policy, str] = {
    Policy.LOW: """
        linear conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d prelu
        scaled_dot_product_attention rnn_cell lstm_cell gru_cell rnn lstm gru
        matmul mm bmm mv addmm addmv addr addbmm baddbmm __matmul__ __rmatmul__
    """,
    Policy.FLOAT32: """
        layer_norm group_norm local_response_norm rms_norm lp_pool1d lp_pool2d lp_pool3d
        softmax softmin log_softmax gumbel_softmax softplus
        cosine_similarity pairwise_distance pdist normalize
        cross_entropy nll_loss gaussian_nll_loss poisson_nll_loss kl_div ctc_loss l1_loss mse_loss smooth_l1_loss huber_loss
        binary_cross_entropy_with_logits soft_margin_loss multilabel_soft_margin_loss multilabel_margin_loss multi_margin_loss
        margin_ranking_loss hinge_embedding_loss cosine_embedding_loss triplet_margin_loss triplet_margin_with_distance_loss
        interpolate upsample upsample_nearest upsample_bilinear
        acos arccos asin arcsin cosh erfinv exp expm1 log log2 log10 log1p pow reciprocal rsqrt sinh tan
        square sum sum_to_size prod cumsum cumprod norm dist renorm logsumexp __pow__ __rpow__ __rtruediv__
    """,
    Policy.WIDEST: """
        bilinear grid_sample addcdiv addcmul atan2 arctan2 cross dot vdot index_put scatter_add
    """,
    Policy.REFUSED: "binary_cross_entropy",
}

POLICIES: dict[str, Policy] = {name: policy for policy, names in _LISTS.items() for name in names.split()}
"""The policy of each function; a name that is not here takes its arguments as they are."""

UNLESS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "interpolate": ("mode", lambda mode: mode == "area"),
    "upsample": ("mode", lambda mode: mode == "area"),
    "triplet_margin_with_distance_loss": ("distance_function", lambda function: function is not None),
}
"""Functions that take their arguments as they are if an option is such: what they call then sees to it."""
