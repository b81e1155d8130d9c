"""Tables as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["as_html", "as_text", "count", "size", "time"]


def as_text(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Columns side by side, the first ``left`` of them flush left, the others right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    cells = [
        "  ".join(
            (cell.ljust if i < left else cell.rjust)(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([cells[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *cells[1:]])


def as_html(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1, foot: str = "") -> str:
    """An HTML table for notebooks; cells keep their spaces, so that indented names stay so."""

    def line(cells: Sequence[str], tag: str) -> str:
        styles = ["white-space:pre;text-align:" + ("left" if i < left else "right") for i in range(len(cells))]
        return "".join(
            f'<{tag} style="{style}">{escape(cell)}</{tag}>' for cell, style in zip(cells, styles, strict=True)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    below = f'<pre style="font-size:90%">{escape(foot)}</pre>' if foot else ""
    return f"<table><thead><tr>{line(head, 'th')}</tr></thead><tbody>{body}</tbody></table>{below}"


def count(number: float) -> str:
    """A number with commas; ``1,204``."""
    return f"{number:,.0f}"


def _scaled(value: float, step: float, units: Sequence[str]) -> str:
    while value >= 1000 and len(units) > 1:
        value, units = value / step, units[1:]
    return f"{value:.3g} {units[0]}" if value < 1000 else f"{value:,.0f} {units[0]}"


def size(number: float) -> str:
    """A number of bytes; ``1.2 MiB``."""
    return f"{number:.0f} B" if number < 1024 else _scaled(number / 1024, 1024, ("KiB", "MiB", "GiB", "TiB"))


def time(seconds: float) -> str:
    """A duration; ``1.2 ms``."""
    return _scaled(seconds * 1e9, 1000, ("ns", "µs", "ms", "s"))
