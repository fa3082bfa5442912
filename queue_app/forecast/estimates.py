"""
How long until a job or a batch starts, and until it, or a campaign not launched yet, is done: p50 and p90 in seconds, with their
basis. Past forecasts correct them (`calibration`).

A process simulates the queue at most every 5 s, for all callers; sooner only for a job that came later or a batch that has grown
or shrunk, and never for more than a fortieth of the time; in a thread if that takes long. A job finds its start on the curve of
its lane by its order, so an answer costs no walk through the queue. The simulation does not foresee later jobs, failed attempts,
and the moment it takes to save a file: what these come to is learned from past forecasts.
"""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf, isfinite
from threading import Lock
from typing import NamedTuple

from django.core.cache import cache
from django.db.models import Count, Exists, F, OuterRef

from queue_app import turns
from queue_app.caching import DEAR, SERVED, at_most_every, in_background
from queue_app.forecast import durations, experience, inputs
from queue_app.forecast.calibration import NORMAL, Calibration
from queue_app.forecast.curves import Curves
from queue_app.forecast.inputs import PAUSED, Inputs, Traits
from queue_app.forecast.simulation import Order, Stretch
from queue_app.models import Attempt, Batch, HeldFor, Job, State, User
from queue_app.models.job import OPEN_STATES

KEPT = 5.0  # seconds for which the curves are used
WORTH = 40  # times what they cost: a job missing from the curves redraws them only if they are older than that
LEARNED_KEPT = 60.0  # seconds for which a process uses what past forecasts have taught it
NO_END = PAUSED
NO_SLOT = "no free slot in sight"
ENDED = "finished"
STORING = "saving files"
BEHIND_ALL = 1 << 62  # an order key
_AT_WORK = {State.SUBMITTING, State.RUNNING}  # states whose end can be foreseen
Percentiles = tuple[float, float]  # p50 and p90, in seconds


@dataclass(frozen=True)
class Estimate:
    """
    Seconds until completion, or until the start, median and 90th percentile (``None``: no estimate), and in ``basis`` what they
    are based on.
    """

    p50_seconds: float | None
    p90_seconds: float | None
    basis: str


def for_job(job: Job, at: datetime) -> Estimate:
    """Return the time until the job is done; zero once it has finished."""
    return for_jobs([job], at)[job.pk]


def for_jobs(jobs: Iterable[Job], at: datetime) -> dict[int, Estimate]:
    """Return the same for many jobs, with at most one query besides those that draw the curves."""
    listed = list(jobs)
    queued = [job for job in listed if job.state == State.QUEUED and not job.held]
    running = [job.pk for job in listed if job.state in _AT_WORK]
    if not queued and not running:
        return {job.pk: _of_other(job) for job in listed}
    known = _current_for(queued, at)
    called_at = _called_at(running)
    found = {}
    for job in listed:
        if job.state == State.QUEUED and not job.held:
            found[job.pk] = known.of_queued(job, at=at)
        elif job.pk in called_at:
            found[job.pk] = known.of_running(job, called_at[job.pk], at=at)
        else:
            found[job.pk] = _of_other(job)
    return found


def starts_of_jobs(jobs: Iterable[Job], at: datetime) -> dict[int, Estimate | None]:
    """Return the time until each job starts; ``None`` unless it is queued. No query besides those that draw the curves."""
    listed = list(jobs)
    waiting = [job for job in listed if job.state == State.QUEUED and not job.held]
    found = {job.pk: _of_other(job) if job.state == State.QUEUED else None for job in listed}
    if waiting:
        known = _current_for(waiting, at)
        found |= {job.pk: known.start_of(job, at=at) for job in waiting}
    return found


def start_of_batch(batch_id: int, at: datetime) -> Estimate | None:
    """Return the time until the first job of a batch starts; ``None`` once one has started, or if none is queued. Two queries."""
    return starts_of_batches([batch_id], at).get(batch_id)


def starts_of_batches(ids: Iterable[int], at: datetime) -> dict[int, Estimate]:
    """Return the same for those of the batches of which no job has started and one is queued. One query."""
    started = Job.objects.filter(batch=OuterRef("pk"), started_at__isnull=False)
    unstarted = Batch.objects.filter(~Exists(started), pk__in=list(ids))
    queued = Job.objects.filter(batch__in=unstarted.values("pk"), state=State.QUEUED)
    heads = queued.order_by("batch", "model", "-priority", "order_key", "id").distinct("batch", "model")
    batch_of = {job.pk: job.batch_id or 0 for job in heads}
    starts = [(batch_of[job], start) for job, start in starts_of_jobs(heads, at).items() if start]
    return dict(sorted(starts, key=lambda one: inf if one[1].p50_seconds is None else one[1].p50_seconds, reverse=True))


