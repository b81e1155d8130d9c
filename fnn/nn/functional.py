"""torch's path of the functional package: importing this gives ``fnn.functional`` itself."""

import sys

from fnn import functional
from fnn.functional import *

sys.modules[__name__] = functional
