"""Past forecasts in the database: read for the correction of new ones, and told what has happened since."""

from datetime import datetime, timedelta

from queue_app.forecast.calibration import Calibration, Past
from queue_app.models import PastForecast
from queue_app.models.job import TERMINAL_STATES, sql_of
from queue_app.statements import Statement

MOST = 6_000  # past forecasts that are read: the newest
KEPT = timedelta(days=3)

_PAST = Statement("""
    SELECT what, coalesce(model_id, ''), priority, measured, p50, p90, shown_p50, shown_p90,
           coalesce(seconds, extract(epoch FROM %(at)s::timestamptz - at))::float8, coalesce(happened, false)
      FROM queue_app_pastforecast WHERE at <= %(at)s ORDER BY at DESC, id DESC LIMIT %(most)s
""")
# A start has happened, or never will once the job is over. An end has not if a person cancelled the job.
_HAPPENED = Statement(f"""
    WITH seen AS (
        SELECT past.id, CASE WHEN past.what = 'start' THEN coalesce(job.started_at, job.ended_at)
                             WHEN past.what = 'batch' THEN batch.ended_at ELSE job.ended_at END AS until,
               CASE WHEN past.what = 'start' THEN job.started_at IS NOT NULL
                    WHEN past.what = 'batch' THEN true ELSE job.state <> 'cancelled' END AS happened
          FROM queue_app_pastforecast past
          LEFT JOIN queue_app_job job ON job.id = past.job_id
          LEFT JOIN queue_app_batch batch ON batch.id = past.batch_id
         WHERE past.happened IS NULL
           AND (batch.ended_at IS NOT NULL OR job.state IN {sql_of(TERMINAL_STATES)}
                OR past.what = 'start' AND job.started_at IS NOT NULL)
    )
    UPDATE queue_app_pastforecast past
       SET happened = seen.happened, seconds = greatest(0, extract(epoch FROM seen.until - past.at))
      FROM seen WHERE seen.id = past.id
""")  # noqa: S608 - constants


def calibration(*, at: datetime) -> Calibration:
    """Return what the newest past forecasts teach at this time."""
    return Calibration(Past(*row) for row in _PAST.run(at=at, most=MOST))


def settle() -> None:
    """Note of what was forecast what has happened."""
    _HAPPENED.run()


def prune(*, at: datetime) -> None:
    """Delete the forecasts of more than three days ago."""
    PastForecast.objects.filter(at__lt=at - KEPT).delete()
