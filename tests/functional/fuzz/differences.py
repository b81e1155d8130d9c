"""Where fnn differs from PyTorch on purpose, and how far.

An entry says of which functions and of what ("result" or "gradient"), why, and which disagreeing elements it excuses; or which
error of which side is excused. ``"*"`` stands for every function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Elements:
    """The elements of one result or gradient in float64: fnn's, torch's in the dtype, and torch's in float64."""

    ours: np.ndarray
    own: np.ndarray
    exact: np.ndarray
    dtype: str
    arrays: Sequence[np.ndarray]

    @property
    def eps(self) -> float:
        return float(jnp.finfo(self.dtype).eps)

    @property
    def largest(self) -> float:
        """The largest finite magnitude among the arguments."""
        floats = [np.abs(a.astype(np.float64)) for a in self.arrays if a.dtype.kind not in "iub"]
        return max((float(a[np.isfinite(a)].max(initial=0.0)) for a in floats), default=0.0)


Excuse = Callable[[Elements], np.ndarray]


def near(scale: float = 4.0) -> Excuse:
    """Those that differ by ``scale`` roundings of the largest argument or result, or of 1."""

    def excuse(e: Elements) -> np.ndarray:
        finite = np.abs(e.exact[np.isfinite(e.exact)])
        return np.abs(e.ours - e.exact) <= scale * e.eps * max(e.largest, float(finite.max(initial=0.0)), 1.0)

    return excuse


def relative(bound: float) -> Excuse:
    return lambda e: np.abs(e.ours - e.exact) <= bound * np.abs(e.exact)


def torch_is_nan(e: Elements) -> np.ndarray:
    """NaN in torch, a number here."""
    return (np.isnan(e.own) | np.isnan(e.exact)) & ~np.isnan(e.ours)


def beyond_squares(e: Elements) -> np.ndarray:
    """All, where squares of the arguments pass the largest number in which sums are taken, or vanish."""
    limit = float(np.finfo(np.float64 if e.dtype == "float64" else np.float32).max) ** 0.4
    sizes = np.concatenate([np.abs(a.astype(np.float64)).ravel() for a in e.arrays if a.dtype.kind not in "iub"])
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    return np.full(e.ours.shape, bool(((sizes > limit) | (sizes < 1 / limit)).any()))


def everything(e: Elements) -> np.ndarray:
    return np.full(e.ours.shape, True)


@dataclass(frozen=True)
class Difference:
    """One reason for which the numbers of some functions differ."""

    names: tuple[str, ...]
    what: str
    reason: str
    excuse: Excuse


@dataclass(frozen=True)
class Refusal:
    """One reason for which one side alone refuses: a text of its error."""

    names: tuple[str, ...]
    by_torch: bool
    text: str
    reason: str


