"""Batches of data for a script: arrays and datasets in, numpy or device arrays out, in an order that can be resumed."""

from fnn.data.collate import default_collate as default_collate
from fnn.data.dataset import (
    ConcatDataset as ConcatDataset,
    Dataset as Dataset,
    IterableDataset as IterableDataset,
    Subset as Subset,
    TensorDataset as TensorDataset,
    random_split as random_split,
)
from fnn.data.loader import DataLoader as DataLoader
from fnn.stateful.exports import unquote as _unquote

__all__ = [
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "Subset",
    "TensorDataset",
    "default_collate",
    "random_split",
]

_unquote(*(globals()[name] for name in __all__))
