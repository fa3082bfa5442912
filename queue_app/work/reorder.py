"""
What staff change of a job beside its state: how urgent it is, its place in the lane, and whether it is still in view.

Each verb takes a set of locked jobs and writes one event for each of them in the caller's transaction.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection

from queue_app import lifecycle
from queue_app.models import Job
from queue_app.rules import priority

# the first of each lane, whatever its priority: one probe of the waiting index for each priority there may be
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
    """Make queued jobs as urgent as ``level`` says. Each keeps its order key: it stands where its age puts it (I18)."""
    before = {job.pk: {"before": job.priority, "after": level} for job in jobs}
    for job in jobs:
        job.priority, job.priority_reasons = level, [f"set by {actor}"]
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(priority=level, priority_reasons=[f"set by {actor}"])
    lifecycle.note_each(jobs, at=at, actor=actor, reason=f"priority set to {priority.name(level).lower()}", data=before)


def move_to_front(jobs: Sequence[Job], *, at: datetime, actor: str) -> None:
    """
    Put queued jobs before all others of their lanes and priorities, in the order given. The claim lock is held: two moves to
    the front at once would take the same keys.
    """
    fronts = _fronts({job.model_id for job in jobs})
    before = {job.pk: job.order_key for job in jobs}
    for job in reversed(jobs):
        fronts[job.model_id] -= 1
        job.order_key = fronts[job.model_id]
    Job.objects.bulk_update(jobs, ["order_key"])
    moved = {job.pk: {"before": before[job.pk], "after": job.order_key} for job in jobs}
    lifecycle.note_each(jobs, at=at, actor=actor, reason="moved to the front", data=moved)


def clear(jobs: Sequence[Job], *, at: datetime, actor: str) -> None:
    """Take ended jobs out of the queue's view; their history and their tickets stay as they are."""
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(archived_at=at)
    lifecycle.note_each(jobs, at=at, actor=actor, reason="cleared from the list")


def _fronts(models: Iterable[str]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_FRONTS, {"models": sorted(models), "lowest": priority.LOWEST, "highest": priority.HIGHEST})
        return dict(cursor.fetchall())
