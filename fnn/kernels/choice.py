"""The choice among the forms of an operation: one ordered table, whose first row that suits is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

__all__ = ["Form", "always", "choose"]

Case = TypeVar("Case")
Bounds = TypeVar("Bounds")
Run = TypeVar("Run")


class Form(NamedTuple, Generic[Case, Bounds, Run]):
    """A row of the table.

    Attributes:
        name: what the form is called.
        suits: whether it is to be taken in a case, given the bounds, if no row above it is.
        run: what it runs.
    """

    name: str
    suits: Callable[[Case, Bounds], bool]
    run: Run


def choose(forms: Iterable[Form[Case, Bounds, Run]], case: Case, bounds: Bounds) -> Form[Case, Bounds, Run]:
    """The first form that suits; the last row of a table suits always.

    Example:
        >>> forms = (Form("short", lambda n, most: n <= most, min), Form("long", always, max))
        >>> choose(forms, 3, 4).name, choose(forms, 5, 4).name
        ('short', 'long')
    """
    return next(form for form in forms if form.suits(case, bounds))


def always(case: object, bounds: object) -> bool:
    """Suits any case: the last row of a table."""
    return True
