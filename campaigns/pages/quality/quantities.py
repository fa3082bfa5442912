"""
Read the figures of a text: numbers in the formats of the ten languages, with what they measure.

Every pattern here is without nested repetition: reading takes time in proportion to the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from campaigns.pages.quality import dates, numerals, units
from campaigns.pages.quality.units import Unit

_FRACTIONS = {"¼": ".25", "½": ".5", "¾": ".75"}
_PLAIN = str.maketrans({"™": "®", "″": '"', "′": "'", "º": "°", "ª": "°", "−": "-", "‑": "-", "’": "'"})
_FRACTION = re.compile(r"(\d{0,3})([¼½¾])")
_NUMBER = re.compile(r"\d{1,3}(?:[ ']\d{3}){1,4}(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[A-Za-zÀ-ɏµμΩ]+[23]?(?:/(?:[A-Za-zÀ-ɏ]+[23]?|\d+ ?[A-Za-z]+))*")
_SIGN = re.compile(r"dB\(A\)|°[CF]?|[%‰\"€$£¥Ω]")
_MONEY_BEFORE = re.compile(r"(?<!\d)(?<!\d )(?:(?:US|CA|AU|MX|R|A)?\$|[€£¥]|\b(?:[A-Z]{3}|[Kk]r\.?|Fr\.|zł))\s?$")
_IN_CODE = re.compile(r"[A-Za-zÀ-ɏ]-?$|_$")
_CAPITAL_BEFORE = re.compile(r"\b[A-ZÀ-ÖØ-Þ][^\W\d_]* $")
_DASHED_PRICE = re.compile(r"(?:,|\.|:)[-–—](?!\d)")
_LINK = re.compile(
    r",? ?(?:,|-|–|—|~|〜|×|x|/|to|bis|à|a|do|tot|till|och|und|and|et|y|e|i|en|o|or|oder|by|per|par|por|bij|から|と|、) ?"
)
_LETTERS = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_KANJI = re.compile(
    r"[二三四五六七八九十]{1,3}(時間|年間|年|か月|カ月|ヶ月|ヵ月|週間|日間|分間|グラム|キロ|ミリ|センチ|メートル|リットル|パーセント)"
)
_TENS_OF_THOUSANDS = (("億", 1e8), ("万", 1e4), ("千", 1e3))
_NIGHTS = {"nights", "nächte", "nächten", "nuits", "noches", "notti", "noites", "nachten", "nätter", "noce", "nocy"}
_NOT_BY_WORD = {"feet", "foot", "fuß", "pieds", "pies", "piedi", "pés", "fot", "second", "secondi", "secondes"}  # two feet, …


@dataclass(frozen=True, slots=True)
class Quantity:
    """
    A figure of a text: as it is written, where, the numbers that it may mean (“1.299” is two), the units that may be meant
    (none: ()), and the digits after its decimal sign.
    """

    text: str
    start: int
    end: int
    values: tuple[float, ...]
    units: tuple[Unit, ...] = ()
    decimals: int = 0
    worded: bool = False
    before: str = ""  # the two words before it, in lower case

    @property
    def is_money(self) -> bool:
        return any(unit.dimension.startswith(units.ANY_MONEY) for unit in self.units)


def plain(text: str) -> str:
    """Return a text with one form for each sign: ASCII digits, m2 for m², single spaces of one kind."""
    halves = _FRACTION.sub(lambda found: (found[1] or "0") + _FRACTIONS[found[2]], text.translate(_PLAIN))
    return unicodedata.normalize("NFKC", halves)


def blanked(text: str, found: list[Quantity]) -> str:
    """Return a text without its figures that have a unit, letter for letter: kW is no name."""
    parts, at = [], 0
    for one in found:
        if one.units and one.start >= at:
            parts += [text[at : one.start], "\1" * (one.end - one.start)]
            at = one.end
    return "".join([*parts, text[at:]])


def find(text: str, language: str) -> list[Quantity]:
    """Return the figures of a plain text in order; those that are part of a date are left out."""
    masked = dates.masked(text, language)
    found = list(_with_shared_units(list(_digits(masked, language)), masked))
    return sorted([*found, *_worded(masked, language)], key=lambda one: one.start)


def readings(number: str) -> tuple[float, ...]:
    """Return what a number in digits may mean: “1.299” may be 1299 and 1.299."""
    digits = number.replace(" ", "").replace("'", "")
    signs = [sign for sign in digits if sign in ".,"]
    if not signs:
        return (float(digits),)
    whole, _, rest = digits.rpartition(signs[-1])
    decimal = float(whole.replace(".", "").replace(",", "") + "." + rest)
    if len(set(signs)) == 2:
        return (decimal,) if signs.count(signs[-1]) == 1 else ()
    groups = digits.split(signs[0])
    thousands = 0 < len(groups[0]) <= 3 and groups[0] != "0" and all(len(group) == 3 for group in groups[1:])
    joined = (float("".join(groups)),) if thousands else ()
    return joined if len(signs) > 1 else (*joined, decimal)


def _digits(text: str, language: str) -> Iterator[Quantity]:
    at = 0
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        if start < at:
            continue  # read as the rest of a Japanese number
        if _IN_CODE.search(text, max(0, start - 2), start):
            continue  # X7 and C-20: `names` looks at those
        values, decimals = readings(match[0]), _decimals(match[0])
        values, end = _multiplied(text, values, end)
        found, after = _unit_after(text, end)
        if _DASHED_PRICE.match(text, end):
            found, after = (*found, Unit(units.ANY_MONEY)), end + 2
        money = _MONEY_BEFORE.search(text, max(0, start - 5), start)
        if money:
            sign = money[0].strip()
            found = (*(units.SIGNS.get(sign) or units.MONEY.get(sign.lower().rstrip("."), ())), *found)
            start = money.start() if found else start
        follows_name = not money and _CAPITAL_BEFORE.search(text, max(0, start - 30), start)
        if " " in match[0] and follows_name:  # “Ridge 2 500 g”: a name and a figure, or one number
            values = (*values, *readings(match[0].split(" ", 1)[1]))
        at = after
        before = " ".join(text[max(0, start - 32) : start].lower().split()[-2:])
        yield Quantity(text[start:after].strip(), start, after, values, found, decimals, before=before)


def _decimals(number: str) -> int:
    _, sign, rest = number.rpartition("," if number.rfind(",") > number.rfind(".") else ".")
    return len(rest) if sign else 0


def _multiplied(text: str, values: tuple[float, ...], end: int) -> tuple[tuple[float, ...], int]:
    total: float = 0
    for sign, times in _TENS_OF_THOUSANDS:
        if text.startswith(sign, end) and values:
            total += values[0] * times
            rest = _NUMBER.match(text, end + 1)
            values, end = (readings(rest[0]), rest.end()) if rest else ((0.0,), end + 1)
    if total:
        return tuple(total + value for value in values[:1]), end
    word = _LETTERS.match(text, end + 1) if text[end : end + 1] == " " else None
    factor = numerals.THOUSANDS.get(word[0].lower(), 0) if word else 0
    return (tuple(value * factor for value in values), word.end()) if word and factor else (values, end)


def _unit_after(text: str, end: int) -> tuple[tuple[Unit, ...], int]:
    at = end + 1 if text[end : end + 1] in (" ", "-") else end
    sign = _SIGN.match(text, at)
    if sign and not (sign[0] == '"' and at > end):
        return units.SIGNS.get(sign[0]) or units.MONEY[sign[0]], sign.end()
    for written, meant in units.JAPANESE.items():
        if text.startswith(written, at):
            return meant, at + len(written)
    word = _WORD.match(text, at)
    if not word:
        return (), end
    parts, stop = [word[0]], word.end()
    ends = [stop]
    while len(parts) < 4 and text[stop : stop + 1] == " " and (following := _WORD.match(text, stop + 1)):
        parts.append(following[0])
        stop = following.end()
        ends.append(stop)
    for length in range(len(parts), 0, -1):
        meant = _meant(parts[:length], text[ends[length - 1] : ends[length - 1] + 2])
        if meant:
            return meant, ends[length - 1]
    return (), end


def _meant(words: list[str], after: str) -> tuple[Unit, ...]:
    """Return what a unit's sign or words mean; ``after`` is the text that follows, for “2 in 1”."""
    word = " ".join(words)
    if word == "in" and after[:1] == " " and after[1:2].isalnum():
        return ()
    if after[:1].isdigit() and len(word) < 2:
        return ()
    known, lower = units.words(), word.lower()
    if word in units.SIGNS:
        return units.SIGNS[word]
    if lower in known and (len(lower) > 1):
        return known[lower]
    if "/" in word and len(words) == 1:
        return (Unit(lower),)
    for cut in (1, 2):  # Litern, Stunden-, timmars: an ending more
        if len(lower) - cut >= 4 and lower[:-cut] in known:
            return known[lower[:-cut]]
    return ()


