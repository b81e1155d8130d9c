"""torch's path of the data-parallel wrappers: importing this gives ``fnn.parallel`` itself."""

import sys

import fnn.parallel as parallel
from fnn.parallel import *  # noqa: F403

sys.modules[__name__] = parallel
