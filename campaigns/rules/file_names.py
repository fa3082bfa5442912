"""
Names of downloaded files, from a template such as ``{number}-{mood}``. Every name is safe on Windows, macOS and Linux, and in an
archive: without folders, invisible characters or reserved words, and in one form of Unicode.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from queue_app.rules.words import one_line

TEMPLATE_MOST = 200  # characters
BYTES_MOST = 180  # of a name without its ending, as UTF-8; file systems take 255 with it
_FIELD = re.compile(r"\{([^{}]*)\}")
_FORBIDDEN = re.compile(r"[<>:\"/\\|?*%\s]+")  # the last two: an address would have to escape them
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # controls, changes of direction, surrogates, unassigned


def fields_in(template: str) -> list[str]:
    """Return the names in braces, in their order."""
    return [name.strip() for name in _FIELD.findall(template)]


def problem(template: str, offered: Iterable[str]) -> str:
    """Return the problem with a template and how to fix it; empty if there is none. ``offered`` are the fields it may use."""
    known = list(offered)
    if len(template) > TEMPLATE_MOST:
        over = len(template) - TEMPLATE_MOST
        return f"Too long: {len(template):,} of {TEMPLATE_MOST} characters. Shorten it by {over:,}."
    if unknown := [name for name in fields_in(template) if name not in known]:
        return f"Unknown field “{one_line(unknown[0][:60])}”. Available: {', '.join(known)}."
    if re.search(r"[{}]", _FIELD.sub("", template)):
        return "Put each field in one pair of braces, such as {number}."
    if not fields_in(template):
        return "Add at least one field, such as {number}, so that names differ."
    return ""


def stem(template: str, values: Mapping[str, str], *, otherwise: str) -> str:
    """Fill in a template and make it safe. If nothing is left of it, return ``otherwise``."""
    return safe(_FIELD.sub(lambda found: values.get(found[1].strip(), ""), template)) or safe(otherwise)


def safe(text: str) -> str:
    """Return ``text`` as a name without an ending; empty if no character of it may be in a name."""
    seen = "".join(" " if unicodedata.category(one) in _UNSEEN else one for one in unicodedata.normalize("NFC", text))
    name = re.sub(r"-{2,}", "-", _FORBIDDEN.sub("-", seen.strip()))
    name = _cut(name.strip("-. "), BYTES_MOST)
    return f"_{name}" if name.partition(".")[0].strip("-_ ").casefold() in _RESERVED else name


def distinct(stems: Sequence[str]) -> list[str]:
    """Number repeated names, whatever their case, so that no file replaces another."""
    taken: set[str] = set()
    return [_free(stem, taken) for stem in stems]


def _free(stem: str, taken: set[str]) -> str:
    name, number = stem, 1
    while name.casefold() in taken:
        number += 1
        ending = f"-{number}"
        name = _cut(stem, BYTES_MOST - len(ending)) + ending
    taken.add(name.casefold())
    return name


def _cut(name: str, most: int) -> str:
    """Return as many whole characters as fit."""
    return name.encode()[:most].decode(errors="ignore").rstrip("-. ")
