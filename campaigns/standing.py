"""The one status of a campaign, by the same rule for pages, lists and the API, from its combinations by status."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db.models import Count, TextChoices

from campaigns.models import Campaign
from campaigns.starts import STORYBOARD
from queue_app.insight import pauses
from queue_app.models import HeldFor, Job, State, Status, User
from queue_app.models.job import STATUS_OF_STATE

BLOCKED = "blocked"


class CampaignStatus(TextChoices):
    ATTENTION = "needs_attention", "Needs attention"
    RUNNING = "running"
    PAUSED = "paused"
    QUEUED = "queued"
    FINISHED = "finished"


@dataclass(frozen=True)
class Counts:
    """
    The combinations of a campaign by the status of their latest version. Of the queued ones ``on_hold`` wait for the end of a
    pause or of a decision; of those in progress ``unknown`` have an unknown outcome. Of those on hold ``stills_running`` and
    ``stills_waiting`` wait for a still that is not finished and not on hold itself; with ``is_paused``, a pause stops some.
    """

    queued: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    on_hold: int = 0
    unknown: int = 0
    blocked: int = 0
    stills_running: int = 0
    stills_waiting: int = 0
    is_paused: bool = False

    @classmethod
    def of(
        cls,
        jobs: Mapping[tuple[str, bool], int],
        *,
        is_paused: bool,
        is_stopped: bool = False,
        stills: Mapping[str, int] | None = None,
    ) -> "Counts":
        """
        :param jobs: by state, and by whether the pause of their batch holds them; those of blocked combinations by `BLOCKED`.
        :param is_paused: a pause stops all jobs of the model. :param is_stopped: one stops some of these jobs.
        :param stills: the unfinished stills that videos wait for, by state.
        """
        found: Counter[str] = Counter()
        for (state, is_held), number in jobs.items():
            found[state if state == BLOCKED else STATUS_OF_STATE[State(state)].value] += number
            found["on_hold"] += number * (state == State.QUEUED and (is_held or is_paused))
            found["unknown"] += number * (state == State.UNKNOWN)
        for state, number in (stills or {}).items():
            found["stills_waiting" if state == State.QUEUED else "stills_running"] += number
        return cls(**found, is_paused=is_stopped or (is_paused and (State.QUEUED, False) in jobs))

    @property
    def total(self) -> int:
        """Combinations with a job."""
        return self.open + self.completed + self.failed + self.cancelled

    @property
    def open(self) -> int:
        return self.queued + self.processing

    @property
    def running(self) -> int:
        return self.processing - self.unknown

    @property
    def waiting(self) -> int:
        """Queued, and not on hold."""
        return self.queued - self.on_hold

    @property
    def status(self) -> CampaignStatus:
        """The first that fits. Failed and cancelled videos of a finished campaign are told beside it."""
        all_failed = self.failed and not (self.open or self.completed)
        if self.unknown or all_failed:
            return CampaignStatus.ATTENTION
        if self.running or self.stills_running:
            return CampaignStatus.RUNNING
        if not self.queued:
            return CampaignStatus.FINISHED
        return CampaignStatus.QUEUED if self.waiting or self.stills_waiting else CampaignStatus.PAUSED

    @property
    def label(self) -> str:
        """Return the status for people. What waits for a decision or a budget is on hold, and not paused by anybody."""
        on_hold = self.status == CampaignStatus.PAUSED and not self.is_paused
        return "On hold" if on_hold else str(self.status.label).capitalize()

    def by_status(self) -> dict[str, int]:
        """Return the jobs by the five statuses of the API."""
        return {str(status): asdict(self)[status] for status in Status}


def of_owner(owner: User, *, at: datetime) -> Counts:
    """Return the counts of all jobs of a user, of campaigns or not. Two queries, and some more if a job waits."""
    rows = Job.objects.filter(owner=owner).order_by().values_list("state", "held", "model").annotate(jobs=Count("*"))
    found = list(rows)
    paused = pauses.of_models({model for state, _, model, _ in found if state == State.QUEUED}, at=at)
    jobs: Counter[tuple[str, bool]] = Counter()
    for state, is_held, model, number in found:
        jobs[state, is_held or model in paused] += number
    return Counts.of(jobs, is_paused=False)


def of_campaigns(campaigns: Iterable[Campaign], *, at: datetime) -> dict[int, Counts]:
    """Return the counts of each campaign, without blocked combinations, with a fixed number of queries."""
    campaigns = list(campaigns)
    models = {campaign.pk: campaign.model_id for campaign in campaigns}
    rows = Job.objects.filter(combination__campaign__in=models).order_by()
    by_cause = rows.values_list("batch", "batch__paused", "state", "held", "held_for").annotate(jobs=Count("*"))
    jobs: dict[int, Counter[tuple[str, bool]]] = {pk: Counter() for pk in models}
    stopped = set()
    for pk, is_stopped, state, is_held, held_for, number in by_cause:
        jobs[pk][state, is_held] += number
        if is_stopped or (is_held and not held_for):
            stopped.add(pk)
    waiting = {models[pk] for pk, found in jobs.items() if (State.QUEUED, False) in found}
    paused = pauses.of_models(waiting, at=at) if waiting else {}
    stills = _stills([campaign for campaign in campaigns if campaign.start == STORYBOARD])
    return {
        pk: Counts.of(found, is_paused=models[pk] in paused, is_stopped=pk in stopped, stills=stills.get(pk))
        for pk, found in jobs.items()
    }


def _stills(campaigns: Collection[Campaign]) -> dict[int, dict[str, int]]:
    """
    Return the unfinished stills that videos wait for, without those on hold themselves, by campaign and state. One query if there
    is a storyboard.
    """
    if not campaigns:
        return {}
    waiting = Job.objects.open().filter(
        still_of__campaign__in=[one.pk for one in campaigns], still_of__job__held_for=HeldFor.STORYBOARD, held_for=""
    )
    found: dict[int, dict[str, int]] = {one.pk: {} for one in campaigns}
    for pk, state, number in waiting.order_by().values_list("batch", "state").annotate(jobs=Count("*")):
        found[pk][state] = number
    return found
