"""Text from outside made fit for a page: without control characters, and without markup where feeds tend to have some."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from html.parser import HTMLParser

from queue_app.rules import words

_BLANKS = re.compile(r"[^\S\n]+")
_GAPS = re.compile(r"\n{3,}")
# characters that nobody sees: control, direction, zero width, unassigned; a line break stays
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_TAG = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|<!--|&(?:[a-z]+|#\d+|#x[0-9a-f]+);", re.I)
_BLOCKS = frozenset(("br", "dd", "div", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "p", "section", "td", "th", "tr"))
_UNREAD = frozenset(("script", "style", "template"))


def clean(text: str) -> str:
    """Return a text in composed form without characters that nobody sees. Its line breaks and paragraphs stay."""
    text = unicodedata.normalize("NFC", words.storable(text))
    text = re.sub(r"\r\n?|[\u2028\u2029]", "\n", text)
    text = _BLANKS.sub(" ", _UNSEEN.sub("", text)).replace(" \n", "\n").replace("\n ", "\n")
    return _GAPS.sub("\n\n", text).strip()


def line(text: str) -> str:
    """Return a text as `clean` does, on one line."""
    return " ".join(clean(text).split())


def without_markup(text: str) -> str:
    """Return the text of HTML, without scripts and styles; other text, such as “< 5 mm”, as it is."""
    if not _TAG.search(text):
        return text
    reader = _Text()
    reader.feed(text)
    reader.close()
    return "".join(reader.pieces)


class _Text(HTMLParser):
    """Collects the text of HTML; blocks become lines."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unread = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unread = self._unread or (tag if tag in _UNREAD else "")
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unread = "" if tag == self._unread else self._unread
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.pieces.append(data)


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
