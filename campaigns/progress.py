"""The content of a campaign's page, and of lists of campaigns: read-only, with a fixed number of queries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from campaigns import cells as cell_reads
from campaigns.cells import LaunchedCell
from campaigns.models import Campaign
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.insight import batches, remedies, waiting
from queue_app.models import Job, State, Status
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES, STATUS_OF_STATE
from queue_app.rules.pricing import Price
from queue_app.work.capacity import Capacity

UNFORESEEN = (State.UNKNOWN, State.CANCELLING)  # without an estimate
FIRST = 8  # rows of “next and running”
REFRESHED_AFTER = 10  # seconds; positions and times left also change by jobs of others


@dataclass(frozen=True)
class Ahead:
    """A running cell or one of the next, with the time until its job is finished."""

    cell: LaunchedCell
    left: Estimate


@dataclass(frozen=True)
class Cap:
    """A limit that applies to the campaign's jobs. ``limit`` is ``None`` for no limit; ``closed``: paused or cooling down."""

    name: str
    used: int
    limit: int | None
    closed: bool


@dataclass(frozen=True)
class Why:
    """The reason why the campaign's next job waits, in one sentence; and the limits that apply to it."""

    sentence: str
    caps: list[Cap]


@dataclass(frozen=True)
class Failure:
    """The failed cells with one error. ``tickets`` is the price of retrying them all today."""

    code: str
    remedy: str
    message: str
    cells: list[LaunchedCell]
    tickets: int


@dataclass(frozen=True)
class Block:
    """The cells that a rule blocks because of the same words, and the suggested replacement."""

    rule: str
    matched: str
    reason: str
    instead: str
    cells: list[LaunchedCell]


@dataclass(frozen=True)
class Progress:
    """
    A campaign at one moment. ``choices`` are its dimensions in order, ``counts`` its cells by status. ``total`` is the number of
    cells with a job, ``open`` that of the unfinished ones. ``ahead`` are the first `FIRST` running and next cells. ``why`` is
    ``None`` if no job waits. ``on_hold``: a paused model, account or queue stops the campaign.
    """

    choices: dict[str, list[str]]
    cells: list[LaunchedCell]
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
    """Read the content of a campaign's page. Its model and batch are loaded."""
    cells = cell_reads.of(campaign, at=at)
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
        failures=_failures(cells, model.pricing),
        blocks=_blocks(cells),
    )


def state_of(counts: Mapping[str, int], *, paused: bool) -> str:
    """Return one status for a whole campaign: ``paused``, or that of its jobs which matters most."""
    at_work, waiting_still = counts[Status.PROCESSING], counts[Status.QUEUED]
    if at_work or waiting_still:
        untouched = waiting_still == sum(counts[status] for status in Status)
        return "paused" if paused else str(Status.QUEUED if untouched else Status.PROCESSING)
    ended = (status for status in (Status.FAILED, Status.CANCELLED) if counts[status])
    return str(next(ended, Status.COMPLETED))


def version(campaign: Campaign, *, at: datetime) -> str:
    """
    Return a token that changes when the campaign's page does: with each event or progress of its jobs, with each pause, and every
    `REFRESHED_AFTER` seconds while a job is unfinished. One query.
    """
    seen = Job.objects.filter(batch=campaign.pk).aggregate(
        events=Sum("event_seq"), progress=Coalesce(Sum("progress"), 0.0), open=Count("pk", filter=Q(state__in=OPEN_STATES))
    )
    looks = int(at.timestamp() / REFRESHED_AFTER) if seen["open"] else 0
    return f"{seen['events']}-{seen['progress']:.3f}-{int(campaign.batch.paused)}-{looks}"


def counts_of(campaigns: Iterable[Campaign]) -> dict[int, dict[str, int]]:
    """Return the number of each campaign's cells by status, blocked ones left out. One query."""
    found: dict[int, dict[str, int]] = {campaign.pk: dict.fromkeys(map(str, Status), 0) for campaign in campaigns}
    rows = Job.objects.filter(combination__campaign__in=found).order_by().values_list("batch", "state").annotate(jobs=Count("*"))
    for pk, state, number in rows:
        found[pk][STATUS_OF_STATE[State(state)]] += number
    return found


def left_of(campaigns: Iterable[Campaign], *, at: datetime) -> dict[int, Estimate]:
    """
    Return the time until the last job of each unfinished campaign is finished. Jobs with an unknown outcome, and jobs that are
    being cancelled, count only if no other job is unfinished.
    """
    ids = [campaign.pk for campaign in campaigns if campaign.batch.ended_at is None]
    open_jobs = Job.objects.filter(batch__in=ids).select_related("model")
    last = open_jobs.filter(state=State.QUEUED).order_by("batch", "priority", "-order_key", "-id").distinct("batch")
    jobs = [*last, *open_jobs.filter(state__in=IN_FLIGHT_STATES)]
    left = estimates.for_jobs(jobs, at)
    by_lateness = sorted(jobs, key=lambda job: (job.state not in UNFORESEEN, _late(left[job.pk])))
    return {job.batch_id or 0: left[job.pk] for job in by_lateness}  # the latest of each batch wins


def _ahead(cells: Sequence[LaunchedCell], *, at: datetime) -> list[Ahead]:
    first = [*cell_reads.in_flight(cells), *cell_reads.waiting_in_order(cells)][:FIRST]
    jobs = cell_reads.jobs(first)
    left = estimates.for_jobs(jobs.values(), at)
    return [Ahead(cell, left[cell.job]) for cell in first if cell.job in left]


def _why(cells: Sequence[LaunchedCell], *, at: datetime) -> Why | None:
    """Return why the next job waits; ``None`` if no job waits, or it started since the cells were read."""
    for job in cell_reads.jobs(cell_reads.waiting_in_order(cells)[:1]).values():
        looked = waiting.outlook([job], at=at)
        if looked.capacity is not None and (sentence := looked.sentence(job)):
            # users know the campaign, not its batch
            return Why(sentence.replace(f"Batch {job.batch_id} ", "This campaign "), _caps(job, looked.capacity))
    return None


def _failures(cells: Iterable[LaunchedCell], price: Price) -> list[Failure]:
    """Return the failed cells by error, the most frequent first. One query if there are any."""
    by_code: dict[str, list[LaunchedCell]] = defaultdict(list)
    for cell in cells:
        if cell.state == State.FAILED:
            by_code[cell.error_code].append(cell)
    jobs = Job.objects.only("parameters").in_bulk([cell.job for alike in by_code.values() for cell in alike if cell.job])
    found = []
    for code, alike in by_code.items():
        tickets = sum(price.tickets_of(jobs[cell.job].parameters) for cell in alike if cell.job in jobs)
        found.append(Failure(code, remedies.of(code), alike[0].error_message, alike, tickets))
    return sorted(found, key=lambda failure: (-len(failure.cells), failure.code))


def _blocks(cells: Iterable[LaunchedCell]) -> list[Block]:
    """Return the blocked cells by rule and matched words."""
    found: dict[tuple[str, str, str, str], list[LaunchedCell]] = defaultdict(list)
    for cell in cells:
        if cell.state == cell_reads.BLOCKED:
            hit = next(hit for hit in cell.compliance["hits"] if hit["severity"] == "block")
            found[hit["rule"], hit["matched"], hit["reason"], hit["instead"]].append(cell)
    return [Block(*words, alike) for words, alike in found.items()]


def _late(estimate: Estimate) -> tuple[bool, float]:
    """Return a sort key by time left, with missing estimates last."""
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
