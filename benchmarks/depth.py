"""Deep encoders: time to the first finished step, time of a step, and memory with rematerialization, by depth.

Each figure is of fresh processes, which take turns: the median of the first steps, the least of the steps. No compilation cache
is used. All peers compute one network (64 features, 4 heads, 128 between the linear maps, no dropout) and Adam.

    python benchmarks/depth.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from common import machine

DEPTHS = (2, 12, 24, 48)

_FNN = """
import jax.numpy as jnp, fnn
from fnn import nn, optim
start = time.perf_counter()
layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True)
model = nn.TransformerEncoder(layer, DEPTH)
CHANGE
optimizer = optim.Adam(model.parameters())
step = fnn.jit(lambda x: optimizer.step(lambda: (model(x) ** 2).mean()))
x = jnp.ones((BATCH, LENGTH, 64))
run = lambda: float(step(x))
run()
"""
_HAND = """
import jax, jax.numpy as jnp, numpy as np, optax
start = time.perf_counter()
draw = np.random.default_rng(0).normal
sizes = {"qkv": (64, 192), "out": (64, 64), "wide": (64, 128), "narrow": (128, 64)}
def layer():
    linear = {k: (0.1 * draw(size=v).astype("f"), np.zeros(v[1], "f")) for k, v in sizes.items()}
    return linear | {k: (np.ones(64, "f"), np.zeros(64, "f")) for k in ("norm1", "norm2")}
def dense(p, x): return x @ p[0] + p[1]
def norm(p, x):
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-5) * p[0] + p[1]
def attend(p, x):
    q, k, v = (a.reshape(BATCH, LENGTH, 4, 16).swapaxes(1, 2) for a in jnp.split(dense(p["qkv"], x), 3, -1))
    out = jax.nn.softmax(q @ k.swapaxes(2, 3) / 4) @ v
    return dense(p["out"], out.swapaxes(1, 2).reshape(x.shape))
def block(x, p):
    x = norm(p["norm1"], x + attend(p, x))
    return norm(p["norm2"], x + dense(p["narrow"], jax.nn.relu(dense(p["wide"], x))))
ps = [layer() for _ in range(DEPTH)]
LOSS
tx = optax.adam(1e-3)
def update(ps, state, x):
    value, grads = jax.value_and_grad(loss)(ps, x)
    updates, state = tx.update(grads, state)
    return value, optax.apply_updates(ps, updates), state
step = jax.jit(update, donate_argnums=(0, 1))
state = tx.init(ps)
x = jnp.ones((BATCH, LENGTH, 64))
def run():
    global ps, state
    value, ps, state = step(ps, state, x)
    return float(value)
run()
"""
_LOOP = """
ps = jax.tree.map(jnp.asarray, ps)
def loss(ps, x):
    for p in ps:
        x = block(x, p)
    return (x**2).mean()
"""
_SCAN = """
ps = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *ps)
def loss(ps, x): return (jax.lax.scan(lambda x, p: (BODY(x, p), None), x, ps)[0] ** 2).mean()
"""
_NNX = """
import jax, jax.numpy as jnp, optax
from flax import nnx
start = time.perf_counter()
class Block(nnx.Module):
    def __init__(self, rngs):
        self.attend = nnx.MultiHeadAttention(4, 64, decode=False, rngs=rngs)
        self.norm1, self.norm2 = nnx.LayerNorm(64, rngs=rngs), nnx.LayerNorm(64, rngs=rngs)
        self.wide, self.narrow = nnx.Linear(64, 128, rngs=rngs), nnx.Linear(128, 64, rngs=rngs)
    def __call__(self, x):
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.narrow(jax.nn.relu(self.wide(x))))
class Net(nnx.Module):
    def __init__(self, rngs):
        INIT
    def __call__(self, x):
        CALL
