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


def place_of_deeper(body: Any, most: int) -> str:
    """Name the member of a body that makes it too deep, as in ``metadata`` or ``jobs[3].metadata``; empty: the body itself."""
    path = ""
    for kind in (dict, list, dict):
        if not isinstance(body, kind):
            break
        most -= 1
        members = body.items() if isinstance(body, dict) else enumerate(body)
        name, body = next((name, inner) for name, inner in members if is_deeper(inner, most))
        path += f"[{name}]" if kind is list else f".{name}" if path else str(name)
    return path


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, (list, tuple)) else ()
