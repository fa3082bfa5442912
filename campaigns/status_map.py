"""
The matrix of a campaign as tables with nested heads. Up to `WHOLE_MOST` cells each has its place, with its picture or its state;
beyond, a tile stands for several: three pictures, and a bar of how many are completed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar
from urllib.parse import urlencode

from campaigns import cells as cell_reads
from campaigns.cells import LaunchedCell
from campaigns.models.combination import Review
from campaigns.pictures import GONE, Picture
from campaigns.standing import BLOCKED, Counts
from queue_app.models import State
from queue_app.models.job import STATUS_OF_STATE

WHOLE_MOST = 240  # cells that are shown one by one
TILES_MOST = 120
COLUMNS_MOST = 12  # of one table; more columns make further tables
PICTURES, STATES = "pictures", "states"  # what cells show
IN_A_TILE = 3  # pictures

Choices = Mapping[str, Sequence[str]]  # dimension key → its chosen value keys, in order
Values = tuple[str, ...]  # of the dimensions on one axis
Places = dict[Values, dict[Values, list[LaunchedCell]]]  # row → column → cells
MARKS = {Review.APPROVED: "completed", Review.REJECTED: "failed", Review.WINNER: "star"}


@dataclass(frozen=True)
class Axes:
    """The keys of the dimensions on each axis, the outer one first. ``rows`` is empty if there is only one dimension."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def outer(self) -> tuple[str, str]:
        """The dimensions that people choose: of the rows, which may be empty, and of the columns."""
        return (self.rows or ("",))[0], self.columns[0]


@dataclass(frozen=True)
class Links:
    """
    Addresses: of a cell's page and of its result in review mode, by its number; of a player by its job; of the list of cells, of
    why cells are blocked.
    """

    cell: Callable[[int], str]
    review: Callable[[int], str]
    player: Callable[[int], str]
    cells: str
    blocked: str


@dataclass(frozen=True)
class Square:
    """
    One cell, ready to be rendered: texts only, because a page may have 660. ``play`` is the address of its player, if it has a
    result; ``tile`` and ``sheet`` are those of its pictures. ``mark`` is the glyph of its review; ``tokens`` name what it counts
    as. Without a picture it shows a ``glyph`` or a ``text``, and ``percent`` while it runs.
    """

    id: str
    looks: str
    label: str
    href: str
    tokens: str
    play: str = ""
    tile: str = ""
    sheet: str = ""
    mark: str = ""
    glyph: str = ""
    text: str = ""
    percent: int | None = None
    is_tile: ClassVar[bool] = False

    @property
    def is_new(self) -> bool:
        """Whether it has a result that is not reviewed."""
        return "new" in self.tokens


@dataclass(frozen=True)
class Tile:
    """Several cells with the same values on both axes: the first ``pictures``, ``blanks`` up to three, and their counts."""

    id: str
    label: str
    href: str
    tokens: str
    pictures: list[Square]
    blanks: str
    counts: Counts
    said: str
    is_tile: ClassVar[bool] = True


@dataclass(frozen=True)
class MatrixRow:
    """A row of a table. A place is ``None`` if all its cells are excluded."""

    label: str
    places: list[Square | Tile | None]


@dataclass(frozen=True)
class Group:
    """The rows with one value of the outer dimension. ``starts`` says when a group that is folded to a line will begin."""

    key: str
    label: str
    counts: Counts
    rows: list[MatrixRow]
    starts: str = ""


@dataclass(frozen=True)
class Band:
    """One table: the outer heads of its columns with their widths, the inner heads, and its groups of rows."""

    heads: list[tuple[str, int]]
    columns: list[str]
    groups: list[Group]


@dataclass(frozen=True)
class Look:
    """What all cells of a page share: labels, addresses, results by job, and whether cells show pictures."""

    labels: Mapping[str, Any]
    links: Links
    pictures: Mapping[int, Picture]
    shows: str = PICTURES


