"""Layers, in torch's files; each file's ``__all__`` says what is public."""

from fnn.nn.modules.activation.attention import *
from fnn.nn.modules.activation.piecewise import *
from fnn.nn.modules.activation.smooth import *
from fnn.nn.modules.activation.softmax import *
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
from fnn.stateful.exports import export as _export

_export(globals())
