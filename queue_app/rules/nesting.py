"""How deep a value is nested. Asked before it is stored: what is kept can then be walked, packed and shown without a limit."""

from collections.abc import Iterable, Mapping
from typing import Any

KEPT_MOST = 32  # levels of lists and objects in a value that is kept


def is_deeper(value: Any, most: int) -> bool:
    """Whether lists and objects lie in each other more than ``most`` levels deep. Does not recurse, however deep it is."""
    level = [value]
    for _ in range(most + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()
