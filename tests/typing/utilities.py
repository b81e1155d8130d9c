# pyright: strict
"""A user's script: packed sequences, and ``nn.utils`` and ``nn.init``, which keep the class of the module they are given."""

from __future__ import annotations

from typing import Any, assert_type

import jax
import numpy as np

from fnn import nn
from fnn.nn.utils.rnn import PackedSequence


def ones(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A loader gives numpy arrays."""
    return np.ones(shape, np.float32)


packed = nn.utils.rnn.pack_sequence([ones(3, 4), ones(2, 4)])
assert_type(packed, PackedSequence)
assert_type(packed.data, jax.Array)
assert_type(nn.LSTM(4, 3)(packed), tuple[PackedSequence, tuple[jax.Array, jax.Array]])
output, hidden = nn.GRU(4, 3)(packed)
assert_type(output, PackedSequence)
assert_type(hidden, jax.Array)
assert_type(nn.utils.rnn.pad_packed_sequence(output)[0], jax.Array)
assert_type(nn.RNN(4, 3).weight_ih_l0, nn.Parameter)

linear = nn.utils.skip_init(nn.Linear, 4, out_features=3)
assert_type(linear, nn.Linear)
assert_type(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.Linear)
assert_type(nn.utils.prune.l1_unstructured(nn.Linear(4, 3), "weight", amount=0.5), nn.Linear)
assert_type(nn.utils.parametrize.register_parametrization(nn.Linear(4, 3), "weight", nn.ReLU()), nn.Linear)
assert_type(nn.utils.spectral_norm(nn.Conv1d(4, 3, 2)), nn.Conv1d)
assert_type(nn.utils.fuse_conv_bn_eval(nn.Conv1d(4, 3, 2).eval(), nn.BatchNorm1d(3).eval()), nn.Conv1d)
assert_type(nn.utils.clip_grad_norm_(nn.Linear(4, 3).parameters(), 1.0), jax.Array)
assert_type(nn.utils.parameters_to_vector(linear.parameters()), jax.Array)

assert_type(nn.init.zeros_(linear.weight), nn.Parameter)
assert_type(nn.init.xavier_uniform(jax.random.key(0), (4, 3)), jax.Array)
assert_type(nn.BatchNorm1d(4).running_mean, nn.Buffer | Any)
assert_type(nn.BatchNorm1d(4)(ones(2, 4)), jax.Array)
assert_type(nn.LayerNorm(4).normalized_shape, tuple[int, ...])
assert_type(nn.CrossEntropyLoss()(ones(2, 4), np.zeros(2, np.int32)), jax.Array)
assert_type(nn.ConvTranspose1d(4, 3, 2)(ones(2, 4, 5), output_size=[6]), jax.Array)
