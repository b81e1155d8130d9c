"""The compiler option that bounds blocks of memory: which programs get it, that XLA keeps to it, that it changes no result."""

import subprocess
import sys
from math import prod

import jax
import jax.numpy as jnp
import pytest

import fnn
from fnn.kernels.compiler_options import Bounds, memory_options, options_for, sizes_of
from fnn.kernels.eigen import known
from fnn.kernels.operation import Operation
from fnn.nn import functional as F
from tests.oracle import assert_close, rand

BLOCK = "xla_multiheap_size_constraint_per_heap"
MIB = 1 << 20
FLOATS = MIB // 4


def jaxpr_of(function, *shapes):
    return jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes)).jaxpr


def sizes(function, *shapes):
    """In KiB."""
    return tuple(size / 1024 for size in sizes_of(jaxpr_of(function, *shapes)))


def many(x, n):
    """As many arrays at a time, and one."""
    parts = [x * i for i in range(n)]
    return sum(parts[1:], parts[0])


def test_this_xla_knows_the_option():
    """Says when XLA drops it; fnn then does without."""
    assert Bounds().option == BLOCK
    assert known({BLOCK: 20 << 20}) is not None


def test_an_unknown_option_is_done_without():
    bounds = Bounds(option="xla_no_such_option")
    assert memory_options(jaxpr_of(lambda x: many(x, 8), (5 * FLOATS,)), bounds=bounds) is None


@pytest.mark.parametrize(
    ("mib", "arrays", "block"),
    [(5, 2, None), (5, 8, 20), (16, 4, 24), (21, 4, None), (5, 60, None)],
    ids=["little", "usual", "larger arrays", "too large", "too much"],
)
def test_which_programs_get_it(mib, arrays, block):
    expected = None if block is None else {BLOCK: block * MIB}
    jaxpr = jaxpr_of(lambda x: many(x, arrays), (mib * FLOATS,))
    assert memory_options(jaxpr) == expected
    assert options_for(jaxpr) == expected
    assert options_for(jaxpr, {}) == {}
    assert options_for(jaxpr, {"xla_cpu_enable_fast_math": False}) == {"xla_cpu_enable_fast_math": False}


def test_what_there_is_at_one_time():
    kib = (256,)
    assert sizes(lambda x: x + 1, kib) == (1, 1)
    assert sizes(lambda x: jnp.tanh(jnp.sin(x + 1)), kib) == (1, 2)
    assert sizes(lambda x: many(x, 4), kib) == (1, 5)
    assert sizes(lambda x: (x + 1, x + 2, (x + 3)[:0]), kib) == (1, 3)
    assert sizes(lambda x: jax.jit(lambda y: many(y, 4))(x + 1), kib) == (1, 6)
    assert sizes(lambda x: jax.lax.scan(lambda c, _: (c, many(c, 4)), x, None, 8)[1], kib) == (8, 8)
    assert sizes(lambda x: jax.lax.cond(x[0] > 0, lambda y: many(y, 3), lambda y: y, x), kib)[1] >= 4
    assert sizes(jnp.outer, kib, kib)[0] == 256


def test_what_has_no_size_or_none_that_is_known():
    assert sizes_of(jax.make_jaxpr(lambda: jax.random.key(0))().jaxpr)[0] <= 64
    (n,) = jax.export.symbolic_shape("n")
    jaxpr = jax.make_jaxpr(lambda x: x + 1)(jax.ShapeDtypeStruct((n, 3), jnp.float32)).jaxpr
    assert sizes_of(jaxpr) == (0, 0)


def test_arrays_of_fast_forms_count():
    def long_way(x):
        return jnp.outer(x, x).sum(1)

    op = Operation(lambda x: x * x.sum(), lambda x: ((long_way(x),), ()), lambda wanted, args, *_: (long_way(args[0]),))
    for function in (op, jax.grad(lambda x: op(x).sum()), lambda x: jax.vmap(op)(x[None]), jax.jit(op)):
        assert sizes(function, (256,))[0] == 256
    assert sizes(op.plain, (256,))[0] == 1


def test_tangents_of_fast_forms_count():
    """Forward mode is by the plain form, of attention with the scores of all heads."""
    q = (1, 2, 64, 4)
    scores = 2 * 64 * 64 * 4 / 1024
    attend = F.scaled_dot_product_attention
    assert sizes(lambda q, t: jax.jvp(lambda q: attend(q, q, q), (q,), (t,)), q, q)[0] >= scores


PROGRAM = """
import sys
import jax, jax.numpy as jnp
import fnn
from fnn import nn
from fnn.kernels.compiler_options import Bounds, options_for
from fnn.kernels.eigen import eigen_forms

fnn.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(3, 64, 7, stride=2), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2),
    nn.Conv2d(64, 64, 3, groups=4), nn.ReLU(), nn.Conv2d(64, 96, 3), nn.Flatten(), nn.Linear(96 * 9, 50), nn.LayerNorm(50),
)
params, buffers = fnn.state(model)

def loss(params, buffers, x):
    out, buffers = fnn.functional_call(model, params, buffers, x)
    return (out ** 2).mean(), buffers

def step(params, means, squares, buffers, x):
    (value, buffers), grads = jax.value_and_grad(loss, has_aux=True)(params, buffers, x)
    means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, grads)
    squares = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, squares, grads)
    change = jax.tree.map(lambda m, s: 0.001 * m / (jnp.sqrt(s) + 1e-8), means, squares)
    return value, jax.tree.map(jnp.subtract, params, change), means, squares, buffers

x = jnp.sin(jnp.arange(16 * 3 * 37 * 37, dtype=jnp.float32)).reshape(16, 3, 37, 37)
state = params, *(jax.tree.map(jnp.zeros_like, params) for _ in range(2)), buffers
with eigen_forms():
    traced = jax.jit(step, donate_argnums=(0, 1, 2, 3)).trace(*state, x)
options = options_for(traced.jaxpr.jaxpr, bounds=Bounds(usual=int(sys.argv[1])))
run, losses = traced.lower().compile(options), []
for _ in range(3):
    value, *state = run(*state, x)
    losses.append(float(value))
print(losses, [options])
"""


def run_in_blocks_of(block):
    """The losses, the options, and what XLA says."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(block)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    losses, options = done.stdout.strip().split("] [")
    return losses, options, done.stderr


@pytest.mark.slow
def test_no_array_is_larger_than_a_block():
    """XLA would warn of it, line by line; the block here is as large as the largest array demands, not as the usual one."""
    losses, options, said = run_in_blocks_of(1 << 10)
    assert BLOCK in options
    assert "larger than the per-heap size limit" not in said
    without, options, _ = run_in_blocks_of(1 << 40)
    assert BLOCK not in options
    assert losses == without


def test_xla_warns_of_larger_ones(capfd):
    """What the test above looks for."""
    x = jnp.asarray(rand(0, 100, 100), jnp.float32)
    jax.jit(lambda x: jnp.sort(x @ x).T @ x, compiler_options={BLOCK: 1 << 10}).lower(x).compile()
    assert "larger than the per-heap size limit" in capfd.readouterr().err


def test_results_are_as_without():
    x = jnp.asarray(rand(0, 64, 64), jnp.float32)

    def run(x):
        return jnp.linalg.norm(jnp.sort(x @ x, 0) @ jnp.tanh(x), axis=0)

    options = options_for(jax.make_jaxpr(run)(x).jaxpr, bounds=Bounds(usual=prod(x.shape) * 4))
    assert BLOCK in options
    assert_close(fnn.jit(run, compiler_options=options)(x), fnn.jit(run, compiler_options={})(x), 0, 0)
