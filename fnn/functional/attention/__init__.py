"""Scaled dot-product attention, and attention in several heads."""

from fnn.functional.attention.multi_head import *
from fnn.functional.attention.scaled_dot_product import *
from fnn.stateful.exports import export as _export

_export(globals())
