"""Initializers, in two forms: pure ``xavier_uniform(key, shape)``, and ``xavier_uniform_(param)`` that fills a Parameter.

A trailing underscore fills a Parameter or Buffer in place and returns it; given an array it returns a new one.
Every function follows https://docs.pytorch.org/docs/2.13/nn.init.html.
"""

from fnn.nn.init.fans import _calculate_correct_fan as _calculate_correct_fan
from fnn.nn.init.fans import _calculate_fan_in_and_fan_out as _calculate_fan_in_and_fan_out
from fnn.nn.init.fans import calculate_gain as calculate_gain
from fnn.nn.init.filling import _no_grad_trunc_normal_ as _no_grad_trunc_normal_
from fnn.nn.init.filling import constant_ as constant_
from fnn.nn.init.filling import dirac_ as dirac_
from fnn.nn.init.filling import eye_ as eye_
from fnn.nn.init.filling import kaiming_normal_ as kaiming_normal_
from fnn.nn.init.filling import kaiming_uniform_ as kaiming_uniform_
from fnn.nn.init.filling import normal_ as normal_
from fnn.nn.init.filling import ones_ as ones_
from fnn.nn.init.filling import orthogonal_ as orthogonal_
from fnn.nn.init.filling import sparse_ as sparse_
from fnn.nn.init.filling import trunc_normal_ as trunc_normal_
from fnn.nn.init.filling import uniform_ as uniform_
from fnn.nn.init.filling import xavier_normal_ as xavier_normal_
from fnn.nn.init.filling import xavier_uniform_ as xavier_uniform_
from fnn.nn.init.filling import zeros_ as zeros_
from fnn.nn.init.pure import constant as constant
from fnn.nn.init.pure import dirac as dirac
from fnn.nn.init.pure import eye as eye
from fnn.nn.init.pure import kaiming_normal as kaiming_normal
from fnn.nn.init.pure import kaiming_uniform as kaiming_uniform
from fnn.nn.init.pure import normal as normal
from fnn.nn.init.pure import ones as ones
from fnn.nn.init.pure import orthogonal as orthogonal
from fnn.nn.init.pure import sparse as sparse
from fnn.nn.init.pure import trunc_normal as trunc_normal
from fnn.nn.init.pure import uniform as uniform
from fnn.nn.init.pure import xavier_normal as xavier_normal
from fnn.nn.init.pure import xavier_uniform as xavier_uniform
from fnn.nn.init.pure import zeros as zeros

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
