"""The base of the losses: the deprecated ways to name a reduction."""

import inspect
import warnings

import pytest

from fnn import nn
from fnn.nn.modules import loss


@pytest.mark.parametrize(("flags", "reduction"), [({"reduce": False}, "none"), ({"size_average": False}, "sum")])
def test_legacy_reductions(flags, reduction):
    names = [n for n in loss.__all__ if "size_average" in inspect.signature(getattr(nn, n)).parameters]
    assert len(names) > 10
    for name in names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert getattr(nn, name)(**flags).reduction == reduction, name
