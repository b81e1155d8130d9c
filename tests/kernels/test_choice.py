"""The choice among forms: the first row that suits, in the order of the table."""

import pytest

from fnn.kernels.choice import Form, always, choose

TABLE = (
    Form("few", lambda n, bounds: n <= bounds[0], "a"),
    Form("some", lambda n, bounds: n <= bounds[1], "b"),
    Form("many", always, "c"),
)


@pytest.mark.parametrize(
    ("n", "bounds", "name"), [(1, (1, 3), "few"), (2, (1, 3), "some"), (4, (1, 3), "many"), (4, (9, 3), "few")]
)
def test_the_first_row_that_suits_is_taken(n, bounds, name):
    assert choose(TABLE, n, bounds).name == name


def test_a_table_that_nothing_in_suits_is_an_error():
    with pytest.raises(StopIteration):
        choose(TABLE[:2], 4, (1, 3))
