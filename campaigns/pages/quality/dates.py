"""Read dates in the formats of the ten languages: “2 March 2026”, “2. März 2026”, “2026年3月2日”, “02/03/2026”, “2026-03-02”."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from babel import Locale

from campaigns.pages.quality.units import LANGUAGES

_NUMERIC = re.compile(r"(?<![\d.,/-])(?:(\d{4})([-/.])(\d{1,2})\2(\d{1,2})|(\d{1,2})([./-]) ?(\d{1,2})\6 ?(\d{4}))(?![\d/-])")
_JAPANESE = re.compile(r"(?:(\d{4})年 ?)?(?:(\d{1,2})月 ?)(?:(\d{1,2})日)?|(\d{4})年(?!間)")
_WORD = re.compile(r"[^\W\d_]+")
_DAY_BEFORE = re.compile(r"(?<!\d)(\d{1,2})(?:\.|st|nd|rd|th|er|°|:e|e)?(?: (?:de|of|di))? $")
_DAY_AFTER = re.compile(r" (\d{1,2})(?:st|nd|rd|th)?(?![\d.]\d|\d)(?! ?[%€$£])")
_YEAR_AFTER = re.compile(r",?(?: de| del| r\.)? (\d{4})(?!\d)")


class Date(NamedTuple):
    """A date as far as it is written; ``others`` are further readings, such as the American one of 02/03/2026."""

    text: str
    start: int
    end: int
    year: int
    month: int
    day: int
    others: tuple[tuple[int, int, int], ...] = ()

    def stands_in(self, known: set[tuple[int, int, int]]) -> bool:
        """Whether a known date says all that this one says."""
        return any(all(not a or a == b for a, b in zip(one, fact, strict=True)) for one in self.readings for fact in known)

    @property
    def readings(self) -> tuple[tuple[int, int, int], ...]:
        return ((self.year, self.month, self.day), *self.others)


@cache
def months(language: str) -> dict[str, int]:
    """Return the names of months in lower case: the long ones of all languages, and the short ones of this one and English."""
    found: dict[str, int] = {}
    for each in LANGUAGES[:-1]:
        names = Locale.parse(each).months
        for form in ("format", "stand-alone"):
            for width in ("wide", "abbreviated") if each in (language, "en") else ("wide",):
                found |= {name.lower().rstrip("."): number for number, name in names[form][width].items()}
    return found


def find(text: str, language: str) -> list[Date]:
    """Return the dates of a plain text in order. A month or a year alone is none."""
    found = [*_numeric(text), *_japanese(text), *_worded(text, language)]
    return sorted(found, key=lambda one: one.start)


def masked(text: str, language: str) -> str:
    """Return the text with its dates blanked, letter for letter."""
    parts, at = [], 0
    for one in find(text, language):
        if one.start >= at:
            parts += [text[at : one.start], "\0" * (one.end - one.start)]
            at = one.end
    return "".join([*parts, text[at:]])


def _numeric(text: str) -> list[Date]:
    found = []
    for match in _NUMERIC.finditer(text):
        if match[1]:
            year, month, day = int(match[1]), int(match[3]), int(match[4])
            others: tuple[tuple[int, int, int], ...] = ()
        else:
            year, month, day = int(match[8]), int(match[7]), int(match[5])
            others = ((year, day, month),) if match[6] == "/" and day <= 12 else ()
        if 1 <= month <= 12 and 1 <= day <= 31 or others:
            found.append(Date(match[0], *match.span(), year, month, day, others))
    return found


def _japanese(text: str) -> list[Date]:
    if "月" not in text and "年" not in text:
        return []
    found = []
    for match in _JAPANESE.finditer(text):
        year, month, day = int(match[1] or match[4] or 0), int(match[2] or 0), int(match[3] or 0)
        if month <= 12 and (year or day) and (not match[4] or 1800 <= year <= 2200):
            found.append(Date(match[0], *match.span(), year, month, day))
    return found


def _worded(text: str, language: str) -> list[Date]:
    found = []
    known = months(language)
    for word in _WORD.finditer(text):
        month = known.get(word[0].lower())
        if not month:
            continue
        start, end, day, year = word.start(), word.end(), 0, 0
        if text[end : end + 1] == "." and len(word[0]) < 5:
            end += 1
        before = _DAY_BEFORE.search(text, max(0, start - 12), start)
        after = None if before else _DAY_AFTER.match(text, end)
        if before:
            start, day = before.start(), int(before[1])
        elif after:
            end, day = after.end(), int(after[1])
        of_year = _YEAR_AFTER.match(text, end)
        if of_year:
            end, year = of_year.end(), int(of_year[1])
        if (day and day <= 31) or year:
            found.append(Date(text[start:end], start, end, year, month, day))
    return found
