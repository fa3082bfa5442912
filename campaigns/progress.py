"""What the page of a campaign shows, and what lists of campaigns show: reads only, with a fixed number of queries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from campaigns import cells as cell_reads
from campaigns.cells import Cell
from campaigns.models import Campaign
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.insight import batches, remedies, waiting
from queue_app.models import Job, State, Status
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES, STATUS_OF_STATE
from queue_app.work.capacity import Capacity

UNFORESEEN = (State.UNKNOWN, State.CANCELLING)  # nobody knows when they end
FIRST = 8  # rows of “next and running”
LOOKED_AT_ANEW = 10  # seconds after which places and times left of an open campaign are shown anew, whatever happened


@dataclass(frozen=True)
class Ahead:
    """A cell that is at work or comes next, with the time until it is done."""

    cell: Cell
    left: Estimate


@dataclass(frozen=True)
class Cap:
    """A limit that the campaign's jobs pass, as it stands: ``limit`` is empty where there is none."""

    name: str
    used: int
    limit: int | None
    closed: bool


@dataclass(frozen=True)
class Why:
    """Why the next job of the campaign waits, in one line with numbers; and how full the limits above it are."""

    sentence: str
    caps: list[Cap]


@dataclass(frozen=True)
class Failure:
    """The failed cells of one error; ``tickets`` is what a retry of all would take today."""

    code: str
    remedy: str
    message: str
    cells: list[Cell]
    tickets: int


@dataclass(frozen=True)
class Block:
    """The cells that one rule keeps from being bought for one word, and the mend."""

    rule: str
    matched: str
    reason: str
    instead: str
    cells: list[Cell]


@dataclass(frozen=True)
class Progress:
    """
    A campaign at one moment. ``choices`` are its dimensions in order; ``counts`` is of its cells by status; ``total`` is how many
    of them were bought, ``open`` how many of those have not ended; ``ahead`` is what runs and comes next, the first few; ``why``
    is ``None`` when nothing waits; ``on_hold`` is true when a paused model, account or queue stops the campaign.
    """

    choices: dict[str, list[str]]
    cells: list[Cell]
    counts: dict[str, int]
    total: int
    open: int
    left: Estimate
    on_hold: bool
    money: batches.Money
    ahead: list[Ahead]
    why: Why | None
    failures: list[Failure]
    blocks: list[Block]


def look(campaign: Campaign, *, at: datetime) -> Progress:
    """Read everything that the campaign's page shows; its model and its batch are loaded."""
    cells = cell_reads.of(campaign)
    counts = cell_reads.count(cells)
    model, left = campaign.model, estimates.for_batch(campaign.pk, at)
    return Progress(
        choices=campaign.dimensions,
        cells=cells,
        counts=counts,
        total=len(cells) - counts[cell_reads.BLOCKED],
        open=counts[Status.QUEUED] + counts[Status.PROCESSING],
        left=left,
        on_hold=left.basis == estimates.NO_END and not campaign.batch.paused,
        money=batches.money(campaign.batch),
        ahead=_ahead(cells, at=at),
        why=_why(cells, at=at),
        failures=_failures(cells, model.pricing.tickets_of(campaign.parameters)),
        blocks=_blocks(cells),
    )


def state_of(counts: Mapping[str, int], *, paused: bool) -> str:
    """One word for a whole campaign, as the theme names states: ``paused``, or the status that tells most."""
    at_work, waiting_still = counts[Status.PROCESSING], counts[Status.QUEUED]
    if at_work or waiting_still:
        untouched = waiting_still == sum(counts[status] for status in Status)
        return "paused" if paused else str(Status.QUEUED if untouched else Status.PROCESSING)
    ended = (status for status in (Status.FAILED, Status.CANCELLED) if counts[status])
    return str(next(ended, Status.COMPLETED))


def version(campaign: Campaign, *, at: datetime) -> str:
    """
    A token that changes whenever the campaign's page would: with each event or progress of its jobs and each pause; every 10 s
    while a job of it is open, as places and times left change by others' doing. One query.
    """
    seen = Job.objects.filter(batch=campaign.pk).aggregate(
        events=Sum("event_seq"), progress=Coalesce(Sum("progress"), 0.0), open=Count("pk", filter=Q(state__in=OPEN_STATES))
    )
    looks = int(at.timestamp() / LOOKED_AT_ANEW) if seen["open"] else 0
    return f"{seen['events']}-{seen['progress']:.3f}-{int(campaign.batch.paused)}-{looks}"


