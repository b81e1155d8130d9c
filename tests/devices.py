"""Programs that need more devices than the test run has."""

import os
import subprocess
import sys
from pathlib import Path


def on_two_devices(program: str) -> str:
    """What the program prints in a process with two CPU devices; it must end without an error."""
    return on_devices(2, program)


def on_devices(count: int, program: str) -> str:
    """What the program prints in a process with that many CPU devices; it must end without an error."""
    flags = os.environ.get("XLA_FLAGS", "") + f" --xla_force_host_platform_device_count={count}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", program]
    out = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[1])
    assert out.returncode == 0, out.stderr[-3000:]
    return out.stdout.strip()
