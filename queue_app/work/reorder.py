"""
Changes that do not affect a job's state: its priority, its position, and whether it is shown in the list.

Each verb takes locked jobs and writes one event per job that somebody named, in the caller's transaction.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Q

from queue_app import lifecycle, turns
from queue_app.models import Job, State
from queue_app.models.job import JobQuerySet
from queue_app.rules import priority

PRIORITY_SET = "priority set to"  # begins the reason of the event
# the lowest order key of each model's queue, whatever its priority: one probe of the index per possible priority
_FRONTS = """
    SELECT lane.model_id, min(head.order_key)
      FROM unnest(%(models)s::text[]) AS lane (model_id)
     CROSS JOIN generate_series(%(lowest)s, %(highest)s) AS level (priority)
     CROSS JOIN LATERAL (
        SELECT job.order_key FROM queue_app_job job
         WHERE job.model_id = lane.model_id AND job.state = 'queued' AND job.priority = level.priority
         ORDER BY job.order_key LIMIT 1
     ) head
     GROUP BY 1
"""


def set_priority(jobs: Sequence[Job], level: int, *, at: datetime, actor: str) -> None:
    """
    Set the priority of queued jobs. With fair share each takes its owner's next turn there; else it keeps its order key, so its
    age decides its position (I18).
    """
    before = {job.pk: {"before": job.base_priority, "after": level} for job in jobs}
    in_turn = turns.in_order(jobs)
    for job in in_turn:
        job.priority = job.base_priority = level
        job.raised, job.priority_reasons = 0, [f"set by {actor}"]
    turns.lock(in_turn)
    turns.take(in_turn)
    changed = ["priority", "base_priority", "raised", "priority_reasons", "order_key"]
    Job.objects.bulk_update(jobs, changed, batch_size=lifecycle.CHUNK)
    turns.exchange_by_score(jobs)
    lifecycle.note_each(jobs, at=at, actor=actor, reason=f"{PRIORITY_SET} {priority.name(level).lower()}", data=before)


def has_other(job: Job, level: int) -> bool:
    """Whether a job has another priority than ``level``, or has this one only since waiting raised it."""
    return job.base_priority != level or job.raised > 0


def move_to_front(jobs: Sequence[Job], *, at: datetime, actor: str) -> None:
    """
    Move queued jobs to the front of their model's queue, within their priority, in the given order.

    The caller holds the claim lock, because two concurrent moves would take the same order keys.
    """
    fronts = _fronts({job.model_id for job in jobs})
    before = {job.pk: job.order_key for job in jobs}
    for job in reversed(jobs):
        fronts[job.model_id] -= 1
        job.order_key = fronts[job.model_id]
        job.score = None  # or the next page of its owner would take its place
    Job.objects.bulk_update(jobs, ["order_key", "score"])
    moved = {job.pk: {"before": before[job.pk], "after": job.order_key} for job in jobs}
    lifecycle.note_each(jobs, at=at, actor=actor, reason="moved to the front", data=moved)


def can_move_to_front(job: Job) -> bool:
    """Whether a job of the same model and priority is ahead of this queued one."""
    return Job.objects.ahead_of(job).filter(priority=job.priority).exists()


def own_lane(job: Job) -> JobQuerySet:
    """
    Filter to the queued jobs of this one's owner, model and priority, itself included: those it may change places with. None that
    can't start yet: a place that is only kept must not be handed on.
    """
    same = {"owner": job.owner_id, "model": job.model_id, "priority": job.priority}
    return Job.objects.filter(**same, state=State.QUEUED, held=False, not_before=None)


def between(lane: JobQuerySet, one: Job, other: Job) -> JobQuerySet:
    """Filter to the jobs of a lane from one job to another, both included."""
    (key, pk), (last_key, last_pk) = sorted((job.order_key, job.pk) for job in (one, other))
    from_first = lane.filter(Q(order_key__gt=key) | Q(order_key=key, pk__gte=pk))
    return from_first.filter(Q(order_key__lt=last_key) | Q(order_key=last_key, pk__lte=last_pk))


def exchange(jobs: Sequence[Job], moved: Job, *, at: datetime, actor: str, reason: str) -> None:
    """
    Let an owner's queued jobs of one lane, given in their new order, exchange the places that they have between them. Jobs of
    other accounts keep their turns. The caller holds the claim lock.

    :param moved: the one of them that somebody named; its history tells it for the given ``reason``.
    """
    before, keys = moved.order_key, sorted(job.order_key for job in jobs)
    last = (keys[0], 0)
    for job, key in zip(jobs, keys, strict=True):
        # of two turns in one round the lower number goes first, so the other waits for the next round
        job.order_key = max(key, last[0] + (job.pk < last[1]))
        last = (job.order_key, job.pk)
    moved.score = None  # or the next page of its owner would take its place
    Job.objects.bulk_update(jobs, ["order_key", "score"], batch_size=lifecycle.CHUNK)
    places = {"before": before, "after": moved.order_key}
    lifecycle.note_each([moved], at=at, actor=actor, reason=reason, data={moved.pk: places})


def clear(jobs: Sequence[Job], *, at: datetime, actor: str) -> None:
    """Hide finished jobs from the list. Their history and tickets do not change."""
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(archived_at=at)
    lifecycle.note_each(jobs, at=at, actor=actor, reason="cleared from the list")


def _fronts(models: Iterable[str]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_FRONTS, {"models": sorted(models), "lowest": priority.LOWEST, "highest": priority.HIGHEST})
        return dict(cursor.fetchall())
