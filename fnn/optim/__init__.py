"""Optimizers and schedules: pure transforms in lower case, objects over them under torch's names."""

from fnn.optim import lr_scheduler, schedule, swa_utils
from fnn.optim._adafactor import Adafactor, AdafactorState, adafactor
from fnn.optim._muon import Muon, MuonState, muon
from fnn.optim._stateless import swap_in_optimizer_params_and_state
from fnn.optim.adadelta import Adadelta, AdadeltaState, adadelta
from fnn.optim.adagrad import Adagrad, AdagradState, adagrad
from fnn.optim.adam import Adam, AdamState, adam
from fnn.optim.adamax import Adamax, AdamaxState, adamax
from fnn.optim.adamw import AdamW, adamw
from fnn.optim.asgd import ASGD, ASGDState, asgd
from fnn.optim.lbfgs import LBFGS, LBFGSState, lbfgs
from fnn.optim.loss_scale import ScaledState, scaled
from fnn.optim.nadam import NAdam, NAdamState, nadam
from fnn.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from fnn.optim.radam import RAdam, RAdamState, radam
from fnn.optim.rmsprop import RMSprop, RMSpropState, rmsprop
from fnn.optim.rprop import Rprop, RpropState, rprop
from fnn.optim.sgd import SGD, SGDState, sgd
from fnn.optim.sparse_adam import SparseAdam, SparseAdamState, sparse_adam
from fnn.optim.transform import (
    AccumulateState,
    EmaState,
    PartitionState,
    Transform,
    accumulate,
    apply_updates,
    chain,
    clip_by_global_norm,
    clip_by_value,
    ema,
    global_norm,
    partition,
)
from fnn.stateful.exports import unquote as _unquote

__all__ = [
    "ASGD",
    "ASGDState",
    "AccumulateState",
    "Adadelta",
    "AdadeltaState",
    "Adafactor",
    "AdafactorState",
    "Adagrad",
    "AdagradState",
    "Adam",
    "AdamState",
    "AdamW",
    "Adamax",
    "AdamaxState",
    "EmaState",
    "LBFGS",
    "LBFGSState",
    "Muon",
    "MuonState",
    "NAdam",
    "NAdamState",
    "Optimizer",
    "PartitionState",
    "RAdam",
    "RAdamState",
    "RMSprop",
    "RMSpropState",
    "Rprop",
    "RpropState",
    "SGD",
    "SGDState",
    "ScaledState",
    "SparseAdam",
    "SparseAdamState",
    "Transform",
    "accumulate",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "apply_updates",
    "asgd",
    "chain",
    "clip_by_global_norm",
    "clip_by_value",
    "ema",
    "global_norm",
    "lbfgs",
    "lr_scheduler",
    "muon",
    "nadam",
    "partition",
    "radam",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "rmsprop",
    "rprop",
    "scaled",
    "schedule",
    "sgd",
    "sparse_adam",
    "swa_utils",
    "swap_in_optimizer_params_and_state",
]

_unquote(*(globals()[name] for name in __all__))
