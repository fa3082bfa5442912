"""Answers that many ask for and that may be a little old: computed once, shared by the whole process."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, RLock, Thread
from typing import Any, Generic, TypeVar, cast
from weakref import WeakValueDictionary

from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connection

T = TypeVar("T")
CHEAP = 0.004  # seconds; who asks may wait so long
DEAR = 0.1  # seconds; what costs more is computed anew behind the back of who asks
SERVED = 60.0  # seconds for which an old answer may serve meanwhile
# one for each key that is being asked for. What is computed may ask for other answers: locks are nested as answers rest on each
# other, and since none rests on itself no two threads wait for each other. Keys that shared a lock would break that order.
_locks: "WeakValueDictionary[str, Any]" = WeakValueDictionary()
_locks_lock = Lock()
ACT_KEPT = 3_600.0  # seconds; who has changed nothing since then gets one answer more of their own
log = logging.getLogger(__name__)


def at_most_every(seconds: float, key: str, compute: Callable[[], T]) -> T:
    """
    Give what ``compute`` answered at most ``seconds`` ago; of many who ask at once, one computes and the others wait.

    Half-way to that age a thread computes what is not cheap anew: while many ask, nobody waits.
    """
    found = while_worth(0, key, lambda: _born(compute), at_least=seconds)
    if found.cost > CHEAP and time.monotonic() - found.at > seconds / 2:
        in_background(key, lambda: cache.set(key, _born(compute), seconds))
    return found.answer


def while_worth(times: float, key: str, compute: Callable[[], T], *, at_least: float, act: str = "") -> T:
    """
    The same for what grows with the queue: the answer serves for ``times`` what it cost, but ``at_least`` so many seconds, so
    that computing it never takes more than that part of the time.

    :param act: names the last thing that the caller's user changed. The first answer in this process under a new name is computed
        after that change, however young the one before it is. What ``compute`` itself shares knows of no act: the counts of a
        dashboard may be of before the change, on a long queue by some seconds.
    """
    found = _known(key, act)
    if found is None:
        with _lock_of(key):
            found = _known(key, act)
            if found is None:
                found = _timed(times, key, compute, at_least)
                if act:
                    cache.set(f"{key}:{act}", True, ACT_KEPT)
    return cast(T, found)


def _known(key: str, act: str) -> Any:
    return cache.get(key) if not act or cache.get(f"{key}:{act}") else None


def _lock_of(key: str) -> Any:
    with _locks_lock:
        return _locks.setdefault(key, RLock())


def without_waiting(times: float, key: str, compute: Callable[[], T], *, at_least: float) -> T:
    """
    The same, and who asks waits for a dear answer only when there is none of the last minute: a thread computes it anew while the
    old one serves. For what shows a trend; not for what must tell of a change at once.
    """
    found = cache.get(key)
    if found is None:
        old = cache.get(f"{key}:old")
        if old is None or old[1] < DEAR:
            return while_worth(times, key, compute, at_least=at_least)
        in_background(key, lambda: _timed(times, key, compute, at_least))
        found = old[0]
    return cast(T, found)


def in_background(key: str, compute: Callable[[], object]) -> None:
    """Have a thread compute this, unless one is at it."""
    if cache.add(f"{key}:busy", True, SERVED):
        Thread(target=_alone, args=(key, compute), name=f"anew {key}", daemon=True).start()


def _alone(key: str, compute: Callable[[], object]) -> None:
    try:
        compute()
    except (DatabaseError, InterfaceError) as error:
        log.warning("%s could not be computed anew: %s", key, str(error).strip())
    finally:
        connection.close()
        cache.delete(f"{key}:busy")


@dataclass(frozen=True)
class _Born(Generic[T]):
    """An answer, when it began to be computed, and the seconds that it took."""

    answer: T
    at: float
    cost: float


def _born(compute: Callable[[], T]) -> _Born[T]:
    began = time.monotonic()
    return _Born(compute(), began, time.monotonic() - began)


def _timed(times: float, key: str, compute: Callable[[], T], at_least: float) -> T:
    began = time.monotonic()
    found = compute()
    cost = time.monotonic() - began
    cache.set(key, found, max(at_least, times * cost))
    if times:
        cache.set(f"{key}:old", (found, cost), SERVED)
    return found
