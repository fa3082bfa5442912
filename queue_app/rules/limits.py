"""
The limits and the slots they leave free, as used by the claim and for "Why is my job waiting?".

A limit's key is a pair: ("queue", ""), ("kind", "video"), ("account", "openai_videos"), ("model", "sora-2"), ("batch", "12"),
("user", "7"), and ("long", ""): the workers for long calls.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

Key = tuple[str, str]
QUEUE: Key = ("queue", "")
LONG: Key = ("long", "")
# An account's limit that was lowered by 429 answers recovers in equal steps, at most STEP_BACK_AT_MOST apart and complete after
# ALL_BACK, counted from the last 429.
STEP_BACK_AT_MOST, ALL_BACK = timedelta(minutes=5), timedelta(minutes=10)


@dataclass(frozen=True)
class Blocker:
    """
    A limit that a job waits for. ``max`` is 0 while it is paused or cooling down; ``until`` is the end of that, if known. Only a
    pause puts the job on hold. ``of`` is the number of the row that has it, where the key does not say.
    """

    limit: str
    key: str
    used: int
    max: int
    until: datetime | None = None
    reason: str = ""
    is_pause: bool = False
    of: int | None = None

    @property
    def names(self) -> Key:
        return self.limit, self.key


@dataclass(frozen=True)
class Closed:
    """A pause or a cooldown, or that no worker is there. ``also`` closes it as well: the cooldown beside a pause."""

    until: datetime | None = None
    reason: str = ""
    is_pause: bool = False
    also: "Closed | None" = None


@dataclass
class Room:
    """Limits (``caps``), used slots and pauses (``closed``) by key. A key without a cap has no limit."""

    caps: dict[Key, int | None] = field(default_factory=dict)
    used: Counter[Key] = field(default_factory=Counter)
    closed: dict[Key, Closed] = field(default_factory=dict)

    def blockers(self, keys: Iterable[Key]) -> list[Blocker]:
        """Return the reasons why no further job fits under these limits: one can be paused, cooling down and full."""
        return [found for key in keys for found in self._blockers(key)]

    def is_open(self, *keys: Key) -> bool:
        return not any(key in self.closed or self._is_full(key) for key in keys)

    def _blockers(self, key: Key) -> Iterator[Blocker]:
        used, shut = self.used[key], self.closed.get(key)
        while shut is not None:
            yield Blocker(key[0], key[1], used, 0, shut.until, shut.reason, shut.is_pause)
            shut = shut.also
        if self._is_full(key) and (cap := self.caps[key]):
            yield Blocker(key[0], key[1], used, cap)

    def _is_full(self, key: Key) -> bool:
        cap = self.caps.get(key)
        return cap is not None and self.used[key] >= cap

    def free(self, key: Key, default: int) -> int:
        """Return the free slots under this limit, or ``default`` without a limit."""
        if key in self.closed:
            return 0
        cap = self.caps.get(key)
        return default if cap is None else max(0, cap - self.used[key])

    def take(self, keys: Iterable[Key]) -> dict[str, tuple[int, int]]:
        """Take one slot under each limit. Return (used slots, limit) by the kind of limit, without keys that have no cap."""
        counts = {}
        for key in keys:
            self.used[key] += 1
            cap = self.caps.get(key)
            if cap is not None:
                counts[key[0]] = (self.used[key], cap)
        return counts


def keys_of(*, model: str, account: str, kind: str, batch: int | None, owner: int, synchronous: bool = False) -> list[Key]:
    """
    Return the keys of all limits that apply to a job, the widest first.

    :param synchronous: the account's provider answers a create call only with the result, so the call needs a long worker.
    """
    keys = [QUEUE, ("kind", kind), *keys_of_account(account, synchronous=synchronous), ("model", model), ("user", str(owner))]
    return [*keys, ("batch", str(batch))] if batch is not None else keys


def keys_of_account(account: str, *, synchronous: bool) -> list[Key]:
    """Return the keys of the limits that come with a provider account."""
    return [("account", account), LONG] if synchronous else [("account", account)]


def lowered(limit: int, *, by: int, since: datetime | None, at: datetime) -> int:
    """Return an account's effective limit at ``at`` after 429 answers lowered it by ``by`` steps at ``since``; at least 1."""
    return max(1, limit - steps_off(by=by, since=since, at=at))


def halved(limit: int, *, off: int) -> int:
    """Return the steps by which a 429 lowers ``limit``: half of the rest remains, at least 1. ``off`` steps were off before."""
    return limit - max(1, (limit - off) // 2)


def steps_off(*, by: int, since: datetime | None, at: datetime) -> int:
    """Return how many of the ``by`` steps that the limit was lowered by at ``since`` have not recovered at ``at``."""
    return sum(moment > at for moment in steps_back(by=by, since=since))


def steps_back(*, by: int, since: datetime | None) -> list[datetime]:
    """Return the times at which the ``by`` steps that the limit was lowered by at ``since`` recover."""
    if since is None or by == 0:
        return []
    takes = min(ALL_BACK, STEP_BACK_AT_MOST * by)
    return [since + takes * step / by for step in range(1, by + 1)]


def is_closed(paused: bool, until: datetime | None, *, at: datetime) -> bool:
    """Whether a pause applies at ``at``; it ends on its own at ``until``."""
    return paused and (until is None or until > at)


def count(rows: Iterable[tuple[str, str, str, int | None, int, int]]) -> Counter[Key]:
    """Return the used slots of every limit, from rows (model, kind, account, batch, owner, count)."""
    used: Counter[Key] = Counter()
    for model, kind, account, batch, owner, slots in rows:
        for key in keys_of(model=model, account=account, kind=kind, batch=batch, owner=owner):
            used[key] += slots
    return used
