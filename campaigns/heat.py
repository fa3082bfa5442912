"""The matrix by state as tables: any two dimensions as axes, or one against every combination of the others."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any
from urllib.parse import urlencode

from campaigns import cells as cell_reads
from campaigns.cells import Cell
from queue_app.models import State, Status
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
class Square:
    """One place of the map: a cell, or several that agree on both axes. ``query`` finds them in the list of cells."""

    state: str
    status: str
    label: str
    done: int
    total: int
    job: int | None
    position: int | None
    query: str


@dataclass(frozen=True)
class Band:
    """One table: the headings of its columns, and rows of a heading and squares, ``None`` where all is excluded."""

    columns: list[str]
    rows: list[tuple[str, list[Square | None]]]


def axes(dimensions: Choices, *, rows: str = "", columns: str = "") -> Axes:
    """The axes that were asked for; the most legible ones where nothing sound was asked for."""
    by_size = sorted(dimensions, key=lambda key: -len(dimensions[key]))
    if columns not in dimensions:
        narrow = [key for key in by_size if key != rows and len(dimensions[key]) <= COLUMNS_MOST]
        columns = (narrow or by_size)[0]
    others = [key for key in by_size if key != columns]
    if rows in others or (rows == OTHERS and others):
        return Axes(rows, columns)
    whole = len(others) > 1 and prod(len(dimensions[key]) for key in others) <= ROWS_WHOLE
    return Axes(OTHERS if whole else (others or [""])[0], columns)


def bands(cells: Sequence[Cell], chosen: Axes, *, dimensions: Choices, labels: Mapping[str, Any]) -> list[Band]:
    """Give the tables of the map."""
    if chosen.rows == OTHERS:
        row_keys = [key for key, values in dimensions.items() if key != chosen.columns and len(values) > 1]
    else:
        row_keys = [chosen.rows] if chosen.rows else []
    places: dict[tuple[str, ...], dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        places[tuple(cell.values[key] for key in row_keys)][cell.values[chosen.columns]].append(cell)
    ranks = [{value: rank for rank, value in enumerate(dimensions[key])} for key in row_keys]
    ordered = sorted(places, key=lambda row: [rank[value] for rank, value in zip(ranks, row, strict=True)])
    values = dimensions[chosen.columns]
    parts = [values[start : start + COLUMNS_MOST] for start in range(0, len(values), COLUMNS_MOST)]
    return [
        Band(
            columns=[cell_reads.label_of(labels, chosen.columns, value) for value in part],
            rows=[_row(dict(zip(row_keys, row, strict=True)), places[row], chosen.columns, part, labels) for row in ordered],
        )
        for part in parts
    ]


def _row(
    here: dict[str, str], places: Mapping[str, list[Cell]], dimension: str, columns: Sequence[str], labels: Mapping[str, Any]
) -> tuple[str, list[Square | None]]:
    squares = [_square(places[value], {**here, dimension: value}, labels) if value in places else None for value in columns]
    return cell_reads.name(here, labels) or "All", squares


def _square(cells: Sequence[Cell], values: Mapping[str, str], labels: Mapping[str, Any]) -> Square:
    state = cell_reads.most_telling(cells)
    if len(cells) == 1:
        (cell,) = cells
        said = f"{cell.name}: {cell.state_words.lower()}, {cell.words}"
        return Square(state, cell.status, said, int(state == State.COMPLETED), 1, cell.job, cell.position, "")
    counts = Counter(cell.state_words.lower() for cell in cells)
    said = ", ".join(f"{number} {words}" for words, number in counts.most_common())
    return Square(
        state=state,
        status=STATUS_OF_STATE[State(state)] if state != cell_reads.BLOCKED else state,
        label=f"{cell_reads.name(values, labels)}: {said}",
        done=sum(cell.status == Status.COMPLETED for cell in cells),
        total=len(cells),
        job=None,
        position=None,
        query=urlencode(values),
    )
