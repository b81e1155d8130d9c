"""How good predictions are: pure functions of arrays, and small objects over them that add up batch after batch."""

from fnn.metrics.classification import (
    accuracy as accuracy,
    confusion_matrix as confusion_matrix,
    f1_score as f1_score,
    precision as precision,
    recall as recall,
    top_k_accuracy as top_k_accuracy,
)
from fnn.metrics.counting import (
    Accuracy as Accuracy,
    ConfusionMatrix as ConfusionMatrix,
    F1Score as F1Score,
    Precision as Precision,
    Recall as Recall,
    TopKAccuracy as TopKAccuracy,
)
from fnn.metrics.mean import Mean as Mean, Perplexity as Perplexity, mean as mean, perplexity as perplexity
from fnn.metrics.metric import Metric as Metric
from fnn.metrics.ranking import ROCAUC as ROCAUC, roc_auc as roc_auc
from fnn.stateful.exports import unquote as _unquote

__all__ = [
    "ROCAUC",
    "Accuracy",
    "ConfusionMatrix",
    "F1Score",
    "Mean",
    "Metric",
    "Perplexity",
    "Precision",
    "Recall",
    "TopKAccuracy",
    "accuracy",
    "confusion_matrix",
    "f1_score",
    "mean",
    "perplexity",
    "precision",
    "recall",
    "roc_auc",
    "top_k_accuracy",
]

_unquote(*(globals()[name] for name in __all__))
