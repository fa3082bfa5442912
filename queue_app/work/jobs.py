"""
What may be asked of a single job; of a batch, see `batches`, of many jobs `bulk`.

A job of somebody else's is a change that the audit tells of (I45): these verbs write the entry, so that page, API and command
cannot forget it. `via` is how they were asked where it was no page: “API”.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from queue_app import lifecycle
from queue_app.lifecycle import Verdict
from queue_app.models import Job, User
from queue_app.work import intake, policy


@transaction.atomic
def cancel(job: Job, *, at: datetime, actor: User, via: str = "", reason: str = "") -> Verdict:
    """Stop a job as far as it can be stopped, as `lifecycle.cancel` does."""
    verdict = lifecycle.cancel([job.pk], at=at, actor=policy.known_as(actor, via), reason=reason)[job.pk]
    if verdict != Verdict.TOO_LATE:
        _audit("cancel jobs", job, at=at, actor=actor, via=via, after={"verdict": verdict.value}, reason=reason)
    return verdict


@transaction.atomic
def retry(job: Job, *, at: datetime, actor: User, via: str = "") -> Job:
    """
    Queue a failed or cancelled job again at today's price. Return it as it is then.

    :raises MoveRefused: it has neither failed nor been cancelled, or its deadline has passed.
    :raises ModelNotAvailable: nobody offers its model now.
    :raises NotEnoughTickets: nothing is written.
    """
    again = Job.objects.filter(pk=job.pk).lock_for_retry()
    intake.retry(again, at=at, actor=policy.known_as(actor, via))
    (queued,) = again
    _audit("retry jobs", queued, at=at, actor=actor, via=via, after={"tickets": queued.tickets})
    return queued


def _audit(action: str, job: Job, *, at: datetime, actor: User, via: str, after: Mapping[str, Any], reason: str = "") -> None:
    policy.audit_others(job.owner_id, action, f"job {job.pk}", at=at, actor=actor, via=via, after=after, reason=reason, of=job)
