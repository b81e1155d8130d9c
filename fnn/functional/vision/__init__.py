"""Images and volumes: shuffles, resizing, sampling on a grid."""

from fnn.functional.vision.channelshuffle import *
from fnn.functional.vision.grid import *
from fnn.functional.vision.pixelshuffle import *
from fnn.functional.vision.upsampling import *
from fnn.stateful.exports import export as _export

_export(globals())
