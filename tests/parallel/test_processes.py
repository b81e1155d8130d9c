"""Programs of several processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, numpy as np, jax
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
import fnn, jax.numpy as jnp
from fnn import nn, optim

fnn.manual_seed(0)
model = nn.Linear(3, 1)
wrapped = nn.parallel.DistributedDataParallel(model)
optimizer = optim.SGD(model.parameters(), lr=0.1)
rows = np.arange(12, dtype=np.float32).reshape(4, 3) + jax.process_index()
targets = np.full((4, 4), 3, np.int64)

@fnn.jit
def step(x):
    return optimizer.step(lambda: (wrapped(x) ** 2).mean())

for mine in (rows, jnp.asarray(rows)):
    before = np.asarray(model.weight.data)
    try:
        step(mine)
    except ValueError as error:
        assert "argument x" in str(error) and "must be a global array" in str(error), error
    else:
        raise AssertionError("an array of one process was taken")
    assert (np.asarray(model.weight.data) == before).all()
loss = step(wrapped.shard(rows))
print("loss", round(float(loss), 4), np.asarray(model.weight.data).round(4).tolist())
"""


def test_an_array_of_one_process_is_refused(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    flags = os.environ.get("XLA_FLAGS", "")
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": flags,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    ranks = [
        subprocess.Popen(
            [sys.executable, str(program), address, str(i)],
            env=environment,
            stdout=-1,
            stderr=-1,
            text=True,
            cwd=tmp_path,
        )
        for i in range(2)
    ]
    outputs = [rank.communicate(timeout=120) for rank in ranks]
    for rank, (_, errors) in zip(ranks, outputs, strict=True):
        assert rank.returncode == 0, errors[-3000:]
    said = [next(line for line in out.splitlines() if line.startswith("loss")) for out, _ in outputs]
    assert said[0] == said[1]
