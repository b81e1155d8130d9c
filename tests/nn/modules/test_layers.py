"""Every layer against PyTorch's of the same arguments and state: outputs, gradients, buffers, state_dict, repr."""

import copy
import inspect
import pickle
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from tests.oracle import assert_close, from_torch, leaves, needs_torch, rand, to_torch


class Fixed:
    """An argument that no gradient is taken of."""

    def __init__(self, array):
        self.array = np.asarray(array)


def ints(*values):
    return Fixed(np.array(values, np.int64))


def drawn(high, *shape, low=0):
    return Fixed(np.random.default_rng([high, *shape]).integers(low, high, shape))


UNIT = rand(3, 3, 4, low=0.1, high=0.9)
ROUNDED = Fixed(UNIT.round())
SIGNS = Fixed(np.array([1.0, -1.0, 1.0]))
PROBABILITIES = Fixed(UNIT / UNIT.sum(1, keepdims=True))
IMAGE, VOLUME, LINE = (2, 4, 6, 5), (1, 2, 4, 5, 4), (2, 4, 9)
LOGS = np.log(UNIT / UNIT.sum(1, keepdims=True))
CLASSES = ints(1, 3, 0)
WEIGHT4 = np.array([0.5, 1.0, 2.0, 0.1])
# Fixed: torch's gradient is that with respect to logits.
CTC = (Fixed(rand(0, 6, 2, 4)), drawn(4, 2, 3, low=1), ints(6, 5), ints(3, 2))

