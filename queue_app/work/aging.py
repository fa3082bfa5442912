"""Aging: waiting raises a low priority one level at a time, up to normal, so that none starves."""

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
    raised = {job.pk: min(job.priority + priority.LEVEL, priority.NORMAL) for job in jobs}
    before = {job.pk: {"before": job.priority, "after": raised[job.pk]} for job in jobs}
    for job in jobs:
        job.priority, job.raised = raised[job.pk], job.raised + 1
    turns.lock(jobs)
    turns.take(jobs)
    Job.objects.bulk_update(jobs, ["priority", "raised", "order_key"])
    turns.exchange_by_score(jobs)
    lifecycle.note_each(jobs, at=at, actor="dispatcher", reason="priority raised by waiting", data=before)
    return len(jobs)


def _due(wait: timedelta, *, at: datetime) -> list[Job]:
    """Lock the jobs that are due, and return them in dispatch order, in which each account's take their turns."""
    waiting = Job.objects.filter(state=State.QUEUED, held=False, not_before=None, priority__lt=priority.NORMAL)
    waits = ExpressionWrapper(Value(wait) * (F("raised") + 1), output_field=DurationField())
    due = waiting.filter(queued_at__lte=at - wait).filter(queued_at__lte=at - waits)  # the first by the index
    ids = list(due.order_by("queued_at", "id").values_list("pk", flat=True)[: lifecycle.CHUNK])
    return turns.in_order((due & Job.objects.filter(pk__in=ids)).lock(skip_locked=True))
