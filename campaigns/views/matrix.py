"""The matrix in the campaign form: filters, a page of rows, and exclusions by value or by filter."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from django.core.paginator import Page, Paginator

from campaigns import forms
from campaigns.forms import Asked
from campaigns.plan import PlannedCell, Sketch
from campaigns.rules import compliance
from campaigns.rules.compliance import Hit
from campaigns.rules.matrix import Choice, Exclusion

ROWS_A_PAGE = 50
AROUND = 24  # characters of the prompt shown on either side of highlighted words

Pieces = list[tuple[str, bool]]


@dataclass(frozen=True)
class Row:
    """A row of the table: one cell with its values in words, its prompt in highlighted pieces, and the first hit of each rule."""

    index: int
    words: str
    prompt: str
    pieces: Pieces
    level: str
    hits: list[Hit]
    excluded: bool
    blocked: bool
    tickets: int


class Matrix:
    """The cells of a sketch, as far as the filters and the page show them."""

    def __init__(self, sketch: Sketch, asked: Asked):
        self._sketch, self._asked = sketch, asked
        self._labels = {(choice.key, key): label for choice in sketch.choices for key, label in choice.values}
        self.each = sketch.plan.tickets_each if sketch.plan else 0

    @property
    def total(self) -> int:
        return len(self._sketch.cells)

    @cached_property
    def excluded(self) -> int:
        return sum(one.excluded for one in self._sketch.cells)

    @cached_property
    def blocked(self) -> int:
        return sum(one.blocked and not one.excluded for one in self._sketch.cells)

    @property
    def blocks_words(self) -> bool:
        """Whether other words would unblock a cell. A rule that can't be used marks no words."""
        hits = (hit for one in self._sketch.cells if one.blocked and not one.excluded for hit in one.verdict.hits)
        return any(hit.matched and hit.rule.severity == "block" for hit in hits)

    @cached_property
    def shown(self) -> list[PlannedCell]:
        """Return the cells that match both filters."""
        words = self._asked.matrix_filter.casefold().split()
        return [one for one in self._sketch.cells if self._passes(one) and self._has(one, words)]

    @cached_property
    def page(self) -> Page[PlannedCell]:
        return Paginator(self.shown, ROWS_A_PAGE).get_page(self._asked.page)

    @cached_property
    def rows(self) -> list[Row]:
        return [self._row(one) for one in self.page]

    @property
    def choices_made(self) -> str:
        """Return the choices that the rows are made from, for the page to send back."""
        return json.dumps({choice.key: [key for key, _ in choice.values] for choice in self._sketch.choices})

    @property
    def numbers(self) -> str:
        """Return the numbers of the rows with a checkbox. Blocked cells have none, because they are not generated."""
        return ",".join(str(one.cell.index) for one in self.page if not one.blocked)

    @property
    def shown_in(self) -> int:
        return sum(not one.excluded for one in self.shown)

    @property
    def shown_out(self) -> int:
        return len(self.shown) - self.shown_in

    @property
    def values(self) -> list[Choice]:
        """Return the dimensions with several values: of those, a value can be excluded."""
        return [choice for choice in self._sketch.choices if len(choice.values) > 1]

    def excluded_by(self, do: str) -> list[Exclusion] | None:
        """Return the exclusions after a button of the matrix was pressed; ``None`` if ``do`` is another button."""
        verb, _, which = do.partition("-")
        if verb not in ("exclude", "include") or not self._sketch.cells:
            return None
        dimension, value = self._asked.value
        out = {one.cell.key for one in self._sketch.cells if one.excluded}
        if which == "shown":
            meant = {one.cell.key for one in self.shown}
        elif which == "value":
            meant = {one.cell.key for one in self._sketch.cells if one.cell.values.get(dimension) == value}
        else:
            meant = out
        after = out | meant if verb == "exclude" else out - meant
        return forms.exclusions_for(self._asked.body, self._sketch.choices, after)

    def _passes(self, one: PlannedCell) -> bool:
        match self._asked.show:
            case "blocked":
                return one.blocked
            case "warn":
                return one.verdict.level == "warn"
            case "excluded":
                return one.excluded
        return True

    def _has(self, one: PlannedCell, words: Iterable[str]) -> bool:
        text = f"{one.prompt} {self._words(one)}".casefold() if words else ""
        return all(word in text for word in words)

    def _words(self, one: PlannedCell) -> str:
        return ", ".join([self._labels[pair] for pair in one.cell.values.items()])

    def _row(self, one: PlannedCell) -> Row:
        hits = one.verdict.hits
        return Row(
            index=one.cell.index,
            words=self._words(one),
            prompt=one.prompt,
            pieces=excerpt(one.prompt, hits) if any(hit.matched for hit in hits) else [],
            level=one.verdict.level,
            hits=list({hit.rule.id: hit for hit in reversed(hits)}.values())[::-1],
            excluded=one.excluded,
            blocked=one.blocked,
            tickets=0 if one.blocked or one.excluded else self.each,
        )


def excerpt(text: str, hits: Iterable[Hit]) -> Pieces:
    """Return the highlighted words of a prompt with some text on either side; “…” replaces the rest."""
    pieces = compliance.marked(text, list(hits))
    last = len(pieces) - 1
    return [
        (piece if is_marked else _shortened(piece, head=place > 0, tail=place < last), is_marked)
        for place, (piece, is_marked) in enumerate(pieces)
    ]


def _shortened(text: str, *, head: bool, tail: bool) -> str:
    """Return the beginning, the end or both ends of a text."""
    if len(text) <= AROUND * (head + tail) + 1:
        return text
    return (text[:AROUND] if head else "") + "…" + (text[-AROUND:] if tail else "")


def marked(text: str, sketch: Sketch) -> Pieces:
    """Return a whole prompt in highlighted pieces."""
    return compliance.marked(text, sketch.checker.check(text).hits)
