"""Functions that loop, inside ``jax.shard_map`` over 8 devices: what each device computes is what one alone does."""

from __future__ import annotations

from tests.devices import on_devices

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
from fnn import functional as F

mesh = Mesh(np.array(jax.devices()), ("d",))
assert mesh.size == 8
draw = np.random.default_rng(0).standard_normal

def check(name, function, args, specs, out):
    ours = jax.jit(jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=out))(*args)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-9, 1e-12, err_msg=name), ours, function(*args))

def with_gradients(name, function, shards, rest, axis=0, out=None):
    '''The function and its gradients, in arrays with a share on each device and in those that all devices have.'''
    spec = P(*[None] * axis, "d")
    args, specs = (*shards, *rest), (*[spec] * len(shards), *[P()] * len(rest))
    check(name, function, args, specs, out or spec)
    total = lambda *args: jnp.sum(jnp.sin(function(*args)))
    check(name, jax.grad(total), args, specs, spec)
    if rest:
        number = tuple(range(len(shards), len(args)))
        whole = jax.grad(total, number)(*args)
        summed = jax.grad(lambda *args: jax.lax.psum(total(*args), "d"), number)
        ours = jax.jit(jax.shard_map(summed, mesh=mesh, in_specs=specs, out_specs=P()))(*args)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-9, 1e-12, err_msg=name), ours, whole)

def arrays(*shapes):
    return [jnp.asarray(0.5 * draw(shape)) for shape in shapes]

# Lengths and targets that no device has a share of, and start states that are zeros on all.
probs = jax.nn.log_softmax(jnp.asarray(draw((5, 8, 4))), -1)
ones = lambda p: jnp.ones(p.shape[1], int)
with_gradients("ctc", lambda p: F.ctc_loss(p, jnp.full((p.shape[1], 2), 1).at[:, 1].set(2), 5 * ones(p), 2 * ones(p),
    reduction="none"), [probs], [], axis=1, out=P("d"))
labels = jnp.asarray(np.random.default_rng(1).integers(1, 4, (8, 2)))
lengths = jnp.asarray([5, 4, 5, 3, 5, 5, 4, 5])
check("ctc of shards", lambda p, t, i: F.ctc_loss(p, t, i, jnp.full(i.shape, 2), reduction="none"),
    (probs, labels, lengths), (P(None, "d"), P("d"), P("d")), P("d"))

def recurrence(kind, gates, layers=1, both=False, proj=0, lengths=False):
    directions, width = 1 + both, proj or 3
    weights = []
    for layer in range(layers):
        inputs = 2 if layer == 0 else width * directions
        for _ in range(directions):
            weights += arrays((gates * 3, inputs), (gates * 3, width), (gates * 3,), (gates * 3,))
            weights += arrays((proj, 3)) if proj else []
    options = dict(num_layers=layers, bidirectional=both) | (dict(proj_size=proj) if proj else {})

    def run(x, *weights):
        rows = x.shape[1]
        h, c = (jnp.zeros((layers * directions, rows, w)) for w in (width, 3))
        more = dict(lengths=jnp.full(rows, 3)) if lengths else {}
        return getattr(F, kind)(x, (h, c) if kind == "lstm" else h, list(weights), **options, **more)[0]

    with_gradients(f"{kind} {layers} {both} {proj} {lengths}", run, arrays((4, 8, 2)), weights, axis=1)

recurrence("rnn", 1)
recurrence("gru", 3, both=True)
recurrence("lstm", 4, layers=2)
recurrence("lstm", 4, proj=2, lengths=True)

from fnn.functional.vision import resample
resample._UNROLLED_TAPS = 1
with_gradients("interpolate", lambda x: F.interpolate(x, 3, mode="linear", antialias=False), arrays((8, 2, 7)), [])
with_gradients("interpolate", lambda x: F.interpolate(x, (3, 2), mode="bicubic", antialias=True), arrays((8, 1, 7, 6)), [])
with_gradients("conv", lambda x, w: F.conv2d(x, w, stride=2), arrays((8, 2, 5, 5)), arrays((3, 2, 2, 2)))
with_gradients("attention", lambda q, k, v: F.scaled_dot_product_attention(q, k, v), arrays((8, 1, 3, 2)),
    arrays((1, 1, 4, 2), (1, 1, 4, 2)))
from fnn.functional.loss import margin
classes = jnp.asarray(np.random.default_rng(2).permuted(np.tile(np.arange(4), (8, 1)), axis=1))
chunked = lambda x: margin._multilabel_margin(x, classes[:1].repeat(x.shape[0], 0), 3, "none", (x.shape[0],), 4)
with_gradients("multilabel_margin", chunked, arrays((8, 4)), [])
print("right")
"""


def test_loops() -> None:
    assert on_devices(8, PROGRAM) == "right"
