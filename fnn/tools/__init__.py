"""What one looks into a model and a script with: summaries, compilations, profiles, features, histograms, curves."""

from fnn.stateful.exports import unquote as _unquote
from fnn.tools.compare import Comparison as Comparison, Difference as Difference, Layer as Layer, compare as compare
from fnn.tools.compiles import Compile as Compile, Compiles as Compiles, explain_compiles as explain_compiles
from fnn.tools.features import Features as Features, features as features
from fnn.tools.histograms import Histogram as Histogram, Histograms as Histograms, histograms as histograms
from fnn.tools.plots import plot_losses as plot_losses
from fnn.tools.profile import ModuleTime as ModuleTime, Profile as Profile, profile as profile
from fnn.tools.summary import Row as Row, Summary as Summary, summary as summary
from fnn.tools.tensorboard import log_tensorboard as log_tensorboard

__all__ = [
    "Comparison",
    "Compile",
    "Compiles",
    "Difference",
    "Features",
    "Histogram",
    "Histograms",
    "ModuleTime",
    "Profile",
    "Layer",
    "Row",
    "Summary",
    "compare",
    "explain_compiles",
    "features",
    "histograms",
    "log_tensorboard",
    "plot_losses",
    "profile",
    "summary",
]

_unquote(*(globals()[name] for name in __all__))
