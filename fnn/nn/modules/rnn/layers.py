"""Recurrent layers over sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.rnn.base import RNNBase
from fnn.nn.placement import Device, DType
from fnn.nn.utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN"]


class RNN(RNNBase):
    r"""Elman network over sequences: stacked layers of ``RNNCell``.

    .. math:: h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the hidden state.
        num_layers: number of layers, each fed with the output of the one below.
        nonlinearity: "tanh", or "relu" in its place.
        bias: whether there are biases.
        batch_first: whether input and output are (N, L, features) instead of (L, N, features); the states never are.
        dropout: in training mode, probability with which each element of the output of every layer but the last is dropped.
        bidirectional: whether each layer has a second direction, from the end to the beginning; the outputs of both are
            put side by side.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.
        proj_size: not for this layer; raises if given.

    Attributes:
        weight_ih_l{k} (Parameter): (H, I) for layer k = 0, (H, D * H_out) above. Of the second
            direction: weight_ih_l{k}_reverse; so with the others.
        weight_hh_l{k} (Parameter): (H, H_out).
        bias_ih_l{k}, bias_hh_l{k} (Parameter): (H); only with ``bias``.
        all_weights (list[list[Parameter]]): all of them, one list for each layer and direction; drawn from U(-k, k),
            k = 1 / sqrt(H).

    Shape:
        D is 2 if ``bidirectional``, else 1; H_out = H.

        - input: (L, N, I), (N, L, I) with ``batch_first``, (L, I) without a batch; or a ``PackedSequence`` of such.
        - hx: (D * num_layers, N, H), or (D * num_layers, H) without a batch.
        - output: the pair of (L, N, D * H), or (N, L, D * H), (L, D * H), a ``PackedSequence``; and the shape of hx.

    Returns:
        ``output, h_n``: the hidden states of the last layer at each time, packed if the input is; and those of every
        layer and direction after their last step.

    Raises:
        TypeError: if a size is no int, or ``bias`` or ``batch_first`` no bool.
        ValueError: if an argument is out of range; in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.RNN.html; Elman, Finding Structure in Time (1990),
    https://doi.org/10.1207/s15516709cog1402_1

    Example:
        >>> import jax.numpy as jnp
        >>> output, h = RNN(10, 20, 2)(jnp.ones((5, 3, 10), "float32"))
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
        device: Device = None,
        dtype: DType = None,
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

    @overload
    def forward(self, input: ArrayLike, hx: ArrayLike | None = None) -> tuple[jax.Array, jax.Array]: ...
    @overload
    def forward(self, input: PackedSequence, hx: ArrayLike | None = None) -> tuple[PackedSequence, jax.Array]: ...
    def forward(
        self, input: ArrayLike | PackedSequence, hx: ArrayLike | None = None
    ) -> tuple[jax.Array | PackedSequence, jax.Array]:
        """The layers over the sequence.

        Args:
            input: the sequences, padded or packed.
            hx: the first hidden states; zeros if not given.

        Returns:
            ``output, h_n``: the hidden states of the last layer at each time, packed if the input is; and those of every
            layer and direction after their last step.
        """
        return self._run(F.rnn, input, hx, nonlinearity=self.nonlinearity)

    if TYPE_CHECKING:  # as ``forward``; ``Module.__call__`` would keep the first overload only

        @overload
        def __call__(self, input: ArrayLike, hx: ArrayLike | None = None) -> tuple[jax.Array, jax.Array]: ...
        @overload
        def __call__(self, input: PackedSequence, hx: ArrayLike | None = None) -> tuple[PackedSequence, jax.Array]: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class LSTM(RNNBase):
    r"""Long short-term memory over sequences: stacked layers of ``LSTMCell``, optionally with a projection.

    .. math:: c_t = f_t \odot c_{t-1} + i_t \odot g_t, \quad h_t = W_{hr} \left( o_t \odot \tanh(c_t) \right)

    where i, f, o = sigmoid and g = tanh of W_ih x + b_ih + W_hh h + b_hh. There is a W_hr only with ``proj_size``.

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the cell state.
        num_layers: number of layers, each fed with the output of the one below.
        bias: whether there are biases.
        batch_first: whether input and output are (N, L, features) instead of (L, N, features); the states never are.
        dropout: in training mode, probability with which each element of the output of every layer but the last is dropped.
        bidirectional: whether each layer has a second direction, from the end to the beginning; the outputs of both are
            put side by side.
        proj_size: features to which the hidden state is projected, less than H; 0 for no projection.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight_ih_l{k} (Parameter): (4 H, I) for layer k = 0, (4 H, D * H_out) above, rows by gates i, f, g, o. Of the second
            direction: weight_ih_l{k}_reverse; so with the others.
        weight_hh_l{k} (Parameter): (4 H, H_out).
        bias_ih_l{k}, bias_hh_l{k} (Parameter): (4 H); only with ``bias``.
        weight_hr_l{k} (Parameter): (proj_size, H); only with ``proj_size``.
        all_weights (list[list[Parameter]]): all of them, one list for each layer and direction; drawn from U(-k, k),
            k = 1 / sqrt(H).

    Shape:
        D is 2 if ``bidirectional``, else 1; H_out is ``proj_size`` if that is positive, else H.

        - input: (L, N, I), (N, L, I) with ``batch_first``, (L, I) without a batch; or a ``PackedSequence`` of such.
        - hx: the pair h_0 of (D * num_layers, N, H_out) and c_0 of (D * num_layers, N, H), without N if the input is 2-D.
        - output: (L, N, D * H_out), or (N, L, D * H_out), (L, D * H_out), a ``PackedSequence``; and a pair as hx.

    Returns:
        ``output, (h_n, c_n)``: the hidden states of the last layer at each time, packed if the input is; and the hidden
        and cell states of every layer and direction after their last step.

    Raises:
        TypeError: if a size is no int, or ``bias`` or ``batch_first`` no bool.
        ValueError: if an argument is out of range; in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LSTM.html; Hochreiter and Schmidhuber, Long
    Short-Term Memory (1997), https://doi.org/10.1162/neco.1997.9.8.1735; Sak et al. (2014), for the projection,
    https://arxiv.org/abs/1402.1128

    Example:
        >>> import jax.numpy as jnp
        >>> output, (h, c) = LSTM(10, 20, proj_size=5)(jnp.ones((5, 3, 10), "float32"))
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
        device: Device = None,
        dtype: DType = None,
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

    @overload
    def forward(
        self, input: ArrayLike, hx: tuple[ArrayLike, ArrayLike] | None = None
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]: ...
    @overload
    def forward(
        self, input: PackedSequence, hx: tuple[ArrayLike, ArrayLike] | None = None
    ) -> tuple[PackedSequence, tuple[jax.Array, jax.Array]]: ...
    def forward(
        self, input: ArrayLike | PackedSequence, hx: tuple[ArrayLike, ArrayLike] | None = None
    ) -> tuple[jax.Array | PackedSequence, tuple[jax.Array, jax.Array]]:
        """The layers over the sequence.

        Args:
            input: the sequences, padded or packed.
            hx: the first hidden states and the first cell states; zeros if not given.

        Returns:
            ``output, (h_n, c_n)``: the hidden states of the last layer at each time, packed if the input is; and the
            hidden and cell states of every layer and direction after their last step.
        """
        return self._run(F.lstm, input, hx, proj_size=self.proj_size)

    if TYPE_CHECKING:  # as ``forward``; ``Module.__call__`` would keep the first overload only

        @overload
        def __call__(
            self, input: ArrayLike, hx: tuple[ArrayLike, ArrayLike] | None = None
        ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]: ...
        @overload
        def __call__(
            self, input: PackedSequence, hx: tuple[ArrayLike, ArrayLike] | None = None
        ) -> tuple[PackedSequence, tuple[jax.Array, jax.Array]]: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class GRU(RNNBase):
    r"""Gated recurrent unit over sequences: stacked layers of ``GRUCell``.

    .. math:: h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    where r, z = sigmoid of their rows of W_ih x + b_ih + W_hh h + b_hh, and n = tanh(W_in x + b_in + r (W_hn h + b_hn)).

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the hidden state.
        num_layers: number of layers, each fed with the output of the one below.
        bias: whether there are biases.
        batch_first: whether input and output are (N, L, features) instead of (L, N, features); the states never are.
        dropout: in training mode, probability with which each element of the output of every layer but the last is dropped.
        bidirectional: whether each layer has a second direction, from the end to the beginning; the outputs of both are
            put side by side.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.
        proj_size: not for this layer; raises if given.

    Attributes:
        weight_ih_l{k} (Parameter): (3 H, I) for layer k = 0, (3 H, D * H_out) above, rows by gates r, z, n. Of the second
            direction: weight_ih_l{k}_reverse; so with the others.
        weight_hh_l{k} (Parameter): (3 H, H_out).
        bias_ih_l{k}, bias_hh_l{k} (Parameter): (3 H); only with ``bias``.
        all_weights (list[list[Parameter]]): all of them, one list for each layer and direction; drawn from U(-k, k),
            k = 1 / sqrt(H).

    Shape:
        D is 2 if ``bidirectional``, else 1; H_out = H.

        - input: (L, N, I), (N, L, I) with ``batch_first``, (L, I) without a batch; or a ``PackedSequence`` of such.
        - hx: (D * num_layers, N, H), or (D * num_layers, H) without a batch.
        - output: the pair of (L, N, D * H), or (N, L, D * H), (L, D * H), a ``PackedSequence``; and the shape of hx.

    Returns:
        ``output, h_n``: the hidden states of the last layer at each time, packed if the input is; and those of every
        layer and direction after their last step.

    Raises:
        TypeError: if a size is no int, or ``bias`` or ``batch_first`` no bool.
        ValueError: if an argument is out of range; in the call, if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.GRU.html; Cho et al., Learning Phrase
    Representations using RNN Encoder-Decoder (2014), https://arxiv.org/abs/1406.1078

    Example:
        >>> import jax.numpy as jnp
        >>> output, h = GRU(10, 20, bidirectional=True)(jnp.ones((5, 3, 10), "float32"))
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
        device: Device = None,
        dtype: DType = None,
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

    @overload
    def forward(self, input: ArrayLike, hx: ArrayLike | None = None) -> tuple[jax.Array, jax.Array]: ...
    @overload
    def forward(self, input: PackedSequence, hx: ArrayLike | None = None) -> tuple[PackedSequence, jax.Array]: ...
    def forward(
        self, input: ArrayLike | PackedSequence, hx: ArrayLike | None = None
    ) -> tuple[jax.Array | PackedSequence, jax.Array]:
        """The layers over the sequence.

        Args:
            input: the sequences, padded or packed.
            hx: the first hidden states; zeros if not given.

        Returns:
            ``output, h_n``: the hidden states of the last layer at each time, packed if the input is; and those of every
            layer and direction after their last step.
        """
        return self._run(F.gru, input, hx)

    if TYPE_CHECKING:  # as ``forward``; ``Module.__call__`` would keep the first overload only

        @overload
        def __call__(self, input: ArrayLike, hx: ArrayLike | None = None) -> tuple[jax.Array, jax.Array]: ...
        @overload
        def __call__(self, input: PackedSequence, hx: ArrayLike | None = None) -> tuple[PackedSequence, jax.Array]: ...
        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