def _with_shared_units(found: list[Quantity], text: str) -> Iterator[Quantity]:
    """“4 to 6 mm” and “24 × 38 × 36 cm”: the numbers before share the unit of the last one."""
    shared: tuple[Unit, ...] = ()
    reversed_ones = []
    for at in range(len(found) - 1, -1, -1):
        one = found[at]
        if at + 1 < len(found) and not one.units and _LINK.fullmatch(text[one.end : found[at + 1].start]):
            one = Quantity(one.text, one.start, one.end, one.values, shared, one.decimals, before=one.before)
        shared = one.units
        reversed_ones.append(one)
    yield from reversed(reversed_ones)


def _worded(text: str, language: str) -> Iterator[Quantity]:
    if language == "ja":
        for match in _KANJI.finditer(text):
            if value := numerals.of_kanji(match[0][: match.start(1) - match.start()]):
                yield Quantity(match[0], *match.span(), (float(value),), units.JAPANESE[match[1]], worded=True)
        return
    words = list(_LETTERS.finditer(text))
    lower = [word[0].lower() for word in words]
    table = numerals.WORDS[language]
    for at, word in enumerate(lower):
        head = word.split("-")[0]
        if word not in table and head not in table:
            continue
        if word in table:
            following = lower[at + 1] if at + 1 < len(lower) else ""
            if following in table or (following in numerals.THOUSANDS and following != "mil"):
                continue
            value, first = numerals.sum_of(lower, at + 1, language)
            meant, end = _unit_after(text, words[at].end())
        else:  # two-year
            value, first = table[head], at
            meant, end = _unit_after(text, words[at].start() + len(head))
        unit = text[words[at].end() if word in table else words[at].start() + len(head) : end].strip(" -").lower()
        few = value < 10 and unit in _NIGHTS
        if meant and not few and unit not in _NOT_BY_WORD and not text[end : end + 1].isalpha():
            start = words[first].start()
            before = " ".join(lower[max(0, first - 2) : first])
            yield Quantity(text[start:end], start, end, (float(value),), meant, worded=True, before=before)
