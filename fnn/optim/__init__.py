"""Optimizers and schedules: pure transforms in lower case, objects over them under torch's names."""

from fnn.optim import lr_scheduler, schedule, swa_utils
from fnn.optim.adafactor import *
from fnn.optim.adagrad import *
from fnn.optim.adam import *
from fnn.optim.asgd import *
from fnn.optim.lbfgs import *
from fnn.optim.muon import *
from fnn.optim.objects import *
from fnn.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from fnn.optim.rmsprop import *
from fnn.optim.rprop import *
from fnn.optim.sgd import *
from fnn.optim.transform import *
