"""The rows behind answers about jobs, read by prepared statements: the ORM would take longer than the database."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from django.db import models
from django.http import Http404

from queue_app import clock
from queue_app.api.serializers.requests import BIGGEST_ID
from queue_app.models import Asset, Attempt, GenerationModel, Job, JobEvent, Kind, User
from queue_app.statements import Statement, columns, read, read_some

Row = TypeVar("Row", bound=models.Model)
SETTLED = ("reserved", "captured", "refunded")
_RETRIES = ("key", "max_attempts", "backoff", "retry_base_seconds", "retry_cap_seconds")  # what `Job.retries` reads
_JOB = Statement(f"""
    SELECT {clock.SQL}, owner.username, {", ".join(f"{row}.{name}" for row in ("model", "kind") for name in _RETRIES)},
           {columns(Job, "job")}
      FROM queue_app_job job
      JOIN queue_app_user owner ON owner.id = job.owner_id
      JOIN queue_app_generationmodel model ON model.key = job.model_id
      JOIN queue_app_kind kind ON kind.key = job.kind_id
     WHERE job.id = %(id)s::bigint
""")  # noqa: S608 - constants


def _of_jobs(model: type[models.Model], table: str, order: str) -> Statement:
    return Statement(f"SELECT {columns(model, table)} FROM {table} WHERE job_id = ANY(%(jobs)s::bigint[]) {order}")  # noqa: S608


_ATTEMPTS = _of_jobs(Attempt, "queue_app_attempt", "AND step = 'main' ORDER BY number")
_EVENTS = _of_jobs(JobEvent, "queue_app_jobevent", "ORDER BY seq")
_FILES = _of_jobs(Asset, "queue_app_asset", "ORDER BY version, number, created_at, kind")
_TICKETS = Statement("""
    SELECT held.job_id, coalesce(sum(held.amount) FILTER (WHERE held.state = 'held'), 0)::bigint,
           coalesce(sum(held.amount) FILTER (WHERE held.state = 'captured'), 0)::bigint, coalesce(sum(refund.amount), 0)::bigint
      FROM queue_app_reservation held
      LEFT JOIN LATERAL (
        SELECT sum(entry.amount) AS amount FROM queue_app_ledgertransaction given
          JOIN queue_app_ledgerentry entry ON entry.transaction_id = given.id AND entry.side = 'available'
         WHERE given.reservation_id = held.id AND given.kind = 'refund'
      ) refund ON true
     WHERE held.job_id = ANY(%(jobs)s::bigint[]) GROUP BY held.job_id
""")


def job(pk: int, user: User) -> tuple[Job, datetime]:
    """
    Return a job with its owner's name and the retries of its model and type, and when it was read.

    :raises Http404: there is none that this user may reach (I35).
    """
    for at, owner, *found in _JOB.run(id=pk) if pk <= BIGGEST_ID else ():
        values = iter(found)
        model, kind = (dict(zip(_RETRIES, islice(values, len(_RETRIES)), strict=True)) for _ in range(2))
        row = read(Job, values)
        row.model, row.kind = read_some(GenerationModel, model), read_some(Kind, kind)
        row.owner = User(pk=row.owner_id, username=owner)
        if user.is_staff or row.owner_id == user.pk:
            return row, at
    raise Http404


def attempts(jobs: Sequence[Job]) -> dict[int, list[Attempt]]:
    return _by_job(Attempt, _ATTEMPTS, jobs)


def events(jobs: Sequence[Job]) -> dict[int, list[JobEvent]]:
    return _by_job(JobEvent, _EVENTS, jobs)


def files(jobs: Sequence[Job]) -> dict[int, list[Asset]]:
    return _by_job(Asset, _FILES, jobs)


def tickets(jobs: Iterable[Job]) -> dict[int, dict[str, int]]:
    """Return the tickets of each job: reserved, charged, refunded."""
    found: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(SETTLED, 0))
    if listed := [row.pk for row in jobs]:
        found.update((pk, dict(zip(SETTLED, sums, strict=True))) for pk, *sums in _TICKETS.run(jobs=listed))
    return found


def _by_job(model: type[Row], statement: Statement, jobs: Sequence[Job]) -> dict[int, list[Row]]:
    """Return the rows of each job, in order. Without jobs there is no query."""
    found: dict[int, list[Any]] = defaultdict(list)
    for values in statement.run(jobs=[job.pk for job in jobs]) if jobs else ():
        row: Any = read(model, iter(values))
        found[row.job_id].append(row)
    return found
