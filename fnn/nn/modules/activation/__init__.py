"""Activation layers."""

from fnn.nn.modules.activation.attention import MultiheadAttention as MultiheadAttention
from fnn.nn.modules.activation.piecewise import Hardshrink as Hardshrink
from fnn.nn.modules.activation.piecewise import Hardsigmoid as Hardsigmoid
from fnn.nn.modules.activation.piecewise import Hardswish as Hardswish
from fnn.nn.modules.activation.piecewise import Hardtanh as Hardtanh
from fnn.nn.modules.activation.piecewise import LeakyReLU as LeakyReLU
from fnn.nn.modules.activation.piecewise import PReLU as PReLU
from fnn.nn.modules.activation.piecewise import ReLU as ReLU
from fnn.nn.modules.activation.piecewise import ReLU6 as ReLU6
from fnn.nn.modules.activation.piecewise import RReLU as RReLU
from fnn.nn.modules.activation.piecewise import Softshrink as Softshrink
from fnn.nn.modules.activation.piecewise import Threshold as Threshold
from fnn.nn.modules.activation.smooth import CELU as CELU
from fnn.nn.modules.activation.smooth import ELU as ELU
from fnn.nn.modules.activation.smooth import GELU as GELU
from fnn.nn.modules.activation.smooth import GLU as GLU
from fnn.nn.modules.activation.smooth import SELU as SELU
from fnn.nn.modules.activation.smooth import LogSigmoid as LogSigmoid
from fnn.nn.modules.activation.smooth import Mish as Mish
from fnn.nn.modules.activation.smooth import Sigmoid as Sigmoid
from fnn.nn.modules.activation.smooth import SiLU as SiLU
from fnn.nn.modules.activation.smooth import Softplus as Softplus
from fnn.nn.modules.activation.smooth import Softsign as Softsign
from fnn.nn.modules.activation.smooth import Tanh as Tanh
from fnn.nn.modules.activation.smooth import Tanhshrink as Tanhshrink
from fnn.nn.modules.activation.softmax import LogSoftmax as LogSoftmax
from fnn.nn.modules.activation.softmax import Softmax as Softmax
from fnn.nn.modules.activation.softmax import Softmax2d as Softmax2d
from fnn.nn.modules.activation.softmax import Softmin as Softmin

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "MultiheadAttention",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]
