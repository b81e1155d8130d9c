"""Recurrent networks."""

from fnn.functional.rnn.cells import *
from fnn.functional.rnn.layers import *
from fnn.stateful.exports import export as _export

_export(globals())
