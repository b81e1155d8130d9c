"""Policies of rematerialization, by name and as functions."""

import jax
import pytest

from fnn.nn.lifting.policy import parse_policy


@pytest.mark.parametrize("name", ["everything_saveable", "nothing_saveable", "dots_saveable", "checkpoint_dots"])
def test_names_are_those_of_jax(name):
    assert parse_policy("f", name) is getattr(jax.checkpoint_policies, name)


def test_functions_and_none_are_taken():
    policy = jax.checkpoint_policies.save_only_these_names("a")
    assert parse_policy("f", policy) is policy
    assert parse_policy("f", None) is None


def test_others_are_refused():
    with pytest.raises(
        TypeError, match=r"f: policy must be a function of jax.checkpoint_policies, its name, or None, got"
    ):
        parse_policy("f", 3)
    with pytest.raises(ValueError, match=r"f: policy must be one of .*dots_saveable.*got 'save_only_these_names'"):
        parse_policy("f", "save_only_these_names")
