"""Recurrent layers."""

from fnn.nn.modules.rnn.base import RNNBase as RNNBase
from fnn.nn.modules.rnn.cells import (
    GRUCell as GRUCell,
    LSTMCell as LSTMCell,
    RNNCell as RNNCell,
    RNNCellBase as RNNCellBase,
)
from fnn.nn.modules.rnn.layers import GRU as GRU, LSTM as LSTM, RNN as RNN

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]
