"""The content of the home page of one user: read-only, with a fixed number of queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, QuerySet
from django.urls import reverse

from campaigns import holds, job_names, pictures, progress, standing
from campaigns.holds import Hold
from campaigns.job_names import JobName
from campaigns.models import Campaign, Combination
from campaigns.models.combination import TO_JUDGE, Review
from campaigns.pictures import GONE, Picture
from campaigns.standing import CampaignStatus, Counts
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.insight import positions
from queue_app.models import Job, LedgerEntry, LedgerTransaction, Notice, State, User
from queue_app.models.job import IN_FLIGHT_STATES
from queue_app.ui import display

RESULTS = NOTICES = TO_REVIEW = 6
CAMPAIGNS = JOBS = 5
MOSAICS, IN_A_MOSAIC = 2, 5  # campaigns to review with pictures, and pictures of each
_KINDS = {
    LedgerTransaction.Kind.GRANT: "Granted",
    LedgerTransaction.Kind.RESERVE: "Reserved",
    LedgerTransaction.Kind.CAPTURE: "Charged",
    LedgerTransaction.Kind.RELEASE: "Returned",
    LedgerTransaction.Kind.REFUND: "Refunded",
}


@dataclass(frozen=True)
class CampaignRow:
    """A campaign in a list, with its newest result. ``left`` is ``None`` once the campaign is finished."""

    campaign: Campaign
    counts: Counts
    left: Estimate | None
    picture: Picture
    reviewed: int

    @property
    def glyph(self) -> str:
        """What stands for it while it has no picture."""
        return {CampaignStatus.PAUSED: "pause", CampaignStatus.RUNNING: "running"}.get(self.counts.status, "grid")


@dataclass(frozen=True)
class JobLine:
    """A queued or running job. ``position`` is ``None`` unless it is queued, ``hold`` says what stops it, if a pause does."""

    job: Job
    name: JobName
    position: int | None
    left: Estimate
    hold: str


@dataclass(frozen=True)
class LatestResult:
    """A completed job with its name and its picture."""

    job: Job
    name: JobName
    picture: Picture


@dataclass(frozen=True)
class Unjudged:
    """
    A campaign with unreviewed videos (its ``medium``), the time when the latest of them was completed, and the newest ones of the
    first campaigns.
    """

    campaign: int
    name: str
    medium: str
    results: int
    stored_at: datetime
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True)
class OnHold:
    """A campaign that waits for the end of a pause which its owner can't end."""

    campaign: Campaign
    hold: Hold
    jobs: int


@dataclass(frozen=True)
class Entry:
    """A ledger entry in words. ``amount`` is the change in available tickets, or for a charge, the part of the reserved ones."""

    at: datetime
    words: str
    amount: str
    job: int | None
    reason: str


def campaign_lines(campaigns: Sequence[Campaign], *, at: datetime) -> list[CampaignRow]:
    """Return campaigns, whose batches are loaded, with their counts, the time left and a picture."""
    counts, left = standing.of_campaigns(campaigns, at=at), progress.left_of(campaigns, at=at)
    newest = pictures.newest_of_campaigns(counts)
    judged = Combination.objects.filter(campaign__in=counts, job__state=State.COMPLETED).exclude(review=Review.NONE)
    reviewed = dict(judged.order_by().values_list("campaign").annotate(Count("pk")))
    return [
        CampaignRow(one, counts[one.pk], left.get(one.pk), (newest.get(one.pk) or [GONE])[0], reviewed.get(one.pk, 0))
        for one in campaigns
    ]


def campaigns(user: User, *, at: datetime) -> list[CampaignRow]:
    """Return the user's latest campaigns."""
    found = Campaign.objects.filter(batch__owner=user).select_related("batch", "brand", "model").order_by("-pk")
    return campaign_lines(list(found[:CAMPAIGNS]), at=at)


