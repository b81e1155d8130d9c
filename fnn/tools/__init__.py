"""What one looks into a model and a script with: summaries, compilations, profiles, features, histograms, curves."""

from fnn.tools.features import Features as Features, features as features
from fnn.tools.summary import Row as Row, Summary as Summary, summary as summary

__all__ = ["Features", "Row", "Summary", "features", "summary"]
