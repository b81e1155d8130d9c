"""State dicts of repeated layers: a Sequential's keys, errors that name them, nested stacks, files."""

import numpy as np
import pytest

import fnn
from fnn import nn
from tests.nn.modules.container.repeated_layers import Block, N, X, assert_as_before, full, layers, twins
from tests.oracle import assert_close


@pytest.mark.parametrize("prefix", ["", "body."])
def test_load_state_dict_errors_name_the_key(prefix):
    plain, looped = twins()
    model = looped if not prefix else nn.ModuleDict({"body": looped})
    before, good = full(model), {prefix + k: v + 1 for k, v in full(plain).items()}
    key = f"{prefix}1.linear1.bias"
    missing = {k: v for k, v in good.items() if k != key}
    with pytest.raises(RuntimeError, match=f'Missing key\\(s\\) in state_dict: "{key}"'):
        model.load_state_dict(missing)
    assert_as_before(model, before)
    gone = {k: v for k, v in good.items() if not k.endswith("linear1.bias")}
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(gone)
    assert all(f'"{prefix}{i}.linear1.bias"' in str(caught.value) for i in range(N))
    assert "*" not in str(caught.value)
    assert_as_before(model, before)
    with pytest.raises(RuntimeError, match=f'Unexpected key\\(s\\) in state_dict: "{prefix}3.linear1.bias"'):
        model.load_state_dict({**good, f"{prefix}3.linear1.bias": np.zeros(4)})
    with pytest.raises(RuntimeError, match=f'Unexpected key\\(s\\) in state_dict: "{prefix}0.other"'):
        model.load_state_dict({**good, f"{prefix}0.other": np.zeros(4)})
    assert_as_before(model, before)
    with pytest.raises(
        RuntimeError, match=f"size mismatch for {key}: copying a param with shape \\(3,\\) from checkpoint"
    ):
        model.load_state_dict({**good, key: np.zeros(3)})
    with pytest.raises(RuntimeError, match=f'parameter named "{key}", expected an array, got str'):
        model.load_state_dict({**good, key: "text"})
    assert_as_before(model, before)
    result = model.load_state_dict({**missing, f"{prefix}9.x": np.zeros(1)}, strict=False)
    assert result.missing_keys == [key]
    assert result.unexpected_keys == [f"{prefix}9.x"]
    after = full(model)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name] if name == key else good[name])
    assert model.load_state_dict(good).missing_keys == []
    assert_as_before(model, good)


def test_load_state_dict_casts_assigns_and_keeps_dtypes():
    plain, looped = twins()
    single = {k: v.astype("float32") if v.dtype.kind == "f" else v for k, v in full(plain).items()}
    looped.load_state_dict(single)
    assert looped.layer.linear1.weight.dtype == np.float64
    looped.load_state_dict(single, assign=True)
    assert looped.layer.linear1.weight.dtype == np.float32
    assert_close(looped[1].linear1.bias, single["1.linear1.bias"], 0, 0)
    mixed = {**single, "1.linear1.bias": np.zeros(4)}
    with pytest.raises(RuntimeError, match="expected one dtype, got float32, float64"):
        looped.load_state_dict(mixed, assign=True)


def test_own_state_dict_with_boxes_and_between_numbers_of_layers():
    plain, looped = twins()
    other = nn.Repeated(lambda: Block().double(), N)
    other.load_state_dict(looped.state_dict(keep_vars=True))
    assert_as_before(other, full(plain))
    plain.load_state_dict(looped.state_dict())
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "3.scale"'):
        nn.Repeated(lambda: Block().double(), 4).load_state_dict(looped.state_dict())
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "2.scale"'):
        nn.Repeated(lambda: Block().double(), 2).load_state_dict(looped.state_dict())


