"""How Modules look: torch's ``repr``, and HTML in notebooks."""

from __future__ import annotations

from fnn.nn.html import module_html

__all__ = ["HasRepr"]


class HasRepr:
    """What ``Module`` has to be printed."""

    def extra_repr(self) -> str:
        """The text between the brackets of ``repr``."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + _indent(repr(module)) for name, module in self.__dict__["_modules"].items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"

    def _repr_html_(self) -> str:
        return module_html(self)


def _indent(text: str) -> str:
    return text.replace("\n", "\n  ")
