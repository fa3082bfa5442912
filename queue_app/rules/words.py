"""Text that others write, such as a provider's message or the name of a campaign: made fit for a line, for JSON, for a column."""

import re

_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
INPUT_TOKENS = re.compile(r"(?<=/inputs/)[\w-]{8,}")  # in the addresses that providers load images from
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")


def one_line(text: str) -> str:
    """Return ``text`` on one line, without characters that reverse the text after it: fit for a sentence or a mail's header."""
    return _CONTROLS.sub(" ", _DIRECTIONS.sub("", text)).strip()


def without_query(url: str) -> str:
    """Return a URL without its query, which may hold a secret of its owner's: for logs, the audit, and everybody else (I36)."""
    before, mark, _ = url.partition("?")
    return f"{before}?…" if mark else before


def escaped_in_json(text: str) -> str:
    """Return JSON of the same meaning, with every character escaped that would reverse the text after it."""
    return _DIRECTIONS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can store the text and search for it: it has no NUL and no unpaired surrogate."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str) -> str:
    """Return ``text`` as PostgreSQL can store it: without NUL characters, and with "?" for each unpaired surrogate."""
    return text.replace("\x00", "").encode(errors="replace").decode()
