"""The base of the recurrent layers: parameters by torch's names, and packed input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from fnn.functional.arrays import ArrayLike
from fnn.nn import init
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter
from fnn.nn.placement import Device, DType, empty
from fnn.nn.utils.packed_sequence import PackedSequence
from fnn.stateful.warning import warn

__all__ = ["RNNBase"]

S = TypeVar("S")

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """The base of the recurrent layers: parameters by torch's names, and packed input.

    Below D is 2 if ``bidirectional``, else 1; H_out is ``proj_size`` if that is positive, else H; G is the number of
    gates: 4 for LSTM, 3 for GRU, 1 for an Elman network.

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input_size: I, features of the input.
        hidden_size: H, features of the hidden state.
        num_layers: number of layers, each fed with the output of the one below.
        bias: whether there are the biases ``bias_ih`` and ``bias_hh``.
        batch_first: whether input and output are (N, L, features) instead of (L, N, features); the states never are.
        dropout: in training mode, probability with which each element of the output of every layer but the last is dropped.
        bidirectional: whether each layer has a second direction, from the end to the beginning; the outputs of both are
            put side by side.
        proj_size: of an LSTM, features to which the hidden state is projected; 0 for no projection.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight_ih_l{k} (Parameter): (G * H, I) for layer k = 0, (G * H, D * H_out) above. Of the second
            direction: weight_ih_l{k}_reverse; so with the others.
        weight_hh_l{k} (Parameter): (G * H, H_out).
        bias_ih_l{k}, bias_hh_l{k} (Parameter): (G * H); only with ``bias``.
        all_weights (list[list[Parameter]]): all of them, one list for each layer and direction; drawn from U(-k, k),
            k = 1 / sqrt(H).

    Raises:
        TypeError: if a size is no int, or ``bias`` or ``batch_first`` no bool.
        ValueError: if an argument is out of range; in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.RNNBase.html

    Example:
        >>> [name for name, _ in RNNBase("GRU", 2, 3).named_parameters()]
        ['weight_ih_l0', 'weight_hh_l0', 'bias_ih_l0', 'bias_hh_l0']
    """

    dropout: float
    weight_ih_l0: Parameter
    weight_hh_l0: Parameter

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
        device: Device = None,
        dtype: DType = None,
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
            warn(f"{name}: dropout acts between layers, so dropout={dropout} does nothing with num_layers=1")
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
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters, one list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [weight for weights in self.all_weights for weight in weights]

    def _run(
        self,
        function: Callable[..., tuple[jax.Array, S]],
        input: ArrayLike | PackedSequence,
        hx: ArrayLike | tuple[ArrayLike, ArrayLike] | None,
        **options: Any,
    ) -> tuple[Any, S]:
        """The layer on a padded or a packed input; a packed one gives a packed output."""
        options |= {
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
            "training": self.training,
        }
        if not isinstance(input, PackedSequence):
            return function(input, hx, self._flat_weights, batch_first=self.batch_first, **options)
        padded, lengths = input._as_padded()
        if padded.ndim != 3:
            raise ValueError(f"{type(self).__name__}: packed data must be 2-D, got shape {tuple(input.data.shape)}")
        output, state = function(padded, hx, self._flat_weights, lengths=lengths, **options)
        return input._with(output), state

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
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
