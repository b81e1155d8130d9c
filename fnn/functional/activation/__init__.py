"""Activation functions."""

from fnn.functional.activation.inplace_names import *
from fnn.functional.activation.piecewise import *
from fnn.functional.activation.smooth import *
from fnn.functional.activation.softmax import *
from fnn.stateful.exports import export as _export

_export(globals())
