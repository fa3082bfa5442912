"""
Verbs for a single job. Those for a batch are in `batches`, those for many jobs in `bulk`.

A change to another user's job is audited (I45). The verbs write the entry, so that no page, API call or command can forget it.
`via` names the way in if it was not a page: “API”.
"""

from collections.abc import Collection
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import transaction

from queue_app import lifecycle, wake
from queue_app.lifecycle import CancelVerdict, MoveRefused
from queue_app.models import ApiKey, Job, JobEvent, QueueSettings, State, User
from queue_app.rules import priority
from queue_app.work import followers, intake, policy, reorder
from queue_app.work.intake import Draft

PASSED_MOST = 1_000  # own jobs that a job is moved past at once


class PriorityRestricted(Exception):
    """The priority is higher than the owner may choose; nothing was written."""


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


@transaction.atomic
def set_priority(job: Job, level: int, *, at: datetime, actor: User, via: str = "") -> None:
    """
    Set the priority of a queued job. Owners may lower it, and take that back; staff may set any from -100 to 100.

    :raises IntakeRefused: it is outside that range.
    :raises MoveRefused: it is not queued. :raises PriorityRestricted: it is higher than its owner may choose.
    """
    # what an owner may choose depends on the job, see below
    if problem := intake.priority_problem(level, actor, computed=True):
        raise intake.IntakeRefused([intake.Problem(None, "priority", problem)])
    locked = Job.objects.lock().get(pk=job.pk)
    _must_be_queued(locked, "Only queued jobs have a priority.")
    most = highest_priority(locked, actor)
    if level > most:
        raise PriorityRestricted(
            f"You can only lower the priority of a job. {locked} can have {most} ({priority.name(most).lower()}) at most. "
            "Ask staff for more."
        )
    before = locked.base_priority
    if level != before:
        reorder.set_priority([locked], level, at=at, actor=policy.known_as(actor, via))
        was, now = {"priority": before}, {"priority": level}
        _audit("set job priority", locked, at=at, actor=actor, via=via, before=was, after=now)
        wake.queue_changed()


def highest_priority(job: Job, user: User) -> int:
    """Return the highest priority that this user may set: what the job had before its owner lowered it; for staff, any."""
    return highest_priorities([job], user)[job.pk]


def highest_priorities(jobs: Collection[Job], user: User) -> dict[int, int]:
    """Return :func:`highest_priority` of each of these jobs."""
    if user.is_staff:
        return {job.pk: priority.HIGHEST for job in jobs}
    most = {job.pk: job.base_priority for job in jobs}
    changes = JobEvent.objects.filter(job__in=most, reason__startswith=reorder.PRIORITY_SET).order_by("job", "seq")
    own = {policy.known_as(user), policy.known_as(user, "API")}
    for pk, events in groupby(changes, key=lambda event: event.job_id):
        found = list(events)
        by_others = [event.data["after"] for event in found if event.actor not in own]
        most[pk] = int([found[0].data["before"], *by_others][-1])
    return most


@transaction.atomic
def move(job: Job, *, before: int | None, at: datetime, actor: User, via: str = "") -> None:
    """
    Move a queued job before another one of its owner's with the same model and priority; ``None``: before all of these. Only
    these jobs change places.

    :raises MoveRefused: it is not queued, or on hold; ``before`` is not such a job; or too many jobs are between.
    """
    QueueSettings.objects.lock_claims()
    found = Job.objects.get(pk=job.pk)
    _must_be_queued(found, "Only queued jobs have a position.")
    if found.held_for:
        raise MoveRefused(f"{found} is on hold. It takes its place once it is released.")
    lane = reorder.own_lane(found)
    target = lane.order_by("order_key", "pk").first() if before is None else lane.filter(pk=before).first()
    if target is None:
        raise MoveRefused(f"Job {before} is not a queued job of the same owner, model and priority.")
    ids = list(reorder.between(lane, found, target).values_list("pk", flat=True)[: PASSED_MOST + 2])
    if len(ids) > PASSED_MOST + 1:
        raise MoveRefused(f"A job can be moved past at most {PASSED_MOST:,} others at once. Move it in steps.")
    now = sorted(lane.filter(pk__in=ids).lock(), key=lambda one: (one.order_key, one.pk))
    moved = next((one for one in now if one.pk == found.pk), None)
    if moved is None:
        raise MoveRefused(f"{found} has just changed. Look at it again.")
    order = [one for one in now if one is not moved]
    order.insert(next((place for place, one in enumerate(order) if one.pk == target.pk), 0), moved)
    if order == now:
        return
    reason = "moved before the owner's other jobs" if before is None else f"moved before job {before}"
    reorder.exchange(order, moved, at=at, actor=policy.known_as(actor, via), reason=reason)
    _audit("reorder job", moved, at=at, actor=actor, via=via, after={"before": before})
    wake.jobs_changed(one.pk for one in now)
    wake.queue_changed()


def _must_be_queued(job: Job, why: str) -> None:
    """:raises MoveRefused: the job is not queued."""
    if job.state != State.QUEUED:
        raise MoveRefused(f"{job} {lifecycle.state_phrase(job)}. {why}")


def _audit(action: str, job: Job, **details: Any) -> None:
    """``details`` are those of `policy.audit_others`."""
    policy.audit_others(job.owner_id, action, f"job {job.pk}", of=job, **details)
