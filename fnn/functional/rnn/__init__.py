"""Recurrent networks."""

from fnn.functional.rnn.cells import *
from fnn.functional.rnn.layers import *
