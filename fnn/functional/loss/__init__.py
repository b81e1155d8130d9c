"""Loss functions."""

from fnn.functional.loss.binary import *
from fnn.functional.loss.classification import *
from fnn.functional.loss.ctc import *
from fnn.functional.loss.linear import *
from fnn.functional.loss.linear import LinearCrossEntropyOptions as LinearCrossEntropyOptions
from fnn.functional.loss.margin import *
from fnn.functional.loss.regression import *
from fnn.functional.loss.triplet import *
from fnn.stateful.exports import export as _export

_export(globals())
