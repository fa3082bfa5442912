"""Verbs for a whole batch, audited like those in `jobs` if it belongs to another user. Pausing a batch is in `policy`."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from queue_app import lifecycle
from queue_app.lifecycle import CancelVerdict
from queue_app.models import Batch, Job, State, User
from queue_app.models.job import JobQuerySet
from queue_app.work import intake, policy


def cancel(batch: Batch, *, at: datetime, actor: User, via: str = "", reason: str = "") -> Counter[CancelVerdict]:
    """
    Cancel the batch's open jobs where possible, in transactions of 500. Return the number of jobs by verdict of
    `lifecycle.cancel`.

    In another user's batch, each transaction writes an audit entry.
    """
    verdicts: Counter[CancelVerdict] = Counter()
    for chunk in lifecycle.chunks(Job.objects.filter(batch=batch).open().values_list("pk", flat=True)):
        with transaction.atomic():
            found = Counter(lifecycle.cancel(chunk, at=at, actor=policy.known_as(actor, via), reason=reason).values())
            if found.keys() - {CancelVerdict.TOO_LATE}:
                after = {verdict.value: number for verdict, number in found.items()}
                _audit("cancel batch", batch, at=at, actor=actor, via=via, after=after, reason=reason)
        verdicts += found
    return verdicts


@transaction.atomic
def retry(
    batch: Batch, *, at: datetime, actor: User, via: str = "", among: JobQuerySet | None = None, state: State = State.FAILED
) -> list[Job]:
    """
    Queue the batch's failed jobs again at the current price, all or none; those past their deadline stay as they are. Return the
    queued jobs.

    :param among: limits the retry to these jobs.
    :param state: that of the jobs to retry, failed or cancelled.
    :raises ModelNotAvailable: a job's model is not available now.
    :raises NotEnoughTickets: the wallet can't pay; nothing is written.
    """
    jobs = Job.objects.all() if among is None else among
    ended = jobs.filter(batch=batch, state=state).in_time(at).lock_for_retry()
    intake.retry(ended, at=at, actor=policy.known_as(actor, via))
    if ended:
        after = {"jobs": len(ended), "tickets": sum(job.tickets for job in ended)}
        _audit("retry batch", batch, at=at, actor=actor, via=via, after=after)
    return ended


def _audit(action: str, batch: Batch, *, at: datetime, actor: User, via: str, after: Mapping[str, int], reason: str = "") -> None:
    policy.audit_others(batch.owner_id, action, str(batch.pk), at=at, actor=actor, via=via, after=after, reason=reason, of=batch)
