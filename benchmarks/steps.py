"""Whole training steps: fnn objects under ``fnn.jit``, torch, hand-written JAX with optax, Flax NNX, Equinox, Haiku.

Every worker starts from fnn's weights and must report the same losses in its first steps before anything is timed; then
they take turns in one process. What cannot be imported, and torch.compile where no compiler works, is left out.

    python benchmarks/steps.py
    python benchmarks/steps.py --only mlp resnet18 --peers fnn torch hand-written
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import interleave, machine, table
from jax import lax

import fnn

MOMENTUM, LR = 0.9, {"SGD": 0.01, "Adam": 1e-3}
Worker = Callable[[], Any]
Arrays = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """A network and its data.

    Attributes:
        build: ``build(nn)`` makes the network of ``fnn.nn`` or ``torch.nn``.
        apply: ``apply(p, new, x)`` is the same by ``jax.lax``; ``p`` has the state_dict's names, and what ``apply``
            puts into ``new`` are the new running statistics.
        data: shape of the inputs, and their bound if they are integers.
        classes: the targets are one class for each prediction; without it the inputs, to be reproduced.
        layers: of a plain chain, for the frameworks that have other layouts.
    """

    build: Callable[[Any], Any]
    apply: Callable[[Arrays, Arrays, Any], Any]
    data: tuple[tuple[int, ...], int | None]
    classes: int | None
    optimizer: str = "Adam"
    layers: tuple[tuple[Any, ...], ...] = ()

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        source = np.random.default_rng(1)
        shape, bound = self.data
        x = source.integers(0, bound, shape) if bound else source.normal(size=shape).astype(np.float32)
        if self.classes is None:
            return x, x
        outputs = jax.eval_shape(lambda p: self.apply(p, {}, jnp.asarray(x)), weights(self)).shape
        return x, source.integers(0, self.classes, outputs[:-1])


def weights(work: Workload) -> Arrays:
    """fnn's initial weights and buffers, as numpy arrays."""
    fnn.manual_seed(0)
    return {name: np.array(value) for name, value in work.build(fnn.nn).state_dict().items()}


# Hand-written layers.


def dense(p: Arrays, name: str, x: Any) -> Any:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def conv(p: Arrays, name: str, x: Any, stride: int = 1, padding: int = 0, groups: int = 1) -> Any:
    pads = [(padding, padding)] * 2
    out = lax.conv_general_dilated(x, p[f"{name}.weight"], (stride, stride), pads, feature_group_count=groups)
    return out + p[f"{name}.bias"][:, None, None] if f"{name}.bias" in p else out


def up(p: Arrays, name: str, x: Any) -> Any:
    """Transposed convolution, 2x2, stride 2."""
    kernel = jnp.flip(p[f"{name}.weight"], (2, 3)).swapaxes(0, 1)
    out = lax.conv_general_dilated(x, kernel, (1, 1), [(1, 1)] * 2, lhs_dilation=(2, 2))
    return out + p[f"{name}.bias"][:, None, None]


def pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def norm(p: Arrays, new: Arrays, name: str, x: Any) -> Any:
    """Batch norm in training mode."""
    mean, var, count = x.mean((0, 2, 3)), x.var((0, 2, 3)), x.size // x.shape[1]
    new[f"{name}.running_mean"] = 0.9 * p[f"{name}.running_mean"] + 0.1 * mean
    new[f"{name}.running_var"] = 0.9 * p[f"{name}.running_var"] + 0.1 * var * count / (count - 1)
    scale = p[f"{name}.weight"] * lax.rsqrt(var + 1e-5)
    return x * scale[:, None, None] + (p[f"{name}.bias"] - mean * scale)[:, None, None]


