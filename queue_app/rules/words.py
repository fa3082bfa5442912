"""Words that others choose, such as those of a provider or the name of a campaign."""

import re

_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")


def one_line(text: str) -> str:
    """Return ``text`` for the middle of a sentence or a mail's header: one line, and nothing that turns what follows round."""
    return _CONTROLS.sub(" ", _DIRECTIONS.sub("", text)).strip()


def escaped_in_json(text: str) -> str:
    """Return JSON that means the same and is read in the order in which it is written."""
    return _DIRECTIONS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can keep the text and look for it: it holds no NUL and no half of a surrogate pair."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str) -> str:
    """``text`` without what PostgreSQL cannot keep: NUL characters are left out, halves of surrogate pairs become "?"."""
    return text.replace("\x00", "").encode(errors="replace").decode()
