"""Learning-rate schedulers with torch's chainable rule: each step reads and rescales the groups' current ``lr``."""

from fnn.optim.lr_scheduler import by_function, composite, cosine, cycle, decay, plateau, scheduler
from fnn.optim.lr_scheduler.by_function import *
from fnn.optim.lr_scheduler.composite import *
from fnn.optim.lr_scheduler.cosine import *
from fnn.optim.lr_scheduler.cycle import *
from fnn.optim.lr_scheduler.decay import *
from fnn.optim.lr_scheduler.plateau import *
from fnn.optim.lr_scheduler.scheduler import *
from fnn.optim.lr_scheduler.scheduler import _LRScheduler as _LRScheduler
from fnn.stateful.exports import unquote as _unquote

__all__: list[str] = []
__all__ += by_function.__all__
__all__ += composite.__all__
__all__ += cosine.__all__
__all__ += cycle.__all__
__all__ += decay.__all__
__all__ += plateau.__all__
__all__ += scheduler.__all__

_unquote(*(globals()[name] for name in __all__))