def axes(dimensions: Choices, *, rows: str = "", columns: str = "", before: Axes | None = None, most: int | None = None) -> Axes:
    """
    Return the axes with the requested outer dimensions; for a missing or unknown one, the most legible choice. The others are
    nested within them as long as there is room, and fold otherwise.

    :param before: the axes shown so far. If one dimension is requested for both axes, it changes places with the other.
    :param most: how many places there may be; ``None``: one for every cell.
    """
    if before and rows and rows == columns:
        rows, columns = (before.outer[1], columns) if before.outer[0] == columns else (rows, before.outer[0])
    telling = [key for key, values in dimensions.items() if len(values) > 1] or [*dimensions][:1]
    if rows not in telling:  # jobs run in matrix order, so the first dimension fills the rows one after the other
        rows = next((key for key in telling if key != columns), "")
    others = [key for key in telling if key != rows] or [rows]
    if columns not in others:
        narrow = [key for key in others if len(dimensions[key]) <= COLUMNS_MOST]
        columns = max(narrow or others, key=lambda key: len(dimensions[key]))
    along, across = [rows] if rows and rows != columns else [], [columns]
    for key in telling:
        if key in (rows, columns):
            continue
        side = across if _places(dimensions, [*across, key]) <= COLUMNS_MOST else along
        if most is None or _places(dimensions, [*along, *across, key]) <= most:
            side.append(key)
    return Axes(tuple(along), tuple(across))


def folded(dimensions: Choices, chosen: Axes) -> list[str]:
    """Return the dimensions with several values that are on neither axis."""
    return [key for key, values in dimensions.items() if len(values) > 1 and key not in (*chosen.rows, *chosen.columns)]


def idle(cells: Iterable[LaunchedCell], chosen: Axes) -> dict[str, LaunchedCell]:
    """Return the first cell to start of each outer row in which none has started, by the row's value."""
    found: dict[str, list[LaunchedCell]] = defaultdict(list)
    for cell in cells if chosen.rows else ():
        found[cell.values[chosen.rows[0]]].append(cell)
    return {
        value: min(group, key=lambda cell: cell.order)
        for value, group in found.items()
        if all(cell.state == State.QUEUED for cell in group)
    }


def bands(
    cells: Iterable[LaunchedCell], chosen: Axes, *, dimensions: Choices, look: Look, starts: Mapping[str, str] | None = None
) -> list[Band]:
    """
    Build the matrix as one or more tables.

    :param starts: the outer rows to be folded to a line each, by their value, with the words that say when they start.
    """
    places: Places = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        row, column = (tuple(cell.values[key] for key in keys) for keys in (chosen.rows, chosen.columns))
        places[row][column].append(cell)
    columns = _product(dimensions, chosen.columns)
    drawn = _Map(chosen, dimensions, look, places, starts or {}, is_whole=not folded(dimensions, chosen))
    parts = [columns[start : start + COLUMNS_MOST] for start in range(0, len(columns), COLUMNS_MOST)]
    return [Band(drawn.heads(part), [drawn.column_label(one) for one in part], list(drawn.groups(part))) for part in parts]


def square(cell: LaunchedCell, look: Look) -> Square:
    """Return one cell, ready to be rendered."""
    if cell.job and cell.state == State.COMPLETED:
        return result(cell.index, cell.name, cell.job, cell.review, look)
    return _by_state(cell, look)


def result(index: int, name: str, job: int, review: str, look: Look) -> Square:
    """Return a cell with a result, ready to be rendered."""
    picture, verdict = look.pictures.get(job, GONE), Review(review)
    shown = picture if look.shows == PICTURES else GONE
    return Square(
        id=f"at-{index}",
        looks=f"{'gq-th' if shown.tile else 'gq-cell is-completed'} is-{verdict.value or 'new'}",
        label=f"{name}: completed, {str(verdict.label).lower()}. {picture.verb}",
        href=look.links.review(index),
        tokens=f"completed {verdict.value or 'new'}",
        play=look.links.player(job),
        tile=shown.tile,
        sheet=shown.sheet,
        mark=MARKS.get(verdict, ""),
        glyph="" if shown.tile else shown.glyph,
    )


def _by_state(cell: LaunchedCell, look: Look) -> Square:
    is_running = cell.state == State.RUNNING and cell.progress is not None
    percent = round((cell.progress or 0) * 100) if is_running else None
    return Square(
        id=f"at-{cell.index}",
        looks=f"gq-cell is-{_status(cell)}",
        label=f"{cell.name}: {cell.state_words.lower()}, {cell.words}",
        href=look.links.cell(cell.index) if cell.job else look.links.blocked,
        tokens=_token(cell),
        glyph="" if cell.position or is_running else cell.state,
        text=f"{percent}%" if is_running else f"{cell.position:,}" if cell.position else "",
        percent=percent,
    )


