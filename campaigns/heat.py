"""The matrix by state as tables: any two dimensions as axes, or one against every combination of the others."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any
from urllib.parse import urlencode

from campaigns import cells as cell_reads
from campaigns.cells import LaunchedCell
from queue_app.models import State
from queue_app.models.job import STATUS_OF_STATE

COLUMNS_MOST = 24  # of one table; the columns beyond make further tables below it
ROWS_WHOLE = 24  # up to so many rows the matrix is shown whole unless asked otherwise
OTHERS = "*"  # as rows: every combination of the dimensions that are not the columns

Choices = Mapping[str, Sequence[str]]  # dimension key → its chosen value keys, in order


@dataclass(frozen=True)
class Axes:
    """Dimension keys; ``rows`` may be ``OTHERS``, or empty when there is no second dimension."""

    rows: str
    columns: str


@dataclass(frozen=True)
class Links:
    """Where squares lead: to the job of a single cell, to the list of several cells, to what blocks a cell."""

    job: Callable[[int], str]
    cells: str
    blocked: str


@dataclass(frozen=True)
class Square:
    """
    One place of the map, ready to be drawn: a cell, or several that agree on both axes. All texts, as there may be 660 of them
    on a page: ``glyph`` is the icon of a state, empty where ``text`` (a place in the queue) says more.
    """

    id: str
    looks: str
    label: str
    href: str
    glyph: str
    text: str


@dataclass(frozen=True)
class Band:
    """One table: the headings of its columns, and rows of a heading and squares, ``None`` where all is excluded."""

    columns: list[str]
    rows: list[tuple[str, list[Square | None]]]


@dataclass(frozen=True)
class _Map:
    """What all squares of one map need."""

    axes: Axes
    labels: Mapping[str, Any]
    links: Links


def axes(dimensions: Choices, *, rows: str = "", columns: str = "", before: Axes | None = None) -> Axes:
    """
    The axes that were asked for; the most legible ones where nothing sound was asked for.

    :param before: what was shown until now: a dimension that is asked for on both axes then changes places with the other one.
    """
    if before and rows and rows == columns:
        rows, columns = (before.columns, columns) if before.rows == columns else (rows, before.rows)
    by_size = sorted(dimensions, key=lambda key: -len(dimensions[key]))
    if columns not in dimensions:
        narrow = [key for key in by_size if key != rows and len(dimensions[key]) <= COLUMNS_MOST]
        columns = (narrow or by_size)[0]
    others = [key for key in by_size if key != columns]
    if rows in others or (rows == OTHERS and others):
        return Axes(rows, columns)
    whole = len(others) > 1 and prod(len(dimensions[key]) for key in others) <= ROWS_WHOLE
    return Axes(OTHERS if whole else (others or [""])[0], columns)


def bands(
    cells: Sequence[LaunchedCell], chosen: Axes, *, dimensions: Choices, labels: Mapping[str, Any], links: Links
) -> list[Band]:
    """Give the tables of the map."""
    if chosen.rows == OTHERS:
        row_keys = [key for key, values in dimensions.items() if key != chosen.columns and len(values) > 1]
    else:
        row_keys = [chosen.rows] if chosen.rows else []
    places: dict[tuple[str, ...], dict[str, list[LaunchedCell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        places[tuple(cell.values[key] for key in row_keys)][cell.values[chosen.columns]].append(cell)
    ranks = [{value: rank for rank, value in enumerate(dimensions[key])} for key in row_keys]
    ordered = sorted(places, key=lambda row: [rank[value] for rank, value in zip(ranks, row, strict=True)])
    values = dimensions[chosen.columns]
    parts = [values[start : start + COLUMNS_MOST] for start in range(0, len(values), COLUMNS_MOST)]
    drawn = _Map(chosen, labels, links)
    return [
        Band(
            columns=[cell_reads.label_of(labels, chosen.columns, value) for value in part],
            rows=[_row(dict(zip(row_keys, row, strict=True)), places[row], part, drawn) for row in ordered],
        )
        for part in parts
    ]


def _row(
    here: dict[str, str], places: Mapping[str, list[LaunchedCell]], columns: Sequence[str], drawn: _Map
) -> tuple[str, list[Square | None]]:
    squares = [
        _square(found, {**here, drawn.axes.columns: value}, drawn) if (found := places.get(value)) else None for value in columns
    ]
    return cell_reads.name(here, drawn.labels) or "All", squares


def _square(cells: Sequence[LaunchedCell], values: Mapping[str, str], drawn: _Map) -> Square:
    return _one(cells[0], drawn.links) if len(cells) == 1 else _several(cells, values, drawn)


def _one(cell: LaunchedCell, links: Links) -> Square:
    return Square(
        id=f"at-{cell.index}",
        looks=_looks(cell.state),
        label=f"{cell.name}: {cell.state_words.lower()}, {cell.words}",
        href=links.job(cell.job) if cell.job else links.blocked,
        glyph="" if cell.position else cell.state,
        text=str(cell.position or ""),
    )


def _several(cells: Sequence[LaunchedCell], values: Mapping[str, str], drawn: _Map) -> Square:
    state = cell_reads.most_telling(cells)
    counts = Counter(cell.state_words.lower() for cell in cells)
    said = ", ".join(f"{number} {words}" for words, number in counts.most_common())
    return Square(
        id=f"at-{cells[0].index}",
        looks=f"is-many {_looks(state)}",
        label=f"{cell_reads.name(values, drawn.labels)}: {said}",
        href=f"{drawn.links.cells}?{urlencode(values)}",
        glyph=state,
        text=f"{sum(cell.state == State.COMPLETED for cell in cells)}/{len(cells)}",
    )


def _looks(state: str) -> str:
    """The class of a square: that of its status, but for two states that must not look like work going on."""
    as_it_is = state in (State.UNKNOWN, State.CANCELLING, cell_reads.BLOCKED)
    return f"is-{state if as_it_is else STATUS_OF_STATE[State(state)]}"