def on_hold(user: User, *, at: datetime) -> list[OnHold]:
    """Return the user's campaigns all of whose waiting jobs are stopped by a pause of staff, the newest first."""
    waiting = Job.objects.filter(owner=user, state=State.QUEUED, held=False)
    paused = holds.of_models(waiting.order_by().values_list("model", flat=True).distinct(), at=at)
    if not paused:
        return []
    found = Campaign.objects.filter(batch__owner=user, batch__paused=False, batch__ended_at=None, model__in=paused)
    campaigns = list(found.select_related("batch", "model").order_by("-pk")[:NOTICES])
    counts = standing.of_campaigns(campaigns, at=at)
    return [
        OnHold(one, paused[one.model_id], counts[one.pk].on_hold)
        for one in campaigns
        if counts[one.pk].status == CampaignStatus.PAUSED
    ]


def queue(user: User, *, at: datetime) -> list[JobLine]:
    """Return the user's running jobs and then the next queued ones, `JOBS` in all."""
    mine = Job.objects.filter(owner=user).select_related("model")
    jobs = list(mine.filter(state__in=IN_FLIGHT_STATES).order_by("started_at", "id")[:JOBS])
    jobs += mine.filter(state=State.QUEUED).order_by("held", "-priority", "order_key", "id")[: JOBS - len(jobs)]
    places = positions.of_jobs(job.pk for job in jobs if job.state == State.QUEUED)
    left, names, stopped = estimates.for_jobs(jobs, at), job_names.of_jobs(jobs), holds.of_jobs(jobs, at=at)
    return [JobLine(job, names[job.pk], places.get(job.pk), left[job.pk], stopped.get(job.pk, "")) for job in jobs]


def results(user: User) -> list[LatestResult]:
    """Return the user's latest completed jobs, newest first."""
    done = Job.objects.filter(owner=user, state=State.COMPLETED, archived_at=None).order_by("-ended_at", "-id")
    jobs = list(done[:RESULTS])
    names, known = job_names.of_jobs(jobs), pictures.of_jobs(job.pk for job in jobs)
    return [LatestResult(job, names[job.pk], known[job.pk]) for job in jobs if known.get(job.pk, GONE).kind]


def unjudged(user: User) -> list[Unjudged]:
    """Return all of the user's campaigns with something to review, the latest completion first; the first ones with pictures."""
    found = Combination.objects.filter(TO_JUDGE, campaign__batch__owner=user)
    told = found.values_list("campaign", "campaign__name", "campaign__model__medium")
    rows = list(told.annotate(results=Count("pk"), at=Max("job__ended_at")).order_by("-at", "-campaign"))
    shown = pictures.newest_of_campaigns([row[0] for row in rows[:MOSAICS]], most=IN_A_MOSAIC, to_review=True) if rows else {}
    return [
        Unjudged(campaign, name, medium, results, at, shown.get(campaign, ())) for campaign, name, medium, results, at in rows
    ]


def movements(user: User) -> QuerySet[LedgerTransaction]:
    """Return the movements of the user's tickets, newest first."""
    moved = LedgerTransaction.objects.filter(wallet__owner=user).select_related("reservation").order_by("-id")
    return moved.prefetch_related("entries")


def entries(moved: Iterable[LedgerTransaction]) -> list[Entry]:
    """Return movements in words."""
    return [_entry(one) for one in moved]


def notices(user: User, held: Sequence[OnHold]) -> list[Notice]:
    """Return the user's unread notices, newest first: one for each event of a page, none for campaigns on hold (`on_hold`)."""
    told = [reverse("campaigns:page", args=[one.campaign.pk]) for one in held]
    unread = Notice.objects.filter(user=user, read_at=None).exclude(url__in=told)
    newest: dict[tuple[str, str], Notice] = {}
    for notice in unread.order_by("-id")[: 4 * NOTICES]:
        newest.setdefault((notice.event, notice.url or notice.key), notice)
    return [*newest.values()][:NOTICES]


def _entry(row: LedgerTransaction) -> Entry:
    kind = LedgerTransaction.Kind(row.kind)
    is_charge = kind == LedgerTransaction.Kind.CAPTURE
    side = LedgerEntry.Side.RESERVED if is_charge else LedgerEntry.Side.AVAILABLE
    moved = sum(leg.amount for leg in row.entries.all() if leg.side == side)
    number = display.number(abs(moved))
    # a charge does not change the available tickets: its reservation did
    amount = f"{number} from reserved" if is_charge else f"{'−' if moved < 0 else '+' if moved else ''}{number}"
    return Entry(row.at, _KINDS[kind], amount, row.reservation.job_id if row.reservation else None, row.reason)
