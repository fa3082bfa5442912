"""
How long until a job, a batch, or a campaign yet to be launched is done: p50 and p90 in seconds, and what they rest on.

The lanes are played forward (`rules.drain`) at most every 5 s in a process, for all who ask; sooner only for a job that came
after that or a batch that has grown or shrunk, and never for more than a fortieth of the time; in a thread where it takes long.
A job finds its start on the curve of its lane by its order, so an answer costs no walk through the queue. Not foreseen: jobs
that come later, retries, and the moment it takes to store a file.
"""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from threading import Lock
from typing import NamedTuple

from django.core.cache import cache
from django.db.models import Count, F

from queue_app.insight import scene
from queue_app.insight.scene import PAUSED, Alike, Stage
from queue_app.insight.shared import DEAR, SERVED, in_background
from queue_app.models import Attempt, Job, State, User
from queue_app.models.job import OPEN_STATES
from queue_app.rules import eta
from queue_app.rules.curves import Curves
from queue_app.rules.drain import Order, Run

KEPT = 5.0  # seconds for which the curves serve
WORTH = 40  # times what they cost: so old they are at least when a job that they do not know has them drawn anew
NO_END = PAUSED
ENDED = "finished"
STORING = "saving files"
BEHIND_ALL = 1 << 62  # an order key
_AT_WORK = {State.SUBMITTING, State.RUNNING}  # of which it can be foreseen when they end


@dataclass(frozen=True)
class Estimate:
    """Seconds until it is done: median and 90th percentile, ``None`` where nobody can know; ``basis`` says what they rest on."""

    p50_seconds: float | None
    p90_seconds: float | None
    basis: str


def for_job(job: Job, at: datetime) -> Estimate:
    """Time until the job is done; zero once it has ended."""
    return for_jobs([job], at)[job.pk]


def for_jobs(jobs: Iterable[Job], at: datetime) -> dict[int, Estimate]:
    """The same for many, with the queries of one: at most one, but for drawing the curves."""
    listed = list(jobs)
    queued = [job for job in listed if job.state == State.QUEUED and not job.held]
    running = [job.pk for job in listed if job.state in _AT_WORK]
    if not queued and not running:
        return {job.pk: _of_other(job) for job in listed}
    known = current(at)
    if not all(known.place(job) for job in queued):
        known = current(at, newer=True)
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


class _Alike(NamedTuple):
    """Open jobs of a batch that the limits treat alike, and how many."""

    state: str
    held: bool
    model: str
    kind: str
    owner: int
    priority: int
    cap: int | None
    jobs: int


