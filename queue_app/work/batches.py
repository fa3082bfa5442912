"""What may be asked of a whole batch; its pause is in `policy`."""

from collections import Counter
from datetime import datetime

from django.db import transaction

from queue_app import lifecycle
from queue_app.lifecycle import Verdict
from queue_app.models import Batch, Job, State
from queue_app.models.job import JobQuerySet
from queue_app.work import intake


def cancel(batch: Batch, *, at: datetime, actor: str, reason: str = "") -> Counter[Verdict]:
    """Stop all its open jobs as far as they can be stopped, as `lifecycle.cancel` does. Gives how many came to which verdict."""
    ids = list(Job.objects.filter(batch=batch).open().values_list("pk", flat=True))
    return Counter(lifecycle.cancel(ids, at=at, actor=actor, reason=reason).values())


@transaction.atomic
def retry_failed(batch: Batch, *, at: datetime, actor: str, among: JobQuerySet | None = None) -> list[Job]:
    """
    Queue its failed jobs again at today's price, all or none. Gives them.

    :param among: only those of its jobs; all when not given.
    :raises ModelNotAvailable: nobody offers the model of one of them now.
    :raises NotEnoughTickets: nothing is written.
    """
    jobs = Job.objects.all() if among is None else among
    failed = jobs.filter(batch=batch, state=State.FAILED).lock_for_retry()
    intake.retry(failed, at=at, actor=actor)
    return failed