# name, arguments, options, inputs (a tuple is the shape of a random array)
CASES = [
    ("Identity", (54,), {"unused": 1}, (2, 3)),
    ("Linear", (3, 4), {}, (2, 5, 3)),
    ("Linear", (3, 4, False), {}, (3,)),
    ("Bilinear", (2, 3, 4), {}, (5, 2), (5, 3)),
    ("Flatten", (), {}, (2, 3, 4)),
    ("Unflatten", (1, (2, 2)), {}, (3, 4)),
    ("Conv1d", (4, 6, 3), {"padding": 2, "dilation": 2, "groups": 2}, LINE),
    ("Conv2d", (4, 6, 3), {"stride": (2, 1), "padding": 1, "padding_mode": "reflect"}, IMAGE),
    ("Conv2d", (4, 4, (3, 2)), {"padding": "same", "bias": False, "groups": 4}, IMAGE),
    ("Conv3d", (2, 2, 2), {}, VOLUME),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1, "groups": 2}, LINE),
    ("ConvTranspose2d", (4, 2, 3), {"stride": (2, 1), "padding": 1}, IMAGE),
    ("ConvTranspose3d", (2, 1, 2), {"bias": False}, VOLUME),
    ("BatchNorm1d", (4,), {}, LINE),
    ("BatchNorm2d", (4,), {"momentum": None, "eps": 1e-3}, IMAGE),
    ("BatchNorm2d", (4,), {"track_running_stats": False, "affine": False}, IMAGE),
    ("BatchNorm3d", (2,), {"affine": False}, VOLUME),
    ("InstanceNorm1d", (4,), {"affine": True}, LINE),
    ("InstanceNorm2d", (4,), {"track_running_stats": True, "affine": True}, IMAGE),
    ("InstanceNorm3d", (2,), {}, VOLUME),
    ("LayerNorm", ((4, 9),), {}, LINE),
    ("RMSNorm", (9,), {}, LINE),
    ("GroupNorm", (2, 4), {}, IMAGE),
    ("LocalResponseNorm", (3,), {"alpha": 0.1, "k": 2.0}, IMAGE),
    ("CrossMapLRN2d", (3,), {"alpha": 0.1}, Fixed(rand(0, *IMAGE))),  # torch's gradient is not that of its values
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1, "return_indices": True}, LINE),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, IMAGE),
    ("MaxPool3d", (2,), {}, VOLUME),
    ("AvgPool1d", (3,), {"padding": 1, "count_include_pad": False}, LINE),
    ("AvgPool2d", ((3, 2),), {"stride": 2, "ceil_mode": True, "divisor_override": 3}, IMAGE),
    ("AvgPool3d", (2,), {}, VOLUME),
    ("LPPool1d", (3, 2), {}, rand(0, *LINE, low=0.1)),
    ("LPPool2d", (2, 2), {"stride": 1}, IMAGE),
    ("LPPool3d", (1.5, 2), {}, rand(0, *VOLUME, low=0.1)),
    ("AdaptiveAvgPool1d", (4,), {}, LINE),
    ("AdaptiveAvgPool2d", ((4, None),), {}, IMAGE),
    ("AdaptiveAvgPool3d", (2,), {}, VOLUME),
    ("AdaptiveMaxPool1d", (4,), {"return_indices": True}, LINE),
    ("AdaptiveMaxPool2d", ((4, 2),), {}, IMAGE),
    ("AdaptiveMaxPool3d", (2,), {}, VOLUME),
    ("FractionalMaxPool2d", (2, 3), {"_random_samples": rand(0, 2, 4, 2, low=0)}, IMAGE),
    ("FractionalMaxPool3d", (2,), {"output_ratio": 0.5, "_random_samples": rand(0, 1, 2, 3, low=0)}, VOLUME),
    ("MaxUnpool1d", (2,), {}, (1, 1, 3), ints([[1, 2, 5]])),
    ("MaxUnpool2d", (2,), {}, (1, 1, 1, 2), ints([[[1, 6]]])),
    ("MaxUnpool3d", (2,), {}, (1, 1, 1, 1, 2), ints([[[[1, 14]]]])),
    ("CircularPad2d", ((1, 2, 0, 3),), {}, IMAGE),
    ("ConstantPad1d", (2, 3.5), {}, LINE),
    ("ReflectionPad2d", (2,), {}, IMAGE),
    ("ReplicationPad3d", (1,), {}, VOLUME),
    ("ZeroPad2d", ((-1, 1, 2, 0),), {}, IMAGE),
    ("Embedding", (6, 3), {"padding_idx": -2, "scale_grad_by_freq": True}, drawn(6, 4, 2)),
    ("Embedding", (6, 3), {"max_norm": 0.7}, drawn(6, 4)),
    ("EmbeddingBag", (6, 3), {"padding_idx": 1}, drawn(6, 7), ints(0, 3, 3)),
    ("EmbeddingBag", (6, 3), {"mode": "sum", "include_last_offset": True}, drawn(6, 4), ints(0, 1, 4), rand(0, 4)),
    ("EmbeddingBag", (6, 3), {"mode": "max"}, drawn(6, 4, 2)),
    ("CosineSimilarity", (), {}, (3, 4), (3, 4)),
    ("PairwiseDistance", (3.0,), {"keepdim": True}, (3, 4), (3, 4)),
    ("Unfold", ((2, 3),), {"padding": 1, "dilation": (2, 1), "stride": 2}, IMAGE),
    ("Fold", ((4, 5), (2, 3)), {}, (2, 12, 9)),
    ("PixelShuffle", (2,), {}, (1, 8, 2, 3)),
    ("PixelUnshuffle", (2,), {}, (1, 2, 4, 6)),
    ("ChannelShuffle", (2,), {}, IMAGE),
    ("Upsample", (), {"scale_factor": (2, 1.5), "mode": "bilinear", "align_corners": True}, IMAGE),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, IMAGE),
    ("UpsamplingBilinear2d", ((3, 7),), {}, IMAGE),
    # activations
    ("Threshold", (0.1, 20.0), {}, LINE),
    ("ReLU", (), {}, LINE),
    ("RReLU", (0.25, 0.25), {}, LINE),
    ("Hardtanh", (-0.2, 0.3), {}, LINE),
    ("ReLU6", (), {}, LINE),
    ("Sigmoid", (), {}, LINE),
    ("Hardsigmoid", (), {}, LINE),
    ("Tanh", (), {}, LINE),
    ("SiLU", (), {}, LINE),
    ("Mish", (), {}, LINE),
    ("Hardswish", (), {}, LINE),
    ("ELU", (0.7,), {}, LINE),
    ("CELU", (0.7,), {}, LINE),
    ("SELU", (), {}, LINE),
    ("GLU", (1,), {}, LINE),
    ("GELU", ("tanh",), {}, LINE),
    ("Hardshrink", (0.3,), {}, LINE),
    ("LeakyReLU", (0.2,), {}, LINE),
    ("LogSigmoid", (), {}, LINE),
    ("Softplus", (2.0, 1.0), {}, LINE),
    ("Softshrink", (0.3,), {}, LINE),
    ("PReLU", (4,), {"init": 0.1}, LINE),
    ("Softsign", (), {}, LINE),
    ("Tanhshrink", (), {}, LINE),
    ("Softmin", (1,), {}, LINE),
    ("Softmax", (-1,), {}, LINE),
    ("Softmax2d", (), {}, IMAGE),
    ("LogSoftmax", (1,), {}, LINE),
    # dropout that drops nothing, or all
    ("Dropout", (0.0,), {}, LINE),
    ("Dropout1d", (1.0,), {}, LINE),
    ("Dropout2d", (0.0,), {}, IMAGE),
    ("Dropout3d", (1.0,), {}, VOLUME),
    ("AlphaDropout", (0.0,), {}, LINE),
    ("FeatureAlphaDropout", (0.0,), {}, LINE),
    # losses
    ("L1Loss", (), {"reduction": "sum"}, (3, 4), (3, 4)),
    ("MSELoss", (), {}, (3, 4), (3, 4)),
    ("SmoothL1Loss", (), {"beta": 0.3}, (3, 4), (3, 4)),
    ("HuberLoss", ("none", 0.3), {}, (3, 4), (3, 4)),
    ("CrossEntropyLoss", (WEIGHT4,), {"ignore_index": 3, "label_smoothing": 0.1}, (3, 4), CLASSES),
    ("CrossEntropyLoss", (), {"reduction": "none"}, (3, 4), PROBABILITIES),
    ("LinearCrossEntropyLoss", (5, 4), {"bias": True, "weight": WEIGHT4}, (3, 5), CLASSES),
    ("NLLLoss", (WEIGHT4,), {}, LOGS, CLASSES),
    ("PoissonNLLLoss", (), {"full": True}, (3, 4), Fixed(UNIT * 5)),
    ("GaussianNLLLoss", (), {"full": True}, (3, 4), (3, 4), UNIT),
    ("KLDivLoss", (), {"reduction": "batchmean"}, LOGS, PROBABILITIES),
    ("BCELoss", (WEIGHT4,), {}, UNIT, Fixed(UNIT[::-1])),
    ("BCEWithLogitsLoss", (), {"pos_weight": WEIGHT4}, (3, 4), Fixed(UNIT)),
    ("HingeEmbeddingLoss", (0.5,), {}, (3,), SIGNS),
    ("MultiLabelMarginLoss", (), {}, (3, 4), ints([1, -1, 2, 0], [3, 0, -1, -1], [-1, 0, 0, 0])),
    ("SoftMarginLoss", (), {}, (3,), SIGNS),
    ("MultiLabelSoftMarginLoss", (WEIGHT4,), {}, (3, 4), ROUNDED),
    ("CosineEmbeddingLoss", (0.2,), {}, (3, 4), (3, 4), SIGNS),
    ("MarginRankingLoss", (0.3,), {}, (3,), rand(7, 3), SIGNS),
    ("MultiMarginLoss", (2, 0.8, WEIGHT4), {}, (3, 4), CLASSES),
    ("TripletMarginLoss", (), {"swap": True}, (3, 4), rand(8, 3, 4), rand(9, 3, 4)),
    ("TripletMarginWithDistanceLoss", (), {"margin": 0.5}, (3, 4), rand(8, 3, 4), rand(9, 3, 4)),
    ("CTCLoss", (), {"zero_infinity": True}, *CTC),
]