def _status(cell: LaunchedCell) -> str:
    """Return the CSS class of a cell: that of its status, except for states that must not look like running jobs."""
    if cell.is_on_hold:
        return "queued is-held"
    as_it_is = cell.state in (State.UNKNOWN, State.CANCELLING, BLOCKED)
    return cell.state if as_it_is else STATUS_OF_STATE[State(cell.state)].value


def _token(cell: LaunchedCell) -> str:
    """Return the name by which the chips of the page find a cell."""
    return "on_hold" if cell.is_on_hold else "unknown" if cell.state == State.UNKNOWN else cell.status


@dataclass(frozen=True)
class _Map:
    """What all tables of a matrix share. ``is_whole``: each place has one cell."""

    axes: Axes
    dimensions: Choices
    look: Look
    places: Places
    starts: Mapping[str, str]
    is_whole: bool

    def heads(self, columns: Sequence[Values]) -> list[tuple[str, int]]:
        """Return the outer heads of a table's columns, with the number of columns below each; none without inner heads."""
        heads: list[tuple[str, int]] = []
        for column in columns if len(self.axes.columns) > 1 else ():
            label = cell_reads.label_of(self.look.labels, self.axes.columns[0], column[0])
            below = heads.pop()[1] if heads and heads[-1][0] == label else 0
            heads.append((label, below + 1))
        return heads

    def column_label(self, column: Values) -> str:
        return self._name(column[1:] or column, self.axes.columns)

    def groups(self, columns: Sequence[Values]) -> Iterator[Group]:
        """Yield the rows by the value of their outer dimension, in order; one group without such a dimension."""
        rows: dict[str, list[Values]] = defaultdict(list)
        for row in _product(self.dimensions, self.axes.rows):
            if row in self.places:
                rows[row[0] if row else ""].append(row)
        for value, inner in rows.items():
            counts = cell_reads.counts(cell for row in inner for found in self.places[row].values() for cell in found)
            lines = [] if value in self.starts else [self._row(row, columns) for row in inner]
            label = self._name((value,), self.axes.rows[:1]) if self.axes.rows else ""
            yield Group(value, label, counts, lines, self.starts.get(value, ""))

    def _row(self, row: Values, columns: Sequence[Values]) -> MatrixRow:
        return MatrixRow(self._name(row[1:], self.axes.rows), [self._place(row, column) for column in columns])

    def _place(self, row: Values, column: Values) -> Square | Tile | None:
        found = self.places[row].get(column)
        if not found:
            return None
        return square(found[0], self.look) if self.is_whole else self._tile(found, row, column)

    def _tile(self, cells: Sequence[LaunchedCell], row: Values, column: Values) -> Tile:
        values = dict(zip((*self.axes.rows, *self.axes.columns), (*row, *column), strict=True))
        squares, counts = [square(cell, self.look) for cell in cells], cell_reads.counts(cells)
        shown = [one for one in squares if one.play][:IN_A_TILE]
        said = ", ".join(f"{number:,} {words}" for words, number in _told(counts))
        done = f"{counts.completed:,} of {len(cells):,} completed"
        return Tile(
            id=f"tile-{cells[0].index}",
            label=f"{cell_reads.name(values, self.look.labels)}: {', '.join(filter(None, [done, said]))}",
            href=f"{self.look.links.cells}?{urlencode(values)}",
            tokens=" ".join(sorted({token for one in squares for token in one.tokens.split()})),
            pictures=shown,
            blanks="." * (IN_A_TILE - len(shown)),
            counts=counts,
            said=said,
        )

    def _name(self, values: Values, keys: Sequence[str]) -> str:
        """Return the labels of the values of the last of these dimensions."""
        return cell_reads.name(dict(zip(keys[len(keys) - len(values) :], values, strict=True)), self.look.labels)


def _told(counts: Counts) -> list[tuple[str, int]]:
    """Return what a tile says beside how many are completed: what deserves a look first."""
    told = [
        ("unknown", counts.unknown),
        ("failed", counts.failed),
        ("running", counts.running),
        ("on hold", counts.on_hold),
        ("cancelled", counts.cancelled),
        ("blocked", counts.blocked),
    ]
    return [(words, number) for words, number in told if number]


def _product(dimensions: Choices, keys: Sequence[str]) -> list[Values]:
    """Return all combinations of values of these dimensions, the last one varying fastest."""
    found: list[Values] = [()]
    for key in keys:
        found = [(*before, value) for before in found for value in dimensions[key]]
    return found


def _places(dimensions: Choices, keys: Iterable[str]) -> int:
    return prod(len(dimensions[key]) for key in keys)
