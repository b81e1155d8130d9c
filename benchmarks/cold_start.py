"""Cold start, in fresh processes: import time, time to the parameters of a ResNet-50, time to the first finished step, also
of deep transformers.

Each figure is the median over fresh processes, which take turns. No compilation cache is used.

    python benchmarks/cold_start.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from common import machine
from depth import encoder

IMPORTS = {
    "import jax": "import jax",
    "import fnn": "import fnn",
    "import torch": "import torch",
    "import equinox": "import equinox",
    "import flax.nnx": "from flax import nnx",
}

SHAPES = '''
def resnet50():
    """(outputs, inputs, kernel) of every convolution of a ResNet-50, and its last linear layer."""
    convs = [(64, 3, 7)]
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            convs += [(width, inputs, 1), (width, width, 3), (4 * width, width, 1)]
            if block == 0:
                convs.append((4 * width, inputs, 1))
            inputs = 4 * width
    return convs, (1000, 2048)
convs, (classes, features) = resnet50()
'''

FNN = (
    "import fnn\nfrom fnn import nn\n" + SHAPES + "start = time.perf_counter()\n"
    "net = [nn.Sequential(nn.Conv2d(i, o, k, bias=False), nn.BatchNorm2d(o)) for o, i, k in convs]\n"
    "head = nn.Linear(features, classes)\n"
    "for p in nn.ModuleList([*net, head]).parameters(): p.data.block_until_ready()\n"
)
TORCH = (
    "import torch\nfrom torch import nn\n" + SHAPES + "start = time.perf_counter()\n"
    "net = [nn.Sequential(nn.Conv2d(i, o, k, bias=False), nn.BatchNorm2d(o)) for o, i, k in convs]\n"
    "head = nn.Linear(features, classes)\n"
)
EAGER_JAX = (
    "import jax\n" + SHAPES + "start = time.perf_counter()\n"
    "keys = jax.random.split(jax.random.key(0), len(convs) + 1)\n"
    "w = [jax.random.uniform(k, (o, i, n, n), minval=-1.0) for k, (o, i, n) in zip(keys, convs)]\n"
    "w.append(jax.random.uniform(keys[-1], (classes, features), minval=-1.0))\n"
    "jax.block_until_ready(w)\n"
)
NNX = (
    "from flax import nnx\nimport jax\n" + SHAPES + "start = time.perf_counter()\n"
    "rngs = nnx.Rngs(0)\n"
    "net = [nnx.Conv(i, o, (k, k), use_bias=False, rngs=rngs) for o, i, k in convs]\n"
    "norms = [nnx.BatchNorm(o, rngs=rngs) for o, _, _ in convs]\n"
    "head = nnx.Linear(features, classes, rngs=rngs)\n"
    "jax.block_until_ready([c.kernel[...] for c in net] + [head.kernel[...]])\n"
)
PARAMETERS = {"fnn": FNN, "torch": TORCH, "eager jax.random": EAGER_JAX, "flax nnx": NNX}

FNN_STEP = """
import jax.numpy as jnp, fnn
from fnn import nn, optim
start = time.perf_counter()
model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 36, 10))
optimizer = optim.Adam(model.parameters())
criterion = nn.CrossEntropyLoss()
step = fnn.jit(lambda x, y: optimizer.step(lambda: criterion(model(x), y)))
float(step(jnp.ones((32, 1, 8, 8)), jnp.zeros(32, int)))
"""
TORCH_STEP = """
import torch
from torch import nn
start = time.perf_counter()
model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 36, 10))
optimizer = torch.optim.Adam(model.parameters())
loss = nn.functional.cross_entropy(model(torch.ones(32, 1, 8, 8)), torch.zeros(32, dtype=torch.long))
loss.backward()
optimizer.step()
loss.item()
"""
NNX_STEP = """
import jax, jax.numpy as jnp, optax
from flax import nnx
start = time.perf_counter()
class Net(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 32, (3, 3), padding="VALID", rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.fc = nnx.Linear(32 * 36, 10, rngs=rngs)
    def __call__(self, x):
        x = jax.nn.relu(self.norm(self.conv(x)))
        return self.fc(x.reshape(x.shape[0], -1))
model = Net(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
@nnx.jit
def step(model, optimizer, x, y):
    f = lambda m: optax.softmax_cross_entropy_with_integer_labels(m(x), y).mean()
    loss, grads = nnx.value_and_grad(f)(model)
    optimizer.update(model, grads)
    return loss
float(step(model, optimizer, jnp.ones((32, 8, 8, 1)), jnp.zeros(32, int)))
"""
STEPS = {"fnn": FNN_STEP, "torch": TORCH_STEP, "flax nnx": NNX_STEP}

ENCODERS = {
    f"{peer}, {depth} layers": encoder(peer, depth)
    for peer in ("fnn, plain loop", "fnn, nn.Repeated", "hand-written loop", "hand-written scan")
    for depth in (2, 12, 24, 48)
}


def run(code: str) -> float | None:
    """Seconds that the code reports in a fresh process, or ``None`` if something it needs is missing."""
    program = "import time\nstart = time.perf_counter()\n" + code + "\nprint('seconds', time.perf_counter() - start)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.returncode != 0:
        if "ModuleNotFoundError" in done.stderr:
            return None
        raise RuntimeError(done.stderr)
    return float(done.stdout.split("seconds")[-1])


def compare(title: str, codes: dict[str, str], base: str, rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(rounds):
        for name, code in codes.items():
            seconds = run(code)
            if seconds is not None:
                times[name].append(seconds)
    print(title)
    reference = statistics.median(times[base])
    for name, values in times.items():
        if values:
            median = statistics.median(values)
            print(f"  {name:28} {median:7.3f} s  {median / reference:6.2f} x {base}")
        else:
            print(f"  {name:28} left out: not installed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(machine())
    compare("import", IMPORTS, "import jax", rounds)
    compare("parameters of a ResNet-50, after import", PARAMETERS, "fnn", max(1, rounds // 2))
    compare("construction to first finished step, after import", STEPS, "fnn", max(1, rounds // 2))
    compare("the same of a transformer encoder", ENCODERS, "hand-written loop, 2 layers", max(1, rounds // 2))


if __name__ == "__main__":
    main()
