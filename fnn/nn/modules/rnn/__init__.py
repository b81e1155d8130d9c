"""Recurrent layers."""

from fnn.nn.modules.rnn.base import RNNBase as RNNBase
from fnn.nn.modules.rnn.cells import GRUCell as GRUCell
from fnn.nn.modules.rnn.cells import LSTMCell as LSTMCell
from fnn.nn.modules.rnn.cells import RNNCell as RNNCell
from fnn.nn.modules.rnn.cells import RNNCellBase as RNNCellBase
from fnn.nn.modules.rnn.layers import GRU as GRU
from fnn.nn.modules.rnn.layers import LSTM as LSTM
from fnn.nn.modules.rnn.layers import RNN as RNN

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]