def layer_norm(p: Arrays, name: str, x: Any) -> Any:
    x = (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * p[f"{name}.weight"] + p[f"{name}.bias"]


# Chains: the same list of layers for every framework.


def chain(data: tuple[int, ...], *layers: tuple[Any, ...]) -> Workload:
    def build(nn: Any) -> Any:
        class Residual(nn.Module):
            def __init__(self, width: int) -> None:
                super().__init__()
                self.inner = nn.Sequential(nn.Linear(width, width), nn.Tanh())

            def forward(self, x: Any) -> Any:
                return x + self.inner(x)

        makers = {
            "linear": nn.Linear,
            "conv": nn.Conv2d,
            "relu": nn.ReLU,
            "pool": lambda: nn.MaxPool2d(2),
            "flatten": nn.Flatten,
            "residual": Residual,
        }
        return nn.Sequential(*[makers[kind](*sizes) for kind, *sizes in layers])

    def apply(p: Arrays, new: Arrays, x: Any) -> Any:
        return run_chain(layers, lambda i, x: dense(p, key(layers, i), x), lambda i, x: conv(p, key(layers, i), x), x)

    return Workload(build, apply, (data, None), layers[-1][-1], layers=layers)


def key(layers: tuple[tuple[Any, ...], ...], i: int) -> str:
    """Where the state_dict has the weights of a layer of a chain."""
    return f"{i}.inner.0" if layers[i][0] == "residual" else str(i)


def run_chain(layers: Any, linear: Callable[[int, Any], Any], convolve: Callable[[int, Any], Any], x: Any) -> Any:
    """The chain on a batch in NCHW, given its linear and convolution layers by number."""
    for i, (kind, *_) in enumerate(layers):
        if kind == "linear":
            x = linear(i, x)
        elif kind == "residual":
            x = x + jnp.tanh(linear(i, x))
        elif kind == "conv":
            x = convolve(i, x)
        elif kind == "relu":
            x = jax.nn.relu(x)
        elif kind == "pool":
            x = pool(x)
        else:
            x = x.reshape(len(x), -1)
    return x


# The other networks.


def resnet18() -> Workload:
    """At 32x32: a 3x3 stem, four stages of two blocks."""
    stages = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    stages.append((512, 512, 1))

    def build(nn: Any) -> Any:
        class Block(nn.Module):
            def __init__(self, i: int, o: int, stride: int) -> None:
                super().__init__()
                self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
                self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
                self.relu = nn.ReLU()
                self.down = None
                if i != o:
                    self.down = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

            def forward(self, x: Any) -> Any:
                out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
                return self.relu(out + (x if self.down is None else self.down(x)))

        stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
        return nn.Sequential(*stem, *[Block(*each) for each in stages], *head)

    def apply(p: Arrays, new: Arrays, x: Any) -> Any:
        x = jax.nn.relu(norm(p, new, "1", conv(p, "0", x, 1, 1)))
        for n, (i, o, stride) in enumerate(stages, 3):
            out = jax.nn.relu(norm(p, new, f"{n}.bn1", conv(p, f"{n}.conv1", x, stride, 1)))
            out = norm(p, new, f"{n}.bn2", conv(p, f"{n}.conv2", out, 1, 1))
            if i != o:
                x = norm(p, new, f"{n}.down.1", conv(p, f"{n}.down.0", x, stride))
            x = jax.nn.relu(out + x)
        return dense(p, "13", x.mean((2, 3)))

    return Workload(build, apply, ((16, 3, 32, 32), None), 10, "SGD")


def mobilenet(blocks: int = 3, width: int = 24, wide: int = 144) -> Workload:
    """Inverted residual blocks of MobileNetV2."""

    def build(nn: Any) -> Any:
        class Block(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                expand = [nn.Conv2d(width, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
                depth = [nn.Conv2d(wide, wide, 3, 1, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
                self.body = nn.Sequential(*expand, *depth, nn.Conv2d(wide, width, 1, bias=False), nn.BatchNorm2d(width))

            def forward(self, x: Any) -> Any:
                return x + self.body(x)

        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
        return nn.Sequential(nn.Conv2d(3, width, 3, 1, 1), *[Block() for _ in range(blocks)], *head)

    def apply(p: Arrays, new: Arrays, x: Any) -> Any:
        x = conv(p, "0", x, 1, 1)
        for n in (f"{i + 1}.body" for i in range(blocks)):
            out = jax.nn.relu6(norm(p, new, f"{n}.1", conv(p, f"{n}.0", x)))
            out = jax.nn.relu6(norm(p, new, f"{n}.4", conv(p, f"{n}.3", out, 1, 1, wide)))
            x = x + norm(p, new, f"{n}.7", conv(p, f"{n}.6", out))
        return dense(p, str(blocks + 3), x.mean((2, 3)))

    return Workload(build, apply, ((8, 3, 32, 32), None), 10, "SGD")


def language_model(vocabulary: int = 2000, width: int = 128, hidden: int = 256) -> Workload:
    """An embedding, an LSTM of two layers, a projection; 35 steps of 20 sequences."""

    def build(nn: Any) -> Any:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embedding = nn.Embedding(vocabulary, width)
                self.lstm = nn.LSTM(width, hidden, 2)
                self.head = nn.Linear(hidden, vocabulary)

            def forward(self, x: Any) -> Any:
                return self.head(self.lstm(self.embedding(x))[0])

        return Net()

    def apply(p: Arrays, new: Arrays, x: Any) -> Any:
        x = p["embedding.weight"][x]
        for layer in range(2):
            w_ih, w_hh, b_ih, b_hh = (p[f"lstm.{n}_l{layer}"] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))

            def step(carry: Any, gates: Any, w_hh: Any = w_hh) -> Any:
                h, c = carry
                i, f, g, o = jnp.split(gates + h @ w_hh.T, 4, -1)
                c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), h

            zeros = jnp.zeros((x.shape[1], hidden))
            _, x = lax.scan(step, (zeros, zeros), x @ w_ih.T + b_ih + b_hh)
        return dense(p, "head", x)

    return Workload(build, apply, ((35, 20), vocabulary), vocabulary)


def transformer(length: int, batch: int, width: int = 128, heads: int = 4, layers: int = 2) -> Workload:
    """An encoder without dropout, and a projection."""

    def build(nn: Any) -> Any:
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True)
        encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        return nn.Sequential(encoder, nn.Linear(width, 64))

    def attention(p: Arrays, name: str, x: Any) -> Any:
        qkv = x @ p[f"{name}.in_proj_weight"].T + p[f"{name}.in_proj_bias"]
        q, k, v = (a.reshape(*x.shape[:2], heads, -1) for a in jnp.split(qkv, 3, -1))
        out = jax.nn.dot_product_attention(q, k, v).reshape(x.shape)
        return dense(p, f"{name}.out_proj", out)

    def apply(p: Arrays, new: Arrays, x: Any) -> Any:
        for n in (f"0.layers.{i}" for i in range(layers)):
            x = layer_norm(p, f"{n}.norm1", x + attention(p, f"{n}.self_attn", x))
            h = dense(p, f"{n}.linear2", jax.nn.relu(dense(p, f"{n}.linear1", x)))
            x = layer_norm(p, f"{n}.norm2", x + h)
        return dense(p, "1", x)

    return Workload(build, apply, ((batch, length, width), None), 64)


def unet(width: int = 16) -> Workload:
    """Two levels down and up, with skips and transposed convolutions; it reproduces its input."""

    def build(nn: Any) -> Any:
        class Level(nn.Module):
            def __init__(self, i: int, o: int, inner: Any) -> None:
                super().__init__()
                self.before = nn.Conv2d(i, o, 3, padding=1)
                self.inner = inner
                self.after = nn.Conv2d(o if inner is None else 2 * o, o, 3, padding=1)
                self.up = None if inner is None else nn.ConvTranspose2d(2 * o, o, 2, stride=2)
                self.pool, self.relu = nn.MaxPool2d(2), nn.ReLU()
                self.cat = jnp.concatenate if nn is fnn.nn else __import__("torch").cat

            def forward(self, x: Any) -> Any:
                x = self.relu(self.before(x))
                if self.inner is not None:
                    x = self.cat([x, self.up(self.inner(self.pool(x)))], 1)
                return self.relu(self.after(x))

        inside = Level(2 * width, 4 * width, None)
        inside = Level(width, 2 * width, inside)
        return nn.Sequential(Level(1, width, inside), nn.Conv2d(width, 1, 1))

    def level(p: Arrays, name: str, x: Any) -> Any:
        x = jax.nn.relu(conv(p, f"{name}.before", x, 1, 1))
        if f"{name}.up.weight" in p:
            x = jnp.concatenate([x, up(p, f"{name}.up", level(p, f"{name}.inner", pool(x)))], 1)
        return jax.nn.relu(conv(p, f"{name}.after", x, 1, 1))

    return Workload(build, lambda p, new, x: conv(p, "1", level(p, "0", x)), ((4, 1, 64, 64), None), None)


WORKLOADS = {
    "mlp": chain((128, 784), ("linear", 784, 512), ("relu",), ("linear", 512, 512), ("relu",), ("linear", 512, 10)),
    "convnet": chain(
        (32, 1, 28, 28),
        *(("conv", 1, 32, 3), ("relu",), ("conv", 32, 64, 3), ("relu",), ("pool",), ("flatten",)),
        *(("linear", 9216, 128), ("relu",), ("linear", 128, 10)),
    ),
    "resnet18": resnet18(),
    "mobilenet": mobilenet(),
    "lstm": language_model(),
    "transformer128": transformer(128, 8),
    "transformer1024": transformer(1024, 1),
    "unet": unet(),
    "tiny": chain((2, 4), *[("residual", 4)] * 50),
}


# The frameworks: each returns a function that does one step and returns the loss.


def fnn_worker(work: Workload) -> Worker:
    fnn.manual_seed(0)
    model = work.build(fnn.nn)
    kwargs = {"momentum": MOMENTUM} if work.optimizer == "SGD" else {}
    optimizer = getattr(fnn.optim, work.optimizer)(model.parameters(), lr=LR[work.optimizer], **kwargs)
    F = fnn.nn.functional
    x, y = map(jnp.asarray, work.draw())

    def criterion(out: Any, y: Any) -> Any:
        return (
            F.mse_loss(out, y) if work.classes is None else F.cross_entropy(out.reshape(-1, out.shape[-1]), y.ravel())
        )

    @fnn.jit
    def step(x: Any, y: Any) -> Any:
        return optimizer.step(lambda: criterion(model(x), y))

    return lambda: step(x, y).block_until_ready()


def torch_worker(work: Workload, compiled: bool = False) -> Worker:
    import torch

    model = work.build(torch.nn)
    model.load_state_dict({name: torch.tensor(value) for name, value in weights(work).items()})
    kwargs = {"momentum": MOMENTUM} if work.optimizer == "SGD" else {}
    optimizer = getattr(torch.optim, work.optimizer)(model.parameters(), lr=LR[work.optimizer], **kwargs)
    F = torch.nn.functional
    x, y = map(torch.tensor, work.draw())
    forward = torch.compile(model) if compiled else model

    def run() -> Any:
        optimizer.zero_grad()
        out = forward(x)
        loss = F.mse_loss(out, y) if work.classes is None else F.cross_entropy(out.flatten(0, -2), y.flatten())
        loss.backward()
        optimizer.step()
        return loss.detach()

    return run


def torch_compile_worker(work: Workload) -> Worker:
    return torch_worker(work, compiled=True)


def transform(work: Workload) -> Any:
    import optax

    return optax.sgd(LR["SGD"], MOMENTUM) if work.optimizer == "SGD" else optax.adam(LR["Adam"])


def jax_loss(out: Any, y: Any, work: Workload) -> Any:
    if work.classes is None:
        return jnp.mean((out - y) ** 2)
    return -jnp.take_along_axis(jax.nn.log_softmax(out), y[..., None], -1).mean()


def hand_written_worker(work: Workload) -> Worker:
    """``jax.jit`` of a function of dicts, all state donated."""
    tx = transform(work)
    values = {name: jnp.asarray(value) for name, value in weights(work).items() if "num_batches" not in name}
    buffers = {name: values.pop(name) for name in list(values) if "running_" in name}
    x, y = map(jnp.asarray, work.draw())

    def step(params: Arrays, buffers: Arrays, opt_state: Any, x: Any, y: Any) -> Any:
        def loss_fn(params: Arrays) -> Any:
            new: Arrays = {}
            return jax_loss(work.apply(params | buffers, new, x), y, work), new

        (loss, buffers), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return jax.tree.map(jnp.add, params, updates), buffers, opt_state, loss

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    state = [values, buffers, tx.init(values)]

    def run() -> Any:
        *state[:], loss = compiled(*state, x, y)
        return loss.block_until_ready()

    return run


def nnx_worker(work: Workload) -> Worker:
    """Images are NHWC in Flax, so the flattened ones are transposed for the sake of equal weights."""
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            p, found = weights(work), {}
            for i, (kind, *sizes) in enumerate(work.layers):
                if kind == "conv":
                    layer = nnx.Conv(sizes[0], sizes[1], (sizes[2],) * 2, padding="VALID", rngs=rngs)
                    layer.kernel[...] = jnp.asarray(p[f"{i}.weight"].transpose(2, 3, 1, 0))
                elif kind in ("linear", "residual"):
                    layer = nnx.Linear(sizes[0], sizes[-1], rngs=rngs)
                    layer.kernel[...] = jnp.asarray(p[f"{key(work.layers, i)}.weight"].T)
                else:
                    continue
                layer.bias[...] = jnp.asarray(p[f"{key(work.layers, i)}.bias"])
                found[str(i)] = layer
            self.found = nnx.Dict(found)

        def __call__(self, x: Any) -> Any:
            if x.ndim == 4:
                x = x.transpose(0, 2, 3, 1)
            for i, (kind, *_) in enumerate(work.layers):
                if kind in ("linear", "conv"):
                    x = self.found[str(i)](x)
                elif kind == "residual":
                    x = x + jnp.tanh(self.found[str(i)](x))
                elif kind == "relu":
                    x = nnx.relu(x)
                elif kind == "pool":
                    x = nnx.max_pool(x, (2, 2), (2, 2))
                else:
                    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
            return x

    model = Net(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, transform(work), wrt=nnx.Param)
    x, y = map(jnp.asarray, work.draw())

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        loss, grads = nnx.value_and_grad(lambda m: jax_loss(m(x), y, work))(model)
        optimizer.update(model, grads)
        return loss

    return lambda: step(model, optimizer, x, y).block_until_ready()


def equinox_worker(work: Workload) -> Worker:
    import equinox as eqx

    p, model = weights(work), {}
    for i, (kind, *sizes) in enumerate(work.layers):
        if kind in ("linear", "residual", "conv"):
            maker = eqx.nn.Conv2d if kind == "conv" else eqx.nn.Linear
            layer = maker(sizes[0], *(sizes[1:] or sizes), key=jax.random.key(0))
            new = [jnp.asarray(p[f"{key(work.layers, i)}.{n}"]) for n in ("weight", "bias")]
            new[1] = new[1].reshape(layer.bias.shape)
            model[str(i)] = eqx.tree_at(lambda m: [m.weight, m.bias], layer, new)
    tx = transform(work)
    x, y = map(jnp.asarray, work.draw())

    def apply(model: Any, x: Any) -> Any:
        def layer(i: int, x: Any) -> Any:
            return jax.vmap(model[str(i)])(x)

        return run_chain(work.layers, layer, layer, x)

    @eqx.filter_jit(donate="all-except-first")
    def step(batch: Any, model: Any, opt_state: Any) -> Any:
        x, y = batch
        loss, grads = eqx.filter_value_and_grad(lambda m: jax_loss(apply(m, x), y, work))(model)
        updates, opt_state = tx.update(grads, opt_state, model)
        return eqx.apply_updates(model, updates), opt_state, loss

    state = [model, tx.init(eqx.filter(model, eqx.is_array))]

    def run() -> Any:
        *state[:], loss = step((x, y), *state)
        return loss.block_until_ready()

    return run


def haiku_worker(work: Workload) -> Worker:
    import haiku as hk

    def apply(x: Any) -> Any:
        def linear(i: int, x: Any) -> Any:
            return hk.Linear(work.layers[i][-1], name=f"layer{i}")(x)

        def convolve(i: int, x: Any) -> Any:
            _, _, o, k = work.layers[i]
            return hk.Conv2D(o, k, padding="VALID", data_format="NCHW", name=f"layer{i}")(x)

        return run_chain(work.layers, linear, convolve, x)

    net, p, params = hk.without_apply_rng(hk.transform(apply)), weights(work), {}
    for i, (kind, *_) in enumerate(work.layers):
        if kind in ("linear", "residual", "conv"):
            w, b = (jnp.asarray(p[f"{key(work.layers, i)}.{n}"]) for n in ("weight", "bias"))
            conv_layer = kind == "conv"
            params[f"layer{i}"] = {
                "w": w.transpose(2, 3, 1, 0) if conv_layer else w.T,
                "b": b[:, None, None] if conv_layer else b,
            }
    tx = transform(work)
    x, y = map(jnp.asarray, work.draw())

    def step(params: Any, opt_state: Any, x: Any, y: Any) -> Any:
        loss, grads = jax.value_and_grad(lambda p: jax_loss(net.apply(p, x), y, work))(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return jax.tree.map(jnp.add, params, updates), opt_state, loss

    compiled = jax.jit(step, donate_argnums=(0, 1))
    state = [params, tx.init(params)]

    def run() -> Any:
        *state[:], loss = compiled(*state, x, y)
        return loss.block_until_ready()

    return run


PEERS = {
    "fnn": fnn_worker,
    "hand-written": hand_written_worker,
    "torch": torch_worker,
    "torch.compile": torch_compile_worker,
    "flax nnx": nnx_worker,
    "equinox": equinox_worker,
    "haiku": haiku_worker,
}
CHAINS_ONLY = ("flax nnx", "equinox", "haiku")


def workers_of(work: Workload, names: list[str]) -> dict[str, Worker]:
    """The workers that run here, after three steps in which all must report the same losses."""
    workers: dict[str, Worker] = {}
    losses: dict[str, list[float]] = {}
    for name in names:
        if name in CHAINS_ONLY and not work.layers:
            continue
        try:
            worker = PEERS[name](work)
            losses[name] = [float(worker()) for _ in range(3)]
        except ImportError as error:
            print(f"  {name}: left out, {error}")
            continue
        except Exception as error:
            if name != "torch.compile":
                raise
            print(f"  {name}: left out, {type(error).__name__}")
            continue
        workers[name] = worker
    reference = losses[names[0]]
    for name, values in losses.items():
        # The first loss tests the network; rounding errors grow in the steps after it, which test the optimizer.
        if np.allclose(values, reference, rtol=[1e-4, 5e-3, 5e-3], atol=0):
            continue
        message = f"the losses are {values}, those of {names[0]} {reference}"
        if name != "torch.compile":
            raise SystemExit(f"{name}: {message}")
        # Adam makes steps of equal length of gradients that are nothing but rounding errors.
        print(f"  {name}: left out, {message}")
        del workers[name]
    return workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS), help="fnn is always there")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    print(machine())
    names = ["fnn", *(name for name in options.peers if name != "fnn")]
    for name in options.only:
        work = WORKLOADS[name]
        times = interleave(workers_of(work, names), options.rounds, options.repeats)
        print(table(f"{name}, {work.optimizer}", times, "fnn"), flush=True)


if __name__ == "__main__":
    main()
