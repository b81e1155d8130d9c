"""Single steps of recurrent layers."""

from __future__ import annotations

import math
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn import init
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter
from fnn.nn.placement import empty

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """What the cells share: their parameters.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.RNNCellBase.html.

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state.
        bias: whether there are the biases ``bias_ih`` and ``bias_hh``.
        num_chunks: number of gates.
        device: where the parameters are put.
        dtype: their dtype.

    Raises:
        ValueError: if a size is negative.

    Example:
        >>> RNNCellBase(2, 3, True, 4).weight_ih.shape
        (12, 2)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((gates, input_size), device, dtype))
        self.weight_hh = Parameter(empty((gates, hidden_size), device, dtype))
        if bias:
            self.bias_ih = Parameter(empty((gates,), device, dtype))
            self.bias_hh = Parameter(empty((gates,), device, dtype))
        else:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws every parameter uniformly from +-1/sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """One step of an Elman network: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu in place of tanh.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.RNNCell.html.

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state.
        bias: whether there are biases.
        nonlinearity: 'tanh' or 'relu'.
        device: where the parameters are put.
        dtype: their dtype.

    Shape:
        - input: (N, I) or (I).
        - hx: (N, H) or (H).
        - output: as hx.

    Raises:
        ValueError: if ``nonlinearity`` is unknown or a size negative.

    Example:
        >>> import jax.numpy as jnp
        >>> RNNCell(10, 20)(jnp.ones((3, 10), jnp.float32)).shape
        (3, 20)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: ArrayLike, hx: ArrayLike | None = None) -> jax.Array:
        """The next hidden state; ``hx`` is zero if not given."""
        return F.rnn_cell(
            input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, nonlinearity=self.nonlinearity
        )


class LSTMCell(RNNCellBase):
    """One step of long short-term memory: c' = f c + i g and h' = o tanh(c').

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LSTMCell.html.

    Args:
        input_size: features of the input.
        hidden_size: features of both states.
        bias: whether there are biases.
        device: where the parameters are put.
        dtype: their dtype.

    Shape:
        - input: (N, I) or (I).
        - hx: the pair h, c, each (N, H) or (H).
        - output: the next pair, as hx.

    Raises:
        ValueError: if a size is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> h, c = LSTMCell(10, 20)(jnp.ones((3, 10), jnp.float32))
        >>> h.shape, c.shape
        ((3, 20), (3, 20))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: ArrayLike, hx: tuple[ArrayLike, ArrayLike] | None = None) -> tuple[jax.Array, jax.Array]:
        """The next pair (h, c); ``hx`` is zero if not given."""
        return F.lstm_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)


class GRUCell(RNNCellBase):
    """One step of a gated recurrent unit: h' = (1 - z) n + z h.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.GRUCell.html.

    Args:
        input_size: features of the input.
        hidden_size: features of the hidden state.
        bias: whether there are biases.
        device: where the parameters are put.
        dtype: their dtype.

    Shape:
        - input: (N, I) or (I).
        - hx: (N, H) or (H).
        - output: as hx.

    Raises:
        ValueError: if a size is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> GRUCell(10, 20)(jnp.ones((3, 10), jnp.float32)).shape
        (3, 20)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: ArrayLike, hx: ArrayLike | None = None) -> jax.Array:
        """The next hidden state; ``hx`` is zero if not given."""
        return F.gru_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
