"""The contact sheet of a campaign: the videos and stills that ran first, beside what is on hold until it is released."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from campaigns import breaker, pictures, releases
from campaigns import cells as cell_reads
from campaigns.cells import LaunchedCell
from campaigns.models import Campaign, Trip
from campaigns.pictures import Picture
from campaigns.stages import CellStage
from queue_app.models import HeldFor, Job, State
from queue_app.models.job import STATUS_OF_STATE

SHOTS_A_PAGE = 60
_ORDER = (State.COMPLETED, State.FAILED)  # first what can be looked at


@dataclass(frozen=True)
class Shot:
    """
    A combination with something to look at: its video, or its still as long as the video waits for it. ``job`` is that of what is
    shown, ``state`` its state. ``is_ready``: the still can be approved. ``picks``: it is on hold, so it can be chosen.
    """

    cell: LaunchedCell
    job: int
    state: str
    words: str
    picture: Picture | None
    is_still: bool
    picks: bool
    error: str = ""

    @property
    def is_ready(self) -> bool:
        return self.picks and self.is_still and self.state == State.COMPLETED

    @property
    def status(self) -> str:
        return STATUS_OF_STATE[State(self.state)].value


@dataclass
class Pile:
    """
    The combinations with one value: ``shots`` of this page, ``waiting`` on hold with nothing to look at, and how many of all are
    ``on_hold``; of those ``ready`` can be released now.
    """

    key: str
    label: str
    shots: list[Shot] = field(default_factory=list)
    waiting: list[LaunchedCell] = field(default_factory=list)
    completed: int = 0
    failed: int = 0
    on_hold: int = 0
    ready: int = 0


@dataclass(frozen=True)
class Tripped:
    """A trip of the circuit breaker that is not settled, in words, and how many combinations it keeps on hold."""

    trip: Trip
    words: str
    on_hold: int

    @property
    def value(self) -> str:
        """Return the value as a form sends it."""
        return f"{self.trip.dimension}={self.trip.value}"


@dataclass(frozen=True)
class Waits:
    """How many combinations of a campaign are on hold, by what for; of the storyboard, how many stills are ready to approve."""

    canary: int
    storyboard: int
    breaker: int
    ready: int

    @property
    def total(self) -> int:
        return self.canary + self.storyboard + self.breaker

    @property
    def releasable(self) -> int:
        return self.canary + self.breaker + self.ready

    @property
    def is_board(self) -> bool:
        return bool(self.storyboard)


@dataclass(frozen=True)
class Sheet:
    """One page of the contact sheet, grouped by the values of a dimension."""

    by: str
    piles: list[Pile]
    waits: Waits
    trips: list[Tripped]
    page: int
    pages: int


def waits_of(rows: Sequence[CellStage]) -> Waits:
    """Count combinations on hold (`releases.waiting`)."""
    counts = releases.on_hold(rows)
    ready = sum(row.held_for == HeldFor.STORYBOARD and row.still_state == State.COMPLETED for row in rows)
    return Waits(counts[HeldFor.CANARY], counts[HeldFor.STORYBOARD], counts[HeldFor.BREAKER], ready)


def tripped(campaign: Campaign, rows: Sequence[CellStage]) -> list[Tripped]:
    """Return the trips that still keep something on hold, the latest first. One query."""
    held = [row.values for row in rows if row.held_for == HeldFor.BREAKER]
    found = []
    for trip in Trip.objects.filter(campaign=campaign, settled_at=None).order_by("-id") if held else ():
        number = sum(values.get(trip.dimension) == trip.value for values in held)
        if number:
            found.append(Tripped(trip, breaker.sentence(campaign, trip), number))
    return found


def look(campaign: Campaign, *, by: str, page: int, at: datetime) -> Sheet:
    """
    Return the contact sheet. A fixed number of queries.

    :param by: the dimension to group by; without it, or if the campaign does not vary it, the one of a trip or the first.
    """
    rows = releases.waiting(campaign)
    trips = tripped(campaign, rows)
    cells = [cell for cell in cell_reads.of(campaign, at=at) if cell.job and cell.state != State.CANCELLED]
    held = {row.number: row for row in rows}
    keys = cell_reads.telling(campaign.dimensions)
    by = by if by in keys else trips[0].trip.dimension if trips else keys[0]
    shown = [cell for cell in cells if _is_shown(cell, held)]
    places = {value: place for place, value in enumerate(campaign.dimensions[by])}
    shown.sort(key=lambda cell: (places[cell.values[by]], _rank(cell, held), cell.index))
    pages = max(1, -(-len(shown) // SHOTS_A_PAGE))
    page = min(max(page, 1), pages)
    here = shown[(page - 1) * SHOTS_A_PAGE : page * SHOTS_A_PAGE]
    shots = _shots(here, held)
    piles = {value: Pile(value, cell_reads.label_of(campaign.labels, by, value)) for value in campaign.dimensions[by]}
    for shot in shots:
        piles[shot.cell.values[by]].shots.append(shot)
    _count(piles, cells, held, by)
    elsewhere = {cell.values[by] for cell in shown} - {shot.cell.values[by] for shot in shots}
    on_page = [pile for pile in piles.values() if pile.shots or (page == pages and pile.on_hold and pile.key not in elsewhere)]
    return Sheet(by, on_page, waits_of(rows), trips, page, pages)


def _is_shown(cell: LaunchedCell, held: Mapping[int, CellStage]) -> bool:
    """Whether there is something to look at, or will be soon: not while a video waits for its turn or its release."""
    if cell.index in held:
        return held[cell.index].is_board
    return cell.state != State.QUEUED or cell.still is not None


def _rank(cell: LaunchedCell, held: Mapping[int, CellStage]) -> int:
    state = held[cell.index].state if cell.index in held else cell.state
    return _ORDER.index(State(state)) if state in _ORDER else len(_ORDER)


def _shots(cells: Sequence[LaunchedCell], held: Mapping[int, CellStage]) -> list[Shot]:
    """Return cells with their pictures: a video that has none yet shows the still that it starts from. Two queries."""
    stills = {cell.index: cell.still for cell in cells if cell.still and cell.state != State.COMPLETED}
    jobs = [pk for cell in cells for pk in (cell.job, stills.get(cell.index)) if pk]
    found = pictures.of_jobs(jobs)
    errors = dict(Job.objects.filter(pk__in=[pk for pk in stills.values() if pk]).values_list("pk", "error_message"))
    return [_shot(cell, held.get(cell.index), found, errors) for cell in cells]


def _shot(cell: LaunchedCell, row: CellStage | None, found: Mapping[int, Picture], errors: Mapping[int, str]) -> Shot:
    job = cell.job or 0
    if row is not None and row.still:
        words = {State.COMPLETED: "still ready", State.FAILED: "still failed", State.CANCELLED: "still cancelled"}
        held: dict[str, str] = {HeldFor.BREAKER: "on hold", HeldFor.BUDGET: "still waits for a budget"}
        said = words.get(State(row.state)) or held.get(row.still_held_for or row.held_for, "still is being generated")
        picture = found.get(row.still) if row.state == State.COMPLETED else None
        return Shot(cell, row.still, row.state, said, picture, True, True, errors.get(row.still, ""))
    picture = found.get(job) if cell.state == State.COMPLETED else found.get(cell.still or 0)
    words_of = {State.COMPLETED: "ready", State.FAILED: "failed"}
    said = words_of.get(State(cell.state), cell.words)
    return Shot(cell, job, cell.state, said, picture, False, row is not None, cell.error_message)


def _count(piles: Mapping[str, Pile], cells: Iterable[LaunchedCell], held: Mapping[int, CellStage], by: str) -> None:
    """Count the combinations of each pile, and list those on hold that have nothing to look at."""
    for cell in cells:
        pile, row = piles[cell.values[by]], held.get(cell.index)
        pile.completed += cell.state == State.COMPLETED
        pile.failed += cell.state == State.FAILED or (row is not None and row.is_board and row.state == State.FAILED)
        if row is None:
            continue
        pile.on_hold += 1
        pile.ready += not row.is_board or row.state == State.COMPLETED or row.held_for == HeldFor.BREAKER
        if not row.is_board:
            pile.waiting.append(cell)
