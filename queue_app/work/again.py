"""Queueing many jobs again, where some cannot be: as one set, with each refusal by itself."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from queue_app import lifecycle, tickets
from queue_app.models import Job
from queue_app.work import capacity, intake


def each(ids: Sequence[int], *, at: datetime, actor: str) -> tuple[list[int], dict[int, str]]:
    """
    Retry what can be retried of these jobs, lower numbers first, in chunks of 500, each a transaction. Gives the ids that are
    queued again, and why the others are not.
    """
    queued: list[int] = []
    refused: dict[int, str] = {}
    listed = sorted(ids)
    for start in range(0, len(listed), lifecycle.CHUNK):
        with transaction.atomic():
            jobs = Job.objects.filter(pk__in=listed[start : start + lifecycle.CHUNK]).lock_for_retry()
            why_not = _refusals(jobs, at=at)
            again = [job for job in jobs if job.pk not in why_not]
            intake.retry(again, at=at, actor=actor)
        refused |= why_not
        queued += [job.pk for job in again]
    return queued, refused


def _refusals(jobs: Sequence[Job], *, at: datetime) -> dict[int, str]:
    """Why some of these locked jobs cannot be retried; locks the wallets of the others."""
    ways = capacity.usable_routes()
    offered = capacity.available_models(ways)
    refused: dict[int, str] = {}
    for job in jobs:
        if refusal := lifecycle.not_for_retry(job, at=at):
            refused[job.pk] = str(refusal)
    gone = {job.model_id for job in jobs if job.pk not in refused} - offered.keys()
    words = {model: str(intake.ModelNotAvailable(model)) for model in gone}
    refused |= {job.pk: words[job.model_id] for job in jobs if job.pk not in refused and job.model_id in words}
    for job in jobs:
        if job.pk not in refused and (refusal := intake.not_said_now(job, ways[job.model_id])):
            refused[job.pk] = str(refusal)
    able = [job for job in jobs if job.pk not in refused]
    left = tickets.lock({job.owner_id for job in able})
    for job in able:
        intake.set_price(job, offered[job.model_id])
        if job.tickets > left[job.owner_id]:
            refused[job.pk] = str(tickets.NotEnoughTickets(needed=job.tickets, available=left[job.owner_id]))
        else:
            left[job.owner_id] -= job.tickets
    return refused
