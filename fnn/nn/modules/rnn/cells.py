"""Single steps of recurrent layers."""

from __future__ import annotations

import math

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn import init
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import check_sizes
from fnn.nn.parameter import OptionalParameter, Parameter
from fnn.nn.placement import Device, DType, empty

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """The base of the cells: their parameters.

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the hidden state.
        bias: whether there are the biases ``bias_ih`` and ``bias_hh``.
        num_chunks: number of gates.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight_ih (Parameter): (num_chunks * H, I), drawn from U(-k, k), k = 1 / sqrt(H).
        weight_hh (Parameter): (num_chunks * H, H), drawn alike.
        bias_ih (Parameter | None): (num_chunks * H), drawn alike.
        bias_hh (Parameter | None): (num_chunks * H), drawn alike.

    Raises:
        ValueError: if a size is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.RNNCellBase.html

    Example:
        >>> RNNCellBase(2, 3, True, 4).weight_ih.shape
        (12, 2)
    """

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: OptionalParameter
    bias_hh: OptionalParameter

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_chunks": num_chunks}
        check_sizes(type(self).__name__, **sizes)
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
        """The sizes, and what differs from the defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    r"""One step of an Elman network.

    .. math:: h' = \tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the hidden state.
        bias: whether there are biases.
        nonlinearity: "tanh", or "relu" in its place.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight_ih (Parameter): (H, I), drawn from U(-k, k), k = 1 / sqrt(H).
        weight_hh (Parameter): (H, H), drawn alike.
        bias_ih (Parameter | None): (H), drawn alike.
        bias_hh (Parameter | None): (H), drawn alike.

    Shape:
        - input: (N, I) or (I).
        - hx: (N, H) or (H).
        - output: as hx.

    Raises:
        ValueError: if ``nonlinearity`` is unknown or a size negative; in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.RNNCell.html; Elman, Finding Structure in Time
    (1990), https://doi.org/10.1207/s15516709cog1402_1

    Example:
        >>> import jax.numpy as jnp
        >>> RNNCell(10, 20)(jnp.ones((3, 10), "float32")).shape
        (3, 20)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: ArrayLike, hx: ArrayLike | None = None) -> jax.Array:
        """One step.

        Args:
            input: x.
            hx: the hidden state h; zeros if not given.

        Returns:
            the next hidden state.
        """
        return F.rnn_cell(
            input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, nonlinearity=self.nonlinearity
        )


class LSTMCell(RNNCellBase):
    r"""One step of long short-term memory.

    .. math:: c' = f \odot c + i \odot g, \quad h' = o \odot \tanh(c')

    where i, f, o = sigmoid and g = tanh of W_ih x + b_ih + W_hh h + b_hh, each of its quarter of the rows.

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the hidden state and of the cell state.
        bias: whether there are biases.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight_ih (Parameter): (4 H, I), rows by gates i, f, g, o; drawn from U(-k, k), k = 1 / sqrt(H).
        weight_hh (Parameter): (4 H, H), drawn alike.
        bias_ih (Parameter | None): (4 H), drawn alike.
        bias_hh (Parameter | None): (4 H), drawn alike.

    Shape:
        - input: (N, I) or (I).
        - hx: the pair h, c, each (N, H) or (H).
        - output: the pair h', c', as hx.

    Raises:
        ValueError: if a size is negative; in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LSTMCell.html; Hochreiter and Schmidhuber, Long
    Short-Term Memory (1997), https://doi.org/10.1162/neco.1997.9.8.1735

    Example:
        >>> import jax.numpy as jnp
        >>> h, c = LSTMCell(10, 20)(jnp.ones((3, 10), "float32"))
        >>> h.shape, c.shape
        ((3, 20), (3, 20))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: ArrayLike, hx: tuple[ArrayLike, ArrayLike] | None = None) -> tuple[jax.Array, jax.Array]:
        """One step.

        Args:
            input: x.
            hx: the hidden state h and the cell state c; zeros if not given.

        Returns:
            the next pair (h, c).
        """
        return F.lstm_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)


class GRUCell(RNNCellBase):
    r"""One step of a gated recurrent unit.

    .. math:: h' = (1 - z) \odot n + z \odot h

    where r, z = sigmoid of their rows of W_ih x + b_ih + W_hh h + b_hh, and n = tanh(W_in x + b_in + r (W_hn h + b_hn)).

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the hidden state.
        bias: whether there are biases.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight_ih (Parameter): (3 H, I), rows by gates r, z, n; drawn from U(-k, k), k = 1 / sqrt(H).
        weight_hh (Parameter): (3 H, H), drawn alike.
        bias_ih (Parameter | None): (3 H), drawn alike.
        bias_hh (Parameter | None): (3 H), drawn alike.

    Shape:
        - input: (N, I) or (I).
        - hx: (N, H) or (H).
        - output: as hx.

    Raises:
        ValueError: if a size is negative; in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.GRUCell.html; Cho et al., Learning Phrase
    Representations using RNN Encoder-Decoder (2014), https://arxiv.org/abs/1406.1078

    Example:
        >>> import jax.numpy as jnp
        >>> GRUCell(10, 20)(jnp.ones((3, 10), "float32")).shape
        (3, 20)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: ArrayLike, hx: ArrayLike | None = None) -> jax.Array:
        """One step.

        Args:
            input: x.
            hx: the hidden state h; zeros if not given.

        Returns:
            the next hidden state.
        """
        return F.gru_cell(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
