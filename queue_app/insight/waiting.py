"""Why a queued job waits, and how long: from the limits that claims obey."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.insight import peaks, positions
from queue_app.models import HeldFor, Job, ModelRoute, QueueSettings, State
from queue_app.rules import limits
from queue_app.rules.limits import Blocker, Closed
from queue_app.rules.numbers import counted
from queue_app.rules.words import one_line
from queue_app.work import budgets, routes, ticket_budgets
from queue_app.work.capacity import COOLING, NOT_AVAILABLE, NOT_EXPRESSED, UNTOLD, Capacity, keys_of
from queue_app.work.ticket_budgets import BudgetStanding

T = TypeVar("T")
SHARED_FOR = 1.0  # seconds for which frequent callers see the same limits


@dataclass
class Outlook:
    """The positions and limits of some jobs at one moment, made by `outlook`."""

    at: datetime
    jobs: list[Job]
    positions: dict[int, int]
    capacity: Capacity | None
    budgets: list[BudgetStanding] = field(default_factory=list)

    def position(self, job: Job) -> int | None:
        """Return the job's position in its model's queue, from 1 without gaps (I18); ``None`` if it is not queued."""
        return self.positions.get(job.pk)

    def waiting_on(self, job: Job) -> list[Blocker]:
        """Return everything a queued job waits for, at least the jobs ahead of it; nothing for a job that is not queued."""
        place = self.position(job)
        if place is None or self.capacity is None:
            return []
        found = self.capacity.blockers(
            self.route(job), model=job.model_id, kind=job.kind_id, batch=job.batch_id, owner=job.owner_id
        )
        found = [self._with_peak(one) if one.names == limits.QUEUE and one.max else one for one in found]
        own = self.budgets if job.started_at is None else ()
        found = [*filter(None, (one.blocker(job) for one in own if one.applies_to(job))), *found]
        if job.held_for and not (found and found[0].limit == job.held_for):  # a budget is named with its numbers
            found.insert(0, Blocker("held", job.held_for, 0, 0, None, HeldFor(job.held_for).label, is_pause=True))
        if job.not_before and job.not_before > self.at:
            found.append(Blocker("not_before", "", 0, 0, job.not_before, self._why_later(job)))
        if not found:
            found.append(Blocker("jobs_ahead", job.model_id, place - 1, self._slots(job)))
        return found

    def route(self, job: Job) -> ModelRoute | None:
        """Return the route that a queued job waits for: one that can express it, if possible an open one."""
        if self.capacity is None:
            return None
        if not _is_choosy(job, self.capacity):
            return self.capacity.way(job.model_id)
        return self.capacity.way(job.model_id, can=lambda route: _can(route, job))

    def _with_peak(self, full: Blocker) -> Blocker:
        """Add to the full limit of the whole queue how it changes soon by peak hours."""
        assert self.capacity is not None
        soon = peaks.now_or_soon(self.capacity.policy, at=self.at)
        return replace(full, reason=soon.words) if soon else full

    def pause(self, job: Job) -> Blocker | None:
        """Return the pause that puts a queued job on hold, the widest one; ``None`` if there is none."""
        return next((found for found in self.waiting_on(job) if found.is_pause), None)

    def _why_later(self, job: Job) -> str:
        if job.not_before == job.client_not_before:
            return "requested start time"
        assert self.capacity is not None
        free = self.capacity.open_routes(job.model_id)
        if free and not any(_can(route, job) for route in free):
            return "no free provider supports its parameters"
        return "the wait before the next attempt"

    def _slots(self, job: Job) -> int:
        """Return how many jobs of this lane may run at the same time, under the limits that they share."""
        assert self.capacity is not None
        lane = keys_of(self.route(job), model=job.model_id, kind=job.kind_id, batch=None, owner=job.owner_id)
        return min((cap for key in lane if (cap := self.capacity.room.caps.get(key)) is not None), default=0)

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
        if job.held_for:
            return f"{'. '.join(map(words, blockers))}."
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
    capacity, own = None, []
    if queued:
        capacity = _shared_capacity(at) if share else _fresh_capacity(at)
        batches, owners = {job.batch_id for job in queued}, {job.owner_id for job in queued}
        capacity.learn(batches, owners)
        capacity.learn_codecs({job.model_id for job in queued if _is_choosy(job, capacity)})
        if capacity.has_ticket_budgets:
            own = ticket_budgets.of(users=owners, batches=batches, keys={job.submitted_with_id for job in queued}, at=at)
    places = positions.of_jobs((job.pk for job in queued), far=far)
    return Outlook(at=at, jobs=listed, positions=places, capacity=capacity, budgets=own)


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
    """Read the limits, and close accounts whose budget is spent: the next claim that needs one pauses it."""
    capacity = Capacity.load(at=at, policy=QueueSettings.objects.current())
    if capacity.budgets:
        accounts = {route.account_id: route.account for ways in capacity.routes.values() for route in ways}
        for key, budget in capacity.budgets.items():
            account, shut = accounts.get(key), capacity.room.closed.get(("account", key))
            if account is None or account.is_preview or (shut and shut.reason.startswith(budgets.BEGINNING)):
                continue
            if words := budgets.spent_words(key, budget, at=at):
                capacity.room.closed["account", key] = Closed(budgets.day_of(at)[1], words, also=shut)
    return capacity


def _shared_capacity(at: datetime) -> Capacity:
    """Return a copy that may learn more limits, from what was read at most a second ago."""
    global _kept
    kept = _kept
    if kept is None or time.monotonic() - kept[0] >= SHARED_FOR:
        _kept = kept = (time.monotonic(), _fresh_capacity(at))
    _, capacity = kept
    own = replace(capacity.room, caps=_of_all(capacity.room.caps), closed=_of_all(capacity.room.closed))
    return replace(capacity, at=at, room=own, _known=set())


def _is_choosy(job: Job, capacity: Capacity) -> bool:
    """Whether it matters what each route can express: there are several, or no open one can express the job."""
    return len(capacity.routes.get(job.model_id, ())) > 1 or job.not_before != job.client_not_before


def _can(route: ModelRoute, job: Job) -> bool:
    return routes.refusal([route], job.parameters, characters=len(job.prompt)) is None


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
_SHUT = {
    UNTOLD: "is paused",
    COOLING: "is cooling down",
    NOT_AVAILABLE: "has no provider right now",
    NOT_EXPRESSED: "has no provider that supports these parameters",
}


def words(blocker: Blocker) -> str:
    """Return a blocker as a sentence without its full stop: “sora-2 is full (1 of 1 running)”."""
    if blocker.limit == "not_before":
        return f"Starts at {blocker.until:%Y-%m-%d %H:%M:%S} UTC or later"
    if blocker.limit == "budget":
        return _words_of_budget(blocker)
    if blocker.limit == "held":
        return f"On hold for {blocker.reason}"
    name = _NAMES[blocker.limit].format(blocker.key)
    name = name[0].upper() + name[1:] if blocker.limit != "model" else name
    if blocker.limit == limits.LONG[0]:
        return f"{name} are all busy ({blocker.used} of {blocker.max})" if blocker.max else f"{name} are not running"
    if blocker.max:
        more = f". {one_line(blocker.reason)}" if blocker.reason else ""
        return f"{name} is full ({blocker.used} of {blocker.max} running){more}"
    until = f" until {blocker.until:%Y-%m-%d %H:%M:%S} UTC" if blocker.until else ""
    reason = f" ({one_line(blocker.reason)})" if blocker.reason and blocker.reason not in _SHUT else ""
    return f"{name} {_SHUT.get(blocker.reason, 'is paused')}{until}{reason}"


def _words_of_budget(blocker: Blocker) -> str:
    whose = {"user": "The owner's budget", "campaign": "The campaign's budget", "key": "The API key's budget"}[blocker.key]
    until = f" until {blocker.until:%Y-%m-%d %H:%M:%S} UTC" if blocker.until else ""
    if blocker.reason == ticket_budgets.TOO_BIG:
        return f"{whose} is {counted(blocker.max, 'ticket')}, and this job costs more"
    left = blocker.max - blocker.used
    if left > 0:
        return f"{whose} has {left:,} of {counted(blocker.max, 'ticket')} left{until}, too few for this job"
    return f"{whose} is used up{until} ({blocker.used:,} of {counted(blocker.max, 'ticket')})"
