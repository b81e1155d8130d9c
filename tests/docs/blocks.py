"""Runs the Python of a page of Markdown as a reader would: block after block, each with the names of those before."""

import contextlib
import doctest
import io
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.M | re.S)
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A block of code, the line it begins at, and the output that the page shows right below it, if any."""

    code: str
    line: int
    output: str | None


def blocks_of(text):
    """The Python blocks of a page; a block of ``text`` right below one is its output."""
    found = [*_FENCE.finditer(text)]
    blocks = []
    for i, fence in enumerate(found):
        after = found[i + 1] if i + 1 < len(found) else None
        if fence["language"] == "python":
            shown = after is not None and after["language"] == "text" and not text[fence.end() : after.start()].strip()
            output = textwrap.dedent(after["body"]) if shown else None
            blocks.append(Block(textwrap.dedent(fence["body"]), text[: fence.start()].count("\n") + 1, output))
    return blocks


def run(page: Path, names: dict):
    """Runs a page in ``names``; what it prints, or the error it ends a block with, must be what it shows.

    Returns:
        how many blocks there were, and all that they printed.
    """
    printed = []
    blocks = blocks_of(page.read_text())
    for block in blocks:
        # As many lines before it as on the page: so an error names the page's line.
        code = compile("\n" * block.line + block.code, str(page), "exec")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            try:
                exec(code, names)
            except Exception as error:
                if block.output is None or type(error).__name__ not in block.output:
                    raise
                print(f"{type(error).__name__}: {error}")
        if block.output is not None:
            right = doctest.OutputChecker().check_output(block.output, out.getvalue(), _FLAGS)
            assert right, f"{page.name}, line {block.line}: the page shows\n{block.output}\nand got\n{out.getvalue()}"
        printed.append(out.getvalue())
    return len(blocks), "".join(printed)