DIFFERENCES = [
    Difference(("tanhshrink",), "result", "x - tanh(x) near 0 by its series; torch subtracts and loses digits", near()),
    Difference(("gelu",), "result", "1 + tanh(u) for negative u without cancellation", near()),
    Difference(
        ("hardsigmoid",), "gradient", "the slope is 1/6; torch rounds it to float32 in float64 too", relative(4e-8)
    ),
    Difference(
        ("binary_cross_entropy_with_logits",),
        "result",
        "a sum of two softplus: no inf - inf, and a target of 1e-20 is not lost in 1 - target",
        lambda e: torch_is_nan(e) | beyond_squares(e) | near()(e),
    ),
    Difference(("hardswish",), "result", "0 at -inf, its limit; torch multiplies -inf by 0", torch_is_nan),
    *[
        Difference(
            ("rnn", "lstm", "gru", "rnn_cell", "lstm_cell", "gru_cell"),
            what,
            "gates by one tanh, right to a rounding of 1, and (1 - z) n + z h, where torch takes (h - n) z + n",
            near(16),
        )
        for what in ("result", "gradient")
    ],
    Difference(
        ("bilinear",),
        "result",
        "the order of sums with infinities",
        lambda e: ~np.isfinite(e.ours) & ~np.isfinite(e.own),
    ),
    Difference(
        tuple(f"conv{kind}{n}d" for n in (1, 2, 3) for kind in ("", "_transpose")),
        "result",
        "a half-precision product is rounded before the bias is added; some kernels of torch add it before",
        lambda e: ~np.isfinite(e.ours) & (e.eps > 1e-4) & (e.largest > float(jnp.finfo(e.dtype).max) ** 0.5),
    ),
    Difference(
        ("lp_pool1d", "lp_pool2d", "lp_pool3d"),
        "result",
        "a fractional power of a negative infinity is NaN, as of every negative number",
        lambda e: np.isnan(e.ours) & np.isinf(e.own),
    ),
    Difference(
        ("binary_cross_entropy",), "gradient", "the least divisor is 1e-12; torch rounds it to float32", relative(1e-8)
    ),
    Difference(("softplus",), "gradient", "beta = 0: the value is infinite, the slope NaN", lambda e: np.isnan(e.ours)),
    Difference(("ctc_loss",), "gradient", "the true derivative; torch's is that of log_softmax before it", everything),
    Difference(
        ("cosine_embedding_loss", "cosine_similarity"),
        "result",
        "a difference of numbers near 1 is right to a rounding of 1",
        near(),
    ),
    Difference(
        (
            "batch_norm",
            "batch_norm_update",
            "instance_norm",
            "instance_norm_update",
            "group_norm",
            "layer_norm",
            "rms_norm",
            "normalize",
            "cosine_similarity",
            "cosine_embedding_loss",
            "pairwise_distance",
            "pdist",
            "triplet_margin_loss",
            "triplet_margin_with_distance_loss",
            "lp_pool1d",
            "lp_pool2d",
            "lp_pool3d",
            "multilabel_margin_loss",
            "multi_margin_loss",
            "bilinear",
            *("rnn", "lstm", "gru", "rnn_cell", "lstm_cell", "gru_cell"),
            "linear",
            "scaled_dot_product_attention",
            "multi_head_attention_forward",
            *(f"conv{kind}{n}d" for n in (1, 2, 3) for kind in ("", "_transpose")),
            "conv_tbc",
            "interpolate",
            "upsample",
            "upsample_bilinear",
        ),
        "result",
        "sums of squares or products beyond the largest number: torch's order and width of the sums differ by kernel",
        beyond_squares,
    ),
    Difference(
        (
            "batch_norm",
            "instance_norm",
            "group_norm",
            "layer_norm",
            "rms_norm",
            "normalize",
            "cosine_similarity",
            "cosine_embedding_loss",
        ),
        "gradient",
        "a difference of terms of the size of the largest gradient or weight",
        near(64),
    ),
    Difference(
        ("max_unpool1d", "max_unpool2d", "max_unpool3d"),
        "gradient",
        "of numbers written to one place the last stays, and has the gradient; torch gives it to all of them",
        lambda e: e.ours == 0,
    ),
    Difference(
        ("grid_sample",),
        "result",
        "a place so far out that it is not known to a pixel in the dtype, or infinite",
        lambda e: np.full(e.ours.shape, not (np.abs(e.arrays[1].astype(np.float64)) < 0.01 / e.eps).all()),
    ),
]

EMPTY_SHAPES = {
    "pixel_unshuffle": "a result without elements has the shape of the formula; torch's is that of pixel_shuffle"
}

