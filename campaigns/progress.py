"""The content of a campaign's page, and of lists of campaigns: read-only, with a fixed number of queries."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import Coalesce

from campaigns import cells as cell_reads
from campaigns import holds, job_names, pictures, releases, review, sheet
from campaigns.cells import LaunchedCell
from campaigns.holds import Hold
from campaigns.models import Campaign
from campaigns.models.combination import Review
from campaigns.pictures import Picture
from campaigns.review import Rate, Result, Tally
from campaigns.sheet import Tripped, Waits
from campaigns.standing import BLOCKED, Counts
from campaigns.starts import STORYBOARD
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.insight import batches, cancels, remedies, waiting
from queue_app.insight.cancels import WhoCancelled
from queue_app.models import Job, Reservation, State
from queue_app.models.job import OPEN_STATES
from queue_app.rules.pricing import Price
from queue_app.work.capacity import Capacity

FIRST = 6  # rows of “running now”
LATEST = 5  # results in the strip
WORKED_FROM, WORKED_BEST = 10, 4  # reviews that a value needs, and how many of the best values are told
REFRESHED_AFTER = 10  # seconds; positions and times left also change by jobs of others


@dataclass(frozen=True)
class Ahead:
    """A running cell, its name in two lines, and the time until its job is finished."""

    cell: LaunchedCell
    head: str
    rest: str
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
class Cancelled:
    """The combinations that one person cancelled for one reason, and the tickets that were returned for them."""

    cancel: WhoCancelled
    tickets: int


@dataclass(frozen=True)
class StillMoney:
    """The stills of a storyboard, also those that newer ones replaced: how many are charged or reserved, and their tickets."""

    charged: int = 0
    captured: int = 0
    unfinished: int = 0
    reserved: int = 0


@dataclass(frozen=True)
class Progress:
    """
    A campaign at one moment. ``holds`` are the pauses that its queued jobs wait for. ``running`` are the first `FIRST` cells in
    progress. ``strip`` are the newest results, or once all are reviewed the winners, with ``pictures`` by job. ``why`` is
    ``None`` if no job waits for its turn. ``worked`` are the best values and the worst, once all is reviewed. ``waits`` are the
    cells that a person has to release, ``trips`` the values that explain failures.
    """

    cells: list[LaunchedCell]
    counts: Counts
    left: Estimate
    holds: list[Hold]
    cancelled: list[Cancelled]
    money: batches.Money
    running: list[Ahead]
    why: Why | None
    failures: list[Failure]
    blocks: list[Block]
    tally: Tally
    pictures: dict[int, Picture]
    strip: list[LaunchedCell]
    worked: list[Rate]
    waits: Waits
    trips: list[Tripped]
    stills: StillMoney

    @property
    def paused(self) -> int:
        """Return how many cells wait for the end of a pause; the others on hold wait for a decision."""
        return self.counts.on_hold - self.waits.total

    @property
    def is_judged(self) -> bool:
        """Whether the campaign is finished and all its results are reviewed."""
        return not self.counts.open and self.tally.total > 0 and not self.tally.to_judge

    @property
    def shows_winners(self) -> bool:
        return self.is_judged and self.tally.winner > 0


def look(campaign: Campaign, *, at: datetime) -> Progress:
    """Read the content of a campaign's page. Its model and batch are loaded."""
    found = holds.of(campaign, at=at)
    cells = cell_reads.of(campaign, at=at, hold=next((hold.words for hold in found if not hold.is_own), ""))
    counts, results = cell_reads.counts(cells, is_paused=campaign.batch.paused), review.results(campaign)
    tally = review.tally(results)
    is_judged = not counts.open and not tally.to_judge
    waiting = releases.waiting(campaign) if any(cell.held_for for cell in cells) else []
    return Progress(
        cells=cells,
        counts=counts,
        left=estimates.for_batch(campaign.pk, at),
        holds=found if counts.on_hold > len(waiting) else [hold for hold in found if hold.is_own],
        cancelled=_cancelled(cells),
        money=batches.money(campaign.batch),
        running=_running(campaign, cells, at=at),
        why=_why(cells, at=at) if counts.waiting else None,
        failures=_failures(cells, campaign.model.pricing),
        blocks=_blocks(cells),
        tally=tally,
        pictures=pictures.of_jobs(cell.job for cell in cells if cell.job and cell.state == State.COMPLETED),
        strip=_strip(cells, winners=is_judged and tally.winner > 0),
        worked=_worked(campaign, results) if is_judged else [],
        waits=sheet.waits_of(waiting),
        trips=sheet.tripped(campaign, waiting),
        stills=_stills(campaign) if campaign.start == STORYBOARD else StillMoney(),
    )