MORE = [
    ("Linear", (3, 0), {}, (2, 3)),
    ("Bilinear", (2, 3, 4), {"bias": False}, (2,), (3,)),
    ("Flatten", (0, 1), {}, (2, 3, 4)),
    ("Flatten", (-2,), {}, (2, 3, 4)),
    ("Unflatten", (-1, [-1, 2]), {}, (3, 4)),
    *[("Conv1d", (4, 6, 3), {"padding": "same", "padding_mode": m}, LINE) for m in ("circular", "replicate", "zeros")],
    ("Conv1d", (4, 6, 3), {"padding": "valid", "stride": 2, "padding_mode": "circular"}, (4, 9)),
    *[("Conv2d", (4, 6, 3), {"padding": (2, 1), "padding_mode": m}, IMAGE) for m in ("circular", "replicate")],
    ("Conv2d", (4, 6, (1, 3)), {"dilation": (1, 2), "groups": 2, "bias": False}, IMAGE[1:]),
    ("Conv3d", (2, 4, (1, 2, 3)), {"stride": (2, 1, 1), "padding": (0, 1, 2), "groups": 2}, VOLUME),
    ("Conv3d", (2, 1, 3), {"padding": 1, "padding_mode": "replicate"}, VOLUME),
    ("ConvTranspose1d", (4, 6, 3), {"padding": 2, "dilation": 3}, (4, 9)),
    ("ConvTranspose2d", (4, 4, 2), {"stride": 2, "groups": 4, "dilation": 2, "output_padding": 1}, IMAGE),
    ("ConvTranspose3d", (2, 2, (1, 2, 3)), {"stride": 2, "padding": 1, "output_padding": 1}, VOLUME),
    ("BatchNorm1d", (4,), {"momentum": 0.3, "bias": False}, (5, 4)),
    ("BatchNorm1d", (4,), {"affine": False, "momentum": 0.0}, (5, 4)),
    ("BatchNorm1d", (4,), {"track_running_stats": False}, LINE),
    ("BatchNorm2d", (4,), {}, IMAGE),
    ("BatchNorm3d", (2,), {"momentum": 1.0}, VOLUME),
    ("InstanceNorm1d", (4,), {"track_running_stats": True}, (4, 9)),
    ("InstanceNorm1d", (4,), {}, LINE),
    ("InstanceNorm2d", (4,), {"momentum": 0.4, "track_running_stats": True}, IMAGE[1:]),
    ("InstanceNorm3d", (2,), {"affine": True, "track_running_stats": True, "bias": False}, VOLUME),
    ("LayerNorm", (9, 1e-2, False), {}, LINE),
    ("LayerNorm", ([9],), {"bias": False}, LINE),
    ("RMSNorm", ([4, 9],), {"eps": 0.1}, LINE),
    ("RMSNorm", (9,), {"elementwise_affine": False}, LINE),
    ("GroupNorm", (4, 4), {"affine": False, "eps": 0.1}, LINE),
    ("GroupNorm", (1, 4), {"bias": False}, (3, 4)),
    ("LocalResponseNorm", (2,), {"beta": 0.5}, LINE),
    ("CrossMapLRN2d", (2, 0.1, 0.5, 2), {}, Fixed(rand(0, *IMAGE))),
    ("MaxPool1d", (3, 2, 1, 2), {"ceil_mode": True}, LINE[1:]),
    ("MaxPool2d", (2, (1, 2), 0, 2), {"return_indices": True}, IMAGE),
    ("MaxPool3d", (2, 2, 1), {"return_indices": True, "ceil_mode": True}, VOLUME),
    ("AvgPool1d", (3, 2), {"padding": 1, "ceil_mode": True}, LINE[1:]),
    ("AvgPool2d", (3,), {"padding": 1, "count_include_pad": False}, IMAGE),
    ("AvgPool3d", (2, 1, 1), {"ceil_mode": True, "divisor_override": 5}, VOLUME),
    ("LPPool1d", (1, 3), {"stride": 2, "ceil_mode": True}, rand(0, *LINE, low=0.1)),
    ("LPPool2d", (3, (1, 2)), {"ceil_mode": True}, rand(0, *IMAGE, low=0.1)),
    ("AdaptiveAvgPool2d", (3,), {}, IMAGE[1:]),
    ("AdaptiveAvgPool3d", ((None, 2, 1),), {}, VOLUME),
    ("AdaptiveMaxPool2d", ((None, 3),), {"return_indices": True}, IMAGE),
    ("AdaptiveMaxPool3d", ((1, None, 2), True), {}, VOLUME),
    (
        "FractionalMaxPool2d",
        ((2, 3),),
        {"output_ratio": (0.5, 0.6), "return_indices": True, "_random_samples": rand(0, 2, 4, 2, low=0)},
        IMAGE,
    ),
    ("FractionalMaxPool3d", (2, (2, 3, 2), None, True), {"_random_samples": rand(0, 1, 2, 3, low=0)}, VOLUME),
    ("MaxUnpool1d", (3, 2), {"padding": 1}, (1, 3), ints([0, 2, 4])),
    ("MaxUnpool2d", ((2, 1),), {"stride": (2, 2)}, (1, 1, 1, 2), ints([[[1, 2]]])),
    ("CircularPad1d", (2,), {}, LINE),
    ("CircularPad3d", ((1, 0, 2, 1, 1, 1),), {}, VOLUME),
    ("ConstantPad2d", ((1, -1, 0, 2), -1.5), {}, IMAGE),
    ("ConstantPad3d", (1, 2), {}, VOLUME),
    ("ReflectionPad1d", ((3, 1),), {}, LINE[1:]),
    ("ReflectionPad3d", (1,), {}, VOLUME),
    ("ReplicationPad1d", ((0, 2),), {}, LINE),
    ("ReplicationPad2d", (2,), {}, IMAGE[1:]),
    ("ZeroPad1d", ((1, 3),), {}, LINE),
    ("ZeroPad3d", (1,), {}, VOLUME),
    ("Embedding", (6, 3), {}, drawn(6, 2, 2)),
    ("Embedding", (6, 3), {"norm_type": 1.0, "max_norm": 1.0, "padding_idx": 0}, drawn(6, 4)),
    ("EmbeddingBag", (6, 3), {"max_norm": 0.7, "norm_type": 1.0}, drawn(6, 2, 3)),
    ("CosineSimilarity", (0,), {"eps": 1e-3}, (3, 4), (3, 1)),
    ("PairwiseDistance", (1.0,), {"eps": 1e-3}, (3, 4), (1, 4)),
    ("Unfold", (2,), {}, IMAGE[1:]),
    ("Fold", (5, 2), {"padding": 1, "stride": 2, "dilation": 1}, (4, 9)),
    ("PixelShuffle", (3,), {}, (9, 2, 2)),
    ("ChannelShuffle", (4,), {}, (1, 8, 3)),
    *[("Upsample", (7,), {"mode": m}, LINE) for m in ("nearest", "linear", "area", "nearest-exact")],
    ("Upsample", ((7, 9),), {"mode": "bicubic", "align_corners": False}, IMAGE),
    ("Upsample", (), {"scale_factor": 1.5, "mode": "trilinear", "recompute_scale_factor": True}, VOLUME),
    ("UpsamplingNearest2d", (7,), {}, IMAGE),
    ("ReLU", (True,), {}, LINE),
    ("Hardtanh", (-0.2, 0.3, True), {}, LINE),
    ("ReLU6", (True,), {}, LINE),
    ("Hardsigmoid", (True,), {}, LINE),
    ("SiLU", (True,), {}, LINE),
    ("ELU", (1.0, True), {}, LINE),
    ("CELU", (1.0, True), {}, LINE),
    ("SELU", (True,), {}, LINE),
    ("LeakyReLU", (0.01, True), {}, LINE),
    ("Threshold", (0.1, 20.0, True), {}, LINE),
    ("GLU", (), {}, (3, 4)),
    ("GELU", (), {}, LINE),
    ("PReLU", (), {}, LINE),
    ("Softmax2d", (), {}, IMAGE[1:]),
    *[("L1Loss", (), {"reduction": r}, (3, 4), (3, 4)) for r in ("mean", "none")],
    *[("MSELoss", (), {"reduction": r}, (3, 4), (3, 4)) for r in ("sum", "none")],
    *[("SmoothL1Loss", (), {"reduction": r}, (3, 4), (3, 4)) for r in ("sum", "none")],
    ("SmoothL1Loss", (), {"beta": 0.0}, (3, 4), rand(5, 3, 4)),
    *[("HuberLoss", (r,), {}, (3, 4), (3, 4)) for r in ("mean", "sum")],
    *[("CrossEntropyLoss", (WEIGHT4,), {"reduction": r}, (3, 4), CLASSES) for r in ("none", "sum")],
    ("CrossEntropyLoss", (WEIGHT4,), {"label_smoothing": 0.3}, (3, 4), PROBABILITIES),
    ("CrossEntropyLoss", (), {}, (3, 4, 2, 2), drawn(4, 3, 2, 2)),
    ("CrossEntropyLoss", (), {}, (4,), Fixed(np.int64(2))),
    ("LinearCrossEntropyLoss", (5, 4), {"out_features": (2,), "label_smoothing": 0.1}, (3, 5), drawn(4, 3, 2)),
    ("LinearCrossEntropyLoss", (5, 4), {"reduction": "none", "ignore_index": 1}, (3, 5), CLASSES),
    ("LinearCrossEntropyLoss", (5, 4), {"reduction": "sum"}, (3, 5), PROBABILITIES),
    ("NLLLoss", (), {"ignore_index": 1, "reduction": "none"}, LOGS, CLASSES),
    ("NLLLoss", (), {"reduction": "sum"}, (2, 4, 3), drawn(4, 2, 3)),
    ("PoissonNLLLoss", (False,), {"eps": 0.1, "reduction": "none"}, UNIT, Fixed(UNIT * 5)),
    *[("GaussianNLLLoss", (), {"eps": 0.3, "reduction": r}, (3, 4), (3, 4), UNIT[:, :1]) for r in ("none", "sum")],
    *[("KLDivLoss", (), {"log_target": True, "reduction": r}, LOGS, Fixed(LOGS[::-1])) for r in ("none", "sum")],
    *[("BCELoss", (), {"reduction": r}, UNIT, Fixed(UNIT[::-1])) for r in ("none", "sum")],
    *[("BCEWithLogitsLoss", (WEIGHT4,), {"reduction": r}, (3, 4), Fixed(UNIT)) for r in ("none", "sum")],
    *[("HingeEmbeddingLoss", (), {"reduction": r}, (3,), SIGNS) for r in ("none", "sum")],
    ("MultiLabelMarginLoss", (), {"reduction": "none"}, (4,), ints(1, -1, 2, 0)),
    *[("SoftMarginLoss", (), {"reduction": r}, (3,), SIGNS) for r in ("none", "sum")],
    *[("MultiLabelSoftMarginLoss", (), {"reduction": r}, (3, 4), ROUNDED) for r in ("none", "sum")],
    *[("CosineEmbeddingLoss", (), {"reduction": r}, (3, 4), (3, 4), SIGNS) for r in ("none", "sum")],
    *[("MarginRankingLoss", (), {"reduction": r}, (3,), rand(7, 3), SIGNS) for r in ("none", "sum")],
    *[("MultiMarginLoss", (), {"reduction": r}, (3, 4), CLASSES) for r in ("none", "sum")],
    *[
        ("TripletMarginLoss", (0.7,), {"p": 3.0, "eps": 1e-3, "reduction": r}, (3, 4), rand(8, 3, 4), rand(9, 3, 4))
        for r in ("none", "sum")
    ],
    *[
        ("TripletMarginWithDistanceLoss", (), {"swap": True, "reduction": r}, (3, 4), rand(8, 3, 4), rand(9, 3, 4))
        for r in ("none", "sum")
    ],
    *[("CTCLoss", (b,), {"reduction": r}, *CTC) for b, r in ((0, "none"), (0, "sum"))],
]

