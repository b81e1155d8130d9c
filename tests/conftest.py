"""Settings of the test run: float64 on, CPU, no time spent on optimizing compiled code; they must precede ``import jax``."""

import ctypes
import gc
import os
import sys
from collections import Counter

import pytest
from hypothesis import settings

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax

if sys.platform == "linux":
    import resource

libc = ctypes.CDLL(None)

# The same examples in every run: a failure can be repeated, and no run fails by chance.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test marked ``one_in(n)`` the everyday run takes every n-th case; the others become ``slow``, which CI runs too."""
    seen = Counter()
    for item in items:
        mark = item.get_closest_marker("one_in")
        if mark is not None and item.get_closest_marker("slow") is None:
            name = item.nodeid.partition("[")[0]
            if seen[name] % mark.args[0]:
                item.add_marker(pytest.mark.slow)
            seen[name] += 1


@pytest.fixture(autouse=True, scope="module")
def programs_of_one_module(request):
    """Lets compiled programs go when the worker leaves a test module; a worker that keeps all of them grows to gigabytes."""
    yield
    jax.clear_caches()
    gc.collect()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(
            0
        )  # glibc keeps what is freed, in pieces between what is not, until it is told to give it back
    if sys.platform == "linux":
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        assert peak < 2, f"the worker grew to {peak:.1f} GiB by the end of {request.module.__name__}"
