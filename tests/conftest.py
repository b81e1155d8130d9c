"""Settings of the test run: float64 on, CPU, no time spent on optimizing compiled code; they must precede ``import jax``."""

import os

from hypothesis import settings

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run: a failure can be repeated, and no run fails by chance.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")
