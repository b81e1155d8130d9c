"""Activation layers; each file's ``__all__`` says what is public."""

from fnn.nn.modules.activation import attention, piecewise, smooth, softmax
from fnn.nn.modules.activation.attention import *
from fnn.nn.modules.activation.piecewise import *
from fnn.nn.modules.activation.smooth import *
from fnn.nn.modules.activation.softmax import *

__all__: list[str] = []
__all__ += attention.__all__
__all__ += piecewise.__all__
__all__ += smooth.__all__
__all__ += softmax.__all__
