"""Verbs for a whole batch, audited like those in `jobs` if it belongs to another user. Pausing a batch is in `policy`."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction

from queue_app import lifecycle, wake
from queue_app.lifecycle import CancelVerdict
from queue_app.models import ApiKey, Batch, Job, QueueSettings, State, User
from queue_app.models.job import JobQuerySet
from queue_app.work import followers, intake, policy, reorder, ticket_budgets
from queue_app.work.jobs import highest_priorities


class Changed(NamedTuple):
    """A batch as it is after a change, and how many jobs kept their priority because only staff can raise it that far."""

    batch: Batch
    not_raised: int


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
    batch: Batch,
    *,
    at: datetime,
    actor: User,
    via: str = "",
    among: JobQuerySet | None = None,
    state: State = State.FAILED,
    key: ApiKey | None = None,
) -> list[Job]:
    """
    Queue the batch's failed jobs again at the current price, all or none; those past their deadline stay as they are. Return the
    queued jobs.

    :param among: limits the retry to these jobs.
    :param state: that of the jobs to retry, failed or cancelled.
    :param key: see `intake.retry`.
    :raises ModelNotAvailable: a job's model is not available now.
    :raises NotEnoughTickets: the wallet can't pay; nothing is written.
    """
    jobs = Job.objects.all() if among is None else among
    ended = jobs.filter(batch=batch, state=state).in_time(at).lock_for_retry()
    intake.retry(ended, at=at, actor=policy.known_as(actor, via), key=key)
    if ended:
        after = {"jobs": len(ended), "tickets": sum(job.tickets for job in ended)}
        _audit("retry batch", batch, at=at, actor=actor, via=via, after=after)
    return ended


@transaction.atomic
def change(batch: Batch, values: Mapping[str, Any], *, at: datetime, actor: User, via: str = "", reason: str = "") -> Changed:
    """
    Set the ``name`` of a batch, its limit ``max_concurrent`` or its ``budget_tickets`` (``None``: none), or the ``priority`` of
    those of its queued jobs that may have it (`jobs.highest_priority`). The next claim obeys (I21).

    :raises IntakeRefused: a value is not allowed; nothing is written.
    """
    level = values.get("priority")
    wrong = intake.batch_problems(values.get("name", ""), values.get("max_concurrent"))
    if level is not None and (problem := intake.priority_problem(level, actor)):
        wrong.append(intake.Problem(None, "priority", problem))
    if (tickets := values.get("budget_tickets")) is not None and (problem := ticket_budgets.problem(tickets)):
        wrong.append(intake.Problem(None, "budget_tickets", problem))
    if wrong:
        raise intake.IntakeRefused(wrong)
    QueueSettings.objects.lock_claims()
    locked = Batch.objects.select_related("owner").select_for_update(no_key=True, of=("self",)).get(pk=batch.pk)
    own = {name: values[name] for name in ("name", "max_concurrent") if name in values and getattr(locked, name) != values[name]}
    before: dict[str, Any] = {name: getattr(locked, name) for name in own}
    after = dict(own)
    for name, value in own.items():
        setattr(locked, name, value)
    locked.save(update_fields=list(own))
    not_raised = 0
    if level is not None:
        others = [job for job in Job.objects.lock().filter(batch=locked, state=State.QUEUED) if reorder.has_other(job, level)]
        most = highest_priorities(others, actor)
        queued = [job for job in others if level <= most[job.pk]]
        not_raised = len(others) - len(queued)
        reorder.set_priority(queued, level, at=at, actor=policy.known_as(actor, via))
        after |= {"priority": level, "jobs": len(queued)}
    if "budget_tickets" in values:  # audited by itself
        ticket_budgets.set_own(locked, tickets, at=at, actor=actor, reason=policy.why("", via))
    followers.tell("batch", locked.pk, values)
    if after:
        _audit("change batch", locked, at=at, actor=actor, via=via, before=before, after=after, reason=reason)
        wake.queue_changed()
    return Changed(locked, not_raised)


def _audit(action: str, batch: Batch, **details: Any) -> None:
    """``details`` are those of `policy.audit_others`."""
    policy.audit_others(batch.owner_id, action, str(batch.pk), of=batch, **details)