def for_batch(batch_id: int, at: datetime) -> Estimate:
    """
    Time until the batch's last open job has ended; zero when none is open. Unknown outcomes are left out, and named; what is
    being cancelled is left out while more is open.
    """
    open_jobs = Job.objects.filter(batch=batch_id, state__in=OPEN_STATES)
    alike = open_jobs.values_list("state", "held", "model", "kind", "owner", "priority", "batch__max_concurrent")
    rows = [_Alike(*row) for row in alike.annotate(Count("pk")).order_by()]
    if any(row.held for row in rows):
        return Estimate(None, None, NO_END)
    states = {row.state for row in rows}
    unknown = sum(row.jobs for row in rows if row.state == State.UNKNOWN)
    if State.QUEUED in states:
        found = _of_waiting(batch_id, rows, at=at)
    elif states & _AT_WORK:  # however old the curves are: nothing of it waits
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
    Time until the last of ``count`` new jobs of one batch is done, were they queued now.

    :param max_concurrent: the batch's own limit; ``None`` for none.
    """
    return current(at).of_new(Alike(model, kind, None, owner.pk), count, priority=priority, cap=max_concurrent)


def current(at: datetime, *, newer: bool = False) -> "Forecast":
    """
    The curves of this process; ``newer`` has them drawn anew if that is not too dear.

    Dear ones are drawn behind the back of who asks while those of the last minute serve. The cache only says how long they hold.
    """
    known = _drawn
    if known and _holds(known) and not (newer and time.monotonic() - known.drawn > WORTH * known.cost):
        return known
    if known and known.cost > DEAR and cache.get(f"{_kept_as()}:lately"):
        in_background(_kept_as(), lambda: _drawn_anew(known, at=at))
        return known
    return _drawn_anew(known, at=at)


class Forecast:
    """The curves of one moment."""

    def __init__(self, *, at: datetime) -> None:
        began = time.monotonic()
        self.stage: Stage = scene.load(at=at)
        self.curves = Curves(self.stage.scene)
        self.drawn = time.monotonic()
        self.cost = self.drawn - began
        self.token = f"{os.getpid()}:{self.drawn}"
        self._ends: dict[tuple[int, ...], list[float]] = {}
        self._new: dict[tuple[Alike, int, int, int | None], Curves] = {}

    def place(self, job: Job) -> tuple[int, int] | None:
        """Its line and its place there; ``None`` when it came later."""
        if (line := self.stage.later.get(job.pk)) is not None:
            return line, 0
        line = self.stage.lines.get(Alike(job.model_id, job.kind_id, job.batch_id, job.owner_id))
        place = self.stage.scene.lines[line].place(_order(job)) if line is not None else None
        return (line, place) if line is not None and place is not None else None

    def count_of_batch(self, batch: int) -> int:
        """How many jobs of the batch were queued."""
        return sum(line.count for line in self.stage.scene.lines if line.batch == batch)

    def of_queued(self, job: Job, *, at: datetime) -> Estimate:
        if never := self._never(job.model_id):
            return never
        past, basis = self.stage.durations(job.model_id, preview=job.preview)
        place, order = self.place(job), _order(job)
        starts = self.curves.starts(*place, order) if place else self.curves.starts_of_newcomer(job.model_id, order)
        return _estimate(eta.of_waiting(self._from(at, starts), past), basis)

    def of_running(self, job: Job, called_at: datetime | None, *, at: datetime) -> Estimate:
        past, basis = self.stage.durations(job.model_id, preview=job.preview)
        return _estimate(eta.of_running(elapsed=(at - (called_at or at)).total_seconds(), durations=past), basis)

    def of_batch(self, batch: int, models: Iterable[str], *, at: datetime) -> Estimate:
        known = sorted(models)
        if never := next(filter(None, map(self._never, known)), None):
            return never
        basis = "; ".join(dict.fromkeys(self.stage.durations(model)[1] for model in known))
        return _estimate(eta.quantiles(self._from(at, self.curves.ends_of_batch(batch))), basis)

    def of_lanes(self, models: Iterable[str], *, at: datetime) -> Estimate:
        """Time until the last job that waits in the lanes of these models is done; what is shut for good is left out."""
        shut = {model: self._never(model) for model in models}
        known = [model for model, never in shut.items() if not never]
        lines = tuple(index for index, line in enumerate(self.stage.scene.lines) if line.model in known)
        if not lines:
            return next(filter(None, shut.values()), None) or Estimate(None, None, NO_END)
        if lines not in self._ends:
            self._ends[lines] = self.curves.ends_of_lines(lines)
        basis = "; ".join(dict.fromkeys(self.stage.durations(model)[1] for model in sorted(known)))
        return _estimate(eta.quantiles(self._from(at, self._ends[lines])), basis)

    def of_new(self, alike: Alike, count: int, *, priority: int, cap: int | None) -> Estimate:
        if never := self._never(alike.model):
            return never
        most = 1 << max(0, count - 1).bit_length()  # so that the next keystrokes are answered by the same curves
        asked = (alike, most, priority, cap)
        curves = self._new.get(asked)
        if curves is None:
            order: Order = (-priority, BEHIND_ALL, 0)
            with_new = self.stage.with_new(alike, Run(order, (-priority, BEHIND_ALL + most, 0), most), cap=cap)
            curves = self._new[asked] = Curves(with_new, only=len(with_new.lines) - 1)
        ends = curves.ends_of_first(len(curves.scene.lines) - 1, count)
        return _estimate(eta.quantiles(ends), self.stage.durations(alike.model)[1])

    def _from(self, at: datetime, moments: Sequence[float]) -> list[float]:
        age = (at - self.stage.at).total_seconds()
        return [max(0.0, moment - age) for moment in moments]

    def stuck(self, model: str) -> str:
        """Why nothing of this model's lane starts as far as can be seen: “paused” or “not available”; empty where it may."""
        return self.stage.shut_for_good(model)

    def _never(self, model: str) -> Estimate | None:
        reason = self.stuck(model)
        return Estimate(None, None, reason) if reason else None


_lock = Lock()
_drawn: Forecast | None = None


def _of_waiting(batch_id: int, rows: Sequence[_Alike], *, at: datetime) -> Estimate:
    """For a batch of which jobs wait; ``rows`` are all that are open."""
    behind = [row for row in rows if row.state == State.QUEUED]
    queued = sum(row.jobs for row in behind)
    known = current(at)
    if known.count_of_batch(batch_id) != queued:
        known = current(at, newer=True)
    if known.count_of_batch(batch_id) < queued:  # not drawn yet: as a batch that comes in behind what is drawn
        last = min(behind, key=lambda row: row.priority)
        return known.of_new(Alike(last.model, last.kind, None, last.owner), queued, priority=last.priority, cap=last.cap)
    return known.of_batch(batch_id, {row.model for row in rows if row.state == State.QUEUED or row.state in _AT_WORK}, at=at)


def _drawn_anew(known: Forecast | None, *, at: datetime) -> Forecast:
    """One draws; of those who ask meanwhile, who has old ones takes them."""
    global _drawn
    if not _lock.acquire(blocking=known is None):
        assert known is not None
        return known
    try:
        if _drawn is None or _drawn is known:  # else somebody was faster
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
    """For what no curve is needed."""
    if job.state == State.QUEUED:
        return Estimate(None, None, NO_END)
    if job.state == State.STORING:
        return Estimate(0.0, 0.0, STORING)
    if job.is_open:
        return Estimate(None, None, str(State(job.state).label).lower())
    return Estimate(0.0, 0.0, ENDED)


def _order(job: Job) -> Order:
    return (-job.priority, job.order_key, job.pk)


def _unknown(count: int) -> str:
    return f"{count:,} jobs have an unknown outcome" if count > 1 else "1 job has an unknown outcome"


def _estimate(seconds: tuple[float, float], basis: str) -> Estimate:
    if not isfinite(seconds[1]):
        return Estimate(None, None, "no free slot in sight")
    return Estimate(round(seconds[0], 1), round(seconds[1], 1), basis)
