"""What people may ask of a campaign that is there, and one clip by itself. Pause and resume are `queue_app.work.policy`'s."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction

from campaigns.models import Campaign
from queue_app.models import IdempotencyRecord, Job, User
from queue_app.models.job import JobQuerySet
from queue_app.work import batches, intake, jobs


class NotAsShown(Exception):
    """What a retry would buy is not what was shown; nothing was written."""


class Offer(NamedTuple):
    """What somebody was shown that a retry buys, for how many tickets in all."""

    jobs: int
    tickets: int


@transaction.atomic
def retry_failed(campaign: Campaign, *, at: datetime, actor: User, via: str = "", shown: Offer | None = None) -> int:
    """
    Queue the failed cells again at today's price, all or none; a version that a newer one replaced stays. Gives how many.

    :param shown: buy this or nothing; whatever it comes to when not given.
    :raises NotAsShown: more or fewer have failed, or their price is another one.
    :raises ModelNotAvailable: nobody offers the model now.
    :raises NotEnoughTickets: nothing is written.
    """
    again = batches.retry_failed(campaign.batch, at=at, actor=actor, via=via, among=latest_jobs(campaign))
    _check(again, shown)
    return len(again)


@transaction.atomic
def retry(job: Job, *, at: datetime, actor: User, shown: Offer) -> None:
    """
    Queue one job again for the tickets that were shown.

    :raises NotAsShown: its price is another one.
    :raises MoveRefused: it has neither failed nor been cancelled, or its deadline has passed.
    :raises ModelNotAvailable: nobody offers its model now.
    :raises NotEnoughTickets: nothing is written.
    """
    _check([jobs.retry(job, at=at, actor=actor)], shown)


def _check(again: Sequence[Job], shown: Offer | None) -> None:
    if again and shown not in (None, Offer(len(again), sum(job.tickets for job in again))):
        raise NotAsShown


def latest_jobs(campaign: Campaign) -> JobQuerySet:
    """The job of each cell that was bought, of its latest version."""
    return Job.objects.filter(combination__campaign=campaign)


@transaction.atomic(durable=True)
def generate_once(owner: User, draft: intake.Draft, *, key: str, at: datetime, actor: str) -> tuple[Job, bool]:
    """
    Queue one job. The same draft with the same key (of the form that it was typed into) is queued once, however often it is
    sent; a twin that comes meanwhile waits at the record's unique index. Gives the job, and whether it is new.

    :raises IntakeRefused: something in the draft is wrong.
    :raises ModelNotAvailable: nobody offers the model now.
    :raises NotEnoughTickets: the wallet holds less than its price.
    """
    record = record_of(owner, "quick", key, [draft.model, draft.prompt, dict(draft.parameters)], at=at)
    if record.made is not None:
        return Job.objects.get(pk=record.made["job"]), False
    _, (job,) = intake.enqueue(owner, [draft], at=at, actor=actor)
    record_made(record, job=job.pk)
    return job, True


def record_of(owner: User, form: str, key: str, meaning: Sequence[Any], *, at: datetime) -> IdempotencyRecord:
    """
    Return the one record of what a form with this key asks for; if it is ``made``, that was done before. A twin of the request
    waits here until the first one's transaction ends.
    """
    told = json.dumps(meaning, sort_keys=True)
    fingerprint = hashlib.sha256(f"{key}\n{told}".encode(errors="replace")).hexdigest()
    fresh = IdempotencyRecord(account=owner, key=f"{form}:{fingerprint}", body_sha256=fingerprint, created_at=at)
    IdempotencyRecord.objects.bulk_create([fresh], ignore_conflicts=True)
    return IdempotencyRecord.objects.get(account=owner, key=fresh.key)


def record_made(record: IdempotencyRecord, **made: int) -> None:
    """Remember what came of a form, in the transaction that made it."""
    record.status, record.made = 303, made
    record.save(update_fields=["status", "made"])
