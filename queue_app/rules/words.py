"""Cleaning of texts from outside, such as a provider's messages or the name of a campaign."""

import re

_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")


def one_line(text: str) -> str:
    """Return ``text`` as one line without bidirectional control characters, for use in a sentence or a mail header."""
    return _CONTROLS.sub(" ", _DIRECTIONS.sub("", text)).strip()


def escaped_in_json(text: str) -> str:
    """Return equivalent JSON with bidirectional control characters escaped, so that it displays in its own order."""
    return _DIRECTIONS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can store and search the text: it has no NUL and no unpaired surrogate."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str) -> str:
    """Return ``text`` without what PostgreSQL can't store: NUL is removed, an unpaired surrogate becomes "?"."""
    return text.replace("\x00", "").encode(errors="replace").decode()
