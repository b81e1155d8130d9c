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


def test_rules_that_match_nothing():
    state = {"model": 1, "epoch": 2, "lr": 3, "step": 4}
    with pytest.warns(
        UserWarning, match=r"rename: no name matches 'gama\$', '\^bert'; .*\['model', 'epoch', 'lr'\]"
    ) as caught:
        assert list(rename(state, {"gama$": "weight", "^m": "M", "^bert": ""})) == ["Model", "epoch", "lr", "step"]
    assert len(caught) == 1
    assert caught[0].filename == __file__
    rename({}, {"gamma$": "weight"})
    assert rename({"a": 1}, {"^a": "b", "^b": "c"}) == {"c": 1}  # a rule matches what an earlier one made


def test_groups_in_replacements():
    assert list(rename({"h.3.w": 1}, {r"h\.(?P<n>\d+)\.(\w)": r"\2.\g<n>.\g<0>"})) == ["w.3.h.3.w"]
    for replacement in (r"\2", r"\g<n>", "\\", r"\q"):
        with pytest.raises(ValueError, match=r"rename: '.*' is no replacement for '\(a\)': "):
            rename({"a": 1}, {"(a)": replacement})
    for rules in ({"a": None}, {3: "a"}, {"a": 3}):
        with pytest.raises(TypeError, match=r"rename: rules must be regular expressions to replacements, got \{"):
            rename({"a": 1}, rules)


def test_names_that_are_no_text():
    for call in (lambda s: rename(s, {"a": "b"}), lambda s: strip_prefix(s, "a")):
        with pytest.raises(TypeError, match=r"state must be a dict of names, which are strings, got \{0: "):
            call({0: 1})