class _OpenJobs(NamedTuple):
    """The number of unfinished jobs of a batch with these traits."""

    state: str
    held: bool
    held_for: str
    model: str
    kind: str
    owner: int
    priority: int
    cap: int | None
    jobs: int


def for_batch(batch_id: int, at: datetime) -> Estimate:
    """
    Return the time until the batch's last unfinished job is done; zero if there is none. Jobs with an unknown outcome are left
    out and named in the basis; so are jobs that are being cancelled, unless no others are left.
    """
    open_jobs = Job.objects.filter(batch=batch_id, state__in=OPEN_STATES)
    traits = open_jobs.values_list("state", "held", "held_for", "model", "kind", "owner", "priority", "batch__max_concurrent")
    rows = [_OpenJobs(*row) for row in traits.annotate(Count("pk")).order_by()]
    if held := [row.held_for for row in rows if row.held]:
        return _on_hold(max(held))
    states = {row.state for row in rows}
    unknown = sum(row.jobs for row in rows if row.state == State.UNKNOWN)
    if State.QUEUED in states:
        found = _of_waiting(batch_id, rows, at=at)
    elif states & _AT_WORK:  # however old the curves are: no job of it waits
        foreseen = for_jobs(open_jobs.filter(state__in=_AT_WORK), at).values()
        found = max(foreseen, key=lambda one: one.p50_seconds or 0.0, default=Estimate(0.0, 0.0, STORING))
    elif unknown:
        return Estimate(None, None, _unknown(unknown))
    elif State.CANCELLING in states:
        return Estimate(None, None, State.CANCELLING.label.lower())
    else:
        return Estimate(0.0, 0.0, STORING if rows else ENDED)
    return Estimate(found.p50_seconds, found.p90_seconds, f"{found.basis}; {_unknown(unknown)}") if unknown else found


def for_new(
    model: str, count: int, priority: int, owner: User, max_concurrent: int | None, kind: str, *, at: datetime
) -> Estimate:
    """
    Return the time until the last of ``count`` new jobs of one batch would be done, if they were queued now.

    :param max_concurrent: the batch's own limit; ``None``: none.
    """
    return current(at).of_new(Traits(model, kind, None, owner.pk), count, priority=priority, cap=max_concurrent)


def current(at: datetime, *, newer: bool = False, anew: bool = False) -> "Forecast":
    """
    Return the curves of this process; with ``newer``, redraw them unless that takes too long for their age; with ``anew``, unless
    it is expensive.

    Expensive curves are redrawn in a thread; until then callers get curves up to a minute old. The cache only says how long they
    are used.
    """
    known = _drawn
    may_redraw = known and ((anew and known.cost <= DEAR) or (newer and time.monotonic() - known.drawn > WORTH * known.cost))
    if known and _holds(known) and not may_redraw:
        return known
    if known and known.cost > DEAR and cache.get(f"{_kept_as()}:lately"):
        in_background(_kept_as(), lambda: _redrawn(known, at=at))
        return known
    return _redrawn(known, at=at)


