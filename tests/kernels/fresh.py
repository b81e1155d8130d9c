"""Operations made anew."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def fresh(*makers: Callable[..., Any]) -> Iterator[None]:
    """Within it, and after it, the makers (under ``lru_cache``) keep nothing that was made before: bounds are read anew."""
    for make in makers:
        make.cache_clear()
    try:
        yield
    finally:
        for make in makers:
            make.cache_clear()
