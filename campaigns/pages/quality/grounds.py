"""What a page may state: the figures, dates and names of its request. Competitors' texts are not among them."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

from campaigns.pages import facts
from campaigns.pages.quality import dates, numerals, places, quantities, units, voice
from campaigns.pages.quality.quantities import Quantity, plain
from campaigns.pages.quality.units import ANY_MONEY, Unit
from campaigns.pages.types import Context, Product

_WORD = re.compile(r"[^\W_]+")
_NUMBERED = re.compile(r"([^\W\d_]{2,30})[ -]?(\d[\d.,]*\d|\d)")
_LIST = re.compile(r"[,;/、・]| and | und | et | y | e | en | och | i ")
_COMPARED = 6  # products
_FIGURES_MOST = 120  # in what products have under one name: each is compared with all others
_EXACT = 1e-6
_SHORTEST, _ENDING = 3, 3  # letters of a stem, and by how many two forms of a word differ
_ABOUT = 0.05  # “about 130 €” for 129.90 €
_BEYOND = 0.1  # “under 2 kg” for 1.85 kg


@dataclass(frozen=True)
class Grounds:
    """The figures of a request by what they measure, its dates, its words, and how many items its lists have."""

    measured: Mapping[str, tuple[tuple[float, float, bool], ...]]  # dimension → (in base units, half a last digit, imperial)
    numbers: frozenset[float]
    dates: frozenset[tuple[int, int, int]]
    words: frozenset[str]
    squeezed: str
    texts: str
    counts: frozenset[int]
    name_words: frozenset[str]  # of products
    numbered: frozenset[tuple[str, str]]  # words with the number after them: “Fell 2”, “Standard 100”

    @classmethod
    def of(cls, context: Context) -> Grounds:
        """Collect the facts of a page's context."""
        lines = list(_lines(context))
        found = [one for label, text in lines for one in _labelled(label, quantities.find(text, context.request.language))]
        found += [one for product in context.request.products for one in _price(product)]
        measured: dict[str, set[tuple[float, float, bool]]] = defaultdict(set)
        for one in found:
            for unit in one.units:
                for value in one.values:
                    measured[unit.dimension].add((value * unit.factor, 0.5 * 10**-one.decimals * unit.factor, unit.imperial))
        for dimension, values in _differences(context).items():
            measured[dimension] |= values
        texts = [text for _, text in lines]
        known = {reading for text in texts for one in dates.find(text, context.request.language) for reading in one.readings}
        numbers = {value for one in found for value in one.values} | {float(year) for year, _, _ in known if year}
        named = " \n ".join([*texts, *(label for label, _ in lines), *_names(context)])
        words = {word for text in (named,) for word in _WORD.findall(text.lower())}
        return cls(
            {dimension: tuple(values) for dimension, values in measured.items()},
            frozenset(numbers),
            frozenset(known),
            frozenset(words | _translated(words)),
            squeezed(named),
            named.lower(),
            frozenset(_counts(context)),
            frozenset(_name_words(context)),
            frozenset(pair for text in texts for pair in _NUMBERED.findall(text.lower())),
        )

    def carry(self, one: Quantity) -> bool:
        """Whether a figure with a unit stands in the facts, in whatever unit. One without a unit needs only its number."""
        if not one.units:
            return any(value in self.numbers for value in one.values)
        return any(self._measures(value, unit, one) for unit in one.units for value in one.values)

    def _measures(self, value: float, unit: Unit, one: Quantity) -> bool:
        base, half = value * unit.factor, 0.5 * 10**-one.decimals * unit.factor
        known: Iterable[tuple[float, float, bool]] = self.measured.get(unit.dimension, ())
        if unit.dimension == ANY_MONEY:
            known = [each for dimension, some in self.measured.items() if dimension.startswith(ANY_MONEY) for each in some]
        elif unit.dimension.startswith(ANY_MONEY):
            known = (*known, *self.measured.get(ANY_MONEY, ()))
        for fact, rounding, imperial in known:
            off = abs(base - fact)
            if off <= _EXACT * max(abs(fact), 1e-9):
                return True
            if imperial != unit.imperial and off <= max(half, rounding) and off <= 0.05 * abs(fact):
                return True
            if _allows(one.before, base - fact, abs(fact)):
                return True
        return False

    def number(self, word: str, number: str = "") -> bool:
        """Whether the facts have this word with this number after it; without a number: with any."""
        lower = word.lower()
        ends = (lower[at:] for at in range(1, len(lower)))
        known = {lower, *(end for end in ends if not end.isascii())}
        return any(number in self._numbers_after[one] if number else True for one in known if one in self._numbers_after)

    @cached_property
    def _numbers_after(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for word, number in self.numbered:
            found.setdefault(word, set()).add(number)
        return found

    @cached_property
    def _stems(self) -> frozenset[tuple[int, str]]:
        return frozenset(stem for word in self.words for stem in _stems_of(_folded(word)))

    def has_word(self, word: str, *, inflected: bool = False) -> bool:
        """Whether a word stands in the facts, with an ending more or less; ``inflected``: in Polish, also with another ending."""
        lower = word.lower()
        if lower in self.words or (len(lower) > 3 and squeezed(lower) in self.squeezed):
            return True
        if any(lower[:-cut] in self.words for cut in (1, 2) if len(lower) - cut >= 3):
            return True
        if any(lower + ending in self.words for ending in ("s", "n", "e", "en", "a")):
            return True
        if not inflected:
            return False
        folded = _folded(lower)
        lengths = range(len(folded) - _ENDING, len(folded) + _ENDING + 1)
        return any(
            (length, folded[: _stem(len(folded), length)]) in self._stems for length in lengths if len(folded) >= _SHORTEST
        )


def _allows(before: str, above: float, fact: float) -> bool:
    """Whether the words before a figure allow that it's so much above the fact: “about”, “under”, “more than”."""
    words = {before, before.rpartition(" ")[2]}
    return (
        (bool(words & numerals.ABOUT) and abs(above) <= _ABOUT * fact)
        or (bool(words & numerals.UNDER) and 0 < above <= _BEYOND * fact)
        or (bool(words & numerals.OVER) and 0 < -above <= _BEYOND * fact)
    )


def squeezed(text: str) -> str:
    """Return the letters and digits of a text, in lower case."""
    return "".join(_WORD.findall(text.lower()))


def _folded(word: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFD", word.replace("ł", "l")) if not unicodedata.combining(sign))


def _stem(length: int, other: int) -> int:
    """Return how many letters two words of these lengths must share to be forms of one."""
    return max(_SHORTEST, max(length, other) - _ENDING)


def _stems_of(word: str) -> Iterator[tuple[int, str]]:
    """Yield the length of a word with each beginning that a form of it may share: so forms are looked up, not compared."""
    if len(word) >= _SHORTEST:
        yield from ((len(word), word[: _stem(len(word), other)]) for other in range(len(word), len(word) + _ENDING + 1))


def _lines(context: Context) -> Iterator[tuple[str, str]]:
    """Yield each text of the request with its label, as plain text."""
    request = context.request
    for line in context.facts:
        if line.startswith(f"{facts.VOICE}: "):
            continue  # says how to write; its words to avoid are no facts
        label, colon, value = line.rpartition(": ")
        yield (plain(label), plain(value)) if colon else ("", plain(line))
        if colon:
            yield "", plain(label)
    for product in request.products:
        for text in (product.name, product.sku, product.brand, product.description):
            yield "", plain(text)
        for label, text in product.attributes.items():
            yield plain(label), plain(str(text))
            yield "", plain(label)
    for text in (*request.keywords, request.brief, *_strings(request.seo)):
        yield "", plain(text)
    if request.sku_count:
        yield "", str(request.sku_count)


def _names(context: Context) -> Iterator[str]:
    """Yield texts that may name somebody, though no fact is in them: the address, and the voice but for its words to avoid."""
    yield plain(context.request.target_url)
    yield plain(voice.without_avoided(context.request.brand_voice))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)


def _labelled(label: str, found: Iterable[Quantity]) -> Iterator[Quantity]:
    """“Weight (g): 240”: the label's unit is that of bare numbers."""
    meant = units.of_label(label)
    for one in found:
        yield Quantity(one.text, one.start, one.end, one.values, meant, one.decimals) if meant and not one.units else one


def _price(product: Product) -> Iterator[Quantity]:
    if product.price:
        unit = Unit(ANY_MONEY + product.currency.upper())
        for one in quantities.find(plain(product.price), "en"):
            yield Quantity(one.text, one.start, one.end, one.values, (unit,), one.decimals)


def _differences(context: Context) -> dict[str, set[tuple[float, float, bool]]]:
    """Return by how much the prices and attributes of the products differ: pages may say “44 g heavier”."""
    columns: dict[str, list[Quantity]] = defaultdict(list)
    if len(context.request.products) > _COMPARED:
        return {}  # so many differences that any figure would be one
    for product in context.request.products:
        columns[""] += _price(product)
        for label, text in product.attributes.items():
            columns[label] += _labelled(plain(label), quantities.find(plain(str(text)), context.request.language))
    found: dict[str, set[tuple[float, float, bool]]] = defaultdict(set)
    for values in columns.values():
        if len(values) > _FIGURES_MOST:
            continue
        for one, other in combinations(values, 2):
            for unit in set(one.units):
                for same in other.units:
                    if unit.dimension == same.dimension and one.values and other.values:
                        gap = abs(one.values[-1] * unit.factor - other.values[-1] * same.factor)
                        found[unit.dimension].add((round(gap, 9), 0.0, unit.imperial))
    return found


def _counts(context: Context) -> Iterator[int]:
    """Yield how many products there are, and how many items the lists among the facts have."""
    yield len(context.request.products)
    for product in context.request.products:
        for text in product.attributes.values():
            yield len(_LIST.split(str(text)))
    for line in context.facts:
        yield len(_LIST.split(line))


def _name_words(context: Context) -> Iterator[str]:
    for product in context.request.products:
        yield from (word for word in _WORD.findall(plain(product.name).lower()) if not word[-1].isdigit())


def _translated(words: set[str]) -> set[str]:
    known = places.keys()
    return {other for word in words if word in known for other in places.words()[known[word]]}
