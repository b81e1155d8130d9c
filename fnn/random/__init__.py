"""Sources of random keys, and draws that cost no compilation."""

from fnn.random.bits import bits as bits
from fnn.random.draws import normal as normal, truncated_normal as truncated_normal, uniform as uniform
from fnn.random.generator import (
    Generator as Generator,
    current_generator as current_generator,
    default_generator as default_generator,
    get_rng_state as get_rng_state,
    initial_seed as initial_seed,
    key_scope as key_scope,
    manual_seed as manual_seed,
    next_key as next_key,
    set_rng_state as set_rng_state,
)
from fnn.stateful.exports import unquote as _unquote

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

_unquote(*(globals()[name] for name in __all__))
