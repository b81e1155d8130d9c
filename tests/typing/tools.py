"""A script that looks into its model: types of fnn.tools and fnn.debug."""

import jax
import jax.numpy as jnp

import fnn
from fnn import nn


class Net(nn.Module):
    """A network whose call is typed."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: jax.Array) -> jax.Array:
        """The computation."""
        return self.fc(x)


model = Net()
x = jnp.ones((4, 3), jnp.float32)

table: fnn.tools.Summary = fnn.summary(model, x, depth=None, training=False)
shapes: list[str] = [row.name for row in table if row.called and row.flops > 0]

extract = fnn.tools.features(model, ["fc"])
output, found = extract(x)
total: jax.Array = output + found["fc"]

out, buffers = fnn.functional_call(model, *fnn.state(model), x, training=True)
mean: jax.Array = out.mean()


@fnn.jit
def step(x: jax.Array) -> jax.Array:
    """One call."""
    return model(x)


with fnn.tools.explain_compiles(step, show=None) as compiles:
    step(x)
causes: list[str] = [cause for compile in compiles for cause in compile.causes]


@fnn.debug.nan_check(inf=False)
def double(x: jax.Array) -> jax.Array:
    """Twice."""
    return x * 2


with fnn.debug.nan_check():
    doubled: jax.Array = double(x)

sizes: dict[str, int] = {one.name: one.size for one in fnn.tools.histograms(model)}
times = fnn.tools.profile(step, x, runs=1)
seconds: dict[str, float] = {row.module: row.seconds for row in times}
