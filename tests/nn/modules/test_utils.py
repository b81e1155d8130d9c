"""Helpers of layers that real code imports, against torch's of the same names."""

from collections import OrderedDict

import pytest

from fnn.nn.modules import utils
from fnn.nn.modules.utils import (
    _list_with_default,
    _ntuple,
    _pair,
    _quadruple,
    _reverse_repeat_tuple,
    _single,
    _triple,
    consume_prefix_in_state_dict_if_present,
)
from tests.oracle import needs_torch


@needs_torch
@pytest.mark.parametrize("value", [3, (1, 2), [1, 2, 3], "ab", 2.5, range(2)])
def test_tuples_are_torchs(value):
    import torch.nn.modules.utils as theirs

    for name in ("_single", "_pair", "_triple", "_quadruple"):
        assert getattr(utils, name)(value) == getattr(theirs, name)(value)
    assert _ntuple(5)(value) == theirs._ntuple(5)(value)


def test_one_value_is_repeated():
    assert (_single(1), _pair(1), _triple(1), _quadruple(1)) == ((1,), (1, 1), (1, 1, 1), (1, 1, 1, 1))
    assert _pair.__name__ == "_pair"


@needs_torch
@pytest.mark.parametrize("n", [1, 2, 3])
def test_reverse_repeat_is_torchs(n):
    from torch.nn.modules.utils import _reverse_repeat_tuple as theirs

    assert _reverse_repeat_tuple((1, 2, 3), n) == theirs((1, 2, 3), n)


@needs_torch
@pytest.mark.parametrize("size", [5, [None, 3], [2, None], [None, None]])
def test_default_sizes_are_torchs(size):
    from torch.nn.modules.utils import _list_with_default as theirs

    assert _list_with_default(size, [7, 8, 9]) == theirs(size, [7, 8, 9])


def test_too_few_defaults():
    with pytest.raises(ValueError, match="_list_with_default: defaults"):
        _list_with_default([None, 3], [7, 8])


@needs_torch
def test_a_prefix_is_consumed_as_in_torch():
    from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present as theirs

    def state():
        names = OrderedDict([("module.a.weight", 1), ("module.b", 2), ("other", 3)])
        names._metadata = OrderedDict([("", 0), ("module", 1), ("module.a", 2), ("other", 3)])
        return names

    mine, expected = state(), state()
    consume_prefix_in_state_dict_if_present(mine, "module.")
    theirs(expected, "module.")
    assert mine == expected
    assert mine._metadata == expected._metadata