def test_a_layers_own_state_dict():
    plain, looped = twins()
    assert list(looped[1].state_dict()) == list(plain[1].state_dict())
    looped[0].load_state_dict(plain[2].state_dict())
    assert_close(looped.layer.linear1.weight[0], plain[2].linear1.weight, 0, 0)
    before = full(looped)
    with pytest.raises(RuntimeError, match="Missing key"):
        looped[0].load_state_dict({"scale": np.zeros(4)})
    assert_as_before(looped, before)


def test_old_checkpoints_of_batch_norm_load():
    """torch's state dicts of version 1 have no ``num_batches_tracked``."""
    plain, looped = twins()
    old = {k: v for k, v in full(plain).items() if "num_batches" not in k}
    assert looped.load_state_dict(old).missing_keys == []
    assert looped.layer.norm.num_batches_tracked.shape == (N,)


def test_nested_names():
    plain = nn.Sequential(*[nn.Sequential(*layers(2, seed=i)) for i in range(N)])
    looped = nn.Repeated.of([nn.Repeated.of(list(inner)) for inner in plain])
    assert list(looped.state_dict()) == list(plain.state_dict())
    assert looped.layer.layer.linear1.weight.shape == (N, 2, 4, 4)
    assert_close(looped[2][1].linear1.weight, plain[2][1].linear1.weight, 0, 0)
    good = {k: v + 1 for k, v in full(plain).items()}
    looped.load_state_dict(good)
    assert_as_before(looped, good)
    looped[1].load_state_dict(nn.Sequential(*layers(2, seed=1)).state_dict())
    assert_close(looped[1][0].linear1.weight, plain[1][0].linear1.weight, 0, 0)
    before = full(looped)
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "1.0.scale"'):
        looped.load_state_dict({k: v for k, v in good.items() if k != "1.0.scale"})
    with pytest.raises(RuntimeError, match=r"size mismatch for 2.1.scale"):
        looped.load_state_dict({**good, "2.1.scale": np.zeros(2)})
    assert_as_before(looped, before)
    nn.init.xavier_uniform_(looped.layer.layer.linear1.weight)
    assert abs(looped.layer.layer.linear1.weight.data).max() <= np.sqrt(6 / 8)


def test_save_and_load(tmp_path):
    plain, looped = twins()
    path = tmp_path / "model.safetensors"
    fnn.save(looped.state_dict(), path)
    other = nn.Repeated(lambda: Block().double(), N)
    other.load_state_dict(fnn.load(path))
    assert_as_before(other, full(plain))
    again = nn.Sequential(*layers(seed=5))
    again.load_state_dict(fnn.load(path))
    assert_as_before(again, full(plain))


class Stack(nn.Repeated):
    """A stack with parts of its own."""

    def __init__(self):
        super().__init__(lambda: Block().double(), N)
        self.norm = nn.LayerNorm(4).double()
        self.scale = nn.Parameter(np.ones(4))

    def forward(self, input):
        return self.norm(super().forward(input)) * self.scale


def test_parts_besides_the_layers():
    model = Stack()
    names = [*(f"{i}.{name}" for i in range(N) for name in Block().state_dict()), "norm.weight", "norm.bias"]
    assert list(model.state_dict()) == ["scale", *names]
    assert list(model.state_dict()) == ["scale", *names]  # and is as it was
    assert model.norm.weight.shape == (4,)
    good = {k: v + 1 for k, v in full(model).items()}
    model.load_state_dict(good)
    assert_as_before(model, good)
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "norm\.bias"'):
        model.load_state_dict({k: v for k, v in good.items() if k != "norm.bias"})
    fnn.jit(lambda: fnn.backward(lambda: model(X).sum(), model))()
    assert model.scale.grad is not None


def test_a_state_dict_is_taken_while_others_look():
    """Nothing of the Module is changed, even for a moment, which another thread could see."""
    _, looped = twins()
    held = looped._modules
    looped.register_state_dict_pre_hook(lambda module, prefix, keep_vars: seen.append(list(held)))
    seen = []
    looped.state_dict()
    assert seen == [["*"]]
