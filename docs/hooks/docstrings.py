"""The docstrings of fnn, whose sections are those of the field, in the words of the reader of docstrings."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe

_SHAPE = re.compile(r"^Shape:\n((?: {4}.*\n|\n)*)", re.M)


class Sections(griffe.Extension):
    """``Example:`` is a section of runnable code, ``Shape:`` a list under its word, ``Source:`` a remark."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)
            text = _SHAPE.sub(lambda found: f"**Shape:**\n\n{textwrap.dedent(found[1])}", text + "\n")
            obj.docstring.value = re.sub(r"^Source: ", "**Source:** ", text, flags=re.M)
