"""
The last 24 hours by the hour: finished jobs, waits of started jobs, the length of the queue and the age of its oldest job.

An hour that is over does not change: each process reads it once and keeps it. Only the current hour is read again. Past hours
show what today's rows say of them; a job that staff retried counts where it is now.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.cache import cache
from django.db import connection

from queue_app.caching import without_waiting

HOURS = 24  # that are over; the current one follows them
HOUR = timedelta(hours=1)
SETTLED = timedelta(minutes=2)  # after an hour's end, for transactions that still write a moment of it
FRESH, WORTH = 1.0, 20  # seconds for which the current hour is used at least, and times what it cost
EXACT = 10_000  # waiting jobs that are counted; of more, a sample is
SAMPLED = 6_000  # rows

_ENDED = """
    SELECT date_bin('1 hour', ended_at, %(origin)s), count(*) FILTER (WHERE state = 'completed'),
           count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'cancelled')
      FROM queue_app_job WHERE ended_at >= %(start)s AND ended_at < %(end)s GROUP BY 1
"""
# `started_at` is that of the first try since the job was queued, so no retry of ours counts as a wait
_STARTED = """
    SELECT date_bin('1 hour', started_at, %(origin)s), count(*), min(queued_at),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - queued_at))
      FROM queue_app_job WHERE started_at >= %(start)s AND started_at < %(end)s GROUP BY 1
"""
# started jobs by the hour of their start and that in which they were queued
_WAITED = """
    SELECT date_bin('1 hour', started_at, %(origin)s), date_bin('1 hour', greatest(queued_at, %(origin)s), %(origin)s), count(*)
      FROM queue_app_job WHERE started_at >= %(start)s AND started_at < %(end)s GROUP BY 1, 2
"""
_NEVER_STARTED = """
    SELECT date_bin('1 hour', ended_at, %(origin)s), min(queued_at)
      FROM queue_app_job
     WHERE ended_at >= %(start)s AND ended_at < %(end)s AND state IN ('failed', 'cancelled') AND started_at IS NULL GROUP BY 1
"""
_QUEUED = """
    SELECT date_bin('1 hour', greatest(queued_at, %(origin)s), %(origin)s), count(*)
      FROM queue_app_job {sample} WHERE state = 'queued' GROUP BY 1
"""
_OLDEST = "SELECT min(queued_at) FROM queue_app_job WHERE state = 'queued' AND NOT held AND not_before IS NULL"
_ROWS = "SELECT greatest(reltuples, 1) FROM pg_class WHERE oid = 'queue_app_job'::regclass"


@dataclass(frozen=True)
class Hour:
    """
    One hour. ``p50`` and ``p95``: seconds that jobs started in this hour had waited, ``None`` if none started. ``waiting`` jobs
    and the age of the ``oldest`` (seconds, ``None`` if none waited) are those at its end, or now.
    """

    start: datetime
    is_over: bool
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    started: int = 0
    p50: float | None = None
    p95: float | None = None
    waiting: int = 0
    oldest: float | None = None

    @property
    def failure_rate(self) -> float | None:
        """Failed jobs in percent of completed and failed ones; ``None`` if there are none."""
        ran = self.completed + self.failed
        return 100 * self.failed / ran if ran else None


@dataclass(frozen=True)
class _Known:
    """An hour as read from its rows; ``queued_in`` counts its started jobs by the hour in which they were queued."""

    hour: Hour
    first_queued: datetime | None  # of the jobs that left the queue in this hour
    queued_in: Mapping[datetime, int]


def day(*, at: datetime) -> list[Hour]:
    """Return the last 24 full hours and the current one, in order; at most some seconds old."""
    return without_waiting(WORTH, "hourly:day", lambda: look(at=at), at_least=FRESH)


def look(*, at: datetime) -> list[Hour]:
    """Return the same, with the current hour read now."""
    now = hour_of(at)
    starts = [now - HOUR * back for back in range(HOURS, -1, -1)]
    known = _known(starts, at)
    queued, oldest = _queued(starts[0]), _oldest()
    return _with_depth([known[start] for start in starts], queued, oldest, at)


def hour_of(at: datetime) -> datetime:
    """Return the start of the hour in the queue's time zone."""
    local = at.astimezone(ZoneInfo(settings.QUEUE_TIME_ZONE))
    return local.replace(minute=0, second=0, microsecond=0).astimezone(at.tzinfo)


