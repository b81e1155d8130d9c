"""How Modules and Parameters look in notebooks."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from jax.core import Tracer

if TYPE_CHECKING:
    from fnn.nn.array_box import ArrayBox

__all__ = ["array_html", "module_html"]

_MOST = 500  # Modules that are listed one by one


def module_html(module: Any) -> str:
    """A tree that opens and closes, with the parameters of each Module counted."""
    left = [_MOST]
    return f'<div style="font-family:monospace">{_tree("", module, left, True)}</div>'


def _tree(name: str, module: Any, left: list[int], is_open: bool) -> str:
    left[0] -= 1
    count = sum(math.prod(box.shape) for box in module.parameters() if not _is_empty(box))
    title = (f"({escape(name)}): " if name else "") + f"<b>{escape(module._get_name())}</b>"
    extra = escape(module.extra_repr().replace("\n", ", "))
    title += f"({extra})" if extra else ""
    title += f" <small>{count:,} parameters</small>" if count else ""
    title += "" if module.training else " <small>eval</small>"
    children = [(key, child) for key, child in module._modules.items() if child is not None]
    if not children:
        return f"<div>{title}</div>"
    rows = []
    for i, (key, child) in enumerate(children):
        if left[0] <= 0:
            rows.append(f"<div>and {len(children) - i} more</div>")
            break
        rows.append(_tree(key, child, left, False))
    inner = f'<div style="margin-left:2em">{"".join(rows)}</div>'
    return f"<details{' open' if is_open else ''}><summary>{title}</summary>{inner}</details>"


def array_html(box: ArrayBox) -> str:
    """Type and shape, and the values behind them."""
    data: Any = None if _is_empty(box) else box._data
    kind = escape(type(box).__name__)
    if _is_empty(box) or isinstance(data, Tracer):
        return f"<code>{escape(repr(box))}</code>"
    grad = ", requires_grad" if getattr(box, "requires_grad", False) else ""
    title = f"<b>{kind}</b> {escape(str(data.dtype))}{list(data.shape)}{grad}"
    return f'<details style="font-family:monospace"><summary>{title}</summary><pre>{escape(str(data))}</pre></details>'


def _is_empty(box: ArrayBox) -> bool:
    """Whether it has no array yet."""
    return hasattr(box, "materialize")