# torch computes these derivatives with a float32 constant.
IMPRECISE = ("Hardsigmoid", "CELU", "ELU", "SELU")

# Layers that do something else in training mode.
MODAL = ("BatchNorm", "InstanceNorm", "Dropout", "AlphaDropout", "FeatureAlphaDropout", "RReLU")


def is_modal(name):
    return name.startswith(MODAL)


def identify(case):
    name, args, options, *_ = case
    short = [*args, *(f"{k}={v}" for k, v in options.items() if not isinstance(v, np.ndarray))]
    return "-".join([name, *(str(v) for v in short if not isinstance(v, np.ndarray))])


def as_inputs(case):
    return [Fixed(rand(i, *x)).array if isinstance(x, tuple) else x for i, x in enumerate(case[3:])]


def torch_layer(name, args, options):
    import torch

    torch.manual_seed(0)
    layer = getattr(torch.nn, name)(*to_torch(args), **to_torch(options)).double()
    with torch.no_grad():
        for i, (key, value) in enumerate(layer.state_dict().items()):
            if key.startswith("running"):
                value.copy_(torch.from_numpy(rand(50 + i, *value.shape, low=0.2, high=1.5)))
            elif "Norm" in name and value.is_floating_point():
                value.copy_(torch.from_numpy(rand(50 + i, *value.shape)))
    return layer


