"""What may be asked of a whole batch, audited like `jobs` where it is somebody else's; its pause is in `policy`."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from queue_app import lifecycle
from queue_app.lifecycle import Verdict
from queue_app.models import Batch, Job, State, User
from queue_app.models.job import JobQuerySet
from queue_app.work import intake, policy


def cancel(batch: Batch, *, at: datetime, actor: User, via: str = "", reason: str = "") -> Counter[Verdict]:
    """
    Stop all its open jobs as far as they can be stopped, as `lifecycle.cancel` does, with an audit entry for each 500 of somebody
    else's. Gives how many came to which verdict.
    """
    verdicts: Counter[Verdict] = Counter()
    for chunk in lifecycle.chunks(Job.objects.filter(batch=batch).open().values_list("pk", flat=True)):
        with transaction.atomic():
            found = Counter(lifecycle.cancel(chunk, at=at, actor=policy.known_as(actor, via), reason=reason).values())
            if found.keys() - {Verdict.TOO_LATE}:
                after = {verdict.value: number for verdict, number in found.items()}
                _audit("cancel batch", batch, at=at, actor=actor, via=via, after=after, reason=reason)
        verdicts += found
    return verdicts


@transaction.atomic
def retry_failed(batch: Batch, *, at: datetime, actor: User, via: str = "", among: JobQuerySet | None = None) -> list[Job]:
    """
    Queue its failed jobs again at today's price, all or none; those past their deadline stay failed. Gives them.

    :param among: only those of its jobs; all when not given.
    :raises ModelNotAvailable: nobody offers the model of one of them now.
    :raises NotEnoughTickets: nothing is written.
    """
    jobs = Job.objects.all() if among is None else among
    failed = jobs.filter(batch=batch, state=State.FAILED).in_time(at).lock_for_retry()
    intake.retry(failed, at=at, actor=policy.known_as(actor, via))
    if failed:
        after = {"jobs": len(failed), "tickets": sum(job.tickets for job in failed)}
        _audit("retry batch", batch, at=at, actor=actor, via=via, after=after)
    return failed


def _audit(action: str, batch: Batch, *, at: datetime, actor: User, via: str, after: Mapping[str, int], reason: str = "") -> None:
    policy.audit_others(batch.owner_id, action, str(batch.pk), at=at, actor=actor, via=via, after=after, reason=reason, of=batch)
