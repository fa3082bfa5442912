"""Nesting depth of JSON values. Checked before they are stored, so that stored values can be processed without a limit."""

from collections.abc import Iterable, Mapping
from typing import Any

KEPT_MOST = 32  # most levels of lists and objects in a stored value


def is_deeper(value: Any, most: int) -> bool:
    """Whether lists and objects are nested more than ``most`` levels deep. Does not recurse, so any depth is safe."""
    level = [value]
    for _ in range(most + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def place_of_deeper(body: Any, most: int) -> str:
    """
    Return the member that makes a body too deep, such as ``metadata`` or ``jobs[3].metadata``; empty for the body itself.

    The caller has checked that the body is deeper than ``most``.
    """
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
