"""Why a queued job waits, and how long: from the limits that claims obey."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.insight import positions
from queue_app.models import HeldFor, Job, QueueSettings, State
from queue_app.rules import limits
from queue_app.rules.limits import Blocker
from queue_app.rules.numbers import counted
from queue_app.rules.words import one_line
from queue_app.work import routes
from queue_app.work.capacity import Capacity, keys_of

T = TypeVar("T")
SHARED_FOR = 1.0  # seconds for which frequent callers see the same limits


@dataclass
class Outlook:
    """The positions and limits of some jobs at one moment, made by `outlook`."""

    at: datetime
    jobs: list[Job]
    positions: dict[int, int]
    capacity: Capacity | None

    def position(self, job: Job) -> int | None:
        """Return the job's position in its model's queue, from 1 without gaps (I18); ``None`` if it is not queued."""
        return self.positions.get(job.pk)

    def waiting_on(self, job: Job) -> list[Blocker]:
        """Return everything a queued job waits for, at least the jobs ahead of it; nothing for a job that is not queued."""
        place = self.position(job)
        if place is None or self.capacity is None:
            return []
        found = self.capacity.blockers(model=job.model_id, kind=job.kind_id, batch=job.batch_id, owner=job.owner_id)
        if job.held_for:
            found.insert(0, Blocker("held", job.held_for, 0, 0, None, HeldFor(job.held_for).label, is_pause=True))
        if job.not_before and job.not_before > self.at:
            found.append(Blocker("not_before", "", 0, 0, job.not_before, self._why_later(job)))
        if not found:
            found.append(Blocker("jobs_ahead", job.model_id, place - 1, _slots(self.capacity, job)))
        return found

    def pause(self, job: Job) -> Blocker | None:
        """Return the pause that puts a queued job on hold, the widest one; ``None`` if there is none."""
        return next((found for found in self.waiting_on(job) if found.is_pause), None)

    def _why_later(self, job: Job) -> str:
        if job.not_before == job.client_not_before:
            return "requested start time"
        assert self.capacity is not None
        if routes.refusal(self.capacity.open_routes(job.model_id), job.parameters, characters=len(job.prompt)):
            return "no free provider supports its parameters"
        return "the wait before the next attempt"

    def sentence(self, job: Job) -> str:
        """Return why the job waits, in one line with numbers; empty for a job that is not queued."""
        blockers = self.waiting_on(job)
        if not blockers:
            return ""
        ahead = (self.position(job) or 1) - 1
        in_front = f"{counted(ahead, 'job')} ahead." if ahead else "Next in line."
        if blockers[0].limit == "jobs_ahead":
            start = f"when a {job.model_id} slot is free."
            return f"{in_front} Starts {start}" if ahead else f"Next in line: starts {start}"
        return f"{'. '.join(map(words, blockers))}. {in_front}"

    def eta(self, job: Job) -> Estimate | None:
        """Return the time until the job is done; ``None`` once it has finished."""
        return self._etas[job.pk] if job.is_open else None

    def starts_in(self, job: Job) -> Estimate | None:
        """Return the time until the job starts; ``None`` unless it is queued."""
        return self._starts[job.pk]

    @cached_property
    def _starts(self) -> dict[int, Estimate | None]:
        return estimates.starts_of_jobs(self.jobs, self.at)

    @cached_property
    def _etas(self) -> dict[int, Estimate]:
        return estimates.for_jobs((job for job in self.jobs if job.is_open), self.at)


def outlook(jobs: Iterable[Job], *, at: datetime, far: int | None = None, share: bool = False) -> Outlook:
    """
    Look at jobs with a fixed number of queries, however many they are.

    :param far: as in `positions.of_jobs`.
    :param share: the slots in use, and the limits that all jobs pass, may be a second old; limits and pauses of a batch or
        user are always fresh.
    """
    listed = list(jobs)
    queued = [job for job in listed if job.state == State.QUEUED]
    capacity = None
    if queued:
        capacity = _shared_capacity(at) if share else _fresh_capacity(at)
        capacity.learn({job.batch_id for job in queued}, {job.owner_id for job in queued})
    return Outlook(at=at, jobs=listed, positions=positions.of_jobs((job.pk for job in queued), far=far), capacity=capacity)


def waiting_on(job: Job, at: datetime) -> list[Blocker]:
    """Return what a queued job waits for."""
    return outlook([job], at=at).waiting_on(job)


def eta(job: Job, at: datetime) -> Estimate | None:
    """Return the time until the job is done."""
    return outlook([job], at=at).eta(job)


def models_on_hold(*, at: datetime) -> list[str]:
    """Return the models whose queued jobs are all on hold."""
    capacity = _fresh_capacity(at)
    return [model for model in capacity.offers if capacity.holds(model)]


def forget() -> None:
    """Drop the shared limits after one was changed. Other processes see the change within a second."""
    global _kept
    _kept = None


def _fresh_capacity(at: datetime) -> Capacity:
    return Capacity.load(at=at, policy=QueueSettings.objects.current())


def _shared_capacity(at: datetime) -> Capacity:
    """Return a copy that may learn more limits, from what was read at most a second ago."""
    global _kept
    kept = _kept
    if kept is None or time.monotonic() - kept[0] >= SHARED_FOR:
        _kept = kept = (time.monotonic(), _fresh_capacity(at))
    _, capacity = kept
    own = replace(capacity.room, caps=_of_all(capacity.room.caps), closed=_of_all(capacity.room.closed))
    return replace(capacity, at=at, room=own, _known=set())


def _slots(capacity: Capacity, job: Job) -> int:
    """Return how many jobs of this lane may run at the same time, under the limits that they share."""
    route = capacity.route_for(job.model_id) or next(iter(capacity.routes.get(job.model_id, ())), None)
    lane = keys_of(route, model=job.model_id, kind=job.kind_id, batch=None, owner=job.owner_id)
    return min((cap for key in lane if (cap := capacity.room.caps.get(key)) is not None), default=0)


def _of_all(limited: dict[limits.Key, T]) -> dict[limits.Key, T]:
    return {key: found for key, found in limited.items() if key[0] not in ("batch", "user")}


_kept: tuple[float, Capacity] | None = None
_NAMES = {
    "queue": "the whole queue",
    "kind": "job type {}",
    "account": "account {}",
    "long": "workers for long calls",
    "model": "{}",
    "user": "the owner's limit",
    "batch": "batch {}",
}


# reasons of `Room` that staff did not write
_SHUT = {"paused": "is paused", "cooling down": "is cooling down", "not available": "has no provider right now"}


def words(blocker: Blocker) -> str:
    """Return a blocker as a sentence without its full stop: “sora-2 is full (1 of 1 running)”."""
    if blocker.limit == "not_before":
        return f"Starts at {blocker.until:%Y-%m-%d %H:%M:%S} UTC or later"
    if blocker.limit == "held":
        return f"On hold for {blocker.reason}"
    name = _NAMES[blocker.limit].format(blocker.key)
    name = name[0].upper() + name[1:] if blocker.limit != "model" else name
    if blocker.limit == limits.LONG[0]:
        return f"{name} are all busy ({blocker.used} of {blocker.max})" if blocker.max else f"{name} are not running"
    if blocker.max:
        return f"{name} is full ({blocker.used} of {blocker.max} running)"
    until = f" until {blocker.until:%Y-%m-%d %H:%M:%S} UTC" if blocker.until else ""
    reason = f" ({one_line(blocker.reason)})" if blocker.reason and blocker.reason not in _SHUT else ""
    return f"{name} {_SHUT.get(blocker.reason, 'is paused')}{until}{reason}"
