"""Programs that need more devices, or processes, than the test run has."""

import os
import socket
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


def on_two_processes(program: str, folder: Path) -> list[str]:
    """What the program prints in each of two processes that JAX joins; both must end without an error.

    Its arguments are the address of the coordinator and the number of the process.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    file = folder / "program.py"
    file.write_text(program)
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[1])}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(file), address, str(i)], env=environment, stdout=-1, stderr=-1, text=True, cwd=folder
        )
        for i in range(2)
    ]
    outputs = [rank.communicate(timeout=120) for rank in ranks]
    for rank, (_, errors) in zip(ranks, outputs, strict=True):
        assert rank.returncode == 0, errors[-3000:]
    return [out for out, _ in outputs]
