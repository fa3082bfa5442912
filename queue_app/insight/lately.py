"""How the queue did in the last hour: what it finished, how long jobs waited and ran, and how many failed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from queue_app.statements import Statement

LATELY = timedelta(hours=1)
SAMPLED = 10_000  # jobs, the latest, from which medians are taken

_LATELY = Statement("""
    SELECT ended.completed, ended.failed, waits.median, runs.median
      FROM (SELECT count(*) FILTER (WHERE state = 'completed') AS completed, count(*) FILTER (WHERE state = 'failed') AS failed
              FROM queue_app_job WHERE ended_at > %(since)s::timestamptz AND ended_at <= %(at)s::timestamptz) ended
     CROSS JOIN (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - queued_at)) AS median
                   FROM (SELECT started_at, queued_at FROM queue_app_job
                          WHERE started_at > %(since)s AND started_at <= %(at)s
                          ORDER BY started_at DESC LIMIT %(most)s::bigint) started) waits
     CROSS JOIN (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ran_seconds) AS median
                   FROM (SELECT ran_seconds FROM queue_app_job
                          WHERE ended_at > %(since)s AND ended_at <= %(at)s AND state = 'completed' AND ran_seconds IS NOT NULL
                          ORDER BY ended_at DESC LIMIT %(most)s) ran) runs
""")


@dataclass(frozen=True)
class LastHour:
    """
    The last hour. Medians are seconds: of the wait until a start, and of the run of completed jobs. ``failure_rate`` is the part
    of failed jobs among completed and failed ones, 0 to 1. ``None``: there was none to measure.
    """

    median_wait_seconds: float | None
    median_run_seconds: float | None
    throughput_per_hour: int
    failure_rate: float | None


def pace(*, at: datetime) -> LastHour:
    """Measure the hour before ``at``; one statement."""
    ((completed, failed, wait, run),) = _LATELY.run(since=at - LATELY, at=at, most=SAMPLED)
    ended = completed + failed
    return LastHour(
        median_wait_seconds=None if wait is None else round(max(0.0, float(wait)), 1),
        median_run_seconds=None if run is None else round(run, 1),
        throughput_per_hour=completed,
        failure_rate=round(failed / ended, 4) if ended else None,
    )
