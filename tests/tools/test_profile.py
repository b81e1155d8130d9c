"""``profile``: names and numbers of operations are those that XLA's own text of the program has; times are a clock's."""

import jax
import jax.numpy as jnp
import pytest

import fnn
from fnn import nn, optim
from fnn.tools import profile


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.big, self.small = nn.Linear(256, 256), nn.Linear(256, 1)

    def forward(self, x):
        return self.small(nn.functional.relu(self.big(x)))


X = jnp.ones((256, 256), jnp.float32)


def test_a_step_by_module(tmp_path):
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    @fnn.jit
    def step(x):
        return optimizer.step(lambda: model(x).sum())

    step(X)
    weight = jnp.array(model.big.weight.data)
    found = profile(step, X, folder=tmp_path, runs=2)
    rows = {row.module: row for row in found}
    assert {"Net.big", "Net.small", ""} <= rows.keys()
    assert rows["Net.big"].backward > 0
    assert rows["Net.big"].seconds > rows["Net.small"].seconds
    assert rows["Net.big"].bytes >= 2 * X.nbytes
    assert rows["Net.big"].operations > 0
    assert found.rows == sorted(found.rows, key=lambda row: -row.seconds)
    assert 0 < found.seconds
    assert found.peak_bytes >= X.nbytes + 2 * weight.nbytes
    assert found.trace.startswith(str(tmp_path))
    assert step._cache_size() == 1
    assert not (weight == model.big.weight.data).all()  # the runs are real
    text = repr(found)
    assert "Net.big" in text
    assert "(outside of Modules)" in text
    assert "<table>" in found._repr_html_()


@pytest.mark.slow
def test_a_function_of_jax_jit_and_loops(tmp_path):
    model = nn.LSTM(8, 8)
    params, buffers = fnn.state(model)
    run = jax.jit(lambda p, x: fnn.functional_call(model, p, buffers, x)[0][0])
    found = profile(run, params, jnp.ones((50, 4, 8), jnp.float32), folder=tmp_path, runs=1)
    assert {row.module: row.seconds for row in found}["LSTM"] > 0
    assert sum(row.seconds for row in found) < 10 * found.seconds


def test_what_is_not_compiled_or_not_run_is_refused():
    with pytest.raises(TypeError, match=r"profile: step must be a function made by fnn.jit or jax.jit"):
        profile(lambda x: x, X)
    with pytest.raises(ValueError, match="profile: runs must be at least 1, got 0"):
        profile(fnn.jit(Net()), X, runs=0)
