"""All jobs of one user, as a list: open ones first, by tab, search and filters; with what to do about each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, Count, Q, QuerySet, When

from campaigns import holds, job_names, pictures
from campaigns.job_names import JobName
from campaigns.models import Campaign, Combination, DimensionValue
from campaigns.pictures import GONE, Picture
from campaigns.rules import paging
from campaigns.rules.paging import ListPage
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.insight import cancels, pauses, positions, remedies
from queue_app.models import Job, State, User
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES, JobQuerySet
from queue_app.rules import numbers

WORDS_MOST = 6  # of a search
CAMPAIGNS = MODELS = 20  # in the menus of the filters
RUNNING, QUEUED, ON_HOLD, COMPLETED, FAILED, CANCELLED = "running", "queued", "on_hold", "completed", "failed", "cancelled"
LANE = ("-priority", "order_key", "id")
TABS = (RUNNING, QUEUED, ON_HOLD, COMPLETED, FAILED, CANCELLED)
SINCE = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}


@dataclass(frozen=True)
class Filters:
    """What somebody picked; empty for all. ``since`` is a key of `SINCE`."""

    tab: str = ""
    search: str = ""
    campaign: int = 0
    model: str = ""
    since: str = ""


@dataclass(frozen=True)
class Line:
    """
    A job of the list. ``position`` and ``hold`` are those of a queued job, which ``may_move`` before others of its owner;
    ``left`` is ``None`` for a finished one, ``cancelled_by`` names who cancelled it, ``remedy`` says what to do about a failure;
    ``is_prompt`` if that is another prompt.
    """

    job: Job
    name: JobName
    picture: Picture
    position: int | None
    hold: str
    left: Estimate | None
    cancelled_by: str
    remedy: str
    is_prompt: bool
    may_move: bool

    @property
    def is_playable(self) -> bool:
        return self.job.state == State.COMPLETED


def look(user: User, picked: Filters, *, page: int, at: datetime) -> ListPage[Line]:
    """Read a page of the user's jobs. Running jobs come first, then queued ones as they start, then the others, newest first."""
    jobs = _filtered(user, picked, at=at)
    by_state = list(jobs.order_by().values_list("state", "held", "model").annotate(jobs=Count("*")))
    paused = pauses.of_models({model for state, _, model, _ in by_state if state == State.QUEUED}, at=at)
    counts: Counter[str] = Counter()
    for state, is_held, model, number in by_state:
        counts[_tab(state, is_on_hold=is_held or model in paused)] += number
    total = counts[picked.tab] if picked.tab else sum(counts.values())
    number = paging.nearest(page, total)
    shown = _in_order(_of_tab(jobs, picked.tab, paused), paused, skip=paging.skipped(number))
    return ListPage(_lines(shown, at=at), {tab: counts[tab] for tab in TABS}, number, total)


def campaigns_of(user: User) -> list[tuple[int, str]]:
    """Return the user's latest campaigns, to filter by."""
    return list(Campaign.objects.filter(batch__owner=user).order_by("-pk").values_list("pk", "name")[:CAMPAIGNS])


def models_of(user: User) -> list[str]:
    """Return the models that the user's jobs have, to filter by."""
    return list(Job.objects.filter(owner=user).order_by("model").values_list("model", flat=True).distinct()[:MODELS])


def _filtered(user: User, picked: Filters, *, at: datetime) -> JobQuerySet:
    jobs = Job.objects.filter(owner=user)
    if picked.campaign:
        jobs = jobs.filter(batch=picked.campaign)
    if picked.model:
        jobs = jobs.filter(model=picked.model)
    if picked.since in SINCE:
        jobs = jobs.filter(queued_at__gt=at - SINCE[picked.since])
    return jobs.filter(pk__in=_found(user, picked.search)) if picked.search else jobs


