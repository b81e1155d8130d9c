"""Learning-rate schedules as pure functions ``count -> value``, for Python numbers (exact in float64) and traced counts.

Each takes the base learning rate first and then the arguments of torch's scheduler of that name. Beside each stands its
formula as a function of count and options, which the scheduler class uses too.
"""

from fnn.optim.schedule.by_function import *
from fnn.optim.schedule.composite import *
from fnn.optim.schedule.cosine import *
from fnn.optim.schedule.cycle import *
from fnn.optim.schedule.decay import *
from fnn.optim.schedule.plateau import *
from fnn.optim.typing import Schedule as Schedule
from fnn.stateful.exports import export as _export

_export(globals())
