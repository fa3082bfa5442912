"""
Jobs on hold until somebody releases them: the one mechanism of canary, storyboard, circuit breaker and budgets (I44).

Such a job is queued and its tickets are reserved. It is outside of the lanes' index, so it blocks no other; released,
it takes a turn at its place among its owner's jobs.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from queue_app import lifecycle, turns, wake
from queue_app.models import HeldFor, Job, State


@transaction.atomic
def hold(ids: Iterable[int], why: HeldFor, *, at: datetime, actor: str, reason: str) -> list[Job]:
    """
    Put queued jobs on hold; leave out those that are on hold for something already. Return the jobs.

    A hold for anything else takes over one for a budget: that would end by itself, and the claim looks at budgets again anyway.
    """
    free = {"", HeldFor.BUDGET} - {why}
    jobs = list(Job.objects.lock().filter(pk__in=list(ids), state=State.QUEUED, held_for__in=free))
    for job in jobs:
        job.held, job.held_for = True, why
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(held=True, held_for=why)
    lifecycle.note_each(jobs, at=at, actor=actor, reason=reason)
    wake.queue_changed()
    return jobs


@transaction.atomic
def release(ids: Iterable[int], *whys: HeldFor, at: datetime, actor: str, reason: str) -> list[Job]:
    """
    Release those of the jobs that are on hold for one of these, to their places among their owner's jobs. Return the jobs. One
    whose batch is paused stays on hold until that ends.
    """
    jobs = Job.objects.filter(pk__in=list(ids), state=State.QUEUED, held_for__in=whys).lock_for_retry()
    for job in jobs:
        job.held, job.held_for = job.batch is not None and job.batch.paused, ""
    turns.lock(jobs)
    Job.objects.bulk_update(turns.rejoin(jobs), ["held", "held_for", "order_key"], batch_size=lifecycle.CHUNK)
    turns.exchange_by_score(jobs)
    lifecycle.note_each(jobs, at=at, actor=actor, reason=reason)
    wake.queue_changed()
    wake.dispatcher()
    return jobs
