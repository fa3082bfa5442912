"""
Quality: the checks of a finished page, each with its figure, its bound and a sentence that says what to do.

| what failed | verdict | written again |
|---|---|---|
| Facts, Language | reject | the components with what was found |
| HTML, JSON-LD | reject | – |
| any other check | review | the components that the check names |
| nothing, whatever was only a warning | approve | – |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from campaigns.pages import plan
from campaigns.pages.quality import grounding, keywords, likeness, markup, reading
from campaigns.pages.quality.grounds import Grounds
from campaigns.pages.types import Check, Context, Document

__all__ = ["REJECTING", "check", "failing", "likeness", "rank", "verdict"]

VERDICTS = ("approve", "review", "reject")  # from good to bad
REJECTING = frozenset({"Facts", "Language", "HTML", "JSON-LD"})
ALIKE, COPIED = 0.25, 0.5  # of the text: a warning from the first on, a failure from the second on
MOST_FOUND = 20


def check(document: Document, context: Context, *, others: Iterable[tuple[str, Sequence[int]]] = ()) -> tuple[Check, ...]:
    """
    Return all checks of a page, the gravest first. Time grows in proportion to the page's length.

    :param others: name and signature (`likeness.signature`) of pages that may be alike.
    """
    paid = [one.key for one in plan.planned(context.request) if one.paid]
    return (
        check_facts(document, context, paid),
        reading.check_language(document, context),
        reading.check_words(document, context),
        keywords.check_main(document, context, paid),
        keywords.check_all(document, context, paid),
        reading.check_readability(document, context),
        markup.check_title(document, context),
        markup.check_description(document, context),
        check_copied(document, paid, others),
        reading.check_repeated(document, context),
        markup.check_links(document, context),
        reading.check_avoided(document, context),
        markup.check_headings(document),
        markup.check_html(document),
        markup.check_json_ld(document),
    )


def verdict(checks: Iterable[Check]) -> Literal["approve", "review", "reject"]:
    """Return what the checks add up to, by the table above."""
    failed = {one.name for one in checks if one.outcome == "fail"}
    if failed & REJECTING:
        return "reject"
    return "review" if failed else "approve"


def rank(checks: Sequence[Check]) -> tuple[int, int]:
    """Return how bad a page is, to compare it with another text of it: first its verdict, then how many checks failed."""
    return VERDICTS.index(verdict(checks)), sum(one.outcome == "fail" for one in checks)


def failing(checks: Iterable[Check]) -> tuple[str, ...]:
    """Return the keys of the components to write again: those that failed checks name, each once."""
    return tuple(dict.fromkeys(key for one in checks if one.outcome == "fail" for key in one.components))


def check_facts(document: Document, context: Context, paid: Sequence[str]) -> Check:
    """Nothing is invented: each figure, date, name and claim stands in the facts."""
    found: dict[str, list[str]] = {}
    for block, text in grounding.invented(document, Grounds.of(context), context.request.language):
        found.setdefault(" ".join(text.split()), []).append(block.component)
    name, bound = "Facts", "0 without a source"
    if not found:
        return Check(name, "pass", "0 without a source", bound, "All figures, dates and names that were found are in your data.")
    components = tuple(dict.fromkeys(key for keys in found.values() for key in keys if key in paid))
    listed = ", ".join(f"“{one}”" for one in list(found)[:5]) + ("…" if len(found) > 5 else "")
    sentence = f"Remove {listed}, or add {'it' if len(found) == 1 else 'them'} to your data."
    return Check(name, "fail", f"{len(found):,} without a source", bound, sentence, components, tuple(found)[:MOST_FOUND])


def check_copied(document: Document, paid: Sequence[str], others: Iterable[tuple[str, Sequence[int]]]) -> Check:
    """How much of the text stands in the page that is most alike."""
    own, _ = likeness.signature(likeness.body_of(document))
    compared = [(likeness.similarity(own, signature), label) for label, signature in others]
    most, label = max(compared, default=(0.0, ""))
    pages = f"{len(compared):,} {'page' if len(compared) == 1 else 'pages'}"
    name, figure, bound = "Copied text", f"{most:.0%}", f"under {COPIED:.0%} against {pages}"
    if most < ALIKE:
        return Check(name, "pass", figure, bound, "The text is its own.")
    sentence = f"Rewrite what is also on “{label}”."
    if most < COPIED:
        return Check(name, "warn", figure, bound, sentence, (), (label,))
    return Check(name, "fail", figure, bound, sentence, tuple(key for key in paid if key != "meta"), (label,))
