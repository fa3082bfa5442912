"""The cells of a launched campaign with the state of their jobs: one query for all, and one for the positions of waiting jobs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from campaigns.models import Campaign, Combination
from campaigns.standing import BLOCKED, Counts
from queue_app.insight import positions
from queue_app.models import HeldFor, Job, State
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES, STATUS_OF_STATE
from queue_app.ui import display

_HELD: dict[str, str] = {
    HeldFor.CANARY: "waits until you release it",
    HeldFor.BREAKER: "similar ones failed, so it waits for your decision",
    HeldFor.BUDGET: "waits for its budget",
}
_STILL_HELD: dict[str, str] = {
    HeldFor.BREAKER: "similar stills failed, so its still waits for your decision",
    HeldFor.BUDGET: "its still waits for a budget",
}
_COLUMNS = (
    "pk", "index", "values", "review", "compliance", "job__pk", "job__state", "job__progress", "job__attempt_number",
    "job__error_code", "job__error_message", "job__held", "job__not_before", "job__cancel_asked_at", "job__priority",
    "job__order_key", "job__started_at", "job__ended_at", "job__tickets", "job__held_for", "still", "still__state",
    "still__held_for",
)  # fmt: skip


@dataclass(frozen=True)
class LaunchedCell:
    """
    A combination of a launched campaign, with the job of its version that counts. ``state`` is the job's, or ``blocked``.
    ``position`` is that in the model's queue, from 1; ``None`` unless the job is queued. ``order`` sorts as jobs start. ``name``
    lists the values of the dimensions in which cells differ. ``hold`` says what a queued job's start is paused by, if it is.
    ``held_for`` is what a person has to release it from; ``still`` is the job of the still that its video starts from.
    """

    pk: int
    index: int
    values: dict[str, str]
    review: str
    compliance: dict[str, Any]
    state: str
    job: int | None
    position: int | None
    progress: float | None
    attempt: int
    error_code: str
    error_message: str
    hold: str
    not_before: datetime | None
    cancel_asked_at: datetime | None
    order: tuple[int, int, int]
    started_at: datetime | None
    ended_at: datetime | None
    tickets: int
    held_for: str
    still: int | None
    still_state: str
    still_held_for: str
    name: str
    read_at: datetime

    @property
    def status(self) -> str:
        """Return the status of the job, or ``blocked``."""
        return STATUS_OF_STATE[State(self.state)] if self.job else BLOCKED

    @property
    def is_on_hold(self) -> bool:
        return bool(self.hold)

    @property
    def awaits_still(self) -> bool:
        """Whether its video waits for a still that is not finished, and not on hold itself."""
        return self.held_for == HeldFor.STORYBOARD and self.still_state in OPEN_STATES and not self.still_held_for

    @property
    def state_words(self) -> str:
        if self.is_on_hold:
            return "On hold"
        return str(State(self.state).label).capitalize() if self.job else "Blocked"

    @property
    def words(self) -> str:
        """Return its position, progress or error in words."""
        match self.state:
            case State.QUEUED:
                return self._words_of_queued()
            case State.SUBMITTING:
                return f"sending to the provider, attempt {self.attempt}"
            case State.RUNNING:
                told = f"{self.progress * 100:.0f}%, " if self.progress is not None else ""
                return f"{told}attempt {self.attempt}"
            case State.UNKNOWN:
                return "not confirmed by the provider yet; you pay only if it is delivered"
            case State.CANCELLING:
                return "waiting for the provider to stop it"
            case State.STORING:
                return "saving the file"
            case State.COMPLETED:
                return "ready"
            case State.FAILED:
                return self.error_message
            case State.CANCELLED:
                return "tickets returned"
        return "not generated"

    def _words_of_queued(self) -> str:
        if self.held_for:
            return self.hold
        place = f"position {self.position:,}" if self.position else "up next"
        if self.is_on_hold:
            return f"{place}, {self.hold}"
        if self.not_before:
            return f"{place}, next attempt at {display.moment(self.not_before, self.read_at)}"
        return place


def of(campaign: Campaign, *, at: datetime, hold: str = "") -> list[LaunchedCell]:
    """
    Return all cells in matrix order. Runs two queries.

    :param hold: what stops all jobs of the campaign's model, if a pause does: “sora-2 paused”.
    """
    rows = list(Combination.objects.filter(campaign=campaign).order_by("index").values_list(*_COLUMNS))
    places = positions.of_jobs(row[5] for row in rows if row[6] == State.QUEUED)
    distinct = telling(campaign.dimensions)
    return [_cell(row, places, distinct, campaign.labels, at, hold) for row in rows]


def counts(cells: Iterable[LaunchedCell], *, is_paused: bool = False) -> Counts:
    """
    Count the cells by status.

    :param is_paused: their campaign is.
    """
    listed = list(cells)
    stills = Counter(cell.still_state for cell in listed if cell.awaits_still)
    stopped = is_paused or any(cell.is_on_hold and not cell.held_for for cell in listed)
    states = Counter((cell.state, cell.is_on_hold) for cell in listed)
    return Counts.of(states, is_paused=False, is_stopped=stopped, stills=stills)


def in_flight(cells: Iterable[LaunchedCell]) -> list[LaunchedCell]:
    """Return the cells whose jobs are in flight, the earliest start first."""
    return sorted((cell for cell in cells if cell.state in IN_FLIGHT_STATES), key=lambda cell: (cell.started_at, cell.order))


def waiting_in_order(cells: Iterable[LaunchedCell]) -> list[LaunchedCell]:
    """Return the cells whose jobs are queued, in the order in which they will start."""
    return sorted((cell for cell in cells if cell.state == State.QUEUED), key=lambda cell: cell.order)


def jobs(cells: Iterable[LaunchedCell]) -> dict[int, Job]:
    """Return the jobs of these cells by id, with their models and job types."""
    return Job.objects.select_related("model", "kind").in_bulk([cell.job for cell in cells if cell.job])


def name(values: Mapping[str, str], labels: Mapping[str, Any]) -> str:
    """Return the values of a cell as words: “Cinematic, Calm, Gen Z”."""
    return ", ".join(label_of(labels, dimension, value) for dimension, value in values.items())


def telling(dimensions: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the keys of the dimensions in which cells differ; all if they differ in none."""
    return [key for key, values in dimensions.items() if len(values) > 1] or list(dimensions)


