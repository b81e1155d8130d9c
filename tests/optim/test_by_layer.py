"""Optimizers on the stacked parameters of an nn.Repeated do what they do to the layers one by one."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.optim import _muon
from tests.optim.optimizer_cases import CASES
from tests.oracle import assert_close, rand

X = jnp.asarray(rand(0, 5, 4))
MATRICES = {"Muon"}


def twins(bias=True, n=3):
    fnn.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 4, bias), *[nn.Linear(4, 4, bias) for _ in range(n)]).double()
    looped = nn.Sequential(copy.deepcopy(plain[0]), nn.Repeated.of(list(plain)[1:]))
    return plain, looped


def numbers(model):
    """The arrays in the order of the plain model."""
    return [np.asarray(value) for value in model.state_dict().values()]


def loss(model):
    return (jnp.tanh(model(X)) ** 2).sum()


def steps(model, optimizer, jit, count=3):
    def step():
        return optimizer.step(lambda: loss(model))

    step = fnn.jit(step) if jit else step
    return [step() for _ in range(count)]


ROWS = [name for name, case in CASES.items() if case.parameters == "rows"]


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", [name for name in CASES if name not in ROWS])
def test_equals_the_layers_apart(name, jit, monkeypatch):
    monkeypatch.setattr(_muon, "ITERATION_DTYPE", jnp.float64)
    options = CASES[name].options[0] if name != "LBFGS" else {"lr": 0.1, "max_iter": 4}
    results = []
    for model in twins(bias=name not in MATRICES):
        optimizer = getattr(optim, name)(model.parameters(), **options)
        results.append([*steps(model, optimizer, jit), *numbers(model)])
    assert len(results[0]) == len(results[1])
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert_close(ours, theirs, 1e-10, 1e-11)


@pytest.mark.parametrize("name", ["Muon", "Adafactor", "Adam"])
def test_state_is_stacked_saved_and_copied(name):
    make = lambda model: getattr(optim, name)(model.parameters(), lr=0.01)  # noqa: E731
    _, model = twins(bias=name != "Muon")
    optimizer = make(model)
    steps(model, optimizer, True, 2)
    field = next(k for k in optimizer.state[model[1].layer.weight] if k != "step")
    assert optimizer.state[model[1].layer.weight][field].shape[0] == 3
    other = copy.deepcopy(model)
    again = make(other)
    again.load_state_dict(optimizer.state_dict())
    both, copied = copy.deepcopy((model, optimizer)), [model, optimizer]
    for m, o in ((other, again), both, copied):
        steps(m, o, True, 1)
    for m in (other, both[0]):
        for ours, theirs in zip(numbers(m), numbers(model), strict=True):
            assert_close(ours, theirs, 1e-12)


class Sized(optim.Optimizer):
    @staticmethod
    def _rule(lr):
        def init(params):
            return optim.sgd(lr).init(params)

        def update(grads, state, params=None):
            _, state = optim.sgd(lr).update(grads, state, params)
            return jax.tree.map(lambda g: -lr * g / jnp.linalg.norm(g), grads), state

        return optim.Transform(init, update)

    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr})


def test_a_rule_of_a_users():
    results = []
    for model in twins():
        results.append([*steps(model, Sized(model.parameters()), True), *numbers(model)])
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert_close(ours, theirs, 1e-10, 1e-11)


def test_muon_refuses_what_is_no_matrix_in_one_layer():
    layers = nn.Repeated(lambda: nn.Linear(4, 4), 3)
    with pytest.raises(ValueError, match=r"must be matrices, got shape \(4,\) at index 1"):
        optim.Muon(layers.parameters())
    convolutions = nn.Repeated(lambda: nn.Conv1d(2, 2, 1, bias=False), 3)
    with pytest.raises(ValueError, match=r"must be matrices, got shape \(2, 2, 1\)"):
        optim.Muon(convolutions.parameters())


def test_stacks_within_stacks(monkeypatch):
    monkeypatch.setattr(_muon, "ITERATION_DTYPE", jnp.float64)
    fnn.manual_seed(0)
    layers = [[nn.Linear(4, 4, bias=False).double() for _ in range(2)] for _ in range(3)]
    plain = nn.Sequential(*[nn.Sequential(*group) for group in layers])
    looped = nn.Repeated.of([nn.Repeated.of(group) for group in layers])
    results = []
    for model in (plain, looped):
        optimizer = optim.Muon(model.parameters(), lr=0.1)
        results.append([*steps(model, optimizer, True), *numbers(model)])
    for ours, theirs in zip(results[1], results[0], strict=True):
        assert_close(ours, theirs, 1e-10, 1e-11)


def test_one_program_for_any_number_of_layers():
    """The rule of Muon is mapped over the layers, not written out for each."""
    sizes = []
    for n in (2, 8):
        model = nn.Repeated(lambda: nn.Linear(4, 4, bias=False).double(), n)
        optimizer = optim.Muon(model.parameters())
        parameter = model.layer.weight
        transform = optimizer._by_layer(optimizer._transform(optimizer.param_groups[0]), [parameter])
        values = [parameter.data]
        sizes.append(len(jax.make_jaxpr(transform.update)(values, transform.init(values), values).eqns))
    assert sizes[0] == sizes[1]


def test_parts_of_a_stack_are_refused():
    layers = nn.Repeated(lambda: nn.Linear(4, 4), 3)
    with pytest.raises(
        ValueError, match=r"SGD: Parameter 'Linear.weight' of shape \(4, 4\) is one layer's part of a stack"
    ):
        optim.SGD(layers[0].parameters(), lr=0.1)
    with pytest.raises(ValueError, match="one layer's part of a stack"):
        optim.SGD([{"params": [("w", layers[1].weight)]}], lr=0.1)
    optimizer = optim.SGD(layers.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="one layer's part of a stack"):
        optimizer.add_param_group({"params": [layers[1].weight]})


def test_averages_of_models():
    plain, looped = twins()
    averages = []
    for model in (plain, looped):
        averaged = optim.swa_utils.AveragedModel(model, multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(0.9))
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.step(lambda model=model: loss(model))
            averaged.update_parameters(model)
        averages.append([averaged(X), *averaged.module.state_dict().values()])
        assert list(averaged.state_dict())[1:] == [f"module.{key}" for key in model.state_dict()]
    for ours, theirs in zip(*reversed(averages), strict=True):
        assert_close(ours, theirs, 1e-11)


def test_statistics_of_a_stack_after_averaging():
    def block():
        return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).double()

    fnn.manual_seed(0)
    layers = [block() for _ in range(3)]
    models = nn.Sequential(*layers), nn.Repeated.of(layers)
    for model in models:
        model(X)
        optim.swa_utils.update_bn([X, 2 * X], model)
    for name, value in models[0].state_dict().items():
        assert_close(models[1].state_dict()[name], value, what=name)
