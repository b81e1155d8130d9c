"""PyTorch's ``nn``, ``nn.functional`` and ``optim``, rebuilt on JAX."""

from fnn import kernels, nn, optim, random
from fnn.checkpoint import load, save
from fnn.random import Generator, get_rng_state, initial_seed, manual_seed, set_rng_state
from fnn.transforms import backward, functional_call, jit, stack, state, update

__version__ = "0.1.0"

__all__ = [
    "Generator",
    "backward",
    "functional_call",
    "get_rng_state",
    "initial_seed",
    "jit",
    "kernels",
    "load",
    "manual_seed",
    "nn",
    "optim",
    "random",
    "save",
    "set_rng_state",
    "stack",
    "state",
    "update",
]
