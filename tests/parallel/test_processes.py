"""Programs of several processes."""

from tests.devices import on_two_processes

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
    said = [
        next(line for line in out.splitlines() if line.startswith("loss"))
        for out in on_two_processes(PROGRAM, tmp_path)
    ]
    assert said[0] == said[1]


MIXED = """
import sys, numpy as np, jax
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
import fnn, jax.numpy as jnp
from fnn import nn, optim

fnn.manual_seed(0)
model = nn.Linear(3, 1)
wrapped = nn.parallel.DistributedDataParallel(model)
optimizer = optim.Adam(model.parameters(), lr=0.1)
scaler = fnn.amp.GradScaler(init_scale=8.0, growth_interval=2)

@fnn.jit
def step(x):
    def closure():
        with fnn.autocast("cuda"):
            return scaler.scale((wrapped(x).astype("float32") ** 2).mean())
    fnn.backward(closure, model)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()

good = np.arange(12, dtype=np.float32).reshape(4, 3) / 10
bad = good.copy()
bad[0, 0] = np.inf if jax.process_index() else 0
scales = []
for rows in (good, bad, good, good):
    step(wrapped.shard(rows))
    scales.append(scaler.get_scale())
print("scales", scales, np.asarray(model.weight.data).round(4).tolist())
"""


def test_an_overflow_in_one_process_skips_the_step_of_all(tmp_path):
    said = [
        next(line for line in out.splitlines() if line.startswith("scales"))
        for out in on_two_processes(MIXED, tmp_path)
    ]
    assert said[0] == said[1]
    assert said[0].startswith("scales [8.0, 4.0, 4.0, 8.0] ")
