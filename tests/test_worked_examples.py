"""The worked examples that must hold, by closed formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from fnn import nn, optim
from tests.oracle import assert_close


def f32(*shape):
    return jnp.ones(shape, jnp.float32)


def test_functional_path_is_the_functional_package():
    import fnn.functional

    assert fnn.nn.functional is fnn.functional
    assert F is fnn.functional


def test_linear():
    assert F.linear(jnp.ones((1, 2)), jnp.ones((3, 2)), jnp.ones(3)).tolist() == [[3, 3, 3]]
    assert nn.Linear(2, 3)(f32(5, 4, 6, 2)).shape == (5, 4, 6, 3)


def test_conv2d():
    conv = nn.Conv2d(1, 1, 2, bias=False).double()
    conv.weight.copy_(np.array([[[[-1.0, 1.0], [-1.0, 1.0]]]]))
    image = np.zeros((1, 1, 3, 4))
    image[..., :2] = 1
    assert conv(image).tolist() == [[[[0, -2, 0], [0, -2, 0]]]]


def test_flatten_and_softmax():
    assert nn.Flatten()(f32(2, 5, 4, 3)).shape == (2, 60)
    assert_close(nn.Softmax(dim=1)(np.array([[1.0, 2.0, 3.0]])), np.array([[0.09, 0.2447, 0.6652]]), 1e-3)


def test_dropout():
    drop = nn.Dropout(0.2)
    fnn.manual_seed(0)
    values, counts = np.unique(np.asarray(drop(f32(100, 100))), return_counts=True)
    assert values.tolist() == [0.0, 1.25]
    assert abs(counts[1] / 10_000 - 0.8) < 0.02
    assert_close(drop.eval()(f32(3)), np.ones(3, np.float32))


def test_batch_norm():
    x = 2 * np.random.default_rng(0).normal(size=(100_000, 2)) + 3
    bn = nn.BatchNorm1d(2).double()
    out = np.asarray(bn(x))
    assert_close(out.mean(0), np.zeros(2), atol=1e-8)
    assert_close(out.var(0), np.ones(2), 1e-4)
    assert list(bn.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    cumulative = nn.BatchNorm1d(2, momentum=None).double()
    parts = [x[:100], x[100:200], x[200:300]]
    for part in parts:
        cumulative(part)
    assert_close(cumulative.running_mean, np.mean([p.mean(0) for p in parts], 0), 1e-10)
    assert_close(cumulative.running_var, np.mean([p.var(0, ddof=1) for p in parts], 0), 1e-10)


def test_cross_entropy_by_formula():
    rng = np.random.default_rng(0)
    logits, target, w = rng.normal(size=(10, 5, 4)), rng.integers(0, 5, (10, 4)), rng.uniform(size=5)
    loss = nn.CrossEntropyLoss(weight=w, ignore_index=1)(logits, target)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    picked = np.take_along_axis(log_p, target[:, None], 1)[:, 0]
    keep = target != 1
    assert_close(loss, -(w[target] * picked)[keep].sum() / w[target][keep].sum(), 1e-10)


def test_cross_entropy_of_one_row():
    row = np.array([[0.1, 0.8, 0.1]])
    assert float(F.cross_entropy(row, np.array([1]))) == pytest.approx(0.6897, abs=1e-4)
    assert float(F.cross_entropy(row, np.array([0]))) == pytest.approx(1.3897, abs=1e-4)
    a = F.cross_entropy(row, np.array([1]))
    assert_close(F.nll_loss(F.log_softmax(row, 1), np.array([1])), a, 1e-12)
    assert_close(F.nll_loss(jnp.log(F.softmax(row, 1)), np.array([1])), a, 1e-12)


def test_embedding():
    table = nn.Embedding.from_pretrained(np.array([[1, 2.3, 3], [4, 5.1, 6]]))
    assert table(np.array([1])).tolist() == [[4, 5.1, 6]]
    assert not table.weight.requires_grad
    padded = nn.Embedding(4, 3, padding_idx=2)
    assert_close(padded.weight[2], np.zeros(3, np.float32))
    fnn.backward(lambda: padded(np.array([1, 2])).sum(), padded)
    assert_close(padded.weight.grad, np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0], [0, 0, 0]], np.float32))
    limited = nn.Embedding(4, 3, max_norm=1.0)
    limited.weight.fill_(5.0)
    limited(np.array([1]))
    norms = np.linalg.norm(np.asarray(limited.weight), axis=1)
    assert_close(norms, np.array([75**0.5, 1, 75**0.5, 75**0.5]), 1e-4)


def test_one_hot_and_max_pool():
    assert F.one_hot(jnp.arange(5) % 3, num_classes=5).sum(0).tolist() == [2, 2, 1, 0, 0]
    x = jnp.arange(8.0)[None, None]
    assert F.max_pool1d(x, 2, stride=1).shape[-1] == 7
    assert F.max_pool1d(x, 2).shape[-1] == 4


def test_step_lr():
    optimizer = optim.SGD([nn.Parameter(np.ones(1))], lr=0.05)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 30, 0.1)
    rates = []
    for _ in range(70):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert rates[0] == rates[29] == 0.05
    assert rates[30] == rates[59] == pytest.approx(0.005, rel=1e-12)
    assert rates[60] == pytest.approx(0.0005, rel=1e-12)


def test_freezing_and_fine_tuning():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    net[0].weight.requires_grad = False
    net[0].weight.copy_(np.eye(3))
    optimizer = optim.SGD(net[0].parameters(), lr=0.1)
    optimizer.add_param_group({"params": net[1].parameters(), "lr": 0.01})
    step = fnn.jit(lambda: optimizer.step(lambda: net(f32(2, 3)).sum()))
    head = np.array(net[1].weight)
    step()
    assert_close(net[0].weight, np.eye(3, dtype=np.float32))
    assert np.abs(np.asarray(net[1].weight) - head).max() > 0


def test_module_subclass_trains_and_hooks_see_it():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 4, 3)
            self.conv2 = nn.Conv2d(4, 4, 3)

        def forward(self, x):
            return F.relu(self.conv2(F.relu(self.conv1(x))))

    net = Net()
    shapes = []
    net.conv2.register_forward_hook(lambda m, args, out: shapes.append((args[0].shape, out.shape)))
    optimizer = optim.Adam(net.parameters(), lr=0.05)
    step = fnn.jit(lambda x: optimizer.step(lambda: ((net(x) - 1.0) ** 2).mean()))
    x = jax.random.normal(jax.random.key(0), (4, 1, 8, 8), jnp.float32)
    losses = [float(step(x)) for _ in range(20)]
    assert losses[-1] < losses[0]
    assert shapes == [((4, 4, 6, 6), (4, 4, 4, 4))]
