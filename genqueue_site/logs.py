"""Cleaning of log lines: one line per event, whatever a request contains, and no secrets (I36)."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from django.conf import settings

from queue_app.rules.words import INPUT_TOKENS

MASK = "•••"
_SHORTEST = 8  # shorter keys are not searched for
_OF_ADDRESSES = re.compile(r"\?[^\s\"'<>]+")  # the query of a URL
_OF_WEBHOOKS = re.compile(r"(?<=/hooks/)([^/\s\"'<>?]+/)[^/\s\"'<>?]+")  # account and token
_NAMED = re.compile(r"[\w.%-]{1,40}=")
_KEYS = re.compile(
    r"\b(gq_)[0-9A-Za-z]{4,}"
    r"|(?i:\b(bearer|basic)\s+)[^\s\"',]+"
    r"|(?<=//)[^/\s@\"']+(?=@)"
    r"|(?<=/s/)[^/\s?\"']{4,}"  # the token of a share link
)
_ODD = re.compile(r"[^\x20-\x7e]")
_MARGIN = "    "


def sound(logger: Any, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape unprintable characters and mask secrets in every value of an event. A structlog processor."""
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
    """Clean a traceback and indent its lines, so that none can be mistaken for an event."""
    return "\n".join(f"{_MARGIN}{_line(line)}" for line in text.splitlines())


def _escaped(found: re.Match[str]) -> str:
    letter = found[0]
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def masked(text: str) -> str:
    """Return the text without keys, values of URL queries (keys, signatures or link tokens) and tokens of webhook addresses."""
    for key in filter(None, settings.PROVIDER_KEYS.values()):
        if len(key) >= _SHORTEST:
            text = text.replace(key, MASK)
    text = INPUT_TOKENS.sub(MASK, text)
    text = _OF_ADDRESSES.sub(lambda found: f"?{'&'.join(map(_member, found[0][1:].split('&')))}", text)
    text = _OF_WEBHOOKS.sub(lambda found: f"{found[1]}{MASK}", text)
    return _KEYS.sub(lambda found: f"{found[1] or found[2] or ''}{MASK}", text)


def _member(text: str) -> str:
    name = _NAMED.match(text)
    return f"{name[0]}{MASK}" if name else MASK
