"""``explain_compiles``: each cause is made on purpose, and named; how many there are is what ``fnn.jit`` itself counts."""

import functools

import jax
import jax.numpy as jnp
import pytest

import fnn
from fnn import nn, optim
from fnn.tools import explain_compiles
from tests.devices import on_two_devices

SCALE = 2.0


def scaled(y):
    return y * SCALE


def ones(*shape):
    return jnp.ones(shape, jnp.float32)


@pytest.fixture
def setup():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @functools.partial(fnn.jit, static_argnames="flag")
    def step(x, y=None, flag=False):
        if model.training:
            return scaled(model(x)), flag
        return x

    step(ones(3, 2))
    return model, optimizer, step


def cause(step, *args, **kwargs):
    with explain_compiles(step, show=None) as found:
        step(*args, **kwargs)
        step(*args, **kwargs)
    assert len(found) == 1
    assert found[0].number == step._cache_size()
    assert found[0].kept
    return found[0].causes


def test_arguments(setup):
    _, _, step = setup
    assert cause(step, ones(4, 2)) == ["argument x: float32[3, 2] -> float32[4, 2]"]
    assert cause(step, ones(3, 2), ones(1)) == ["new: argument y"]
    assert cause(step, ones(3, 2), {"a": ones(1)}) == ["new: argument y['a']", "gone: argument y"]
    assert cause(step, ones(3, 2), flag=True) == ["static argument flag: not given -> True"]
    assert cause(step, ones(3, 2), flag=1) == ["static argument flag: not given -> 1"]


def test_modes_parts_and_options(setup):
    model, _, step = setup
    model.eval()
    assert cause(step, ones(3, 2)) == ["Sequential.training: True -> False (and of 2 more)"]
    model.train()
    model[0].weight.requires_grad_(False)
    assert cause(step, ones(3, 2)) == ["Sequential.0.weight.requires_grad: True -> False"]
    model[1].momentum = 0.5
    assert cause(step, ones(3, 2)) == ["Sequential.1.momentum: 0.1 -> 0.5"]
    model.append(nn.ReLU())
    assert cause(step, ones(3, 2)) == ["the function found 5 objects with state, not 4: new ReLU"]
    model[0].register_forward_hook(lambda *args: None)
    assert any("has other hooks" in text for text in cause(step, ones(3, 2)))


def test_a_bias_that_goes(setup):
    model, _, step = setup
    model[0].bias = None
    assert "Sequential.0.bias is None now" in cause(step, ones(3, 2))


def test_names(setup, monkeypatch):
    _, _, step = setup
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert cause(step, ones(3, 2)) == ["SCALE: 2.0 -> 3.0"]
    monkeypatch.setitem(globals(), "scaled", lambda y: y)
    assert "scaled" in cause(step, ones(3, 2))[0]


def test_gradients_numbers_and_settings(setup):
    model, optimizer, _ = setup
    step = fnn.jit(lambda x: optimizer.step(lambda: model(x).sum()))
    step(ones(3, 2))
    model[0].weight.grad = ones(2, 2)
    assert cause(step, ones(3, 2)) == ["gradients: 1 are filled that were not (zero_grad(), p.grad)"]
    optimizer.zero_grad()
    optimizer.param_groups[0]["lr"] = jnp.float32(0.1)
    assert cause(step, ones(3, 2)) == ["the number 'lr': a Python float -> an array"]
    optimizer.param_groups[0]["lr"] = 0.2
    with jax.default_matmul_precision("float32"):
        assert cause(step, ones(3, 2)) == ["JAX's settings: None -> 'float32'"]
    with fnn.kernels.plain():
        assert cause(step, ones(3, 2)) == ["fnn.kernels.plain(): on"]
    with explain_compiles(show=None) as found:
        optimizer.param_groups[0]["lr"] = 0.3
        step(ones(3, 2))
    assert len(found) == 0
    assert repr(found) == "nothing was compiled"


def test_a_metric_that_moves_is_named_as_such():
    program = """
import jax, jax.numpy as jnp, fnn
mean = fnn.metrics.Mean()
mesh = fnn.parallel.make_mesh(data=-1)
step = fnn.jit(lambda x: mean.update(x.mean()))
x = jnp.ones(4, jnp.float32)
step(x)
mean.to(jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))
with fnn.tools.explain_compiles(step, show=None) as found:
    step(x)
print(*[cause.partition(" -> NamedSharding")[0] for compile in found for cause in compile.causes], sep="; ")
"""
    assert on_two_devices(program).split("; ") == [
        f"array 'Mean.{name}' of shape (2,) lies elsewhere: one device" for name in ("sum", "weight")
    ]


def test_all_functions_methods_and_what_is_shown(capsys):
    class Trainer:
        def __init__(self):
            self.model = nn.Linear(2, 2)

        @fnn.jit
        def run(self, x):
            return self.model(x)

    trainer = Trainer()
    other = fnn.jit(lambda x: x)
    with explain_compiles(trainer.run) as mine, explain_compiles(show=None) as every:
        trainer.run(ones(1, 2))
        other(ones(1))
    assert [c.causes for c in mine] == [["the first call"]]
    assert len(every) == 2
    assert "run: program 1" in capsys.readouterr().out
    assert "the first call" in repr(mine)
    assert "<table>" in mine._repr_html_()


def test_a_program_for_one_call_alone_is_marked():
    model = nn.Linear(2, 2)

    @fnn.jit
    def step(x):
        model.count = getattr(model, "count", 0) + 1
        return model(x)

    with explain_compiles(step, show=None) as found:
        step(ones(1, 2))
    assert not found[0].kept
    assert "for this call alone" in repr(found[0])


def test_only_functions_of_fnn_jit():
    with pytest.raises(TypeError, match=r"explain_compiles: step must be a function made by fnn.jit, or None"):
        explain_compiles(jax.jit(lambda x: x))
