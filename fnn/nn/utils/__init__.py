"""Utilities over Modules and Parameters, under torch's names."""

from fnn.nn.utils import parametrizations, parametrize, prune, rnn
from fnn.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from fnn.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from fnn.nn.utils.fusion import (
    fuse_conv_bn_eval,
    fuse_conv_bn_weights,
    fuse_linear_bn_eval,
    fuse_linear_bn_weights,
)
from fnn.nn.utils.init import skip_init
from fnn.nn.utils.spectral_norm import remove_spectral_norm, spectral_norm
from fnn.nn.utils.weight_norm import remove_weight_norm, weight_norm
