"""Inputs and targets of the losses."""

import numpy as np

from tests.nn.modules.cases import Fixed, drawn, ints
from tests.oracle import rand

UNIT = rand(3, 3, 4, low=0.1, high=0.9)
ROUNDED = Fixed(UNIT.round())
SIGNS = Fixed(np.array([1.0, -1.0, 1.0]))
PROBABILITIES = Fixed(UNIT / UNIT.sum(1, keepdims=True))
LOGS = np.log(UNIT / UNIT.sum(1, keepdims=True))
CLASSES = ints(1, 3, 0)
WEIGHT4 = np.array([0.5, 1.0, 2.0, 0.1])
# Fixed: torch's gradient is that with respect to logits.
CTC = (Fixed(rand(0, 6, 2, 4)), drawn(4, 2, 3, low=1), ints(6, 5), ints(3, 2))
