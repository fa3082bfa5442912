"""Other prompts or parameters for jobs that are on hold and were never sent."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from queue_app import lifecycle
from queue_app.lifecycle import MoveRefused
from queue_app.models import Job, State, User
from queue_app.work import intake
from queue_app.work.intake import Draft


@transaction.atomic
def rewrite(owner: User, drafts: Mapping[int, Draft], *, at: datetime, actor: str, reason: str) -> list[Job]:
    """
    Let jobs of an owner be what these drafts say, by job (`intake.draft_like`). Jobs that are not on hold for anything, or that
    were sent before, stay as they are. Return the changed jobs. Their histories keep what they were.

    The price stays the one that was reserved. It depends on no prompt and no image, so nothing has to be reserved again.

    :raises IntakeRefused: a draft is invalid; nothing is written. Raises as `intake.price`.
    :raises MoveRefused: a draft has another price than its job.
    """
    waiting = Job.objects.filter(pk__in=list(drafts), owner=owner, state=State.QUEUED, attempt_number=0).exclude(held_for="")
    jobs = list(waiting.lock())
    if not jobs:
        return []
    prices = {job.pk: _price(job) for job in jobs}
    before = intake.become(owner, {job: drafts[job.pk] for job in jobs}, at=at)
    if other := next((job for job in jobs if _price(job) != prices[job.pk]), None):
        raise MoveRefused(f"{other} would have another price. Cancel it, and submit it again.")
    changed = [job for job in jobs if before[job.pk]]
    Job.objects.bulk_update(changed, ["prompt", "parameters"], batch_size=lifecycle.CHUNK)
    told = {job.pk: {"before": before[job.pk]} for job in changed}
    lifecycle.note_each(changed, at=at, actor=actor, reason=reason, data=told)
    return changed


def _price(job: Job) -> int:
    """Return the price of a job by today's rule, to compare it before and after a change."""
    return job.model.pricing.tickets_of(job.parameters)
