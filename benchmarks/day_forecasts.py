"""
What was forecast during a simulated day, against what happened.

Every few minutes a sample of waiting jobs is drawn as the product draws its own (`samples.take`), and what it would have shown of
each at that moment is kept: the start and the end, p50 and p90, beside the naive ``jobs ahead / slots × mean time``. The day
begins without a past: the first forecasts rest on typical times and are not corrected, and all are counted.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import TYPE_CHECKING

from benchmarks import stand
from benchmarks.day_plan import Plan

if TYPE_CHECKING:
    from queue_app.forecast.estimates import Forecast
    from queue_app.models import Job

EVERY = 180.0  # seconds
TOLD = {"start": "starts", "end": "ends"}


@dataclass
class Shown:
    """A forecast as it was shown at a moment, in seconds from then; ``naive`` without a simulation."""

    job: int
    at: datetime
    p50: float
    p90: float
    naive: float
    took: float | None = None


class Forecasts:
    """Draws and keeps the forecasts of a day."""

    def __init__(self, plan: Plan) -> None:
        self.moments = [step * EVERY for step in range(1, int(plan.seconds / EVERY) + 1)]
        self.shown: dict[str, list[Shown]] = defaultdict(list)
        self.queued: list[int] = []  # jobs that wait, at each moment

    def look(self, *, at: datetime) -> None:
        """Sample forecasts at this moment."""
        from queue_app.forecast import experience, samples
        from queue_app.forecast.estimates import Forecast

        known = Forecast(at=at, calibration=experience.calibration(at=at))
        self.queued.append(sum(cohort.count for cohort in known.inputs.queue.cohorts))
        for sample in samples.take(at=at, known=known):
            if sample.what not in TOLD or sample.job is None:
                continue
            found = known.start_of(sample.job, at=at) if sample.what == "start" else known.of_queued(sample.job, at=at)
            if found.p50_seconds is None or found.p90_seconds is None:
                continue
            naive = _naive(known, sample.job, end=sample.what == "end")
            self.shown[sample.what].append(Shown(sample.job.pk, at, found.p50_seconds, found.p90_seconds, naive))

    def settle(self, *, at: datetime) -> None:
        """Note when the jobs started and ended. Those that were cancelled before are left out."""
        from queue_app.models import Job, State

        ids = {one.job for listed in self.shown.values() for one in listed}
        jobs = Job.objects.only("state", "started_at", "ended_at").in_bulk(ids)
        for what, listed in self.shown.items():
            for one in listed:
                job = jobs[one.job]
                until = job.started_at if what == "start" else None if job.state == State.CANCELLED else job.ended_at
                one.took = (until - one.at).total_seconds() if until else None

    def known(self, what: str) -> list[Shown]:
        return [one for one in self.shown[what] if one.took is not None]

    def say(self) -> None:
        waits = [one.took or 0.0 for one in self.known("start")]
        stand.figure("jobs that wait, p50", stand.percentile([float(one) for one in self.queued], 0.5))
        stand.figure("waits of the sampled jobs, p50", stand.percentile(waits, 0.5) / 60, " min")
        stand.figure("waits of the sampled jobs, p90", stand.percentile(waits, 0.9) / 60, " min")
        for what, word in TOLD.items():
            listed = self.known(what)
            stand.figure(f"forecasts of {word}", len(listed))
            _within(f"{word} by the p50", listed, [one.p50 for one in listed], aim=50, most=10)
            _within(f"{word} by the p90", listed, [one.p90 for one in listed], aim=90, most=5)
            naive = [one.naive for one in listed]
            stand.figure(f"{word} by the naive forecast", 100 * inside(listed, naive), " %")
            stand.figure(f"{word}: mean error of the p50", error(listed, [one.p50 for one in listed]) / 60, " min")
            stand.figure(f"{word}: mean error of the naive forecast", error(listed, naive) / 60, " min")


def inside(listed: Sequence[Shown], said: Sequence[float]) -> float:
    """Return the part of the forecasts whose time came within what was said."""
    return fmean((one.took or 0.0) <= seconds for one, seconds in zip(listed, said, strict=True)) if listed else 0.0


def error(listed: Sequence[Shown], said: Sequence[float]) -> float:
    """Return the mean absolute error in seconds."""
    return fmean(abs((one.took or 0.0) - seconds) for one, seconds in zip(listed, said, strict=True)) if listed else 0.0


def _within(words: str, listed: Sequence[Shown], said: Sequence[float], *, aim: float, most: float) -> None:
    """Print the part inside, and by how much it is off its aim."""
    part = 100 * inside(listed, said)
    stand.figure(words, part, " %")
    stand.verdict(f"{words}, off {aim:g} % by", abs(part - aim), most=most, unit=" %")


def _naive(known: "Forecast", job: "Job", *, end: bool) -> float:
    """Return jobs ahead / slots × mean time."""
    past = known.inputs.durations(job.model_id)[0]
    slots = known.inputs.capacity.room.caps.get(("model", job.model_id)) or 1
    ahead = known.curves.ahead_of(job.model_id, (-job.priority, job.order_key, job.pk))
    return (ahead / slots + end) * fmean(past)
