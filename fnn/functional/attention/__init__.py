"""Scaled dot-product attention, attention in several heads, caches of keys and values, and rotary embedding."""

from fnn.functional.attention.cache import *
from fnn.functional.attention.multi_head import *
from fnn.functional.attention.rotary import *
from fnn.functional.attention.scaled_dot_product import *
from fnn.stateful.exports import export as _export

_export(globals())
