"""
The heart of the checks: nothing on a page is invented. Every figure, date, name and claim must stand in the request's facts.

A small number without a unit may count what the page itself lists: “3 reasons” above three points.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from campaigns.pages.quality import claims, dates, names, quantities
from campaigns.pages.quality.grounds import Grounds
from campaigns.pages.quality.quantities import Quantity, plain
from campaigns.pages.quality.wordlists import words_of
from campaigns.pages.types import Document, TextBlock

_TITLED = {"title", "heading", "question", "cell", "point"}
_LIST_NUMBER = re.compile(r"\s*(?:\D{0,12} )?\d{1,2}(?:[.):]|\s*$)")
_STEP = words_of(
    """
    step schritt étape paso passaggio passo stap steg krok ステップ tip tipp conseil consejo consiglio dica rada
    porada
    """
)
_ORDINAL = re.compile(r"1(?:st|er|re|ère|°|\.º|ste|:a|番)")
_NAME_BEFORE = re.compile(r"([^\W\d_]{2,}) $")
_MOST_COUNTED = 20


def invented(document: Document, grounds: Grounds, language: str) -> Iterator[tuple[TextBlock, str]]:
    """Yield what stands in no fact, with the block it is in."""
    counts, known = grounds.counts | _own_counts(document), set(grounds.dates)
    for block in blocks_of(document):
        text = plain(block.text)
        figures = quantities.find(text, language)
        for figure in figures:
            if not _may_state(figure, text, grounds, counts):
                yield block, figure.text
        for date in dates.find(text, language):
            if not date.stands_in(known):
                yield block, date.text
        for name in names.find(quantities.blanked(text, figures), language, grounds, titled=block.kind in _TITLED):
            yield block, name
        for claim in claims.find(text, grounds.texts):
            yield block, claim


def blocks_of(document: Document) -> Iterator[TextBlock]:
    """Yield all texts of a page, with the title and description for search results if no block has them."""
    kinds = {block.kind for block in document.blocks}
    meta = next((block.component for block in document.blocks if block.component == "meta"), "meta")
    if "title" not in kinds and document.title:
        yield TextBlock(meta, "title", document.title)
    if "description" not in kinds and document.description:
        yield TextBlock(meta, "description", document.description)
    yield from document.blocks


def _may_state(one: Quantity, text: str, grounds: Grounds, counts: frozenset[int]) -> bool:
    named = _named_with(one, text, grounds)
    if named:
        return True
    if grounds.carry(one):
        return not _is_other_model(one, text, grounds)
    if one.units or one.worded:
        return False
    if (one.start == 0 and _LIST_NUMBER.match(text)) or one.before.rpartition(" ")[2] in _STEP or _ORDINAL.match(text, one.start):
        return True
    whole = one.values and one.values[0] == int(min(one.values[0], 1e9)) and not one.decimals
    return (
        bool(whole)
        and one.values[0] <= _MOST_COUNTED
        and int(one.values[0]) in counts
        and not _is_other_model(one, text, grounds)
    )


def _named_with(one: Quantity, text: str, grounds: Grounds) -> bool:
    """“Fell 2”, “Standard 100”: word and number stand together in the facts, though the next word may look like a unit."""
    word = _NAME_BEFORE.search(text, max(0, one.start - 30), one.start)
    number = re.match(r"\d(?:[\d.,]*\d)?", one.text)
    return bool(word and number and grounds.number(word[1], number[0]))


def _is_other_model(one: Quantity, text: str, grounds: Grounds) -> bool:
    """“Fell 3” where the facts know a Fell 2: the number is another model's, whatever else it counts."""
    if one.units or one.worded:
        return False
    word = _NAME_BEFORE.search(text, max(0, one.start - 30), one.start)
    if not word or (word[1][0].islower() and word[1][0].isascii()):
        return False
    return word[1].lower() in grounds.name_words or grounds.number(word[1])


def _own_counts(document: Document) -> frozenset[int]:
    """Return how many items the lists of the page have: points in a row, sections, questions, cells."""
    counts: Counter[object] = Counter()
    run = 0
    found = set()
    for block in document.blocks:
        counts[block.kind, block.level] += 1
        counts[block.component, block.kind, block.level] += 1
        run = run + 1 if block.kind == "point" else 0
        found.add(run)
    return frozenset({1, *found, *counts.values()} - {0})
