"""The content of the home page of one user: read-only, with a fixed number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Prefetch

from campaigns import progress
from campaigns.models import Campaign, Combination
from campaigns.models.combination import TO_JUDGE
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.insight import positions
from queue_app.models import Asset, Job, LedgerEntry, LedgerTransaction, Notice, State, User
from queue_app.models.job import IN_FLIGHT_STATES
from queue_app.ui import display

CAMPAIGNS = JOBS = RESULTS = ENTRIES = NOTICES = 6
_KINDS = {
    LedgerTransaction.Kind.GRANT: "Granted",
    LedgerTransaction.Kind.RESERVE: "Reserved",
    LedgerTransaction.Kind.CAPTURE: "Charged",
    LedgerTransaction.Kind.RELEASE: "Returned",
    LedgerTransaction.Kind.REFUND: "Refunded",
}


@dataclass(frozen=True)
class CampaignRow:
    """A campaign in a list. ``left`` is ``None`` once the campaign is finished."""

    campaign: Campaign
    counts: dict[str, int]
    left: Estimate | None

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def is_open(self) -> bool:
        return bool(self.counts["queued"] or self.counts["processing"])


@dataclass(frozen=True)
class JobLine:
    """A queued or running job. ``position`` is ``None`` unless it is queued."""

    job: Job
    position: int | None
    left: Estimate


@dataclass(frozen=True)
class CompletedJob:
    """A completed job with its main file. ``thumbnail`` is ``None`` if there is none or it was deleted."""

    job: Job
    main: Asset
    thumbnail: Asset | None


@dataclass(frozen=True)
class Unjudged:
    """A campaign with unreviewed videos (its ``medium``), and the time when the latest of them was completed."""

    campaign: int
    name: str
    medium: str
    results: int
    stored_at: datetime


@dataclass(frozen=True)
class Entry:
    """A ledger entry in words. ``amount`` is the change in available tickets, or for a charge, the part of the reserved ones."""

    at: datetime
    words: str
    amount: str
    job: int | None
    reason: str


def campaign_lines(campaigns: Sequence[Campaign], *, at: datetime) -> list[CampaignRow]:
    """Return campaigns, whose batches are loaded, with their counts and the time left."""
    counts, left = progress.counts_of(campaigns), progress.left_of(campaigns, at=at)
    return [CampaignRow(campaign, counts[campaign.pk], left.get(campaign.pk)) for campaign in campaigns]


def campaigns(user: User, *, at: datetime) -> list[CampaignRow]:
    """Return the user's latest campaigns."""
    found = Campaign.objects.filter(batch__owner=user).select_related("batch", "brand").order_by("-pk")
    return campaign_lines(list(found[:CAMPAIGNS]), at=at)


def queue(user: User, *, at: datetime) -> list[JobLine]:
    """Return the user's running jobs and then the next queued ones, `JOBS` in all."""
    mine = Job.objects.filter(owner=user).select_related("model")
    jobs = list(mine.filter(state__in=IN_FLIGHT_STATES).order_by("started_at", "id")[:JOBS])
    jobs += mine.filter(state=State.QUEUED).in_dispatch_order()[: JOBS - len(jobs)]
    places = positions.of_jobs(job.pk for job in jobs if job.state == State.QUEUED)
    left = estimates.for_jobs(jobs, at)
    return [JobLine(job, places.get(job.pk), left[job.pk]) for job in jobs]


def results(user: User) -> list[CompletedJob]:
    """Return the user's latest completed jobs, newest first."""
    files = Prefetch("assets", Asset.objects.kept().order_by("-version", "number"))
    done = Job.objects.filter(owner=user, state=State.COMPLETED, archived_at=None).order_by("-ended_at", "-id")
    return [found for job in done.prefetch_related(files)[:RESULTS] if (found := _result(job))]


def unjudged(user: User) -> list[Unjudged]:
    """Return all of the user's campaigns with something to review, the latest completion first."""
    found = Combination.objects.filter(TO_JUDGE, campaign__batch__owner=user)
    told = found.values_list("campaign", "campaign__name", "campaign__model__medium")
    by_campaign = told.annotate(Count("pk"), at=Max("job__ended_at"))
    return [Unjudged(*row) for row in by_campaign.order_by("-at", "-campaign")]


def entries(user: User) -> list[Entry]:
    """Return the latest ledger entries of the user, newest first."""
    moved = LedgerTransaction.objects.filter(wallet__owner=user).select_related("reservation").order_by("-id")
    return [_entry(one) for one in moved.prefetch_related("entries")[:ENTRIES]]


def notices(user: User) -> list[Notice]:
    """Return the user's unread notices, newest first."""
    return list(Notice.objects.filter(user=user, read_at=None).order_by("-id")[:NOTICES])


def _result(job: Job) -> CompletedJob | None:
    latest = {file.kind: file for file in reversed([*job.assets.all()])}  # prefetched: those not expired
    main = next((latest[kind] for kind in Asset.MAIN_KINDS if kind in latest), None)
    return CompletedJob(job, main, latest.get(Asset.Kind.THUMBNAIL)) if main else None


def _entry(row: LedgerTransaction) -> Entry:
    kind = LedgerTransaction.Kind(row.kind)
    is_charge = kind == LedgerTransaction.Kind.CAPTURE
    side = LedgerEntry.Side.RESERVED if is_charge else LedgerEntry.Side.AVAILABLE
    moved = sum(leg.amount for leg in row.entries.all() if leg.side == side)
    number = display.number(abs(moved))
    # a charge does not change the available tickets: its reservation did
    amount = f"{number} from reserved" if is_charge else f"{'−' if moved < 0 else '+' if moved else ''}{number}"
    return Entry(row.at, _KINDS[kind], amount, row.reservation.job_id if row.reservation else None, row.reason)