REFUSALS = [
    Refusal(
        ("*",),
        False,
        "must be of one dtype",
        "mixed floating dtypes raise TypeError; some functions of torch promote them",
    ),
    Refusal(("*",), True, "but found element of type NoneType", "None stands for the length in 1-D adaptive pools too"),
    Refusal(("*",), True, "not NoneType", "None stands for the length in 1-D adaptive pools too"),
    Refusal(("*",), True, "'NoneType' has no len()", "None alone stands for all the lengths of adaptive pools"),
    Refusal(
        ("batch_norm", "instance_norm"),
        True,
        "select(): index 0 out of range",
        "no channels; torch's fast kernel dies of it",
    ),
    Refusal(("batch_norm",), False, "to suit the channels", "torch looks at no statistics where the input is empty"),
    Refusal(("lp_pool1d",), True, "must be Tensor, not tuple", "a sequence of one kernel length; torch dies of it"),
    Refusal(
        ("scaled_dot_product_attention",),
        False,
        "attn_mask must be None when is_causal",
        "both masks at once are refused always; torch takes them where a fused kernel runs",
    ),
    Refusal(
        ("pad",), False, "in mode 'circular'", "torch wraps what a negative pad has cut off, which nothing has written"
    ),
    Refusal(
        ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
        False,
        "input must be nonempty",
        "no mean of nothing; torch gives NaN where the result has one place, and refuses else",
    ),
    Refusal(
        ("interpolate", "upsample"),
        False,
        "of non-zero length along each spatial axis",
        "no mean of nothing, as in the adaptive pools",
    ),
    Refusal(
        ("adaptive_avg_pool2d", "adaptive_avg_pool3d"),
        False,
        "input must be",
        "a batch axis and a channel axis; torch takes any rank where the result has one place",
    ),
    Refusal(
        ("max_unpool1d", "max_unpool2d", "max_unpool3d"),
        False,
        "input must be nonempty",
        "an input without channels is taken for a mistake; torch gives an empty result",
    ),
    Refusal(
        ("max_unpool1d", "max_unpool2d", "max_unpool3d"),
        False,
        "input must be large enough",
        "a result without places; torch gives one where nothing is to be written",
    ),
    Refusal(
        tuple(f"fractional_max_pool{n}d{more}" for n in (2, 3) for more in ("", "_with_indices")),
        False,
        "must be",
        "no windows, or an input without channels, is taken for a mistake; torch gives an empty result",
    ),
    Refusal(
        ("rnn", "lstm", "gru"),
        True,
        "must be greater than zero",
        "no input features: the layers take none, as cells do",
    ),
    Refusal(
        ("interpolate", "upsample", "upsample_nearest", "upsample_bilinear"),
        True,
        "Non-empty",
        "an input without channels gives a result without",
    ),
    Refusal(
        ("embedding_bag",), True, "step must be nonzero", "bags of no elements; torch dies of making their offsets"
    ),
    Refusal(("*",), True, "_random_samples to have the same dtype", "random samples may have any floating dtype"),
    Refusal(
        ("multi_head_attention_forward",),
        True,
        "cannot reshape tensor of 0 elements",
        "no keys; torch dies of a reshape where other calls without keys go through",
    ),
    Refusal(("bilinear",), True, "cannot reshape tensor of 0 elements", "no features: the bias"),
    Refusal(
        ("one_hot",), True, "index tensor of type LongTensor", "every integer dtype: with x64 off there is no int64"
    ),
    Refusal(
        tuple(f"fractional_max_pool{n}d{more}" for n in (2, 3) for more in ("", "_with_indices")),
        True,
        "object of type 'float' has no len()",
        "one ratio for all axes, as the layer takes it",
    ),
]


def _of(name: str, names: tuple[str, ...]) -> bool:
    return "*" in names or name in names


def excused(name: str, what: str, elements: Elements) -> np.ndarray:
    """Which elements a difference on purpose explains."""
    found = np.zeros(elements.ours.shape, bool)
    with np.errstate(all="ignore"):
        for difference in DIFFERENCES:
            if difference.what == what and _of(name, difference.names):
                found |= difference.excuse(elements)
    return found


def excused_refusal(name: str, error: str, by_torch: bool) -> bool:
    """Whether a difference on purpose explains that one side alone refuses."""
    return any(r.by_torch == by_torch and r.text in error and _of(name, r.names) for r in REFUSALS)
