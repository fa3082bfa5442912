"""A retry of many jobs at once: its price today, the wallets that can't pay it, and the jobs that are refused."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from queue_app import lifecycle, tickets
from queue_app.models import GenerationModel, Job, State, User
from queue_app.models.job import JobQuerySet
from queue_app.work import capacity, intake

RETRYABLE = (State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Shortfall:
    """A wallet that holds fewer tickets than a retry reserves from it."""

    owner: str
    available: int
    needed: int


def price_today(jobs: JobQuerySet, offered: Mapping[str, GenerationModel], *, at: datetime) -> Counter[int]:
    """Return the tickets that a retry of these jobs reserves, by owner. Jobs that can't be retried cost nothing."""
    needed: Counter[int] = Counter()
    again = jobs.in_time(at).filter(state__in=RETRYABLE, model__in=offered).order_by()
    for owner, model, parameters, count in again.values_list("owner", "model", "parameters").annotate(Count("pk")):
        needed[owner] += count * offered[model].pricing.tickets_of(parameters)
    return needed


def shortfalls(needed: Mapping[int, int]) -> list[Shortfall]:
    """Return the owners who can't pay all that is ``needed`` from them, by name."""
    rows = User.objects.filter(pk__in=needed).order_by("username").values_list("pk", "username", "wallet__available")
    return [Shortfall(name, left or 0, needed[pk]) for pk, name, left in rows if (left or 0) < needed[pk]]


def refusals(jobs: Sequence[Job], *, at: datetime) -> dict[int, str]:
    """
    Return why some of these jobs can't be retried: lower numbers first, each wallet pays for as many as it can. The jobs are
    locked; the wallets of the others are locked here.
    """
    ways = capacity.usable_routes()
    offered = capacity.available_models(ways)
    refused: dict[int, str] = {}
    for job in jobs:
        if refusal := lifecycle.not_for_retry(job, at=at):
            refused[job.pk] = str(refusal)
        elif job.model_id not in offered:
            refused[job.pk] = intake.not_offered(job.model_id, offered)
        elif refusal := intake.not_said_now(job, ways[job.model_id]):
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
