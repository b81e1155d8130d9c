"""Recurrent layers over sequences."""

from __future__ import annotations

import math
import warnings
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn import init
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter
from fnn.nn.placement import empty
from fnn.nn.utils.rnn import PackedSequence, pad_packed_sequence, repack

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """What the recurrent layers share: parameters by torch's names, and packed input.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.RNNBase.html.

    Args:
        mode: 'LSTM', 'GRU', 'RNN_TANH' or 'RNN_RELU'.
        input_size: features of the input.
        hidden_size: features of the hidden state.
        num_layers: layers, each fed with the output of the one below.
        bias: whether there are the biases ``bias_ih`` and ``bias_hh``.
        batch_first: whether input and output are (batch, time, features); the states never are.
        dropout: in training, probability with which elements of the output of each layer but the last are dropped.
        bidirectional: whether a second direction runs backward; the outputs are concatenated.
        proj_size: of an LSTM, size to which the hidden state is projected; 0 for none.
        device: where the parameters are put.
        dtype: their dtype.

    Raises:
        TypeError: if a size is no int, or ``bias`` or ``batch_first`` no bool.
        ValueError: if a size or ``dropout`` is out of range, or ``mode`` unknown.

    Example:
        >>> [name for name, _ in RNNBase("GRU", 2, 3).named_parameters()]
        ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if mode not in _GATES:
            raise ValueError(f"{name}: mode must be one of {', '.join(_GATES)}, got {mode!r}")
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout must be a number between 0 and 1, got {dropout!r}")
        for argument, flag in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(flag, bool):
                raise TypeError(f"{name}: {argument} must be a bool, got {flag!r}")
        for argument, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if isinstance(size, bool) or not isinstance(size, int):
                raise TypeError(f"{name}: {argument} must be an int, got {size!r}")
            if size <= 0:
                raise ValueError(f"{name}: {argument} must be greater than zero, got {size}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{name}: proj_size must be 0 or positive and smaller than hidden_size, got {proj_size}")
        if proj_size and mode != "LSTM":
            raise ValueError(f"{name}: proj_size is for LSTM only, got {proj_size}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{name}: dropout acts between layers, so dropout={dropout} does nothing with num_layers=1",
                stacklevel=2,
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights: list[list[str]] = []
        gates, output = _GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            width = output * (1 + bool(bidirectional)) if layer else input_size
            for suffix in ("", "_reverse")[: 1 + bool(bidirectional)]:
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates, width), "weight_hh": (gates, output)}
                if bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = [f"{kind}_l{layer}{suffix}" for kind in shapes]
                for parameter, shape in zip(names, shapes.values(), strict=True):
                    setattr(self, parameter, Parameter(empty(shape, device, dtype)))
                self._all_weights.append(names)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws every parameter uniformly from +-1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing to do; torch lays the parameters out for cuDNN here."""

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters, one list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Any]:
        return [weight for weights in self.all_weights for weight in weights]

    def _run(self, function: Any, input: Any, hx: Any, **options: Any) -> tuple[Any, Any]:
        """The layer on a padded or a packed input; a packed one gives a packed output."""
        options |= {
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
            "training": self.training,
        }
        if not isinstance(input, PackedSequence):
            return function(input, hx, self._flat_weights, batch_first=self.batch_first, **options)
        padded, lengths = pad_packed_sequence(input)
        if padded.ndim != 3:
            raise ValueError(f"{type(self).__name__}: packed data must be 2-D, got shape {tuple(input.data.shape)}")
        output, state = function(padded, hx, self._flat_weights, lengths=lengths, **options)
        return repack(output, input), state

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if not self.bias:
            text += f", bias={self.bias}"
        if self.batch_first:
            text += f", batch_first={self.batch_first}"
        if self.dropout:
            text += f", dropout={self.dropout}"
        if self.bidirectional:
            text += f", bidirectional={self.bidirectional}"
        return text


