"""Loss layers."""

from fnn.nn.modules.loss.base import _Loss as _Loss
from fnn.nn.modules.loss.base import _WeightedLoss as _WeightedLoss
from fnn.nn.modules.loss.binary import BCELoss as BCELoss
from fnn.nn.modules.loss.binary import BCEWithLogitsLoss as BCEWithLogitsLoss
from fnn.nn.modules.loss.binary import MultiLabelSoftMarginLoss as MultiLabelSoftMarginLoss
from fnn.nn.modules.loss.binary import SoftMarginLoss as SoftMarginLoss
from fnn.nn.modules.loss.classification import CrossEntropyLoss as CrossEntropyLoss
from fnn.nn.modules.loss.classification import NLLLoss as NLLLoss
from fnn.nn.modules.loss.classification import NLLLoss2d as NLLLoss2d
from fnn.nn.modules.loss.ctc import CTCLoss as CTCLoss
from fnn.nn.modules.loss.linear import LinearCrossEntropyLoss as LinearCrossEntropyLoss
from fnn.nn.modules.loss.linear import LinearCrossEntropyOptions as LinearCrossEntropyOptions
from fnn.nn.modules.loss.margin import CosineEmbeddingLoss as CosineEmbeddingLoss
from fnn.nn.modules.loss.margin import HingeEmbeddingLoss as HingeEmbeddingLoss
from fnn.nn.modules.loss.margin import MarginRankingLoss as MarginRankingLoss
from fnn.nn.modules.loss.margin import MultiLabelMarginLoss as MultiLabelMarginLoss
from fnn.nn.modules.loss.margin import MultiMarginLoss as MultiMarginLoss
from fnn.nn.modules.loss.margin import TripletMarginLoss as TripletMarginLoss
from fnn.nn.modules.loss.margin import TripletMarginWithDistanceLoss as TripletMarginWithDistanceLoss
from fnn.nn.modules.loss.regression import GaussianNLLLoss as GaussianNLLLoss
from fnn.nn.modules.loss.regression import HuberLoss as HuberLoss
from fnn.nn.modules.loss.regression import KLDivLoss as KLDivLoss
from fnn.nn.modules.loss.regression import L1Loss as L1Loss
from fnn.nn.modules.loss.regression import MSELoss as MSELoss
from fnn.nn.modules.loss.regression import PoissonNLLLoss as PoissonNLLLoss
from fnn.nn.modules.loss.regression import SmoothL1Loss as SmoothL1Loss

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LinearCrossEntropyLoss",
    "LinearCrossEntropyOptions",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "NLLLoss2d",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]
