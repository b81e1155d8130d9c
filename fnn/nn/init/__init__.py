"""Initializers, in two forms: pure ``xavier_uniform(key, shape)``, and ``xavier_uniform_(param)`` that fills a Parameter.

A trailing underscore fills a Parameter or Buffer in place and returns it; given an array it returns a new one.
Every function follows https://docs.pytorch.org/docs/2.13/nn.init.html.
"""

from fnn.nn.init.fans import (
    _calculate_correct_fan as _calculate_correct_fan,
    _calculate_fan_in_and_fan_out as _calculate_fan_in_and_fan_out,
    calculate_gain as calculate_gain,
)
from fnn.nn.init.filling import (
    _no_grad_trunc_normal_ as _no_grad_trunc_normal_,
    constant_ as constant_,
    dirac_ as dirac_,
    eye_ as eye_,
    kaiming_normal_ as kaiming_normal_,
    kaiming_uniform_ as kaiming_uniform_,
    normal_ as normal_,
    ones_ as ones_,
    orthogonal_ as orthogonal_,
    sparse_ as sparse_,
    trunc_normal_ as trunc_normal_,
    uniform_ as uniform_,
    xavier_normal_ as xavier_normal_,
    xavier_uniform_ as xavier_uniform_,
    zeros_ as zeros_,
)
from fnn.nn.init.pure import (
    constant as constant,
    dirac as dirac,
    eye as eye,
    kaiming_normal as kaiming_normal,
    kaiming_uniform as kaiming_uniform,
    normal as normal,
    ones as ones,
    orthogonal as orthogonal,
    sparse as sparse,
    trunc_normal as trunc_normal,
    uniform as uniform,
    xavier_normal as xavier_normal,
    xavier_uniform as xavier_uniform,
    zeros as zeros,
)

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "sparse",
    "sparse_",
    "trunc_normal",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros",
    "zeros_",
]
