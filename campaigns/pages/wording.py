"""Text from outside made fit for a page: without control characters, and without markup where feeds tend to have some."""

import html
import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

from queue_app.rules import words

# what may be marks of one letter: sorting a long run of them takes time by the square of its length
_MARKS = re.compile(r"[^\w\s\x00-\u02ff]{31,}")
_MARKS_MOST = 30  # in a row, as in Unicode's stream-safe format
_BLANKS = re.compile(r"[^\S\n]+")
_GAPS = re.compile(r"\n{3,}")
# characters that nobody sees: control, direction, zero width, unassigned; a line break stays
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_TAG = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|<!--|&(?:[a-z]+|#\d+|#x[0-9a-f]+);", re.I)
# Markup as our own scanners see it, in time by the length of a text, which no parser of the standard library does, nor lxml.
# Each match takes all that it looks at, and what is not closed ends with the text: no sign is looked at again and again.
UNREAD = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|template)\b.*?(?:</\1\b[^<>]*>?|\Z)", re.I | re.S)
# a tag with as many attributes as tags have, whose values may hold the signs of tags; else what may be one; else the sign alone
TAG = re.compile(
    r"<(?P<tag>/?[a-z][a-z0-9]{0,15})(?P<attributes>(?:[^<>\"']{1,1000}+|\"[^\"]{0,300}\"|'[^']{0,300}'){0,40}+)>"
    r"|<(?P<other>[a-z/!?][^<>]*>)?",
    re.I,
)
_LONG_CODE = re.compile(r"&#(?:[0-9]{9,}|x[0-9a-f]{9,});?", re.I)  # Python reads no number of thousands of digits
_BLOCKS = frozenset(("br", "dd", "div", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "p", "section", "td", "th", "tr"))


def clean(text: str) -> str:
    """Return a text in composed form without characters that nobody sees. Its line breaks and paragraphs stay."""
    text = unicodedata.normalize("NFC", _MARKS.sub(_few_marks, words.storable(text)))
    text = re.sub(r"\r\n?|[\u2028\u2029]", "\n", text)
    text = _BLANKS.sub(" ", _UNSEEN.sub("", text)).replace(" \n", "\n").replace("\n ", "\n")
    return _GAPS.sub("\n\n", text).strip()


def _few_marks(run: re.Match[str]) -> str:
    """Return signs and marks without those marks that no letter has so many of."""
    kept, marks = [], 0
    for sign in run[0]:
        marks = marks + 1 if unicodedata.category(sign)[0] == "M" else 0
        if marks <= _MARKS_MOST:
            kept.append(sign)
    return "".join(kept)


def line(text: str) -> str:
    """Return a text as `clean` does, on one line."""
    return " ".join(clean(text).split())


def without_markup(text: str) -> str:
    """Return the text of HTML, without scripts and styles; other text, such as “< 5 mm”, as it is."""
    if not _TAG.search(text):
        return text
    return unescaped(TAG.sub(_untagged, UNREAD.sub("", text)))


def _untagged(found: re.Match[str]) -> str:
    """Return a line break for a tag that breaks lines, nothing for others, and a sign that is none as it is."""
    if found["tag"]:
        return "\n" if found["tag"].lower().removeprefix("/") in _BLOCKS else ""
    return "" if found["other"] else "<"


def unescaped(text: str) -> str:
    """Return a text with the characters that HTML's codes stand for, such as “&” for “&amp;”."""
    return html.unescape(_LONG_CODE.sub("\ufffd", text))


def label(key: str) -> str:
    """Return the key of a product's data as a label: “waterproof_rating” and “waterproofRating” are “Waterproof rating”."""
    text = line(key)
    if not re.fullmatch(r"[a-z0-9]+(?:[A-Z][a-z0-9]+|[_-][a-z0-9]+)*", text):
        return text if " " in text else text.replace("_", " ")  # written for people, or with names such as RAM_GB
    text = re.sub(r"[_-]|(?<=[a-z0-9])(?=[A-Z])", " ", text).lower()
    return text[:1].upper() + text[1:]


def did_you_mean(value: str, choices: Iterable[str]) -> str:
    """Return “ Did you mean category?” with the choice that looks like the value; empty if none does."""
    known = {choice.casefold(): choice for choice in choices}
    near = get_close_matches(value.strip().casefold()[:80], known, n=1, cutoff=0.7)
    return f" Did you mean {known[near[0]]}?" if near else ""


def quoted(value: object) -> str:
    """Return a value as a message shows it: on one line, in quotes, and not longer than 60 characters."""
    text = words.one_line(str(value))
    return f"“{text if len(text) <= 60 else text[:59] + '…'}”"
