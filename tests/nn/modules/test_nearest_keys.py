"""load_state_dict says which of the keys it found may be meant."""

import time

import pytest

import fnn
from fnn import nn
from fnn.checkpoint import rename, strip_prefix
from fnn.nn.modules.nearest_keys import suggestion


def message(model, state):
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(state)
    return str(caught.value)


def test_a_prefix_too_much():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = {f"module.{k}": v for k, v in model.state_dict().items()}
    text = message(model, state)
    assert 'Found "module.0.weight" for "0.weight": fnn.checkpoint.strip_prefix(state_dict, "module.")' in text
    assert text.endswith("makes 4 of 4 missing keys match.")
    assert not model.load_state_dict(strip_prefix(state, "module.")).missing_keys


def test_a_prefix_too_few():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3)))
    state = model[0].state_dict()
    text = message(model, state)
    assert 'Found "0.weight" for "0.0.weight": fnn.checkpoint.rename(state_dict, {"^": "0."})' in text
    assert not model.load_state_dict(rename(state, {"^": "0."})).missing_keys


def test_near_names():
    state = nn.Linear(2, 3).state_dict()
    text = message(nn.Linear(2, 3), {"weights": state["weight"], "bias": state["bias"]})
    assert 'Found "weights" for "weight": fnn.checkpoint.rename' in text


@pytest.mark.parametrize(
    ("wrap", "shown", "take"),
    [
        (lambda s: {"model": s, "epoch": 3}, "'model'", lambda c: c["model"]),
        (
            lambda s: {"epoch": 3, "state": {"opt": {0: {"step": 1}}, "net": s}},
            "'state' / 'net'",
            lambda c: c["state"]["net"],
        ),
        (lambda s: {"other": {"x": 1}, "state_dict": {**s, "more": 1}}, "'state_dict'", lambda c: c["state_dict"]),
        (lambda s: {"half": {"0.weight": s["0.weight"]}, "ema": s}, "'ema'", lambda c: c["ema"]),
        (
            lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
            "'model'",
            lambda c: strip_prefix(c["model"], "module."),
        ),
    ],
)
def test_a_whole_checkpoint(wrap, shown, take):
    """What the message says to load is loaded."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = model.state_dict()
    checkpoint = wrap({name: array + 1 for name, array in before.items()})
    text = message(model, checkpoint)
    assert f"Found 4 of 4 missing keys under {shown}: load_state_dict(" in text
    advice = text.split("load_state_dict(")[-1].removesuffix(").")
    assert all((model.state_dict()[name] == before[name]).all() for name in before)
    meant = eval(advice, {"state_dict": checkpoint, "fnn": fnn})
    assert list(meant) == list(take(checkpoint))
    model.load_state_dict({name: meant[name] for name in before})
    assert all((model.state_dict()[name] == before[name] + 1).all() for name in before)


def test_a_checkpoint_without_the_model():
    for state in ({"epoch": 3}, {"optimizer": {"state": {}, "param_groups": []}}, {"model": {}}, {"model": {"zzz": 1}}):
        assert "Found" not in message(nn.Linear(2, 3), state)
    deep = state = {}
    for _ in range(1000):
        deep["a"] = deep = {}
    assert "Found" not in message(nn.Linear(2, 3), state)


def test_nothing_is_near():
    assert suggestion([], ["a"]) is suggestion(["a"], []) is suggestion(["weight"], ["zzz"]) is None
    assert "Found" not in message(nn.Linear(2, 3), {})
    assert nn.Linear(2, 3).load_state_dict({"weights": 1}, strict=False).missing_keys == ["weight", "bias"]


def test_many_keys_take_little_time():
    start = time.perf_counter()
    missing = [f"encoder.layer.{i}.attention.weight" for i in range(5000)]
    assert suggestion(missing, [f"bert.{k}" for k in missing]).endswith("makes 5000 of 5000 missing keys match.")
    suggestion(missing, [f"{i}.decoder.h.{i}.w" for i in range(5000)])
    assert time.perf_counter() - start < 5
