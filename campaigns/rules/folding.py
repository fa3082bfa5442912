"""Folded text for comparisons: without characters that people do not see, and with positions in the original text."""

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache

# Letters that Unicode does not decompose, and plain forms of signs that editors insert on their own.
_SPELLED = str.maketrans(
    {"ı": "i", "ø": "o", "Ø": "o", "ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe"}
    | dict.fromkeys("‘’‛ʼ′", "'")
    | dict.fromkeys("“”„‟″", '"')
    | dict.fromkeys("‐‑‒–—―−", "-")
)
# Accents, points and variation selectors. Vowel signs of other scripts are letters of a word and stay.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u180b-\u180d\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    "\ufe00-\ufe0f\ufe20-\ufe2f\U000e0100-\U000e01ef]"
)
_INVISIBLE_LETTERS = "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
# Unicode reads them as letters and digits, and so as a part of the word before them.
_TRADEMARKS = "™℠"
_FOOTNOTES = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_PLAIN = r"\t-\r\x20-\x7e"
_ODD = re.compile(f"[^{_PLAIN}]+")


def fold(text: str) -> str:
    """Return the text in lower case, without accents or invisible characters, with plain digits, quotes, dashes and spaces."""
    if text.isascii() and text.isprintable():
        return text.lower()
    return _ODD.sub(lambda run: "".join(map(_fold_character, run[0])), text).lower()


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    if character.isspace() or character in _FOOTNOTES:
        return " "
    if character in _TRADEMARKS:
        return character
    if character in _INVISIBLE_LETTERS or unicodedata.category(character) in ("Cf", "Cc", "Cs"):
        return ""
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    apart = unicodedata.normalize("NFKD", character.translate(_SPELLED))
    return _ACCENTS.sub("", apart.translate(_SPELLED).casefold())


def is_mark(character: str) -> bool:
    """Whether the character is a mark on the letter before it, such as a vowel sign."""
    return character != "" and unicodedata.category(character).startswith("M")


class Folded:
    """A folded text that knows the original position of each of its characters."""

    def __init__(self, original: str, text: str) -> None:
        self.original = original
        self.text = text
        self.differs = not original.isascii() or len(original) != len(text)
        """Whether folding changed more than case."""
        self._breaks: tuple[list[int], list[int]] | None = None

    def original_span(self, span: tuple[int, int]) -> tuple[int, int]:
        """Return the original span of a span of the folded text, including accents after its last letter."""
        if not self.differs:
            return span
        start, end = self._origin(span[0]), self._origin(span[1] - 1) + 1
        while is_mark(self.original[end : end + 1]) and not _fold_character(self.original[end]):
            end += 1
        return start, end

    def _origin(self, place: int) -> int:
        if self._breaks is None:
            self._breaks = self._find_breaks()
        folded, original = self._breaks
        last = bisect_right(folded, place) - 1
        return original[last] + place - folded[last]

    def _find_breaks(self) -> tuple[list[int], list[int]]:
        """Return pairs of folded and original positions from which on both texts run in step. Only odd characters break step."""
        folded, original, ahead = [0], [0], 0
        for run in _ODD.finditer(self.original):
            for place, character in enumerate(run[0], start=run.start()):
                width = len(_fold_character(character))
                if width != 1:
                    folded += [*range(place + ahead + 1, place + ahead + width), place + ahead + width]
                    original += [*[place] * (width - 1), place + 1]
                    ahead += width - 1
        return folded, original
