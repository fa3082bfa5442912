"""Aging: waiting raises the priority of a job one level at a time, so that none starves. It never reaches high."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F, Value

from queue_app import lifecycle, turns
from queue_app.models import Job, QueueSettings, State
from queue_app.rules import priority


@transaction.atomic
def raise_waiting(*, at: datetime) -> int:
    """
    Raise up to 500 jobs that have waited long enough for their next level. Return their number.

    With fair share each takes its owner's next turn in the higher priority; without, its age decides its place there.
    """
    minutes = QueueSettings.objects.current().aging_minutes
    if not minutes:
        return 0
    jobs = _due(timedelta(minutes=minutes), at=at)
    before = {job.pk: {"before": job.priority, "after": job.priority + priority.LEVEL} for job in jobs}
    for job in jobs:
        job.priority, job.raised = job.priority + priority.LEVEL, job.raised + 1
    turns.lock(jobs)
    turns.take(jobs)
    Job.objects.bulk_update(jobs, ["priority", "raised", "order_key"])
    lifecycle.note_each(jobs, at=at, actor="dispatcher", reason="priority raised by waiting", data=before)
    return len(jobs)


def _due(wait: timedelta, *, at: datetime) -> list[Job]:
    waiting = Job.objects.filter(state=State.QUEUED, held=False, not_before=None, priority__lt=priority.HIGH - priority.LEVEL)
    waits = ExpressionWrapper(Value(wait) * (F("raised") + 1), output_field=DurationField())
    ids = waiting.filter(queued_at__lte=at - waits).order_by("queued_at", "id").values_list("pk", flat=True)[: lifecycle.CHUNK]
    return list(Job.objects.lock(skip_locked=True).filter(pk__in=list(ids), state=State.QUEUED, held=False))