def same_description(ours, theirs):
    assert repr(ours) == repr(theirs)
    mine, others = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(others)
    for key, value in others.items():
        assert mine[key].shape == tuple(value.shape), key
        assert str(mine[key].dtype) == str(value.dtype).removeprefix("torch."), key
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]


def check_case(case):
    """One compiled value_and_grad of the layer in training mode, if that matters, then in evaluation mode."""
    import torch

    name, args, options = case[:3]
    inputs = as_inputs(case)
    theirs = torch_layer(name, args, options)
    ours = getattr(nn, name)(*args, **options).double()
    before = {k: from_torch(v.clone()) for k, v in theirs.state_dict().items()}
    assert repr(ours.load_state_dict(theirs.state_dict())) == "<All keys matched successfully>"
    same_description(ours, theirs)

    tensors = [to_torch(x.array) if isinstance(x, Fixed) else to_torch(x, requires_grad=True) for x in inputs]
    modes = (True, False) if is_modal(name) else (True,)
    expected, total = [], 0
    for mode in modes:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
            expected += leaves(theirs.train(mode)(*(t.clone() for t in tensors)))  # some write in place
    weights = [rand(97 + i, *y.shape) for i, y in enumerate(expected)]
    for y, w in zip(expected, weights, strict=True):
        if y.is_floating_point() and y.requires_grad:
            total = total + (y * torch.tensor(w)).sum()
    wanted = [*theirs.parameters(), *(t for t in tensors if t.requires_grad)]
    some = torch.is_tensor(total) and bool(wanted)
    their_grads = torch.autograd.grad(total, wanted, allow_unused=True) if some else [None] * len(wanted)

    params, buffers = fnn.state(ours)
    floats = [x for x in inputs if not isinstance(x, Fixed)]

    @jax.jit
    def run(params, floats, buffers):
        def loss(params, floats):
            rest = iter(floats)
            values = [x.array if isinstance(x, Fixed) else next(rest) for x in inputs]
            outs, state = [], buffers
            for mode in modes:
                ours.train(mode)
                out, state = fnn.functional_call(ours, params, state, *values, rng=jax.random.key(0))
                outs += leaves(out)
            terms = [(o * w).sum() for o, w in zip(outs, weights, strict=True) if jnp.issubdtype(o.dtype, jnp.floating)]
            return sum(terms), (outs, state)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, floats)

    (_, (outs, state)), (param_grads, input_grads) = run(params, floats, buffers)
    for i, (a, b) in enumerate(zip(outs, expected, strict=True)):
        assert_close(a, from_torch(b), 1e-9, 1e-11, f"output {i}")
    names = [n for n, _ in ours.named_parameters()]
    for what, a, b in zip(
        [*names, *floats], [*(param_grads[n] for n in names), *input_grads], their_grads, strict=True
    ):
        label = f"gradient of {what if isinstance(what, str) else 'an input'}"
        rtol = 1e-7 if name in IMPRECISE else 1e-8
        assert_close(a, np.zeros(a.shape) if b is None else from_torch(b), rtol, 1e-10, label)
    for key, value in theirs.named_buffers():
        assert_close(state[key], from_torch(value), 1e-9, 1e-12, key)
    for key, value in before.items():
        assert_close(ours.state_dict()[key], value, 0, 0, f"{key} of the layer itself")


