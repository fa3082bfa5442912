"""Samples of forecasts, of some jobs and batches every few minutes: held against the facts they correct later ones."""

from datetime import datetime
from random import Random
from typing import Any

from queue_app.forecast import estimates, experience
from queue_app.forecast.calibration import NORMAL
from queue_app.forecast.estimates import Forecast, Percentiles
from queue_app.models import Attempt, Batch, Job, PastForecast, State

QUEUED, RUNNING, BATCHES = 10, 4, 2  # of each sample


def take(*, at: datetime, known: Forecast | None = None) -> list[PastForecast]:
    """
    Note what has happened of what was forecast, then what is forecast now for some of the jobs and batches. Return these.

    Half a dozen statements. :param known: the curves to ask; by default those of this process.
    """
    experience.settle()
    known = known or estimates.current(at, anew=True)
    chance = Random(at.timestamp())  # noqa: S311 - a sample, not a secret
    found = [*_of_queued(known, chance, at), *_of_running(known, chance, at), *_of_batches(known, chance, at)]
    return PastForecast.objects.bulk_create(found)


def _of_queued(known: Forecast, chance: Random, at: datetime) -> list[PastForecast]:
    ids = known.inputs.heads
    jobs = Job.objects.filter(pk__in=chance.sample(ids, min(QUEUED, len(ids))), state=State.QUEUED, held=False).order_by("id")
    found = []
    for job in jobs:
        if said := known.end_as_simulated(job, at=at):
            found.append(_sample(known, "end", job, said, at))
        if job.started_at is None and (said := known.start_as_simulated(job, at=at)):
            found.append(_sample(known, "start", job, said, at))
    return found


def _of_running(known: Forecast, chance: Random, at: datetime) -> list[PastForecast]:
    calls = Attempt.objects.filter(outcome=None, job__state=State.RUNNING, step="main", called_at__lte=at)
    rows = sorted(calls.select_related("job"), key=lambda attempt: attempt.job_id)  # tens, as many as there are slots
    picked = chance.sample(rows, min(RUNNING, len(rows)))
    return [_sample(known, "rest", one.job, known.rest_as_simulated(one.job, one.called_at, at=at), at) for one in picked]


def _of_batches(known: Forecast, chance: Random, at: datetime) -> list[PastForecast]:
    ids = sorted({cohort.batch for cohort in known.inputs.queue.cohorts if cohort.batch is not None})
    picked = Batch.objects.filter(pk__in=chance.sample(ids, min(BATCHES, len(ids))), ended_at=None, paused=False).order_by("id")
    said = ((batch, known.batch_as_simulated(batch.pk, at=at)) for batch in picked)
    return [_kept(known, "batch", found, at, known.is_measured(batch=batch.pk), batch=batch) for batch, found in said if found]


def _sample(known: Forecast, what: str, job: Job, said: Percentiles, at: datetime) -> PastForecast:
    measured = known.is_measured(job.model_id)
    return _kept(known, what, said, at, measured, job=job, model_id=job.model_id, priority=job.priority)


def _kept(known: Forecast, what: str, said: Percentiles, at: datetime, measured: bool, **whose: Any) -> PastForecast:
    group = {"model": whose.get("model_id", ""), "priority": whose.get("priority", NORMAL), "measured": measured}
    shown = known.calibration.correct(*said, what=what, **group)
    found = PastForecast(what=what, at=at, measured=measured, shown_p50=shown.p50, shown_p90=shown.p90, **whose)
    found.p50, found.p90 = said
    return found
