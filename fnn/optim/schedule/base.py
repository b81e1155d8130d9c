"""The type of a schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schedule = Callable[[Any], Any]
