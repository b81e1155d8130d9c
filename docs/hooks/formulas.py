"""Formulas of docstrings and guides become MathML when the pages are built, so that a reader loads no script."""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor

_BLOCK = re.compile(r"^\.\. math::[ ]?(?P<first>.*)\n(?P<rest>(?:[ \t]+\S.*\n|[ \t]*\n(?=[ \t]+\S))*)", re.M)


class _Display(Preprocessor):
    """``.. math::`` with a formula on its line, or indented below it."""

    def run(self, lines: list[str]) -> list[str]:
        def stash(match: re.Match[str]) -> str:
            formula = " ".join((match["first"] + "\n" + match["rest"]).split())
            block = f'<div class="formula">{convert(formula, display="block")}</div>'
            return f"\n{self.md.htmlStash.store(block)}\n\n"

        return _BLOCK.sub(stash, "\n".join(lines) + "\n").split("\n")


class _Inline(InlineProcessor):
    """``:math:`` and a formula in backticks."""

    def handleMatch(self, m: re.Match[str], data: str) -> Any:
        return self.md.htmlStash.store(convert(m.group(1))), m.start(0), m.end(0)


class Formulas(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        md.preprocessors.register(_Display(md), "formulas", 26)
        md.inlinePatterns.register(_Inline(r":math:`([^`]+)`", md), "formula", 195)


def on_config(config: Any) -> Any:
    config.markdown_extensions.append(Formulas())
    return config