@needs_torch
@pytest.mark.parametrize("case", CASES, ids=identify)
def test_against_torch(case):
    check_case(case)


@needs_torch
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*nitializing.* zero.element")
@pytest.mark.parametrize("case", MORE, ids=identify)
def test_against_torch_with_more_options(case):
    check_case(case)


@needs_torch
@pytest.mark.parametrize(
    ("name", "args", "inputs", "size"),
    [
        ("ConvTranspose1d", (4, 2, 3, 2), [LINE], [20]),
        ("ConvTranspose2d", (4, 2, 3, 2, 1), [IMAGE], (12, 9)),
        ("ConvTranspose3d", (2, 2, 2, 2), [VOLUME[1:]], [2, 9, 10, 9]),
        ("MaxUnpool1d", (2,), [(1, 1, 3), ints([[1, 2, 5]])], [7]),
        ("MaxUnpool2d", (2,), [(1, 1, 1, 2), ints([[[1, 6]]])], (1, 1, 3, 5)),
        ("MaxUnpool3d", (2,), [(1, 1, 1, 1, 2), ints([[[[1, 14]]]])], [2, 3, 5]),
    ],
)
def test_output_size(name, args, inputs, size):
    """The size asked for in the call, of the spatial axes or of all."""
    arrays = [x.array if isinstance(x, Fixed) else x for x in as_inputs((name, args, {}, *inputs))]
    theirs = torch_layer(name, args, {})
    ours = getattr(nn, name)(*args).double()
    ours.load_state_dict(theirs.state_dict())
    expected = from_torch(theirs(*to_torch(arrays), output_size=list(size)))
    assert_close(ours(*arrays, output_size=size), expected, 1e-9, 1e-11)


@needs_torch
def test_distance_of_the_caller():
    """A distance in the terms of either library; the loss of the swapped pair too."""
    import torch

    arrays = [rand(60 + i, 3, 4) for i in range(3)]
    options = {"distance_function": lambda x, y: abs(x - y).sum(-1) ** 2, "margin": 0.5, "swap": True}
    ours, theirs = nn.TripletMarginWithDistanceLoss(**options), torch.nn.TripletMarginWithDistanceLoss(**options)
    assert_close(ours(*map(jnp.asarray, arrays)), from_torch(theirs(*to_torch(arrays))), 1e-12)


@needs_torch
@pytest.mark.parametrize("version", [1, None])
def test_batch_norm_loads_a_state_without_the_count(version):
    """A state_dict from before the batches were counted, or a plain dict, which tells no version."""
    import torch

    for package in (nn, torch.nn):
        layer = package.BatchNorm1d(2)
        state = layer.state_dict()
        del state["num_batches_tracked"]
        with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"num_batches_tracked\""):
            layer.load_state_dict(state)
        state["running_mean"] = state["running_mean"] + 5
        state._metadata[""]["version"] = version
        assert repr(layer.load_state_dict(state if version else dict(state))) == "<All keys matched successfully>"
        assert layer.running_mean.tolist() == [5, 5]
        assert int(layer.num_batches_tracked) == 0
        assert "num_batches_tracked" not in state


@needs_torch
@pytest.mark.parametrize("n", [1, 2, 3])
def test_instance_norm_refuses_statistics_it_does_not_track(n):
    import torch

    for package in (nn, torch.nn):
        kind = getattr(package, f"InstanceNorm{n}d")
        state = kind(2, track_running_stats=True).state_dict()
        with pytest.raises(RuntimeError, match="running_mean"):
            kind(2).load_state_dict(state)
        assert kind(2).load_state_dict(state, strict=False).unexpected_keys == list(state)
        with pytest.raises(RuntimeError, match="track_running_stats=False"):
            kind(2).load_state_dict(dict(state), strict=False)


# The classes as such


ELSEWHERE = ("adaptive", "attention", "containers", "lazy_layers", "module", "recurrent", "transformer")


def layer_classes(everything=False):
    classes = {k: v for k, v in vars(nn).items() if inspect.isclass(v) and issubclass(v, nn.Module)}
    return [k for k, v in classes.items() if everything or v.__module__.rpartition(".")[2] not in ELSEWHERE]


def test_the_table_has_every_layer():
    missing = set(layer_classes()) - {case[0] for case in CASES + MORE}
    assert missing == {
        "LazyLinear",
        "NLLLoss2d",
        "SyncBatchNorm",
    }  # the lazy and synchronized ones have their own files


def simplified(signature):
    def plain(value):
        return f"function {value.__name__}" if inspect.isfunction(value) or inspect.isbuiltin(value) else value

    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [(p.name, plain(p.default), p.kind) for p in signature.parameters.values() if p.kind not in kinds]


@needs_torch
@pytest.mark.parametrize("name", layer_classes(everything=True))
def test_signatures(name):
    import torch

    ours, theirs = getattr(nn, name), getattr(torch.nn, name)
    mine, others = (simplified(inspect.signature(c)) for c in (ours, theirs))
    if name in ("RNN", "GRU", "LSTM", "NLLLoss2d"):  # torch's take *args
        return
    extra = [p for p in mine if p not in others]
    assert [p for p in mine if p in others] == others
    assert all(kind == inspect.Parameter.KEYWORD_ONLY for _, _, kind in extra)
    if theirs.forward.__name__ == "forward":
        assert simplified(inspect.signature(ours.forward)) == simplified(inspect.signature(theirs.forward))


FIRST = list({case[0]: case for case in CASES}.values())


