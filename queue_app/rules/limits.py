"""
What the limits leave free at one moment: one object for the claim and for "why is my job waiting?".

A limit is named by a pair: ("queue", ""), ("kind", "video"), ("account", "openai_videos"), ("model", "sora-2"),
("batch", "12"), ("user", "7").
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

Key = tuple[str, str]
QUEUE: Key = ("queue", "")
# an account's limit that 429 answers have lowered comes back in equal steps, the last one this long after the last 429
STEP_BACK_AT_MOST, ALL_BACK = timedelta(minutes=5), timedelta(minutes=10)


@dataclass(frozen=True)
class Blocker:
    """A limit that a job waits for; ``until`` is when it surely opens, where that is known. ``max`` is 0 while it is closed."""

    limit: str
    key: str
    used: int
    max: int
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Closed:
    """A pause or a cool-down."""

    until: datetime | None = None
    reason: str = ""


@dataclass
class Room:
    """``caps``: limits by key, ``used``: slots taken, ``closed``: pauses; what is not in ``caps`` has no limit."""

    caps: dict[Key, int | None] = field(default_factory=dict)
    used: Counter[Key] = field(default_factory=Counter)
    closed: dict[Key, Closed] = field(default_factory=dict)

    def blocker(self, key: Key) -> Blocker | None:
        """What keeps one more job from passing this limit."""
        used, cap, shut = self.used[key], self.caps.get(key), self.closed.get(key)
        if shut is not None:
            return Blocker(key[0], key[1], used, 0, shut.until, shut.reason)
        if cap is not None and used >= cap:
            return Blocker(key[0], key[1], used, cap)
        return None

    def blockers(self, keys: Iterable[Key]) -> list[Blocker]:
        return [found for key in keys if (found := self.blocker(key))]

    def is_open(self, *keys: Key) -> bool:
        return all(self.blocker(key) is None for key in keys)

    def free(self, key: Key, default: int) -> int:
        """Places left under this limit; ``default`` where it has none."""
        if key in self.closed:
            return 0
        cap = self.caps.get(key)
        return default if cap is None else max(0, cap - self.used[key])

    def take(self, keys: Iterable[Key]) -> dict[str, tuple[int, int]]:
        """Take one place under each; gives (used after it, limit) of those that have a limit."""
        counts = {}
        for key in keys:
            self.used[key] += 1
            cap = self.caps.get(key)
            if cap is not None:
                counts[key[0]] = (self.used[key], cap)
        return counts


def keys_of(*, model: str, account: str, kind: str, batch: int | None, owner: int) -> list[Key]:
    """Every limit that a job passes through, the widest first."""
    keys = [QUEUE, ("kind", kind), ("account", account), ("model", model), ("user", str(owner))]
    return [*keys, ("batch", str(batch))] if batch is not None else keys


def lowered(limit: int, *, by: int, since: datetime | None, at: datetime) -> int:
    """An account's effective limit after 429 answers took ``by`` steps off it at ``since``; never under 1."""
    return max(1, limit - steps_off(by=by, since=since, at=at))


def halved(limit: int, *, off: int) -> int:
    """The steps that are off after a 429 at a limit that has ``off`` off: half of what was left stays, 1 at least."""
    return limit - max(1, (limit - off) // 2)


def steps_off(*, by: int, since: datetime | None, at: datetime) -> int:
    """What is left at ``at`` of the ``by`` steps that were off at ``since``."""
    return sum(moment > at for moment in steps_back(by=by, since=since))


def steps_back(*, by: int, since: datetime | None) -> list[datetime]:
    """When each of the ``by`` steps that were off at ``since`` comes back."""
    if since is None or by == 0:
        return []
    takes = min(ALL_BACK, STEP_BACK_AT_MOST * by)
    return [since + takes * step / by for step in range(1, by + 1)]


def is_closed(paused: bool, until: datetime | None, *, at: datetime) -> bool:
    """A pause with an end opens by itself."""
    return paused and (until is None or until > at)


def count(rows: Iterable[tuple[str, str, str, int | None, int, int]]) -> Counter[Key]:
    """Count slots under every limit, from rows of model, kind, account, batch, owner and how many."""
    used: Counter[Key] = Counter()
    for model, kind, account, batch, owner, slots in rows:
        for key in keys_of(model=model, account=account, kind=kind, batch=batch, owner=owner):
            used[key] += slots
    return used
