"""Settings of the test run: float64 on, CPU, no time spent on optimizing compiled code; they must precede ``import jax``."""

import os
import sys
from collections import Counter
from importlib.metadata import version

import pytest
from hypothesis import settings

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    # Most of the time of the tests is compilation. Together these halve it; XLA ends the process at a flag that it does not know.
    flags = ["backend_optimization_level=0", "llvm_disable_expensive_passes=true", "cpu_parallel_codegen_split_count=1"]
    if version("jaxlib").startswith("0.10."):
        flags.append("cpu_use_fusion_emitters=false")
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *(f"--xla_{flag}" for flag in flags)])
os.environ.setdefault("OMP_NUM_THREADS", "1")

import fnn
from tests.memory import let_programs_go

# Names are looked up when they are first used; a doctest's own import of a file must not come before, as it puts the module
# in the place of a function of the same name.
for name in fnn.__all__:
    getattr(fnn, name)

if sys.platform == "linux":
    import resource

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


class Memory:
    """Lets compiled programs go, at the end of a module or within it where they are many: a worker would grow to gigabytes."""

    said = False

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item, nextitem):
        at_the_end = nextitem is None or nextitem.path != item.path
        let_programs_go(above=0.8 if at_the_end else 1.3)
        if at_the_end and sys.platform == "linux" and not self.said:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            limit = (
                2 if "not slow" in item.config.option.markexpr else 4
            )  # the long tail has tests of many random shapes
            self.said = peak >= limit  # it stays so: once is enough
            assert not self.said, f"the worker grew to {peak:.1f} GiB by the end of {item.path.name}"


def pytest_configure(config):
    # As a plugin of its own it sees the doctests of the library too.
    config.pluginmanager.register(Memory())
