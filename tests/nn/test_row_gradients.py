"""Embedding layers with ``sparse=True``: gradients of the looked-up rows alone, through backward, clipping and optimizers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.tensor.row_sparse import RowSparse
from fnn.transforms.backward import value_and_grad
from tests.oracle import assert_close, needs_torch, rand, to_torch

INDICES = np.array([[1, 4, 1], [0, 3, 4]])
FLAT, OFFSETS = np.array([1, 4, 1, 0, 3, 4, 2]), np.array([0, 2, 2, 5])


def embedding(**options):
    return nn.Embedding(6, 3, _weight=rand(0, 6, 3), sparse=True, **options)


def bag(**options):
    return nn.EmbeddingBag(6, 3, _weight=rand(0, 6, 3), sparse=True, **options)


def torch_gradient(layer, args, loss):
    import torch

    torch.sparse.check_sparse_tensor_invariants.enable()
    cls = getattr(torch.nn, type(layer).__name__)
    options = {"padding_idx": layer.padding_idx, "max_norm": layer.max_norm}
    if isinstance(layer, nn.EmbeddingBag):
        options["mode"] = layer.mode
    theirs = cls(6, 3, _weight=torch.from_numpy(rand(0, 6, 3)), sparse=True, **options)
    loss(theirs(*to_torch(args))).backward()
    return theirs.weight.grad.to_dense().numpy(), theirs.weight.detach().numpy()


CASES = {
    "embedding": (embedding, {}, [INDICES]),
    "embedding, scalar": (embedding, {}, [np.array(2)]),
    "embedding, padding": (embedding, {"padding_idx": 4}, [INDICES]),
    "embedding, max_norm": (embedding, {"max_norm": 0.5}, [INDICES]),
    "bag, sum": (bag, {"mode": "sum"}, [FLAT, OFFSETS]),
    "bag, mean, padding": (bag, {"mode": "mean", "padding_idx": 1}, [FLAT, OFFSETS]),
    "bag, rows": (bag, {"mode": "sum"}, [INDICES]),
    "bag, weights": (bag, {"mode": "sum"}, [INDICES, None, rand(5, 2, 3)]),
}


@needs_torch
@pytest.mark.parametrize("name", CASES)
def test_gradient_against_torch(name):
    make, options, args = CASES[name]
    layer = make(**options)
    fnn.backward(lambda: (layer(*args) ** 3).sum(), layer)
    theirs, table = torch_gradient(layer, args, lambda out: (out**3).sum())
    grad = layer.weight.grad
    assert isinstance(grad, RowSparse)
    assert grad.shape == (6, 3)
    assert_close(grad.to_dense(), theirs)
    assert_close(layer.weight.data, table)


def test_a_table_also_read_densely_gets_a_dense_gradient():
    layer = embedding()
    fnn.backward(lambda: (layer(INDICES) @ layer.weight.data.T).sum(), layer)
    dense = jax.grad(lambda w: (w[INDICES] @ w.T).sum())(layer.weight.data)
    assert isinstance(layer.weight.grad, jax.Array)
    assert_close(layer.weight.grad, dense)


def test_lookups_inside_an_inner_transformation_give_dense_gradients():
    layer = embedding()
    fnn.backward(lambda: jax.vmap(layer)(INDICES).sum(), layer)
    assert isinstance(layer.weight.grad, jax.Array)
    assert_close(layer.weight.grad[:, 0], [1.0, 2.0, 0.0, 1.0, 2.0, 0.0])


def test_several_lookups_other_parameters_buffers_and_accumulation():
    layer, norm = embedding(), nn.BatchNorm1d(3, dtype=jnp.float64)
    calls = []

    def closure():
        calls.append(1)
        return (norm(layer(INDICES[0])) * norm(layer(INDICES[1]))).sum()

    fnn.backward(closure, layer, norm)
    fnn.backward(closure, layer, norm)
    assert int(norm.num_batches_tracked.data) == 4
    twin = nn.Embedding(6, 3, _weight=rand(0, 6, 3))
    other = nn.BatchNorm1d(3, dtype=jnp.float64)
    for _ in range(2):
        fnn.backward(lambda: (other(twin(INDICES[0])) * other(twin(INDICES[1]))).sum(), twin, other)
    assert isinstance(layer.weight.grad, RowSparse)
    assert_close(layer.weight.grad.to_dense(), twin.weight.grad)
    assert_close(norm.weight.grad, other.weight.grad)
    assert_close(norm.running_mean.data, other.running_mean.data)


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "SparseAdam": lambda p: optim.SparseAdam(p, lr=0.1),
}


@needs_torch
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("compiled", [False, True])
def test_optimizers_take_row_gradients(name, compiled):
    import torch

    torch.sparse.check_sparse_tensor_invariants.enable()
    layer = embedding()
    optimizer = OPTIMIZERS[name](layer.parameters())
    theirs = torch.nn.Embedding(6, 3, _weight=torch.from_numpy(rand(0, 6, 3)), sparse=True)
    options = {k: v for k, v in optimizer.defaults.items() if k in ("lr", "momentum")}
    torch_optimizer = getattr(torch.optim, name)(theirs.parameters(), **options)

    def step(indices):
        return optimizer.step(lambda: (layer(indices) ** 2).sum())

    run = fnn.jit(step) if compiled else step
    for seed in range(4):
        indices = np.random.default_rng(seed).integers(0, 6, (2, 2))
        loss = run(indices)
        torch_optimizer.zero_grad()
        torch_loss = (theirs(torch.from_numpy(indices)) ** 2).sum()
        torch_loss.backward()
        torch_optimizer.step()
        assert_close(loss, torch_loss.item())
        assert_close(layer.weight.data, theirs.weight.detach().numpy())


def test_four_step_form_with_clipping_under_fnn_jit():
    layer, twin = embedding(), nn.Embedding(6, 3, _weight=rand(0, 6, 3))
    norms = []
    for table in (layer, twin):
        optimizer = optim.SGD(table.parameters(), lr=0.1)

        @fnn.jit
        def step(indices, table=table, optimizer=optimizer):
            fnn.backward(lambda: (table(indices) ** 2).sum(), table)
            norm = nn.utils.clip_grad_norm_(table.parameters(), 0.5)
            nn.utils.clip_grad_value_(table.parameters(), 0.1)
            optimizer.step()
            optimizer.zero_grad()
            return norm

        norms.append([step(INDICES), step(INDICES[:1])])
    assert_close(norms[0], norms[1])
    assert_close(layer.weight.data, twin.weight.data)
    assert layer.weight.grad is None


def test_the_compiled_step_makes_nothing_of_the_size_of_the_table():
    layer = nn.Embedding(1003, 4, sparse=True)

    def gradient(indices):
        return value_and_grad("test", lambda: layer(indices).sum(), [layer.weight], False)[2]

    text = str(jax.make_jaxpr(gradient)(jnp.arange(5)))
    made = [line.split(" = ")[0] for line in text.splitlines() if " = " in line]
    assert made
    assert not any("1003" in line for line in made)


def test_errors():
    layer = nn.Embedding(6, 3, sparse=True, scale_grad_by_freq=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq must be False"):
        fnn.backward(lambda: layer(INDICES).sum(), layer)
    assert layer.weight.grad is None
    layer = embedding()
    with pytest.raises(IndexError):
        fnn.backward(lambda: layer(np.array([6])).sum(), layer)
    with pytest.raises(ValueError, match="must have its shape"):
        layer.weight.grad = RowSparse(jnp.array([0]), jnp.ones((1, 3)), (5, 3))
    fnn.backward(lambda: layer(INDICES).sum(), layer)
    with pytest.raises(RuntimeError, match=r"(?i)sparse"):
        optim.AdamW(layer.parameters()).step()


def test_a_computed_weight():
    class Half(nn.Module):
        def forward(self, weight):
            return weight / 2

    layer = embedding()
    nn.utils.parametrize.register_parametrization(layer, "weight", Half())
    fnn.backward(lambda: layer(INDICES).sum(), layer)
    (grad,) = [p.grad for p in layer.parameters()]
    assert_close(grad[:, 0], [0.5, 1.0, 0.0, 0.5, 1.0, 0.0])
    layer.max_norm = 1.0
    with pytest.raises(RuntimeError, match="must be a Parameter"):
        layer(INDICES)
