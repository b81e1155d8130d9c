"""Pure functions of arrays under the names of ``torch.nn.functional``; ``fnn.nn.functional`` is this package."""

from fnn.functional.activation.inplace_names import *
from fnn.functional.activation.piecewise import *
from fnn.functional.activation.smooth import *
from fnn.functional.activation.softmax import *
from fnn.functional.attention.cache import *
from fnn.functional.attention.multi_head import *
from fnn.functional.attention.rotary import *
from fnn.functional.attention.scaled_dot_product import *
from fnn.functional.batchnorm import *
from fnn.functional.conv import *
from fnn.functional.distance import *
from fnn.functional.dropout import *
from fnn.functional.fold import *
from fnn.functional.instancenorm import *
from fnn.functional.linear import *
from fnn.functional.loss.binary import *
from fnn.functional.loss.classification import *
from fnn.functional.loss.ctc import *
from fnn.functional.loss.linear import *
from fnn.functional.loss.margin import *
from fnn.functional.loss.regression import *
from fnn.functional.loss.triplet import *
from fnn.functional.normalization import *
from fnn.functional.padding import *
from fnn.functional.pooling.adaptive import *
from fnn.functional.pooling.average import *
from fnn.functional.pooling.fractional import *
from fnn.functional.pooling.lp import *
from fnn.functional.pooling.max import *
from fnn.functional.pooling.unpool import *
from fnn.functional.rnn.cells import *
from fnn.functional.rnn.layers import *
from fnn.functional.sparse import *
from fnn.functional.vision.channelshuffle import *
from fnn.functional.vision.grid import *
from fnn.functional.vision.pixelshuffle import *
from fnn.functional.vision.upsampling import *
from fnn.stateful.exports import export as _export

_export(globals())