class RNN(RNNBase):
    """Elman network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu in place of tanh.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.RNN.html.

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state.
        num_layers: number of layers.
        nonlinearity: 'tanh' or 'relu'.
        bias: whether there are biases.
        batch_first: whether input and output are (batch, time, features).
        dropout: probability of dropout between layers.
        bidirectional: whether a second direction runs backward.
        device: where the parameters are put.
        dtype: their dtype.
        proj_size: not for this layer; raises if given.

    Shape:
        - input: (L, I), (L, N, I), (N, L, I) with ``batch_first``, or a ``PackedSequence``.
        - hx: (D * num_layers, H) or (D * num_layers, N, H), D being 2 if bidirectional, else 1.
        - output: as input with D * H features; and the last hidden states, as hx.

    Raises:
        TypeError: if a size is no int, or ``bias`` or ``batch_first`` no bool.
        ValueError: if an argument is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> output, h = RNN(10, 20, 2)(jnp.ones((5, 3, 10), jnp.float32))
        >>> output.shape, h.shape
        ((5, 3, 20), (2, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        if proj_size is not None:
            raise ValueError(f"RNN: proj_size is for LSTM only, got {proj_size}")
        super().__init__(
            f"RNN_{nonlinearity.upper()}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity

    def forward(self, input: ArrayLike | PackedSequence, hx: ArrayLike | None = None) -> tuple[Any, jax.Array]:
        """The outputs of the last layer and the last hidden states; ``hx`` is zero if not given."""
        return self._run(F.rnn, input, hx, nonlinearity=self.nonlinearity)


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), optionally projected (Sak et al., 2014).

    With i, f, o = sigmoid and g = tanh of W_ih x + b_ih + W_hh h + b_hh: c' = f c + i g and h' = W_hr (o tanh(c')).
    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LSTM.html.

    Args:
        input_size: features of the input.
        hidden_size: features of the cell state.
        num_layers: number of layers.
        bias: whether there are biases.
        batch_first: whether input and output are (batch, time, features).
        dropout: probability of dropout between layers.
        bidirectional: whether a second direction runs backward.
        proj_size: features of the hidden state if positive, else it has ``hidden_size`` and there is no W_hr.
        device: where the parameters are put.
        dtype: their dtype.

    Shape:
        - input: (L, I), (L, N, I), (N, L, I) with ``batch_first``, or a ``PackedSequence``.
        - hx: the pair h of (D * num_layers, N, proj_size or H) and c of (D * num_layers, N, H), without N if the input
          is 2-D; D is 2 if bidirectional, else 1.
        - output: as input with D * (proj_size or H) features; and the last pair, as hx.

    Raises:
        TypeError: if a size is no int, or ``bias`` or ``batch_first`` no bool.
        ValueError: if an argument is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> output, (h, c) = LSTM(10, 20, proj_size=5)(jnp.ones((5, 3, 10), jnp.float32))
        >>> output.shape, h.shape, c.shape
        ((5, 3, 5), (1, 3, 5), (1, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )

    def forward(
        self, input: ArrayLike | PackedSequence, hx: tuple[ArrayLike, ArrayLike] | None = None
    ) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        """The outputs of the last layer and the last pair (h, c); ``hx`` is zero if not given."""
        return self._run(F.lstm, input, hx, proj_size=self.proj_size)


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al., 2014).

    r, z = sigmoid and n = tanh(W_in x + b_in + r (W_hn h + b_hn)): h' = (1 - z) n + z h.
    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.GRU.html.

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state.
        num_layers: number of layers.
        bias: whether there are biases.
        batch_first: whether input and output are (batch, time, features).
        dropout: probability of dropout between layers.
        bidirectional: whether a second direction runs backward.
        device: where the parameters are put.
        dtype: their dtype.
        proj_size: not for this layer; raises if given.

    Shape:
        - input: (L, I), (L, N, I), (N, L, I) with ``batch_first``, or a ``PackedSequence``.
        - hx: (D * num_layers, H) or (D * num_layers, N, H), D being 2 if bidirectional, else 1.
        - output: as input with D * H features; and the last hidden states, as hx.

    Raises:
        TypeError: if a size is no int, or ``bias`` or ``batch_first`` no bool.
        ValueError: if an argument is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> output, h = GRU(10, 20, bidirectional=True)(jnp.ones((5, 3, 10), jnp.float32))
        >>> output.shape, h.shape
        ((5, 3, 40), (2, 3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int | None = None,
    ) -> None:
        if proj_size is not None:
            raise ValueError(f"GRU: proj_size is for LSTM only, got {proj_size}")
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )

    def forward(self, input: ArrayLike | PackedSequence, hx: ArrayLike | None = None) -> tuple[Any, jax.Array]:
        """The outputs of the last layer and the last hidden states; ``hx`` is zero if not given."""
        return self._run(F.gru, input, hx)
