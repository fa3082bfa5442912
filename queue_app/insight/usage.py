"""
Jobs, times and cost in a period, grouped by model, job type, user, campaign or day.

Jobs are those that finished in the period. Tickets are those that the ledger moved in it: a refund counts when it was given,
whenever its job was charged. So the sums match the ledger to the ticket.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection

from queue_app.models import Batch, User

# side → the column or time to group by
SIDES = {
    "model": "job.model_id",
    "kind": "job.kind_id",
    "user": "job.owner_id",
    "campaign": "job.batch_id",
    "day": "({moment} AT TIME ZONE %(zone)s)::date",
}
_JOBS = """
    SELECT grouping({key}), {key},
           count(*) FILTER (WHERE job.state = 'completed'),
           count(*) FILTER (WHERE job.state = 'failed'),
           count(*) FILTER (WHERE job.state = 'cancelled'),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM job.started_at - job.queued_at)),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY job.ran_seconds) FILTER (WHERE job.state = 'completed'),
           coalesce(sum(job.usd_estimate) FILTER (WHERE job.state = 'completed'), 0),
           coalesce(sum(job.usd_actual), 0),
           count(job.usd_actual)
      FROM queue_app_job job
     WHERE job.ended_at >= %(start)s AND job.ended_at < %(end)s AND (%(owner)s IS NULL OR job.owner_id = %(owner)s)
     GROUP BY GROUPING SETS (({key}), ())
"""
_TICKETS = """
    SELECT grouping({key}), {key},
           coalesce(sum(entry.amount) FILTER (WHERE moved.kind = 'capture'), 0),
           coalesce(-sum(entry.amount) FILTER (WHERE moved.kind = 'refund'), 0)
      FROM queue_app_ledgertransaction moved
      JOIN queue_app_ledgerentry entry ON entry.transaction_id = moved.id AND entry.side = 'spent'
      JOIN queue_app_reservation reservation ON reservation.id = moved.reservation_id
      JOIN queue_app_job job ON job.id = reservation.job_id
     WHERE moved.kind IN ('capture', 'refund') AND moved.at >= %(start)s AND moved.at < %(end)s
       AND (%(owner)s IS NULL OR job.owner_id = %(owner)s)
     GROUP BY GROUPING SETS (({key}), ())
"""
Key = str | int | date | None


@dataclass(frozen=True)
class UsageLine:
    """
    One group. Times are seconds, ``None`` without a job to measure: waits until the first start since a job was queued, and runs
    of completed jobs. ``usd_estimated`` is that of completed jobs; ``usd_actual`` what providers reported, for ``usd_told`` jobs.
    """

    name: str
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    wait_p50: float | None = None
    wait_p95: float | None = None
    run_p50: float | None = None
    run_p95: float | None = None
    usd_estimated: Decimal = Decimal(0)
    usd_actual: Decimal = Decimal(0)
    usd_told: int = 0
    captured: int = 0
    refunded: int = 0

    @property
    def jobs(self) -> int:
        return self.completed + self.failed + self.cancelled

    @property
    def success(self) -> float | None:
        """Completed jobs in percent of completed and failed ones."""
        ended = self.completed + self.failed
        return 100 * self.completed / ended if ended else None

    @property
    def net(self) -> int:
        return self.captured - self.refunded


@dataclass(frozen=True)
class Usage:
    """The groups, and all of them together."""

    lines: list[UsageLine]
    total: UsageLine


def of(start: datetime, end: datetime, *, by: str, owner: User | None = None) -> Usage:
    """
    Count and sum from ``start`` to before ``end``, by a side of `SIDES`, of one owner or of all. Three queries.

    :raises KeyError: there is no such side.
    """
    bounds = {"start": start, "end": end, "zone": settings.QUEUE_TIME_ZONE, "owner": owner.pk if owner else None}
    total: dict[str, Any] = {"name": "Total"}
    groups: dict[Key, dict[str, Any]] = {}
    for sql, moment, read in ((_JOBS, "job.ended_at", _of_jobs), (_TICKETS, "moved.at", _of_tickets)):
        for is_total, key, *values in _rows(sql.format(key=SIDES[by].format(moment=moment)), bounds):
            group = total if is_total else groups.setdefault(key, {})
            group |= read(values)
    names = _names(by, list(groups))
    return Usage([UsageLine(name=names[key], **group) for key, group in groups.items()], UsageLine(**total))


def _rows(sql: str, bounds: Mapping[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, bounds)
        rows: list[Any] = cursor.fetchall()
    return rows


def _of_jobs(values: Sequence[Any]) -> dict[str, Any]:
    completed, failed, cancelled, waits, runs, usd_estimated, usd_actual, usd_told = values
    wait_p50, wait_p95 = waits or (None, None)
    run_p50, run_p95 = runs or (None, None)
    return {
        "completed": completed,
        "failed": failed,
        "cancelled": cancelled,
        "wait_p50": None if wait_p50 is None else float(wait_p50),
        "wait_p95": None if wait_p95 is None else float(wait_p95),
        "run_p50": run_p50,
        "run_p95": run_p95,
        "usd_estimated": usd_estimated,
        "usd_actual": usd_actual,
        "usd_told": usd_told,
    }


def _of_tickets(values: Sequence[Any]) -> dict[str, Any]:
    captured, refunded = values
    return {"captured": int(captured), "refunded": int(refunded)}


def _names(by: str, keys: Sequence[Any]) -> dict[Any, str]:
    if by == "user":
        return dict(User.objects.filter(pk__in=keys).values_list("pk", "username"))
    if by == "campaign":
        batches = Batch.objects.filter(pk__in=[key for key in keys if key is not None])
        return {None: "no campaign"} | {batch.pk: str(batch) for batch in batches}
    return {key: str(key) for key in keys}
