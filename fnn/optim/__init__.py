"""Optimizers and schedules: pure transforms in lower case, objects over them under torch's names."""

from fnn.optim import lr_scheduler as lr_scheduler
from fnn.optim import schedule as schedule
from fnn.optim import swa_utils as swa_utils
from fnn.optim._adafactor import (
    Adafactor as Adafactor,
)
from fnn.optim._adafactor import (
    AdafactorState as AdafactorState,
)
from fnn.optim._adafactor import (
    adafactor as adafactor,
)
from fnn.optim._muon import (
    Muon as Muon,
)
from fnn.optim._muon import (
    MuonState as MuonState,
)
from fnn.optim._muon import (
    muon as muon,
)
from fnn.optim.adadelta import (
    Adadelta as Adadelta,
)
from fnn.optim.adadelta import (
    AdadeltaState as AdadeltaState,
)
from fnn.optim.adadelta import (
    adadelta as adadelta,
)
from fnn.optim.adagrad import (
    Adagrad as Adagrad,
)
from fnn.optim.adagrad import (
    AdagradState as AdagradState,
)
from fnn.optim.adagrad import (
    adagrad as adagrad,
)
from fnn.optim.adam import (
    Adam as Adam,
)
from fnn.optim.adam import (
    AdamState as AdamState,
)
from fnn.optim.adam import (
    adam as adam,
)
from fnn.optim.adamax import (
    Adamax as Adamax,
)
from fnn.optim.adamax import (
    AdamaxState as AdamaxState,
)
from fnn.optim.adamax import (
    adamax as adamax,
)
from fnn.optim.adamw import (
    AdamW as AdamW,
)
from fnn.optim.adamw import (
    adamw as adamw,
)
from fnn.optim.asgd import (
    ASGD as ASGD,
)
from fnn.optim.asgd import (
    ASGDState as ASGDState,
)
from fnn.optim.asgd import (
    asgd as asgd,
)
from fnn.optim.lbfgs import (
    LBFGS as LBFGS,
)
from fnn.optim.lbfgs import (
    LBFGSState as LBFGSState,
)
from fnn.optim.lbfgs import (
    lbfgs as lbfgs,
)
from fnn.optim.nadam import (
    NAdam as NAdam,
)
from fnn.optim.nadam import (
    NAdamState as NAdamState,
)
from fnn.optim.nadam import (
    nadam as nadam,
)
from fnn.optim.optimizer import (
    Optimizer as Optimizer,
)
from fnn.optim.optimizer import (
    register_optimizer_step_post_hook as register_optimizer_step_post_hook,
)
from fnn.optim.optimizer import (
    register_optimizer_step_pre_hook as register_optimizer_step_pre_hook,
)
from fnn.optim.radam import (
    RAdam as RAdam,
)
from fnn.optim.radam import (
    RAdamState as RAdamState,
)
from fnn.optim.radam import (
    radam as radam,
)
from fnn.optim.rmsprop import (
    RMSprop as RMSprop,
)
from fnn.optim.rmsprop import (
    RMSpropState as RMSpropState,
)
from fnn.optim.rmsprop import (
    rmsprop as rmsprop,
)
from fnn.optim.rprop import (
    Rprop as Rprop,
)
from fnn.optim.rprop import (
    RpropState as RpropState,
)
from fnn.optim.rprop import (
    rprop as rprop,
)
from fnn.optim.sgd import (
    SGD as SGD,
)
from fnn.optim.sgd import (
    SGDState as SGDState,
)
from fnn.optim.sgd import (
    sgd as sgd,
)
from fnn.optim.sparse_adam import (
    SparseAdam as SparseAdam,
)
from fnn.optim.sparse_adam import (
    SparseAdamState as SparseAdamState,
)
from fnn.optim.sparse_adam import (
    sparse_adam as sparse_adam,
)
from fnn.optim.transform import (
    AccumulateState as AccumulateState,
)
from fnn.optim.transform import (
    EmaState as EmaState,
)
from fnn.optim.transform import (
    PartitionState as PartitionState,
)
from fnn.optim.transform import (
    Transform as Transform,
)
from fnn.optim.transform import (
    accumulate as accumulate,
)
from fnn.optim.transform import (
    apply_updates as apply_updates,
)
from fnn.optim.transform import (
    chain as chain,
)
from fnn.optim.transform import (
    clip_by_global_norm as clip_by_global_norm,
)
from fnn.optim.transform import (
    clip_by_value as clip_by_value,
)
from fnn.optim.transform import (
    ema as ema,
)
from fnn.optim.transform import (
    global_norm as global_norm,
)
from fnn.optim.transform import (
    partition as partition,
)

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
    "schedule",
    "sgd",
    "sparse_adam",
    "swa_utils",
]
