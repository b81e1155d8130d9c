from fnn import nn, optim, random
from fnn.random import Generator, manual_seed
from fnn.transforms import backward, functional_call, jit, stack, state, update
