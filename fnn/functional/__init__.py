"""Pure functions of arrays under the names of ``torch.nn.functional``; ``fnn.nn.functional`` is this package."""

from fnn.functional.activation import *
from fnn.functional.attention import *
from fnn.functional.conv import *
from fnn.functional.distance import *
from fnn.functional.dropout import *
from fnn.functional.fold import *
from fnn.functional.linear import *
from fnn.functional.loss import *
from fnn.functional.normalization import *
from fnn.functional.padding import *
from fnn.functional.pooling import *
from fnn.functional.recurrent import *
from fnn.functional.sparse import *
from fnn.functional.vision import *