class Forecast:
    """The curves of one moment."""

    def __init__(self, *, at: datetime, calibration: Calibration | None = None) -> None:
        """:param calibration: what past forecasts have taught; by default what is known of it in this process."""
        began = time.monotonic()
        self.inputs: Inputs = inputs.load(at=at)
        self.calibration = calibration or at_most_every(
            LEARNED_KEPT, f"experience:{os.getpid()}", lambda: experience.calibration(at=at)
        )
        self.curves = Curves(self.inputs.queue)
        self.drawn = time.monotonic()
        self.cost = self.drawn - began
        self.token = f"{os.getpid()}:{self.drawn}"
        self._ends: dict[tuple[int, ...], list[float]] = {}
        self._new: dict[tuple[Traits, int, int, int | None], Curves] = {}

    def place(self, job: Job) -> tuple[int, int] | None:
        """Return the job's cohort and its place there; ``None`` if it came later."""
        if (cohort := self.inputs.delayed.get(job.pk)) is not None:
            return cohort, 0
        order, cohorts = _order(job), self.inputs.cohorts_like(job)
        found = ((cohort, self.inputs.queue.cohorts[cohort].place(order)) for cohort in cohorts)
        return next(((cohort, place) for cohort, place in found if place is not None), None)

    def count_of_batch(self, batch: int) -> int:
        """Return how many jobs of the batch were queued."""
        return sum(cohort.count for cohort in self.inputs.queue.cohorts if cohort.batch == batch)

    def of_queued(self, job: Job, *, at: datetime) -> Estimate:
        found = self.end_as_simulated(job, at=at)
        return (
            self._corrected("end", found, self._basis(job), [job.model_id], job.priority)
            if found
            else self._without(job.model_id)
        )

    def start_of(self, job: Job, *, at: datetime) -> Estimate:
        """Return the time until a queued job starts."""
        found = self.start_as_simulated(job, at=at)
        return (
            self._corrected("start", found, self._basis(job), [job.model_id], job.priority)
            if found
            else self._without(job.model_id)
        )

    def end_as_simulated(self, job: Job, *, at: datetime) -> Percentiles | None:
        """Return when a queued job is done, before any correction; ``None``: no slot is in sight."""
        past, _ = self.inputs.durations(job.model_id, preview=job.preview, usd=job.usd_estimate)
        return None if self._never(job.model_id) else _finite(durations.of_waiting(self._starts(job, at), past))

    def start_as_simulated(self, job: Job, *, at: datetime) -> Percentiles | None:
        """Return the same for its start."""
        return None if self._never(job.model_id) else _finite(durations.quantiles(self._starts(job, at)))

    def rest_as_simulated(self, job: Job, called_at: datetime | None, *, at: datetime) -> Percentiles:
        """Return the same for the end of a running job."""
        past, _ = self.inputs.durations(job.model_id, preview=job.preview, usd=job.usd_estimate)
        return durations.of_running(elapsed=(at - (called_at or at)).total_seconds(), past=past)

    def batch_as_simulated(self, batch: int, *, at: datetime) -> Percentiles | None:
        """Return the same for the end of a batch."""
        return _finite(durations.quantiles(self._from(at, self.curves.ends_of_batch(batch))))

    def _starts(self, job: Job, at: datetime) -> list[float]:
        place, order = self.place(job), _order(job)
        return self._from(at, self.curves.starts(*place, order) if place else self.curves.starts_of_newcomer(job.model_id, order))

    def of_running(self, job: Job, called_at: datetime | None, *, at: datetime) -> Estimate:
        return self._corrected(
            "rest", self.rest_as_simulated(job, called_at, at=at), self._basis(job), [job.model_id], job.priority
        )

    def is_measured(self, *models: str, batch: int | None = None) -> bool:
        """Whether forecasts of these models, or of the waiting jobs of a batch, rest on measured run times."""
        of_batch = {cohort.model for cohort in self.inputs.queue.cohorts if batch is not None and cohort.batch == batch}
        return all(map(self.inputs.runs.are_measured, {*models, *of_batch}))

    def of_batch(self, batch: int, models: Iterable[str], *, at: datetime) -> Estimate:
        known = sorted(models)
        if never := next(filter(None, map(self._never, known)), None):
            return never
        basis = "; ".join(dict.fromkeys(self.inputs.durations(model)[1] for model in known))
        found = self.batch_as_simulated(batch, at=at)
        return self._corrected("batch", found, basis, known) if found else Estimate(None, None, NO_SLOT)

    def of_lanes(self, models: Iterable[str], *, at: datetime) -> Estimate:
        """Return the time until the last waiting job of these models is done. Models that are stuck are left out."""
        never = {model: self._never(model) for model in models}
        known = [model for model, reason in never.items() if not reason]
        cohorts = tuple(index for index, cohort in enumerate(self.inputs.queue.cohorts) if cohort.model in known)
        if not cohorts:
            return next(filter(None, never.values()), None) or Estimate(None, None, NO_END)
        if cohorts not in self._ends:
            self._ends[cohorts] = self.curves.ends_of_cohorts(cohorts)
        basis = "; ".join(dict.fromkeys(self.inputs.durations(model)[1] for model in sorted(known)))
        found = _finite(durations.quantiles(self._from(at, self._ends[cohorts])))
        return self._corrected("batch", found, basis, known) if found else Estimate(None, None, NO_SLOT)

    def of_new(self, traits: Traits, count: int, *, priority: int, cap: int | None) -> Estimate:
        if never := self._never(traits.model):
            return never
        most = 1 << max(0, count - 1).bit_length()  # so that the next keystrokes are answered by the same curves
        asked = (traits, most, priority, cap)
        curves = self._new.get(asked)
        if curves is None:
            stretch = _behind_all(traits, most, priority=priority)
            with_new = self.inputs.with_new(traits, stretch, cap=cap)
            curves = self._new[asked] = Curves(with_new, only=len(with_new.cohorts) - 1)
        found = _finite(durations.quantiles(curves.ends_of_first(len(curves.queue.cohorts) - 1, count)))
        basis = self.inputs.durations(traits.model)[1]
        what = "batch" if count > 1 else "end"
        return self._corrected(what, found, basis, [traits.model], priority) if found else Estimate(None, None, NO_SLOT)

    def _corrected(self, what: str, found: Percentiles, basis: str, models: Sequence[str], priority: int = NORMAL) -> Estimate:
        """Correct percentiles by past forecasts, and say on how many that stands. ``models``: of a job its own."""
        model, measured = models[0] if what != "batch" else "", self.is_measured(*models)
        p50, p90, count = self.calibration.correct(*found, what=what, model=model, priority=priority, measured=measured)
        return Estimate(round(p50, 1), round(p90, 1), f"{basis} and {count} past forecasts" if count else basis)

    def _basis(self, job: Job) -> str:
        return self.inputs.durations(job.model_id, preview=job.preview, usd=job.usd_estimate)[1]

    def _without(self, model: str) -> Estimate:
        return self._never(model) or Estimate(None, None, NO_SLOT)

    def _from(self, at: datetime, moments: Sequence[float]) -> list[float]:
        age = (at - self.inputs.at).total_seconds()
        return [max(0.0, moment - age) for moment in moments]

    def stuck(self, model: str) -> str:
        """Return why no job of this model will start until staff act: “paused” or “not available”; empty if one may start."""
        return self.inputs.stuck(model)

    def _never(self, model: str) -> Estimate | None:
        reason = self.stuck(model)
        return Estimate(None, None, reason) if reason else None


