"""The list of tests that the everyday run thins out names tests that exist."""

from pathlib import Path

import pytest

from tests.conftest import THINNED


@pytest.mark.parametrize("name", THINNED)
def test_the_test_is_there(name):
    path, _, function = name.partition("::")
    assert f"\ndef {function}(" in (Path(__file__).parent / path).read_text()