def version(campaign: Campaign, *, at: datetime) -> str:
    """
    Return a token that changes when the campaign's page does: with each event or progress of its jobs, with each pause, review or
    new name, and every `REFRESHED_AFTER` seconds while a job is unfinished. Two queries.
    """
    seen = Job.objects.filter(batch=campaign.pk).aggregate(
        events=Sum("event_seq"), progress=Coalesce(Sum("progress"), 0.0), open=Count("pk", filter=Q(state__in=OPEN_STATES))
    )
    reviews = campaign.combinations.exclude(review=Review.NONE).aggregate(count=Count("pk"), at=Max("reviewed_at"))
    looks = int(at.timestamp() / REFRESHED_AFTER) if seen["open"] else 0
    batch = campaign.batch
    own = f"{batch.paused}|{batch.paused_until}|{batch.paused_reason}|{batch.max_concurrent}"
    shown = f"{campaign.name}|{own}|{reviews['count']}|{reviews['at']}"
    return f"{seen['events']}-{seen['progress']:.3f}-{crc32(shown.encode()):x}-{looks}"


def left_of(campaigns: Iterable[Campaign], *, at: datetime) -> dict[int, Estimate]:
    """Return the time until the last job of each unfinished campaign is finished, as `batches.left_of`."""
    return batches.left_of((campaign.pk for campaign in campaigns if campaign.batch.ended_at is None), at=at)


def _stills(campaign: Campaign) -> StillMoney:
    """One query. Stills are the campaign's only jobs of their model, as it makes no videos."""
    held = Reservation.objects.filter(job__batch=campaign.pk, job__model=campaign.still_model_id).order_by()
    rows = held.values_list("state").annotate(number=Count("pk"), tickets=Sum("amount"))
    found = {state: (number, tickets) for state, number, tickets in rows}
    return StillMoney(*found.get(Reservation.State.CAPTURED, (0, 0)), *found.get(Reservation.State.HELD, (0, 0)))


def _running(campaign: Campaign, cells: Sequence[LaunchedCell], *, at: datetime) -> list[Ahead]:
    first = cell_reads.in_flight(cells)[:FIRST]
    left = estimates.for_jobs(cell_reads.jobs(first).values(), at)
    names = {
        cell.job: job_names.in_two_lines(cell_reads.told(cell.values, campaign.dimensions, campaign.labels)) for cell in first
    }
    return [Ahead(cell, *names[cell.job], left[cell.job]) for cell in first if cell.job in left]


def _strip(cells: Iterable[LaunchedCell], *, winners: bool) -> list[LaunchedCell]:
    """Return the newest results, or of the winners the newest."""
    done = [cell for cell in cells if cell.state == State.COMPLETED and (not winners or cell.review == Review.WINNER)]
    return sorted(done, key=lambda cell: (cell.ended_at, cell.index), reverse=True)[:LATEST]


def _worked(campaign: Campaign, results: Sequence[Result]) -> list[Rate]:
    """Return the values with enough reviews by their rate of approval: the best ones and the worst."""
    rates = [rate for one in review.what_worked(campaign, results) for rate in one.rates if rate.judged >= WORKED_FROM]
    rates.sort(key=lambda rate: (-rate.percent, -rate.judged, rate.label))
    return rates if len(rates) <= WORKED_BEST + 1 else [*rates[:WORKED_BEST], rates[-1]]


def _cancelled(cells: Iterable[LaunchedCell]) -> list[Cancelled]:
    price = {cell.job: cell.tickets for cell in cells if cell.job and cell.state == State.CANCELLED}
    found = cancels.of_jobs(price) if price else []
    return [Cancelled(cancel, sum(price[job] for job in cancel.jobs)) for cancel in found]


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
        if cell.state == BLOCKED:
            hit = next(hit for hit in cell.compliance["hits"] if hit["severity"] == "block")
            found[hit["rule"], hit["matched"], hit["reason"], hit["instead"]].append(cell)
    return [Block(*words, alike) for words, alike in found.items()]


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
