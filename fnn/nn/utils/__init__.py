"""Utilities over Modules and Parameters, under torch's names."""

from fnn.nn.utils import parametrizations, parametrize, rnn
from fnn.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from fnn.nn.utils.spectral_norm import remove_spectral_norm, spectral_norm
from fnn.nn.utils.weight_norm import remove_weight_norm, weight_norm
