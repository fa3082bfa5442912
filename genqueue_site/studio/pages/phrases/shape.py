"""What a language needs so that plain pages can be written in it."""

from __future__ import annotations

from dataclasses import dataclass


def lines(text: str) -> tuple[str, ...]:
    """Return the lines of a text without those that are empty."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


@dataclass(frozen=True, kw_only=True)
class Phrases:
    """
    The sentences of a language. None states a fact of its own, and none says anything twice.

    ``{name}`` is what a page is about or one of its products, ``{key}`` a keyword and ``{keys}`` several, all in quotation marks,
    ``{label}`` and ``{value}`` a fact. They stand where any word may stand, so that no given word needs another form. A line of
    questions is a question, a bar and its answer. ``beginnings`` go with any of ``endings``, ``subjects`` with any of
    ``predicates``.
    """

    marks: tuple[str, str]
    colon: str = ": "
    comma: str = ", "
    dash: str = " – "
    gap: str = " "  # between words and between sentences
    tails: tuple[str, ...]  # of headlines, titles and headings, after a name
    headings: tuple[str, ...]
    leads: tuple[str, ...]
    asides: tuple[str, ...]  # second sentences of a lead
    lead_facts: tuple[str, ...]
    openings: tuple[str, ...]  # of the first paragraph
    details: tuple[str, ...]  # with the product that they are about
    entries: tuple[str, ...]  # without it
    returns: tuple[str, ...]  # to the main keyword
    others: tuple[str, ...]
    remarks: tuple[str, ...]
    beginnings: tuple[str, ...]
    endings: tuple[str, ...]
    subjects: tuple[str, ...]
    predicates: tuple[str, ...]
    key_questions: tuple[str, ...]
    fact_questions: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[str, ...]  # to a question that the data answers
    descriptions: tuple[str, ...]
    blurbs: tuple[str, ...]
