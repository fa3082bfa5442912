"""
Changes by staff that do not affect a job's state: its priority, its position, and whether it is shown in the list.

Each verb takes locked jobs and writes one event per job in the caller's transaction.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection

from queue_app import lifecycle, turns
from queue_app.models import Job
from queue_app.rules import priority

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
    before = {job.pk: {"before": job.priority, "after": level} for job in jobs}
    for job in jobs:
        job.priority = job.base_priority = level
        job.raised, job.priority_reasons = 0, [f"set by {actor}"]
    turns.lock(jobs)
    turns.take(jobs)
    changed = ["priority", "base_priority", "raised", "priority_reasons", "order_key"]
    Job.objects.bulk_update(jobs, changed, batch_size=lifecycle.CHUNK)
    lifecycle.note_each(jobs, at=at, actor=actor, reason=f"priority set to {priority.name(level).lower()}", data=before)


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


def clear(jobs: Sequence[Job], *, at: datetime, actor: str) -> None:
    """Hide finished jobs from the list. Their history and tickets do not change."""
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(archived_at=at)
    lifecycle.note_each(jobs, at=at, actor=actor, reason="cleared from the list")


def _fronts(models: Iterable[str]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_FRONTS, {"models": sorted(models), "lowest": priority.LOWEST, "highest": priority.HIGHEST})
        return dict(cursor.fetchall())
