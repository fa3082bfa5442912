"""
Jobs by status; and the waiting jobs of each model: how many, which is the oldest, how long they wait.

All pages and the API count here. Counts that grow with the queue are shared.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Count

from queue_app.caching import SERVED, at_most_every, without_waiting
from queue_app.models import Batch, Job, State, Status, User
from queue_app.models.job import IN_FLIGHT_STATES, STATUS_OF_STATE, TERMINAL_STATES, JobQuerySet

T = TypeVar("T")
Waiting = Mapping[tuple[str, int], int]  # jobs by model and priority
RECENT = timedelta(hours=24)  # since which finished jobs are counted
LATELY = timedelta(hours=1)  # since which starts show how long jobs wait
WAITS_KEPT = 5.0  # seconds
HEADS = 20  # jobs at the head of each lane and priority among which the oldest is looked for: some were moved to the front
FRESH, WORTH = 0.1, 40  # seconds for which a shared count is used at least, and times what it cost

# each lane and priority is found by a probe of the index and counted by itself: nothing is sorted or hashed into groups
_WAITING = """
    WITH RECURSIVE lane (model, priority) AS (
        (SELECT model_id, priority FROM queue_app_job WHERE state = 'queued' ORDER BY model_id, priority LIMIT 1)
         UNION ALL
        SELECT following.* FROM lane CROSS JOIN LATERAL (
            SELECT model_id, priority FROM queue_app_job
             WHERE state = 'queued' AND (model_id, priority) > (lane.model, lane.priority) ORDER BY model_id, priority LIMIT 1
        ) following
    )
    SELECT model, priority, (SELECT count(*) FROM queue_app_job job
                              WHERE job.state = 'queued' AND job.model_id = lane.model AND job.priority = lane.priority)
      FROM lane
"""
_WAITS = """
    SELECT model_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - queued_at))
      FROM queue_app_job WHERE started_at > %(since)s AND started_at <= %(at)s GROUP BY 1
"""
_OLDEST = """
    SELECT DISTINCT ON (head.model_id) head.model_id, head.id, head.queued_at
      FROM unnest(%(models)s, %(ranks)s) AS lane(model, rank)
     CROSS JOIN LATERAL (
        SELECT job.model_id, job.id, job.queued_at FROM queue_app_job job
         WHERE job.state = 'queued' AND NOT job.held AND job.not_before IS NULL
           AND job.model_id = lane.model AND job.priority * -1 = lane.rank
         ORDER BY job.order_key, job.id LIMIT %(heads)s
     ) head
     ORDER BY head.model_id, head.queued_at, head.id
"""


@dataclass(frozen=True)
class Oldest:
    """The job of a lane that has waited longest for its turn."""

    job: int
    since: datetime


def by_status(
    *, at: datetime, owner: User | None = None, within: float | None = None, queued: int | None = None
) -> dict[Status, int]:
    """
    Return jobs by status, of one owner or of all. Finished jobs are those of the last 24 hours that are not cleared.

    :param queued: the queued jobs of the owner, if the caller has counted them.
    :param within: seconds of age that shared counts may have at most; by default as much as their cost is worth.
    """
    if owner is None:
        waits = {State.QUEUED: sum(waiting(within=within).values())}
        states = waits | in_progress(within=within) | finished(at=at, within=within)
    else:
        jobs = Job.objects.filter(owner=owner)
        states = {State.QUEUED: jobs.with_status(Status.QUEUED).count() if queued is None else queued}
        states |= _by_state(jobs.with_status(Status.PROCESSING)) | _by_state(_recent(jobs, at))
    found = dict.fromkeys(Status, 0)
    for state, number in states.items():
        found[STATUS_OF_STATE[state]] += number
    return found


def waiting(*, within: float | None = None) -> Waiting:
    """Return queued jobs by model and priority."""
    return _shared("counts:waiting", _count_waiting, within)


def by_priority(*, owner: User | None = None, within: float | None = None) -> dict[int, int]:
    """Return queued jobs by priority, the highest first, of one owner or of all."""
    if owner is None:
        rows = [(level, jobs) for (_, level), jobs in waiting(within=within).items()]
    else:
        queued = Job.objects.filter(owner=owner, state=State.QUEUED).order_by()
        rows = list(queued.values_list("priority").annotate(Count("pk")))
    found = dict.fromkeys(sorted((level for level, _ in rows), reverse=True), 0)
    for level, jobs in rows:
        found[level] += jobs
    return found


def on_hold(models: Collection[str], *, within: float | None = None) -> int:
    """Return the queued jobs on hold: those of ``models``, whose jobs all are, and those of paused batches."""

    def of_batches() -> dict[str, int]:
        jobs = Job.objects.filter(state=State.QUEUED, batch__in=Batch.objects.filter(paused=True))
        return dict(jobs.order_by().values_list("model").annotate(jobs=Count("*")))

    held = sum(jobs for (model, _), jobs in waiting(within=within).items() if model in models)
    return held + sum(jobs for model, jobs in _shared("counts:held", of_batches, within).items() if model not in models)


def oldest(lanes: Collection[tuple[str, int]]) -> dict[str, Oldest]:
    """Return the oldest job of each model that could start; ``lanes`` are the models and priorities with waiting jobs."""
    if not lanes:
        return {}
    models, ranks = [model for model, _ in lanes], [-level for _, level in lanes]
    return {model: Oldest(job, since) for model, job, since in _rows(_OLDEST, models=models, ranks=ranks, heads=HEADS)}


def waits(*, at: datetime) -> dict[str, float]:
    """Return the median seconds that jobs started in the last hour had waited, by model."""

    def look() -> dict[str, float]:
        return {model: max(0.0, float(seconds)) for model, seconds in _rows(_WAITS, since=at - LATELY, at=at)}

    return without_waiting(WORTH, "counts:waits", look, at_least=WAITS_KEPT)


def in_progress(*, within: float | None = None) -> dict[State, int]:
    """Return the jobs in each state between queued and finished; they are few, so by default they are counted each time."""

    def count() -> dict[State, int]:
        return _by_state(Job.objects.with_status(Status.PROCESSING))

    found = at_most_every(within, "counts:in_progress", count) if within else count()
    return dict.fromkeys(IN_FLIGHT_STATES, 0) | found


def finished(*, at: datetime, within: float | None = None) -> dict[State, int]:
    """Return the jobs in each final state: those that the job list shows as finished in the last 24 hours."""
    found = _shared("counts:finished", lambda: _by_state(_recent(Job.objects.all(), at)), within)
    return dict.fromkeys(TERMINAL_STATES, 0) | found


def _count_waiting() -> Waiting:
    return {(model, priority): jobs for model, priority, jobs in _rows(_WAITING)}


def _recent(jobs: JobQuerySet, at: datetime) -> JobQuerySet:
    return jobs.filter(ended_at__gt=at - RECENT, archived_at=None)


def _by_state(jobs: JobQuerySet) -> dict[State, int]:
    return {State(state): number for state, number in jobs.values_list("state").annotate(jobs=Count("*")).order_by()}


def _shared(key: str, count: Callable[[], T], within: float | None) -> T:
    if within is None:
        return without_waiting(WORTH, key, count, at_least=FRESH)
    return at_most_every(within, key, count, kept=SERVED)


def _rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
