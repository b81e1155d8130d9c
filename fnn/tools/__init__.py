"""What one looks into a model and a script with: summaries, compilations, profiles, features, histograms, curves."""

from fnn.tools.compiles import Compile as Compile, Compiles as Compiles, explain_compiles as explain_compiles
from fnn.tools.features import Features as Features, features as features
from fnn.tools.summary import Row as Row, Summary as Summary, summary as summary

__all__ = [
    "Compile",
    "Compiles",
    "Features",
    "Row",
    "Summary",
    "explain_compiles",
    "features",
    "summary",
]
