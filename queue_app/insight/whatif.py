"""
What a limit would change, were it set: when the lanes under it are drained, and whose work ends earlier or later.

The lanes are played forward twice, with the limit as it is and as it would be; nothing is written. The difference of two medians
of a few dozen plays is not exact: what is smaller than the noise counts as none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from queue_app.insight import forecast
from queue_app.insight.forecast import Forecast
from queue_app.insight.shared import at_most_every
from queue_app.models import Batch, User
from queue_app.rules import eta, limits
from queue_app.rules.curves import Curves
from queue_app.rules.drain import Line
from queue_app.rules.limits import Key

NOISE_SECONDS, NOISE_PART = 3.0, 0.05  # a difference under either is none
NAMED = 3  # owners and batches that are told by name

Whose = tuple[int | None, int]  # batch, owner


@dataclass(frozen=True)
class Gain:
    """Whose work ends earlier, or later, and by how many seconds."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Stuck:
    """Jobs of a lane that no limit helps: none of them starts as far as can be seen, and why."""

    model: str
    jobs: int
    why: str


@dataclass(frozen=True)
class WhatIf:
    """
    ``now`` and ``then``: p50 seconds until what waits under the limit is done, ``None`` where no end is known. ``earlier`` and
    ``later`` by how much, the most first, ``others`` beside them. ``held_by``: limits that are full or shut now, in words, where
    nothing is gained for them. ``stuck``: what is in lanes that stand still for good, and so in none of the other numbers.
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
        """Whether the lanes are drained at the same time, as far as one can tell."""
        if self.now is None or self.then is None:
            return self.now == self.then
        return not _differs(self.now, self.then)


def of_limit(key: Key, cap: int | None, *, at: datetime) -> WhatIf:
    """What setting this limit to ``cap`` (``None``: no limit) would change. Answered from the same plays for 5 s."""
    known = forecast.current(at)
    return at_most_every(forecast.KEPT, f"whatif:{known.token}:{hash((key, cap))}", lambda: _look(known, key, cap))


def _look(known: Forecast, key: Key, cap: int | None) -> WhatIf:
    scene = known.stage.scene
    shut = {line.model: known.stuck(line.model) for line in scene.lines}
    found = [index for index, line in enumerate(scene.lines) if key in line.keys or key in line.accounts]
    under = [index for index in found if not shut[scene.lines[index].model]]
    waiting = sum(scene.lines[index].count for index in under)
    stuck = _stuck((scene.lines[index] for index in found), shut)
    if not waiting:
        end = None if stuck else 0.0
        return WhatIf(0, end, end, [], [], 0, [], stuck)
    other = Curves(known.stage.with_limit(key, cap))
    now, then = _median(known.curves, under), _median(other, under)
    gains = [(whose, *_both(known.curves, other, lines)) for whose, lines in _by_owner(scene.lines, shut).items()]
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
        held_by=_held_by(known, key, [scene.lines[index] for index in under]),
        stuck=stuck,
    )


def _stuck(lines: Iterable[Line], shut: Mapping[str, str]) -> list[Stuck]:
    jobs: Counter[str] = Counter()
    for line in lines:
        if shut[line.model]:
            jobs[line.model] += line.count
    return [Stuck(model, count, shut[model]) for model, count in jobs.most_common()]


def _median(curves: Curves, lines: Iterable[int]) -> float:
    return eta.quantile(sorted(curves.ends_of_lines(lines)), 0.5)


def _both(now: Curves, then: Curves, lines: list[int]) -> tuple[float, float]:
    return _median(now, lines), _median(then, lines)


def _differs(one: float, other: float) -> bool:
    if not isfinite(one) or not isfinite(other):
        return isfinite(one) != isfinite(other)
    return abs(one - other) > max(NOISE_SECONDS, NOISE_PART * max(one, other))


def _by_owner(lines: Iterable[Line], shut: Mapping[str, str]) -> dict[Whose, list[int]]:
    """The lines of each batch, and those of each owner's single jobs; without what stands still for good."""
    found: dict[Whose, list[int]] = defaultdict(list)
    for index, line in enumerate(lines):
        if shut[line.model]:
            continue
        owner = next(int(key) for limit, key in line.keys if limit == "user")
        found[line.batch, owner].append(index)
    return found


def _named(whose: Iterable[Whose]) -> dict[Whose, str]:
    listed = list(whose)
    batches = Batch.objects.in_bulk([batch for batch, _ in listed if batch is not None])
    owners = User.objects.in_bulk([owner for batch, owner in listed if batch is None])
    return {
        (batch, owner): str(batches.get(batch, f"batch {batch}")) if batch is not None else str(owners.get(owner, owner))
        for batch, owner in listed
    }


def _held_by(known: Forecast, key: Key, lines: Iterable[Line]) -> list[str]:
    """Other limits that the lines' next jobs meet and that let none of them pass now."""
    room, found = known.stage.capacity.room, {}
    for line in lines:
        full = [room.blocker(account) for account in line.accounts]
        doors = [room.blocker(other) for other in line.keys]
        for blocker in [*doors, *(full if all(full) else [])]:
            if blocker is None or (blocker.limit, blocker.key) == key:
                continue
            what = "job type" if blocker.limit == "kind" else blocker.limit
            name = "whole queue" if (blocker.limit, blocker.key) == limits.QUEUE else f"{what} {blocker.key}"
            found[name] = f"{name} {blocker.used} of {blocker.max}" if blocker.max else f"{name} ({blocker.reason})"
    return list(found.values())
