"""The matrix of a campaign by status, as tables: two dimensions as axes, or one against all combinations of the others."""

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

COLUMNS_MOST = 24  # of one table; more columns make further tables
ROWS_WHOLE = 24  # up to this many rows the whole matrix is shown by default
OTHERS = "*"  # as rows: all combinations of the dimensions other than the columns

Choices = Mapping[str, Sequence[str]]  # dimension key → its chosen value keys, in order


@dataclass(frozen=True)
class Axes:
    """The keys of two dimensions. ``rows`` may be ``OTHERS``, or empty if there is no second dimension."""

    rows: str
    columns: str


@dataclass(frozen=True)
class Links:
    """Addresses that tiles link to: the job of a single cell, the list of several cells, the reason for a blocked cell."""

    job: Callable[[int], str]
    cells: str
    blocked: str


@dataclass(frozen=True)
class Square:
    """
    One tile, ready to be rendered: a cell, or all cells with the same values on both axes. It holds texts only, because a page
    may have 660 tiles. ``glyph`` is the icon of a state, empty if the tile shows a position as its ``text``.
    """

    id: str
    looks: str
    label: str
    href: str
    glyph: str
    text: str


@dataclass(frozen=True)
class Band:
    """One table: the heads of its columns, and rows of a head and tiles. A tile is ``None`` if all its cells are excluded."""

    columns: list[str]
    rows: list[tuple[str, list[Square | None]]]


@dataclass(frozen=True)
class _Map:
    """The context that all tiles of a page share."""

    axes: Axes
    labels: Mapping[str, Any]
    links: Links


def axes(dimensions: Choices, *, rows: str = "", columns: str = "", before: Axes | None = None) -> Axes:
    """
    Return the requested axes; for a missing or unknown one, the most legible choice.

    :param before: the axes shown so far. If one dimension is requested for both axes, it changes places with the other.
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
    """Build the matrix as one or more tables."""
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
    """Return the CSS class of a tile: that of its status, except for states that must not look like running jobs."""
    as_it_is = state in (State.UNKNOWN, State.CANCELLING, cell_reads.BLOCKED)
    return f"is-{state if as_it_is else STATUS_OF_STATE[State(state)]}"
