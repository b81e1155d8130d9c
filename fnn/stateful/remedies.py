"""How to read what to do about an error: a line below the message, with the command that shows a section of the guide."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["with_remedy", "with_remedy_of"]

E = TypeVar("E", bound=BaseException)

_REMEDIES = "Remedies: python -m fnn explain "


def with_remedy(error: E, section: str) -> E:
    """Adds to an error the section of ``fnn/errors.md``, a page of the guide, that is about it; returns the error.

    Args:
        error: the error, to be raised.
        section: the anchor of the section.

    Example:
        >>> with_remedy(ValueError("no"), "a-result-is-no-array").__notes__
        ['Remedies: python -m fnn explain a-result-is-no-array']
    """
    error.add_note(f"{_REMEDIES}{section}")
    return error


def with_remedy_of(error: E, other: BaseException) -> E:
    """Adds to an error the lines below the message of another, in whose place it is raised; returns the error."""
    for note in getattr(other, "__notes__", ()):
        if not note.startswith("-----"):  # JAX's, of frames that it took out of the other's traceback
            error.add_note(note)
    return error
