"""What people may ask of a campaign that is there, and one clip by itself. Pause and resume are `queue_app.work.policy`'s."""

import hashlib
import json
from datetime import datetime

from django.db import transaction

from campaigns.models import Campaign
from queue_app.models import IdempotencyRecord, Job, User
from queue_app.models.job import JobQuerySet
from queue_app.work import batches, intake


def retry_failed(campaign: Campaign, *, at: datetime, actor: str) -> int:
    """
    Queue the failed cells again at today's price, all or none; a version that a newer one replaced stays. Gives how many.

    :raises ModelNotAvailable: nobody offers the model now.
    :raises NotEnoughTickets: nothing is written.
    """
    return batches.retry_failed(campaign.batch, at=at, actor=actor, among=latest_jobs(campaign))


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
    meaning = json.dumps([draft.model, draft.prompt, dict(draft.parameters)], sort_keys=True)
    fingerprint = hashlib.sha256(f"{key}\n{meaning}".encode(errors="replace")).hexdigest()
    fresh = IdempotencyRecord(account=owner, key=f"quick:{fingerprint}", body_sha256=fingerprint, created_at=at)
    IdempotencyRecord.objects.bulk_create([fresh], ignore_conflicts=True)
    record = IdempotencyRecord.objects.get(account=owner, key=fresh.key)
    if record.answer is not None:
        return Job.objects.get(pk=record.answer["job"]), False
    _, (job,) = intake.enqueue(owner, [draft], at=at, actor=actor)
    record.status, record.answer = 303, {"job": job.pk}
    record.save(update_fields=["status", "answer"])
    return job, True