@pytest.mark.parametrize("case", FIRST, ids=lambda case: case[0])
def test_copies(case):
    name, args, options = case[:3]
    layer = getattr(nn, name)(*args, **options)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(twin) is type(layer)
        assert repr(twin) == repr(layer)
        assert list(twin.state_dict()) == list(layer.state_dict())
        for key, value in layer.state_dict().items():
            assert_close(twin.state_dict()[key], value, 0, 0, key)
        boxes = [*layer.parameters(), *layer.buffers()]
        assert not any(a is b for a in [*twin.parameters(), *twin.buffers()] for b in boxes)
        assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in layer.parameters()]


COMPILED = ["Linear", "Conv2d", "BatchNorm2d", "MaxPool1d", "Dropout", "Embedding", "CrossEntropyLoss", "Softmax2d"]


@pytest.mark.parametrize("case", [c for c in FIRST if c[0] in COMPILED], ids=lambda case: case[0])
def test_under_fnn_jit(case):
    name, args, options = case[:3]
    inputs = [x.array if isinstance(x, Fixed) else x for x in as_inputs(case)]
    layer = getattr(nn, name)(*args, **options).double()
    twin = copy.deepcopy(layer)
    for a, b in zip(leaves(fnn.jit(layer)(*inputs)), leaves(twin(*inputs)), strict=True):
        assert_close(a, b, 1e-10, 1e-12)
    for (key, a), b in zip(layer.state_dict().items(), twin.state_dict().values(), strict=True):
        assert_close(a, b, 1e-10, 1e-12, key)


# Random layers


@pytest.mark.parametrize(
    ("name", "shape", "channels"),
    [
        ("Dropout", (4, 50), False),
        ("Dropout1d", (4, 8, 6), True),
        ("Dropout2d", (4, 8, 3, 2), True),
        ("Dropout3d", (4, 8, 3, 2, 1), True),
        ("AlphaDropout", (4, 50), False),
        ("FeatureAlphaDropout", (4, 8, 6), True),
    ],
)
def test_dropout_layers(name, shape, channels):
    layer = getattr(nn, name)(0.4)
    x = np.ones(shape)
    fnn.manual_seed(0)
    y = np.asarray(layer(x))
    assert y.shape == shape
    values = np.unique(y.round(12))
    assert len(values) == 2
    if "Alpha" not in name:
        assert_close(values, [0, 1 / 0.6])
    kept = y == y.max()
    assert 0.3 < kept.mean() < 0.85
    if channels:
        assert (kept.reshape(*shape[:2], -1).all(-1) == kept.reshape(*shape[:2], -1).any(-1)).all()
    assert_close(layer.eval()(x), x, 0, 0)


def test_rrelu_in_training_mode():
    layer = nn.RReLU(0.1, 0.3)
    fnn.manual_seed(0)
    slopes = np.asarray(layer(-np.ones((40,))))
    assert ((slopes <= -0.1) & (slopes >= -0.3)).all()
    assert len(np.unique(slopes)) > 20
    assert_close(layer.eval()(-np.ones(3)), -np.full(3, 0.2))


@pytest.mark.parametrize("n", [2, 3])
def test_fractional_pool_draws_its_regions(n):
    layer = getattr(nn, f"FractionalMaxPool{n}d")(2, output_size=6)
    x = rand(0, 1, 1, *(11,) * n)
    fnn.manual_seed(0)
    outs = [np.asarray(layer(x)) for _ in range(3)]
    assert outs[0].shape == (1, 1, *(6,) * n)
    assert any((a != outs[0]).any() for a in outs[1:])


# Bad arguments


