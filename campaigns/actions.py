"""Verbs of a launched campaign and of its jobs, and quick generation. Pause and resume are in `queue_app.work.policy`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction

from campaigns.brief import text_problem
from campaigns.models import Campaign
from campaigns.starts import FRAME, STORYBOARD
from queue_app.models import ApiKey, Batch, IdempotencyRecord, Job, State, User
from queue_app.models.job import JobQuerySet
from queue_app.rules.words import one_line
from queue_app.work import batches, intake, jobs, policy


class NotAsShown(Exception):
    """Other jobs would be queued, or at another price, than the user was shown. Nothing was written."""


class NameRefused(Exception):
    """The name can't be used. Nothing was written."""


class Offer(NamedTuple):
    """The jobs that the user was shown: their number, and the tickets for all of them together."""

    jobs: int
    tickets: int


@transaction.atomic
def retry_all(
    campaign: Campaign,
    *,
    at: datetime,
    actor: User,
    via: str = "",
    shown: Offer | None = None,
    state: State = State.FAILED,
    key: ApiKey | None = None,
) -> int:
    """
    Queue the failed jobs of the versions that count again at today's price, all or none. Return their number.

    :param state: that of the jobs to retry, failed or cancelled.
    :param key: the owner's API key that asks for it, if one does.
    :param shown: queue exactly this or nothing. Without it, accept any number and price.
    :raises NotAsShown: the number of jobs or their price differs from ``shown``.
    :raises ModelNotAvailable: no provider offers the model right now.
    :raises NotEnoughTickets: the wallet does not cover all of them.
    """
    jobs = retryable_jobs(campaign)
    again = batches.retry(campaign.batch, at=at, actor=actor, via=via, among=jobs, state=state, key=key)
    _check(again, shown)
    return len(again)


@transaction.atomic
def retry_batch(batch: Batch, *, at: datetime, actor: User, shown: Offer) -> int:
    """
    Queue the failed jobs of a batch that is no campaign again, for what the user was shown, all or none. Return their number.
    Raises as `retry_all`.
    """
    again = batches.retry(batch, at=at, actor=actor)
    _check(again, shown)
    return len(again)


@transaction.atomic
def retry(job: Job, *, at: datetime, actor: User, shown: Offer) -> Job:
    """
    Queue one job again for the number of tickets that the user was shown. Return it.

    :raises NotAsShown: its price has changed.
    :raises MoveRefused: the job is not failed or cancelled, or its deadline has passed.
    :raises ModelNotAvailable: no provider offers its model right now.
    :raises NotEnoughTickets: the wallet does not cover it.
    """
    again = jobs.retry(job, at=at, actor=actor)
    _check([again], shown)
    return again


@transaction.atomic
def rename(campaign: Campaign, name: str, *, at: datetime, actor: User) -> None:
    """
    Give the campaign and its batch another name, and audit it if they belong to another user.

    :raises NameRefused: the name is empty, too long, or can't be stored.
    """
    name = one_line(name)
    if problem := ("Enter a name." if not name else text_problem("name", name)):
        raise NameRefused(problem)
    locked = Batch.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    before, campaign.name, locked.name = campaign.name, name, name
    if before != name:
        campaign.save(update_fields=["name"])
        locked.save(update_fields=["name"])
        was, now = {"name": before}, {"name": name}
        policy.audit_others(locked.owner_id, "rename campaign", name, at=at, actor=actor, before=was, after=now, of=campaign)


def follow(batch: int, changed: Mapping[str, Any]) -> None:
    """
    Give a campaign the new name and priority of its batch, in the caller's transaction. Later versions have this priority.

    :raises IntakeRefused: a campaign needs a name.
    """
    found = Campaign.objects.filter(pk=batch)
    own = {name: value for name, value in changed.items() if name in ("name", "priority")}
    if found.exists() and not own.get("name", "any").strip():
        raise intake.IntakeRefused([intake.Problem(None, "name", "Enter a name.")])
    if own:
        found.update(**own)


def _check(again: Sequence[Job], shown: Offer | None) -> None:
    if again and shown not in (None, Offer(len(again), sum(job.tickets for job in again))):
        raise NotAsShown


def counted_jobs(campaign: Campaign) -> JobQuerySet:
    """Return the jobs of the versions that count. Blocked combinations have none."""
    return Job.objects.filter(combination__campaign=campaign)


def retryable_jobs(campaign: Campaign) -> JobQuerySet:
    """Return those of the same jobs that a retry may queue. A video whose still was never approved has nothing to start from."""
    jobs = counted_jobs(campaign)
    return jobs.filter(parameters__images__has_key=FRAME) if campaign.start == STORYBOARD else jobs


@transaction.atomic(durable=True)
def generate_once(owner: User, draft: intake.Draft, *, key: str, at: datetime, actor: str) -> tuple[Job, bool]:
    """
    Queue one job, once per draft and ``key`` (that of the form), however often the form is sent. A concurrent request for the
    same waits at the record's unique index. Return the job, and whether it is new.

    :raises IntakeRefused: a value of the draft is refused.
    :raises KindRestricted: the owner has no permission for the job type.
    :raises ModelNotAvailable: no provider offers the model right now.
    :raises NotEnoughTickets: the wallet does not cover its price.
    """
    record = record_of(owner, "quick", key, [draft.model, draft.prompt, draft.kind, dict(draft.parameters)], at=at)
    if record.made is not None:
        return Job.objects.get(pk=record.made["job"]), False
    _, (job,) = intake.enqueue(owner, [draft], at=at, actor=actor)
    record_made(record, job=job.pk)
    return job, True


def record_of(owner: User, form: str, key: str, meaning: Sequence[Any], *, at: datetime) -> IdempotencyRecord:
    """
    Return the record of a request by a form with this key; one that was handled before has ``made``. A concurrent request for the
    same waits here for the end of the first one's transaction.

    :param form: the kind of form.
    :param meaning: the request as JSON: a form that is sent again with other values is another request.
    """
    body = json.dumps(meaning, sort_keys=True)
    fingerprint = hashlib.sha256(f"{key}\n{body}".encode(errors="replace")).hexdigest()
    fresh = IdempotencyRecord(account=owner, key=f"{form}:{fingerprint}", body_sha256=fingerprint, created_at=at)
    IdempotencyRecord.objects.bulk_create([fresh], ignore_conflicts=True)
    return IdempotencyRecord.objects.get(account=owner, key=fresh.key)


def record_made(record: IdempotencyRecord, **made: int) -> None:
    """Save what the request created, in the same transaction."""
    record.status, record.made = 303, made
    record.save(update_fields=["status", "made"])
