"""Keywords in a page's texts, with the endings of the languages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from campaigns.pages.languages import count_words
from campaigns.pages.quality.grounding import blocks_of
from campaigns.pages.types import Check, Context, Document

DENSITY = (0.5, 2.5)  # percent of the page's words
STUFFED = 3.5  # percent: reads as made for search engines
_WORD = re.compile(r"[^\W_]+")
_PLACES = {"title": ("title",), "first paragraph": ("lead", "paragraph"), "one heading": ("heading",)}
_LEAST_STEM, _LONGEST_ENDING = 4, 3


def count(keyword: str, text: str, language: str) -> int:
    """Return how often a keyword stands in a text: its words in a row, each with an ending more or less."""
    if language == "ja":
        parts, lower = keyword.lower().split(), text.lower()
        whole = lower.count("".join(parts)) + (lower.count(keyword.lower()) if len(parts) > 1 else 0)
        return whole or int(len(parts) > 1 and all(part in lower for part in parts))
    wanted, words = _WORD.findall(keyword.lower()), _WORD.findall(text.lower())
    if not wanted:
        return 0
    first = wanted[0]
    starts = [at for at, word in enumerate(words) if word[:2] == first[:2] and _is_form(word, first)]
    return sum(
        all(_is_form(*pair) for pair in zip(words[at:], wanted, strict=False)) for at in starts if at + len(wanted) <= len(words)
    )


def _is_form(word: str, wanted: str) -> bool:
    if word == wanted:
        return True
    stem = wanted[: max(_LEAST_STEM, len(wanted) - 2)] if len(wanted) > _LEAST_STEM else wanted
    return len(wanted) > 2 and word.startswith(stem) and abs(len(word) - len(wanted)) <= _LONGEST_ENDING


def check_main(document: Document, context: Context, paid: Sequence[str]) -> Check:
    """The main keyword: in the title, the first paragraph and one heading, and neither rare nor stuffed."""
    request, name = context.request, "Main keyword"
    low, high = DENSITY
    bound = f"{low:g} to {high:g}%; in title, first paragraph and one heading"
    if not request.keywords:
        return Check(name, "pass", "none", bound, "The request has no keywords.")
    keyword, blocks = request.keywords[0], list(blocks_of(document))
    times = sum(count(keyword, block.text, request.language) for block in document.blocks)
    words = count_words("\n".join(block.text for block in document.blocks), request.language)
    density = 100 * times / max(words, 1)
    figure = f"{times} {'time' if times == 1 else 'times'}, {density:.1f}%"
    missing = [place for place, kinds in _PLACES.items() if not _stands(keyword, blocks, kinds, place, request.language)]
    if missing:
        holders = {"title": "meta", "first paragraph": "hero", "one heading": "body"}
        where = missing[0] if len(missing) == 1 else f"{', '.join(missing[:-1])} and {missing[-1]}"
        components = tuple(key for key in dict.fromkeys(holders[place] for place in missing) if key in paid)
        return Check(name, "fail", figure, bound, f"Use “{keyword}” in the {where}.", components)
    if density > STUFFED:
        often = _most_often(keyword, document, request.language, paid)
        return Check(name, "fail", figure, bound, f"Use “{keyword}” less often: {low:g} to {high:g}% of the words.", often)
    if density > high:
        return Check(name, "warn", figure, bound, f"Use “{keyword}” a little less often.")
    if density < low:
        return Check(name, "warn", figure, bound, f"Use “{keyword}” a little more often.")
    return Check(name, "pass", figure, bound, f"“{keyword}” is where readers and search engines look for it.")


def check_all(document: Document, context: Context, paid: Sequence[str]) -> Check:
    """Every keyword stands somewhere on the page."""
    request, name = context.request, "All keywords used"
    texts = [block.text for block in blocks_of(document)]
    missing = [one for one in request.keywords if not any(count(one, text, request.language) for text in texts)]
    total = len(request.keywords)
    figure, bound = f"{total - len(missing)} of {total}", f"{total} of {total}"
    if not missing:
        return Check(name, "pass", figure, bound, "Each keyword is on the page.")
    named = ", ".join(f"“{one}”" for one in missing)
    components = tuple(key for key in ("body", "faq") if key in paid)[:1]
    return Check(
        name,
        "fail",
        figure,
        bound,
        f"Use {named} where {'it fits' if len(missing) == 1 else 'they fit'}.",
        components,
        tuple(missing),
    )


def _stands(keyword: str, blocks: Iterable, kinds: tuple[str, ...], place: str, language: str) -> bool:  # type: ignore[type-arg]
    texts = [block.text for block in blocks if block.kind in kinds]
    return any(count(keyword, text, language) for text in (texts[:1] if place != "one heading" else texts))


def _most_often(keyword: str, document: Document, language: str, paid: Sequence[str]) -> tuple[str, ...]:
    times = {key: sum(count(keyword, one.text, language) for one in document.blocks if one.component == key) for key in paid}
    most = max(times.values(), default=0)
    return tuple(key for key, number in times.items() if number and number == most)


def headings_in_order(levels: Sequence[int]) -> bool:
    """Whether headings start with the only one of level 1, and no level is left out on the way down."""
    return (
        bool(levels)
        and levels[0] == 1
        and levels.count(1) == 1
        and all(after <= before + 1 for before, after in pairwise(levels))
    )