def told(values: Mapping[str, str], dimensions: Mapping[str, Sequence[str]], labels: Mapping[str, Any]) -> list[str]:
    """Return the labels of the values that distinguish a cell from the others."""
    return [label_of(labels, key, values[key]) for key in telling(dimensions) if key in values]


def job_label(
    values: Mapping[str, str], dimensions: Mapping[str, Sequence[str]], labels: Mapping[str, Any], *, version: int = 1
) -> str:
    """Return what distinguishes a cell's job in its campaign: “UGC · Calm”, of a later version “UGC · Calm · version 2”."""
    return " · ".join([*told(values, dimensions, labels), *([f"version {version}"] if version > 1 else [])])


def held_words(held_for: str, still_state: str | None = None, still_held_for: str | None = None) -> str:
    """
    Return what a job on hold waits for until a person releases it, in words; empty if it is not held for anything.

    :param still_state: of the job of its still, if it has one; ``still_held_for``: what that is on hold for.
    """
    if held_for != HeldFor.STORYBOARD:
        return _HELD.get(held_for, "")
    if still_held_for:
        return _STILL_HELD[still_held_for]
    ended = {State.COMPLETED: "its still is ready to approve", State.FAILED: "its still failed", State.CANCELLED: "no still"}
    return ended.get(State(still_state), "its still is being generated") if still_state else "waits for a still"


def still_label(label: str) -> str:
    """Return what distinguishes the job of a still from that of its video."""
    return " · ".join([*filter(None, [label]), "still"])


def label_of(labels: Mapping[str, Any], dimension: str, value: str) -> str:
    """Return the label that a value had when the campaign was launched."""
    return str(labels.get(dimension, {}).get("values", {}).get(value, value))


def _cell(
    row: tuple[Any, ...], places: Mapping[int, int], telling: Sequence[str], labels: Mapping[str, Any], at: datetime, hold: str
) -> LaunchedCell:
    pk, index, values, review, compliance, job, state, progress, attempt, code, message = row[:11]
    held, not_before, cancel_asked_at, priority, order_key, started_at, ended_at, tickets, held_for = row[11:20]
    still, still_state, still_held_for = row[20:]
    why = held_words(held_for or "", still_state, still_held_for)
    return LaunchedCell(
        pk=pk,
        index=index,
        values=values,
        review=review if state == State.COMPLETED else "",
        compliance=compliance,
        state=state if job else BLOCKED,
        job=job,
        position=None if held_for else places.get(job),
        progress=progress,
        attempt=attempt or 0,
        error_code=code or "",
        error_message=message or "",
        hold=(why or ("campaign paused" if held else hold)) if state == State.QUEUED else "",
        not_before=not_before,
        cancel_asked_at=cancel_asked_at,
        order=(-(priority or 0), order_key or 0, job or 0),
        started_at=started_at,
        ended_at=ended_at,
        tickets=tickets or 0,
        held_for=held_for or "",
        still=still,
        still_state=still_state or "",
        still_held_for=still_held_for or "",
        name=name({key: values[key] for key in telling if key in values}, labels),
        read_at=at,
    )
