"""
Verbs for a single job. Those for a batch are in `batches`, those for many jobs in `bulk`.

A change to another user's job is audited (I45). The verbs write the entry, so that no page, API call or command can forget it.
`via` names the way in if it was not a page: “API”.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from queue_app import lifecycle
from queue_app.lifecycle import CancelVerdict
from queue_app.models import ApiKey, Job, User
from queue_app.work import followers, intake, policy
from queue_app.work.intake import Draft


@transaction.atomic
def cancel(job: Job, *, at: datetime, actor: User, via: str = "", reason: str = "") -> CancelVerdict:
    """Cancel a job if possible; return the verdict of `lifecycle.cancel`."""
    verdict = lifecycle.cancel([job.pk], at=at, actor=policy.known_as(actor, via), reason=reason)[job.pk]
    if verdict != CancelVerdict.TOO_LATE:
        _audit("cancel jobs", job, at=at, actor=actor, via=via, after={"verdict": verdict.value}, reason=reason)
    return verdict


@transaction.atomic
def retry(job: Job, *, at: datetime, actor: User, via: str = "", change: Draft | None = None, key: ApiKey | None = None) -> Job:
    """
    Queue a failed or cancelled job again at the current price. Return the updated job.

    :param change: what it is from now on, see `intake.draft_like`. Those that show its prompt follow.
    :param key: see `intake.retry`.
    :raises IntakeRefused: the change is invalid.
    :raises MoveRefused: it is neither failed nor cancelled, or its deadline has passed.
    :raises ModelNotAvailable: its model is not available now.
    :raises NotEnoughTickets: the wallet can't pay; nothing is written.
    """
    if change and change.prompt != job.prompt:
        followers.tell("job", job.pk, {"prompt": change.prompt})  # first, as a combination is locked before its job
    again = Job.objects.filter(pk=job.pk).lock_for_retry()
    intake.retry(again, at=at, actor=policy.known_as(actor, via), change=change, key=key)
    (queued,) = again
    changed = {"prompt": queued.prompt, "parameters": queued.parameters} if change else {}
    _audit("retry jobs", queued, at=at, actor=actor, via=via, after={"tickets": queued.tickets, **changed})
    return queued


def _audit(action: str, job: Job, *, at: datetime, actor: User, via: str, after: Mapping[str, Any], reason: str = "") -> None:
    policy.audit_others(job.owner_id, action, f"job {job.pk}", at=at, actor=actor, via=via, after=after, reason=reason, of=job)