model = Net(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
@nnx.jit
def step(model, optimizer, x):
    loss, grads = nnx.value_and_grad(lambda m: (m(x) ** 2).mean())(model)
    optimizer.update(model, grads)
    return loss
x = jnp.ones((BATCH, LENGTH, 64))
run = lambda: float(step(model, optimizer, x))
run()
"""
_NNX_LOOP = (
    "self.layers = nnx.List([Block(rngs) for _ in range(DEPTH)])",
    "for layer in self.layers: x = layer(x)\n        return x",
)
_NNX_SCAN = (
    "self.layers = nnx.vmap(lambda rngs: Block(rngs), in_axes=0, out_axes=0)(rngs.fork(split=DEPTH))",
    "return nnx.scan(lambda x, layer: layer(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(x, self.layers)",
)
_EQUINOX = """
import jax, jax.numpy as jnp, equinox as eqx, optax
start = time.perf_counter()
class Block(eqx.Module):
    attend: eqx.nn.MultiheadAttention
    norm1: eqx.nn.LayerNorm
    norm2: eqx.nn.LayerNorm
    wide: eqx.nn.Linear
    narrow: eqx.nn.Linear
    def __init__(self, key):
        a, b, c = jax.random.split(key, 3)
        self.attend = eqx.nn.MultiheadAttention(4, 64, key=a)
        self.norm1, self.norm2 = eqx.nn.LayerNorm(64), eqx.nn.LayerNorm(64)
        self.wide, self.narrow = eqx.nn.Linear(64, 128, key=b), eqx.nn.Linear(128, 64, key=c)
    def __call__(self, x):
        x = jax.vmap(self.norm1)(x + self.attend(x, x, x))
        return jax.vmap(self.norm2)(x + jax.vmap(lambda v: self.narrow(jax.nn.relu(self.wide(v))))(x))
layers = eqx.filter_vmap(Block)(jax.random.split(jax.random.key(0), DEPTH))
arrays, static = eqx.partition(layers, eqx.is_array)
def loss(arrays, x):
    def body(x, part): return jax.vmap(eqx.combine(part, static))(x), None
    return (jax.lax.scan(body, x, arrays)[0] ** 2).mean()
tx = optax.adam(1e-3)
@jax.jit
def step(arrays, state, x):
    value, grads = jax.value_and_grad(loss)(arrays, x)
    updates, state = tx.update(grads, state)
    return value, optax.apply_updates(arrays, updates), state
state = tx.init(arrays)
x = jnp.ones((BATCH, LENGTH, 64))
def run():
    global arrays, state
    value, arrays, state = step(arrays, state, x)
    return float(value)
run()
"""

_REPEAT = "model.layers = fnn.repeat(model.layers)"
_REMAT = "model.layers = fnn.repeat(model.layers, remat=True)"
_ROLLED = _HAND.replace("LOSS", _SCAN)

PEERS = {
    "fnn, plain loop": _FNN.replace("CHANGE", ""),
    "fnn, nn.Repeated": _FNN.replace("CHANGE", _REPEAT),
    "hand-written loop": _HAND.replace("LOSS", _LOOP),
    "hand-written scan": _ROLLED.replace("BODY", "block"),
    "flax nnx, loop": _NNX.replace("INIT", _NNX_LOOP[0]).replace("CALL", _NNX_LOOP[1]),
    "flax nnx, nnx.scan": _NNX.replace("INIT", _NNX_SCAN[0]).replace("CALL", _NNX_SCAN[1]),
    "equinox, lax.scan": _EQUINOX,
}
REMAT = {
    "fnn, remat=True": _FNN.replace("CHANGE", _REMAT),
    "fnn, no remat": PEERS["fnn, nn.Repeated"],
    "jax.checkpoint by hand": _ROLLED.replace("BODY", "jax.checkpoint(block, prevent_cse=False)"),
    "by hand, no remat": PEERS["hand-written scan"],
}
_AFTER = """
first = time.perf_counter() - start
times = []
for _ in range(STEPS):
    begun = time.perf_counter()
    run()
    times.append(time.perf_counter() - begun)
import resource
print("figures", first, min(times), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def encoder(peer: str, depth: int, *, batch: int = 2, length: int = 16) -> str:
    """The program of one peer, up to its first finished step."""
    code = {**PEERS, **REMAT}[peer]
    return code.replace("DEPTH", str(depth)).replace("BATCH", str(batch)).replace("LENGTH", str(length))


def figures(code: str, steps: int) -> tuple[float, float, float] | None:
    """Seconds to the first finished step and of one more, and the peak of memory in MiB; ``None`` if something is missing."""
    program = "import time\n" + code + _AFTER.replace("STEPS", str(steps))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.returncode != 0:
        if "ModuleNotFoundError" in done.stderr:
            return None
        raise RuntimeError(done.stderr)
    first, step, peak = map(float, done.stdout.split("figures")[-1].split())
    return first, step, peak


def by_depth(rounds: int) -> None:
    """First steps and steps by depth."""
    found: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    for _ in range(rounds):
        for depth in DEPTHS:
            for peer in PEERS:
                one = figures(encoder(peer, depth), 20)
                if one is not None:
                    found.setdefault((peer, depth), []).append(one)
    for title, index, factor, choose in (
        ("first finished step, after import, s", 0, 1, statistics.median),
        ("one step, ms", 1, 1000, min),
    ):
        print(f"\n{title}\n  {'layers':22}" + "".join(f"{depth:>9}" for depth in DEPTHS))
        for peer in PEERS:
            row = [choose([one[index] * factor for one in found[peer, d]]) for d in DEPTHS if (peer, d) in found]
            if row:
                print(
                    f"  {peer:22}"
                    + "".join(f"{value:9.2f}" for value in row)
                    + f"   {row[-1] / row[0]:5.2f} x its 2 layers"
                )


def memory(rounds: int) -> None:
    """Peaks of memory with rematerialization and without."""
    print("\npeak memory of 24 layers at batch 16, length 256, MiB, and one step, ms")
    for peer in REMAT:
        runs = [figures(encoder(peer, 24, batch=16, length=256), 3) for _ in range(rounds)]
        known = [one for one in runs if one is not None]
        if known:
            print(f"  {peer:22}{min(one[2] for one in known):9.0f}{1000 * min(one[1] for one in known):9.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(machine())
    by_depth(rounds)
    memory(max(1, rounds // 2))


if __name__ == "__main__":
    main()
