"""
What another limit would change: when the lanes under it are drained, and whose jobs finish sooner or later.

The queue is simulated twice, with the limit as it is and as it would be; nothing is written. The difference of two medians of a
few dozen playouts is not exact: a difference smaller than the noise counts as none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from queue_app.caching import at_most_every
from queue_app.forecast import durations, estimates
from queue_app.forecast.curves import Curves
from queue_app.forecast.estimates import Forecast
from queue_app.forecast.simulation import Cohort
from queue_app.models import Batch, User
from queue_app.rules import limits
from queue_app.rules.limits import Key

NOISE_SECONDS, NOISE_PART = 3.0, 0.05  # a difference under either is none
NAMED = 3  # owners and batches that are named

Whose = tuple[int | None, int]  # batch, owner


@dataclass(frozen=True)
class Gain:
    """An owner or batch whose jobs finish sooner, or later, and by how many seconds."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Stuck:
    """Jobs of a model that no limit helps: none of them will start until staff act, and why."""

    model: str
    jobs: int
    why: str


@dataclass(frozen=True)
class WhatIf:
    """
    ``now`` and ``then``: p50 seconds until the jobs waiting under the limit are done, ``None``: no estimate. ``earlier`` and
    ``later`` name the largest gains and losses, ``others`` counts the rest. ``held_by``: other limits that are full or paused
    now, in words. ``stuck``: jobs that will not start until staff act; no other number counts them.
    """

    waiting: int
    now: float | None
    then: float | None
    earlier: list[Gain]
    later: list[Gain]
    others: int
    held_by: list[str]
    stuck: list[Stuck]

    @property
    def is_same(self) -> bool:
        """Whether the jobs under the limit would be done at the same time."""
        if self.now is None or self.then is None:
            return self.now == self.then
        return not _differs(self.now, self.then)


def of_limit(key: Key, cap: int | None, *, at: datetime) -> WhatIf:
    """Return what setting this limit to ``cap`` (``None``: no limit) would change. An answer is used for 5 s."""
    known = estimates.current(at)
    return at_most_every(estimates.KEPT, f"whatif:{known.token}:{hash((key, cap))}", lambda: _look(known, key, cap))


def _look(known: Forecast, key: Key, cap: int | None) -> WhatIf:
    cohorts = known.inputs.queue.cohorts
    why_stuck = {cohort.model: known.stuck(cohort.model) for cohort in cohorts}
    found = [index for index, cohort in enumerate(cohorts) if key in cohort.keys or key in cohort.accounts]
    under = [index for index in found if not why_stuck[cohorts[index].model]]
    waiting = sum(cohorts[index].count for index in under)
    stuck = _stuck((cohorts[index] for index in found), why_stuck)
    if not waiting:
        end = None if stuck else 0.0
        return WhatIf(0, end, end, [], [], 0, [], stuck)
    other = Curves(known.inputs.with_limit(key, cap))
    now, then = _median(known.curves, under), _median(other, under)
    gains = [(whose, *_both(known.curves, other, own)) for whose, own in _by_owner(cohorts, why_stuck).items()]
    differ = [(whose, before - after) for whose, before, after in gains if _differs(before, after)]
    earlier = sorted(((whose, gain) for whose, gain in differ if gain > 0), key=lambda one: -one[1])
    later = sorted(((whose, gain) for whose, gain in differ if gain < 0), key=lambda one: one[1])
    named = _named([whose for whose, _ in (*earlier[:NAMED], *later[:NAMED])])
    return WhatIf(
        waiting=waiting,
        now=now if isfinite(now) else None,
        then=then if isfinite(then) else None,
        earlier=[Gain(named[whose], gain) for whose, gain in earlier[:NAMED]],
        later=[Gain(named[whose], -gain) for whose, gain in later[:NAMED]],
        others=max(0, len(earlier) - NAMED) + max(0, len(later) - NAMED),
        held_by=_held_by(known, key, [cohorts[index] for index in under]),
        stuck=stuck,
    )


def _stuck(cohorts: Iterable[Cohort], why: Mapping[str, str]) -> list[Stuck]:
    jobs: Counter[str] = Counter()
    for cohort in cohorts:
        if why[cohort.model]:
            jobs[cohort.model] += cohort.count
    return [Stuck(model, count, why[model]) for model, count in jobs.most_common()]


def _median(curves: Curves, cohorts: Iterable[int]) -> float:
    return durations.quantile(sorted(curves.ends_of_cohorts(cohorts)), 0.5)


def _both(now: Curves, then: Curves, cohorts: list[int]) -> tuple[float, float]:
    return _median(now, cohorts), _median(then, cohorts)


def _differs(one: float, other: float) -> bool:
    if not isfinite(one) or not isfinite(other):
        return isfinite(one) != isfinite(other)
    return abs(one - other) > max(NOISE_SECONDS, NOISE_PART * max(one, other))


def _by_owner(cohorts: Iterable[Cohort], why_stuck: Mapping[str, str]) -> dict[Whose, list[int]]:
    """Return the cohorts of each batch, and those of each owner's single jobs, without those that are stuck."""
    found: dict[Whose, list[int]] = defaultdict(list)
    for index, cohort in enumerate(cohorts):
        if why_stuck[cohort.model]:
            continue
        owner = next(int(key) for limit, key in cohort.keys if limit == "user")
        found[cohort.batch, owner].append(index)
    return found


def _named(whose: Iterable[Whose]) -> dict[Whose, str]:
    listed = list(whose)
    batches = Batch.objects.in_bulk([batch for batch, _ in listed if batch is not None])
    owners = User.objects.in_bulk([owner for batch, owner in listed if batch is None])
    return {
        (batch, owner): str(batches.get(batch, f"batch {batch}")) if batch is not None else str(owners.get(owner, owner))
        for batch, owner in listed
    }


def _held_by(known: Forecast, key: Key, cohorts: Iterable[Cohort]) -> list[str]:
    """Return the other limits of these cohorts' next jobs that are full or paused now."""
    room = known.inputs.capacity.room
    found: dict[str, str] = {}
    for cohort in cohorts:
        are_accounts_shut = not any(map(room.is_open, cohort.accounts))
        for blocker in room.blockers([*cohort.keys, *(cohort.accounts if are_accounts_shut else ())]):
            if blocker.names == key:
                continue
            what = "job type" if blocker.limit == "kind" else blocker.limit
            name = "whole queue" if blocker.names == limits.QUEUE else f"{what} {blocker.key}"
            found.setdefault(name, f"{name} {blocker.used} of {blocker.max}" if blocker.max else f"{name} ({blocker.reason})")
    return list(found.values())
