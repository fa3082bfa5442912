"""What a line of the log may hold: one line is one event, whatever was sent to us, and no secret stands in it (I36)."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from django.conf import settings

MASK = "•••"
_SHORTEST = 8  # characters of a key worth looking for
_OF_ADDRESSES = re.compile(r"\?[^\s\"'<>]+")  # a query, with whatever was put in it
_NAMED = re.compile(r"[\w.%-]{1,40}=")
_KEYS = re.compile(r"\b(gq_)[0-9A-Za-z]{4,}|(?i:\b(bearer|basic)\s+)[^\s\"',]+|(?<=//)[^/\s@\"']+(?=@)")
_ODD = re.compile(r"[^\x20-\x7e]")
_MARGIN = "    "


def sound(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: escape what is no printable character, and mask secrets, in every value of an event."""
    for key, value in event.items():
        event[key] = _block(value) if key in ("exception", "stack") and isinstance(value, str) else _plain(value)
    return event


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {_line(str(name)): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(inner) for inner in value]
    return _line(str(value))


def _line(text: str) -> str:
    return _ODD.sub(_escaped, masked(text))


def _block(text: str) -> str:
    """A traceback: its lines stay lines, none of which can be taken for an event."""
    return "\n".join(f"{_MARGIN}{_line(line)}" for line in text.splitlines())


def _escaped(found: re.Match[str]) -> str:
    letter = found[0]
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def masked(text: str) -> str:
    """The same text without keys, and without the values of queries: a key, a signature or a link's token may be among them."""
    for key in filter(None, settings.PROVIDER_KEYS.values()):
        if len(key) >= _SHORTEST:
            text = text.replace(key, MASK)
    text = _OF_ADDRESSES.sub(lambda found: f"?{'&'.join(map(_member, found[0][1:].split('&')))}", text)
    return _KEYS.sub(lambda found: f"{found[1] or found[2] or ''}{MASK}", text)


def _member(text: str) -> str:
    name = _NAMED.match(text)
    return f"{name[0]}{MASK}" if name else MASK