def _current_for(queued: Sequence[Job], at: datetime) -> Forecast:
    """Return the curves, redrawn if that is worth it for jobs that came later."""
    known = current(at)
    return known if all(known.place(job) for job in queued) else current(at, newer=True)


_lock = Lock()
_drawn: Forecast | None = None


def _of_waiting(batch_id: int, rows: Sequence[_OpenJobs], *, at: datetime) -> Estimate:
    """Estimate a batch with waiting jobs; ``rows`` are all its unfinished jobs."""
    behind = [row for row in rows if row.state == State.QUEUED]
    queued = sum(row.jobs for row in behind)
    known = current(at)
    if known.count_of_batch(batch_id) != queued:
        known = current(at, newer=True)
    if known.count_of_batch(batch_id) < queued:  # not drawn yet: like a batch that joins behind all drawn jobs
        last = min(behind, key=lambda row: row.priority)
        return known.of_new(Traits(last.model, last.kind, None, last.owner), queued, priority=last.priority, cap=last.cap)
    return known.of_batch(batch_id, {row.model for row in rows if row.state == State.QUEUED or row.state in _AT_WORK}, at=at)


def _redrawn(known: Forecast | None, *, at: datetime) -> Forecast:
    """Redraw the curves, unless another thread does so: callers that have old curves then get those."""
    global _drawn
    if not _lock.acquire(blocking=known is None) and known is not None:
        return known
    try:
        if _drawn is None or _drawn is known:  # else another thread was faster
            _drawn = Forecast(at=at)
            cache.set(_kept_as(), _drawn.token, max(KEPT, WORTH * _drawn.cost))
            cache.set(f"{_kept_as()}:lately", _drawn.token, SERVED)
        return _drawn
    finally:
        _lock.release()


def _holds(known: Forecast) -> bool:
    return bool(cache.get(_kept_as()) == known.token)


def _kept_as() -> str:
    return f"forecast:{os.getpid()}"


def _called_at(ids: Sequence[int]) -> dict[int, datetime | None]:
    if not ids:
        return {}
    current = Attempt.objects.filter(job__in=ids, step="main", number=F("job__attempt_number"))
    return dict(current.values_list("job_id", "called_at"))


def _of_other(job: Job) -> Estimate:
    """Estimate a job that needs no curve."""
    if job.state == State.QUEUED:
        return _on_hold(job.held_for if job.held else "")
    if job.state == State.STORING:
        return Estimate(0.0, 0.0, STORING)
    if job.is_open:
        return Estimate(None, None, str(State(job.state).label).lower())
    return Estimate(0.0, 0.0, ENDED)


def _on_hold(held_for: str) -> Estimate:
    """Return that nobody can know when a job on hold starts, and what it is held for; empty for a pause."""
    return Estimate(None, None, f"on hold for {HeldFor(held_for).label}" if held_for else NO_END)


def _behind_all(traits: Traits, count: int, *, priority: int) -> Stretch:
    """Return where new jobs would be: in their owner's next turns, or without fair share behind all others."""
    first, weight = turns.next_of(traits.owner, traits.model, priority) or (BEHIND_ALL, 1.0)
    last = int(first + (count - 1) / weight)
    return Stretch((-priority, int(first), BEHIND_ALL), (-priority, last, BEHIND_ALL), count)


def _order(job: Job) -> Order:
    return (-job.priority, job.order_key, job.pk)


def _unknown(count: int) -> str:
    return f"{count:,} jobs have an unknown outcome" if count > 1 else "1 job has an unknown outcome"


def _finite(found: Percentiles) -> Percentiles | None:
    return found if isfinite(found[1]) else None