def counts_of(campaigns: Iterable[Campaign]) -> dict[int, dict[str, int]]:
    """Bought cells of each campaign by status; one query."""
    found: dict[int, dict[str, int]] = {campaign.pk: dict.fromkeys(map(str, Status), 0) for campaign in campaigns}
    rows = Job.objects.filter(combination__campaign__in=found).order_by().values_list("batch", "state").annotate(jobs=Count("*"))
    for pk, state, number in rows:
        found[pk][STATUS_OF_STATE[State(state)]] += number
    return found


def left_of(campaigns: Iterable[Campaign], *, at: datetime) -> dict[int, Estimate]:
    """
    Time until the last job of each open campaign is done: that of the last in its lane, or of the last at work. What has an
    unknown outcome or is being cancelled counts only when nothing else is open.
    """
    ids = [campaign.pk for campaign in campaigns if campaign.batch.ended_at is None]
    open_jobs = Job.objects.filter(batch__in=ids).select_related("model")
    last = open_jobs.filter(state=State.QUEUED).order_by("batch", "priority", "-order_key", "-id").distinct("batch")
    jobs = [*last, *open_jobs.filter(state__in=IN_FLIGHT_STATES)]
    left = estimates.for_jobs(jobs, at)
    by_lateness = sorted(jobs, key=lambda job: (job.state not in UNFORESEEN, _late(left[job.pk])))
    return {job.batch_id or 0: left[job.pk] for job in by_lateness}  # the last of a batch stays


def _ahead(cells: Sequence[Cell], *, at: datetime) -> list[Ahead]:
    first = [*cell_reads.in_flight(cells), *cell_reads.waiting_in_order(cells)][:FIRST]
    jobs = cell_reads.jobs(first)
    left = estimates.for_jobs(jobs.values(), at)
    return [Ahead(cell, left[cell.job]) for cell in first if cell.job in left]


def _why(cells: Sequence[Cell], *, at: datetime) -> Why | None:
    """Why its next job waits; ``None`` when nothing waits, or that job began since the cells were read."""
    for job in cell_reads.jobs(cell_reads.waiting_in_order(cells)[:1]).values():
        looked = waiting.outlook([job], at=at)
        if looked.capacity is not None and (sentence := looked.sentence(job)):
            # people know the campaign, not its batch
            return Why(sentence.replace(f"Batch {job.batch_id} ", "This campaign "), _caps(job, looked.capacity))
    return None


def _failures(cells: Iterable[Cell], price: int) -> list[Failure]:
    """Failed cells by their error, most first."""
    by_code: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.state == State.FAILED:
            by_code[cell.error_code].append(cell)
    found = [
        Failure(code, remedies.of(code), alike[0].error_message, alike, len(alike) * price) for code, alike in by_code.items()
    ]
    return sorted(found, key=lambda failure: (-len(failure.cells), failure.code))


def _blocks(cells: Iterable[Cell]) -> list[Block]:
    """Blocked cells by rule and word."""
    found: dict[tuple[str, str, str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.state == cell_reads.BLOCKED:
            hit = next(hit for hit in cell.compliance["hits"] if hit["severity"] == "block")
            found[hit["rule"], hit["matched"], hit["reason"], hit["instead"]].append(cell)
    return [Block(*words, alike) for words, alike in found.items()]


def _late(estimate: Estimate) -> tuple[bool, float]:
    """What nobody can know ends last."""
    return estimate.p50_seconds is None, estimate.p50_seconds or 0.0


def _caps(job: Job, capacity: Capacity) -> list[Cap]:
    route = capacity.route_for(job.model_id) or next(iter(capacity.routes.get(job.model_id, ())), None)
    named: Sequence[tuple[str, tuple[str, str]]] = [
        ("This campaign", ("batch", str(job.batch_id))),
        (job.model_id, ("model", job.model_id)),
        *([(f"Account {route.account_id}", ("account", route.account_id))] if route else []),
        ("Whole queue", ("queue", "")),
    ]
    room = capacity.room
    return [Cap(name, room.used[key], room.caps.get(key), key in room.closed) for name, key in named]
