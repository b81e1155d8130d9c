"""The memory of a test process, and how to get it back."""

import ctypes
import gc
import os
from pathlib import Path

import jax

libc = ctypes.CDLL(None)


def resident() -> float:
    """The memory of this process in GiB; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


def let_programs_go(above: float = 1.3) -> None:
    """Lets compiled programs go if the process holds more GiB than this; for the ends of tests, and of the examples of one."""
    if resident() <= above:
        return
    jax.clear_caches()
    gc.collect()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(
            0
        )  # glibc keeps what is freed, in pieces between what is not, until it is told to give it back
