"""Layers, in torch's files; each file's ``__all__`` says what is public."""

from fnn.nn.modules import (
    activation,
    adaptive,
    batchnorm,
    channelshuffle,
    container,
    conv,
    distance,
    dropout,
    flatten,
    fold,
    instancenorm,
    linear,
    loss,
    module,
    normalization,
    padding,
    pixelshuffle,
    pooling,
    rnn,
    sparse,
    transformer,
    upsampling,
)
from fnn.nn.modules.activation import *
from fnn.nn.modules.adaptive import *
from fnn.nn.modules.batchnorm import *
from fnn.nn.modules.channelshuffle import *
from fnn.nn.modules.container import *
from fnn.nn.modules.conv import *
from fnn.nn.modules.distance import *
from fnn.nn.modules.dropout import *
from fnn.nn.modules.flatten import *
from fnn.nn.modules.fold import *
from fnn.nn.modules.instancenorm import *
from fnn.nn.modules.linear import *
from fnn.nn.modules.loss import *
from fnn.nn.modules.module import *
from fnn.nn.modules.normalization import *
from fnn.nn.modules.padding import *
from fnn.nn.modules.pixelshuffle import *
from fnn.nn.modules.pooling import *
from fnn.nn.modules.rnn import *
from fnn.nn.modules.sparse import *
from fnn.nn.modules.transformer import *
from fnn.nn.modules.upsampling import *

__all__: list[str] = []
__all__ += activation.__all__
__all__ += adaptive.__all__
__all__ += batchnorm.__all__
__all__ += channelshuffle.__all__
__all__ += container.__all__
__all__ += conv.__all__
__all__ += distance.__all__
__all__ += dropout.__all__
__all__ += flatten.__all__
__all__ += fold.__all__
__all__ += instancenorm.__all__
__all__ += linear.__all__
__all__ += loss.__all__
__all__ += module.__all__
__all__ += normalization.__all__
__all__ += padding.__all__
__all__ += pixelshuffle.__all__
__all__ += pooling.__all__
__all__ += rnn.__all__
__all__ += sparse.__all__
__all__ += transformer.__all__
__all__ += upsampling.__all__