def _known(starts: Sequence[datetime], at: datetime) -> dict[datetime, _Known]:
    names = {f"hourly:{start.isoformat()}": start for start in starts}
    kept = {names[name]: known for name, known in cache.get_many(names).items()}
    if missing := [start for start in starts if start not in kept]:
        for known in _read(missing[0], missing[-1] + HOUR, starts[0], at):
            start = known.hour.start
            kept.setdefault(start, known)
            if start in missing and at >= start + HOUR + SETTLED:
                cache.set(f"hourly:{start.isoformat()}", known, (HOURS + 2) * HOUR.total_seconds())
    return kept


def _read(start: datetime, end: datetime, origin: datetime, at: datetime) -> Iterable[_Known]:
    """Read the hours from ``start`` to ``end``; jobs queued before ``origin`` count as queued then."""
    values = {"origin": origin, "start": start, "end": end}
    ended = {row[0]: row[1:] for row in _rows(_ENDED, **values)}
    started = {row[0]: row[1:] for row in _rows(_STARTED, **values)}
    waited = _rows(_WAITED, **values)
    has_losses = any(failed or cancelled for _, failed, cancelled in ended.values())
    never = dict(_rows(_NEVER_STARTED, **values)) if has_losses else {}
    moment = start
    while moment < end:
        hour = Hour(moment, is_over=at >= moment + HOUR)
        if moment in ended:
            completed, failed, cancelled = ended[moment]
            hour = replace(hour, completed=completed, failed=failed, cancelled=cancelled)
        first = [never[moment]] if moment in never else []
        if moment in started:
            count, first_queued, (p50, p95) = started[moment]
            hour = replace(hour, started=count, p50=max(0.0, float(p50)), p95=max(0.0, float(p95)))
            first.append(first_queued)
        yield _Known(hour, min(first, default=None), {row[1]: row[2] for row in waited if row[0] == moment})
        moment += HOUR


def _with_depth(known: Sequence[_Known], queued: Mapping[datetime, int], oldest: datetime | None, at: datetime) -> list[Hour]:
    """Count backwards: jobs waiting at an hour's end are those that wait now or left the queue later, if queued by then."""
    hours: list[Hour] = []
    later, first = dict(queued), oldest
    for one in reversed(known):
        end = min(one.hour.start + HOUR, at)
        waiting = sum(count for moment, count in later.items() if moment < end)
        age = (end - first).total_seconds() if first is not None and first < end else None
        hours.append(replace(one.hour, waiting=waiting, oldest=age))
        for moment, count in one.queued_in.items():
            later[moment] = later.get(moment, 0) + count
        first = min((found for found in (first, one.first_queued) if found), default=None)
    return hours[::-1]


def _queued(origin: datetime) -> dict[datetime, int]:
    """Return waiting jobs by the hour in which they were queued; estimated from a sample if there are very many."""
    ((rows,),) = _rows(_ROWS)
    ((few,),) = _rows("SELECT count(*) FROM (SELECT 1 FROM queue_app_job WHERE state = 'queued' LIMIT %(most)s) few", most=EXACT)
    if few < EXACT:
        return dict(_rows(_QUEUED.format(sample=""), origin=origin))
    percent = min(100.0, 100 * SAMPLED / rows)
    sampled = _rows(_QUEUED.format(sample="TABLESAMPLE SYSTEM (%(percent)s)"), origin=origin, percent=percent)
    return {moment: round(count * 100 / percent) for moment, count in sampled}


def _oldest() -> datetime | None:
    ((found,),) = _rows(_OLDEST)
    return found if isinstance(found, datetime) else None


def _rows(sql: str, **values: datetime | float) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