BAD = [
    (TypeError, "Linear: in_features must be an int, got 2.5", "Linear", (2.5, 3), {}),
    (TypeError, "Linear: out_features must be an int, got 'x'", "Linear", (2, "x"), {}),
    (ValueError, "Linear: out_features must be at least 0, got -1", "Linear", (2, -1), {}),
    (ValueError, "Bilinear: in1_features must be at least 1, got 0", "Bilinear", (0, 2, 3), {}),
    (TypeError, "Bilinear: in2_features must be an int, got None", "Bilinear", (2, None, 3), {}),
    (TypeError, "Unflatten: unflattened_size must be .* got int", "Unflatten", (1, 3), {}),
    (TypeError, "Unflatten: unflattened_size .* got str at position 1", "Unflatten", (1, (3, "x")), {}),
    (TypeError, "Conv1d: in_channels must be an int", "Conv1d", (None, 4, 3), {}),
    (ValueError, "Conv2d: out_channels must be at least 0", "Conv2d", (4, -4, 3), {}),
    (ValueError, "Conv2d: groups must be at least 1, got 0", "Conv2d", (4, 4, 3), {"groups": 0}),
    (ValueError, "Conv2d: in_channels must be divisible by groups", "Conv2d", (3, 4, 3), {"groups": 2}),
    (ValueError, "Conv3d: out_channels must be divisible by groups", "Conv3d", (4, 3, 3), {"groups": 2}),
    (ValueError, "Conv2d: padding must be .*'same'", "Conv2d", (4, 4, 3), {"padding": "full"}),
    (ValueError, "padding must be other than 'same' for strided", "Conv2d", (4, 4, 3, 2), {"padding": "same"}),
    (ValueError, "Conv1d: padding_mode must be", "Conv1d", (4, 4, 3), {"padding_mode": "mirror"}),
    (ValueError, "ConvTranspose2d: padding_mode must be", "ConvTranspose2d", (4, 4, 3), {"padding_mode": "reflect"}),
    (ValueError, "GroupNorm: num_channels must be divisible by num_groups", "GroupNorm", (3, 4), {}),
    (ValueError, "GroupNorm: num_groups must be at least 1", "GroupNorm", (0, 4), {}),
    (TypeError, "LayerNorm: normalized_shape must be an int, got 2.5", "LayerNorm", (2.5,), {}),
    (ValueError, "RMSNorm: normalized_shape must be at least 0", "RMSNorm", ((2, -1),), {}),
    (TypeError, "BatchNorm1d: num_features must be an int", "BatchNorm1d", ("x",), {}),
    (ValueError, "InstanceNorm2d: num_features must be at least 0", "InstanceNorm2d", (-1,), {"affine": True}),
    (ValueError, "Dropout: p must be between 0 and 1, got 1.5", "Dropout", (1.5,), {}),
    (ValueError, "AlphaDropout: p must be between 0 and 1, got -0.1", "AlphaDropout", (-0.1,), {}),
    (ValueError, "Embedding: padding_idx must be within num_embeddings", "Embedding", (3, 2, 3), {}),
    (TypeError, "Embedding: num_embeddings must be an int", "Embedding", (None, 2), {}),
    (ValueError, "Embedding: _weight must have shape", "Embedding", (3, 2), {"_weight": rand(0, 2, 3)}),
    (ValueError, "EmbeddingBag: padding_idx must be within", "EmbeddingBag", (3, 2), {"padding_idx": -4}),
    (TypeError, "EmbeddingBag: embedding_dim must be an int", "EmbeddingBag", (3, "x"), {}),
    (ValueError, "FractionalMaxPool2d: .*output_ratio", "FractionalMaxPool2d", (2,), {}),
    (ValueError, "FractionalMaxPool2d: .*output_ratio", "FractionalMaxPool2d", (2, 3, 0.5), {}),
    (ValueError, "output_ratio must be between 0 and 1", "FractionalMaxPool3d", (2,), {"output_ratio": 1.5}),
    (ValueError, "MultiMarginLoss: p must be 1 or 2, got 3", "MultiMarginLoss", (3,), {}),
    (ValueError, "TripletMarginLoss: margin must be greater than 0", "TripletMarginLoss", (0.0,), {}),
    (ValueError, "margin must be greater than 0", "TripletMarginWithDistanceLoss", (), {"margin": -1.0}),
    (TypeError, "HuberLoss: delta must be a float or int", "HuberLoss", (), {"delta": "x"}),
    (TypeError, "PReLU: num_parameters must be an int", "PReLU", (2.5,), {}),
    (TypeError, "LinearCrossEntropyLoss: num_classes must be an int", "LinearCrossEntropyLoss", (3, "x"), {}),
    (ValueError, "LinearCrossEntropyLoss: weight must have shape", "LinearCrossEntropyLoss", (3, 4), {"weight": UNIT}),
    (
        ValueError,
        "LinearCrossEntropyLoss: label_smoothing must be in",
        "LinearCrossEntropyLoss",
        (3, 4),
        {"label_smoothing": 2},
    ),
    (ValueError, "Hardtanh: max_val must be larger than min_val", "Hardtanh", (1.0, 0.0), {}),
    (ValueError, "MultiMarginLoss: weight must be 1-D", "MultiMarginLoss", (), {"weight": UNIT}),
    (ValueError, "Upsample: scale_factor must be a number", "Upsample", (), {"scale_factor": "a"}),
    (ValueError, "UpsamplingBilinear2d: scale_factor must be a number", "UpsamplingBilinear2d", (None, ("a", 2)), {}),
]


@pytest.mark.parametrize(("error", "match", "name", "args", "options"), BAD)
def test_bad_arguments(error, match, name, args, options):
    with pytest.raises(error, match=match):
        getattr(nn, name)(*args, **options)


@needs_torch
@pytest.mark.parametrize(("name", "args", "options"), [case[2:] for case in BAD])
def test_bad_arguments_are_bad_in_torch(name, args, options):
    import torch

    with pytest.raises((TypeError, ValueError, RuntimeError, AssertionError, NotImplementedError, ZeroDivisionError)):
        getattr(torch.nn, name)(*to_torch(args), **to_torch(options))


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (ValueError, "BatchNorm2d: input must be 4-D, got shape", lambda: nn.BatchNorm2d(4)(rand(0, 2, 4))),
        (ValueError, "InstanceNorm1d: input must be 2-D or 3-D", lambda: nn.InstanceNorm1d(4)(rand(0, 4))),
        (ValueError, "CrossMapLRN2d|input must be 4-D", lambda: nn.CrossMapLRN2d(2)(rand(0, 2, 4))),
        (TypeError, "float64", lambda: nn.Linear(3, 2)(rand(0, 2, 3))),
        (ValueError, "output_size", lambda: nn.ConvTranspose1d(1, 1, 2, 2)(np.ones((1, 1, 3), "f"), [9])),
    ],
)
def test_bad_inputs(error, match, call):
    with pytest.raises(error, match=match):
        call()


# Deprecated names


def test_hardtanh_by_its_former_names():
    with pytest.warns(FutureWarning, match="`min_value` is deprecated and renamed to `min_val`"):
        layer = nn.Hardtanh(min_value=-3)
    assert (layer.min_val, layer.max_val) == (-3, 1.0)
    with pytest.warns(FutureWarning, match="`max_value` is deprecated"):
        assert repr(nn.Hardtanh(max_value=2.0)) == "Hardtanh(min_val=-1.0, max_val=2.0)"


def test_nll_loss_2d():
    with pytest.warns(FutureWarning, match="`NLLLoss2d` has been deprecated"):
        layer = nn.NLLLoss2d(WEIGHT4, ignore_index=1)
    assert_close(layer(LOGS, CLASSES.array), nn.NLLLoss(WEIGHT4, ignore_index=1)(LOGS, CLASSES.array))


@needs_torch
@pytest.mark.parametrize(("flags", "reduction"), [({"reduce": False}, "none"), ({"size_average": False}, "sum")])
def test_legacy_reductions(flags, reduction):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in CASES:
            if "size_average" in inspect.signature(getattr(nn, case[0])).parameters:
                assert getattr(nn, case[0])(**flags).reduction == reduction, case[0]
