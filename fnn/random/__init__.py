"""Sources of random keys, and draws that cost no compilation."""

from fnn.random.bits import bits as bits
from fnn.random.draws import normal as normal
from fnn.random.draws import truncated_normal as truncated_normal
from fnn.random.draws import uniform as uniform
from fnn.random.generator import Generator as Generator
from fnn.random.generator import current_generator as current_generator
from fnn.random.generator import default_generator as default_generator
from fnn.random.generator import get_rng_state as get_rng_state
from fnn.random.generator import initial_seed as initial_seed
from fnn.random.generator import key_scope as key_scope
from fnn.random.generator import manual_seed as manual_seed
from fnn.random.generator import next_key as next_key
from fnn.random.generator import set_rng_state as set_rng_state

__all__ = [
    "Generator",
    "bits",
    "current_generator",
    "default_generator",
    "get_rng_state",
    "initial_seed",
    "key_scope",
    "manual_seed",
    "next_key",
    "normal",
    "set_rng_state",
    "truncated_normal",
    "uniform",
]
