"""Pooling over windows."""

from fnn.functional.pooling.adaptive import *
from fnn.functional.pooling.average import *
from fnn.functional.pooling.fractional import *
from fnn.functional.pooling.lp import *
from fnn.functional.pooling.max import *
from fnn.functional.pooling.unpool import *
from fnn.stateful.exports import export as _export

_export(globals())