def _found(user: User, search: str) -> JobQuerySet:
    """Return the jobs with this number, with these words in their prompt, or whose campaign and combination have each word."""
    if number := numbers.of_row(search):
        return Job.objects.filter(owner=user, pk=number)
    named = Q()
    for word in search.split()[:WORDS_MOST]:
        named &= Q(batch__name__icontains=word) | Q(version__combination__in=_combinations(user, word))
    by_prompt = Job.objects.filter(owner=user).search(search).values("pk")
    return Job.objects.filter(Q(pk__in=by_prompt) | named, owner=user)


def _combinations(user: User, word: str) -> QuerySet[Combination]:
    """Return the user's combinations with a value whose label has this word."""
    keys = list(DimensionValue.objects.filter(label__icontains=word).values_list("dimension__key", "key"))
    with_value = Q()
    for dimension, value in keys:
        with_value |= Q(values__contains={dimension: value})
    return Combination.objects.filter(with_value, campaign__batch__owner=user) if keys else Combination.objects.none()


def _tab(state: str, *, is_on_hold: bool) -> str:
    if state == State.QUEUED:
        return ON_HOLD if is_on_hold else QUEUED
    return RUNNING if state in IN_FLIGHT_STATES else str(state)


def _of_tab(jobs: JobQuerySet, tab: str, paused: Mapping[str, object]) -> JobQuerySet:
    on_hold = Q(state=State.QUEUED) & _on_hold(paused)
    kept = {
        RUNNING: Q(state__in=IN_FLIGHT_STATES),
        QUEUED: Q(state=State.QUEUED) & ~on_hold,
        ON_HOLD: on_hold,
        COMPLETED: Q(state=State.COMPLETED),
        FAILED: Q(state=State.FAILED),
        CANCELLED: Q(state=State.CANCELLED),
    }
    return jobs.filter(kept[tab]) if tab in kept else jobs


def _on_hold(paused: Iterable[str]) -> Q:
    return Q(held=True) | Q(model__in=list(paused))


def _in_order(jobs: JobQuerySet, paused: Iterable[str], *, skip: int) -> list[Job]:
    """Return a page of these jobs. The finished ones, which may be many, are read from the end of their index."""
    found: list[Job] = []
    for part in (
        jobs.filter(state__in=IN_FLIGHT_STATES).order_by("started_at", "id"),
        jobs.filter(state=State.QUEUED).order_by(Case(When(_on_hold(paused), then=1), default=0), *LANE),
        jobs.exclude(state__in=OPEN_STATES).order_by("-id"),
    ):
        here = list(part.select_related("model", "batch")[skip : skip + paging.A_PAGE - len(found)])
        skip = max(0, skip - part.count()) if skip and not here else 0
        found += here
    return found


def _lines(jobs: Sequence[Job], *, at: datetime) -> list[Line]:
    by_state = {state: [job.pk for job in jobs if job.state == state] for state in State}
    names, known = job_names.of_jobs(jobs), pictures.of_jobs(by_state[State.COMPLETED])
    places, stopped = positions.of_jobs(by_state[State.QUEUED]), holds.of_jobs(jobs, at=at)
    behind = positions.behind_own(jobs)
    left = estimates.for_jobs((job for job in jobs if job.is_open), at)
    found = cancels.of_jobs(by_state[State.CANCELLED]) if by_state[State.CANCELLED] else []
    cancelled = {job: cancel.by for cancel in found for job in cancel.jobs}
    return [
        Line(
            job=job,
            name=names[job.pk],
            picture=known.get(job.pk, GONE),
            position=places.get(job.pk),
            hold=stopped.get(job.pk, ""),
            left=left.get(job.pk),
            cancelled_by=cancelled.get(job.pk, ""),
            remedy=remedies.of(job.error_code) if job.state == State.FAILED else "",
            is_prompt=remedies.needs_another_prompt(job.error_code),
            may_move=job.pk in behind,
        )
        for job in jobs
    ]
