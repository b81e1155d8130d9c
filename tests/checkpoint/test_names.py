"""rename and strip_prefix."""

from collections import OrderedDict

import numpy as np
import pytest

from fnn.checkpoint import rename, strip_prefix


def test_rename():
    state = {"bert.encoder.layer.0.LayerNorm.gamma": 1, "bert.encoder.layer.0.LayerNorm.beta": 2, "head": 3}
    rules = {r"^bert\.": "", r"gamma$": "weight", r"beta$": "bias", r"layer\.(\d+)": r"layers.\1"}
    out = rename(state, rules)
    assert type(out) is OrderedDict
    assert list(out.items()) == [
        ("encoder.layers.0.LayerNorm.weight", 1),
        ("encoder.layers.0.LayerNorm.bias", 2),
        ("head", 3),
    ]
    assert rename(state, {}) == state
    with pytest.raises(ValueError, match="'a1' and 'a2' would both be 'a'"):
        rename({"a1": 1, "a2": 2}, {r"\d": ""})
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        rename(state, {"(": ""})


def test_strip_prefix():
    array = np.ones(1)
    assert strip_prefix({"module.a": array, "b": array}, "module.")["a"] is array
    assert list(strip_prefix({"module.a": 1, "b": 2}, "module.")) == ["a", "b"]
    with pytest.raises(ValueError, match="two entries would be 'a'"):
        strip_prefix({"module.a": 1, "a": 2}, "module.")
