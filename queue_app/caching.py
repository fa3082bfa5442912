"""
Answers that many callers share and that may be a little old: computed once for the whole process.

Each caller says how old an answer may be. Callers of one key share its last answer, whatever age each of them accepts.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, RLock, Thread
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connection

T = TypeVar("T")
CHEAP = 0.004  # seconds: callers may wait for a computation that takes no longer
DEAR = 0.1  # seconds: a computation that takes longer runs in a thread, while callers get the last answer
SERVED = 60.0  # seconds for which a last answer may be used meanwhile
WORTH_MOST = 10.0  # seconds: an answer that was slow, such as the first one after a start, lasts no longer because of its cost
ACT_KEPT = 3_600.0  # seconds; a caller who has changed nothing since then gets one answer more of their own
# One lock a key in use. A computation may ask for other keys: locks nest as answers rest on each other, and since none rests on
# itself no two threads wait for each other. Keys that shared a lock would break that order.
_locks: "WeakValueDictionary[str, Any]" = WeakValueDictionary()
_locks_lock = Lock()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Answer(Generic[T]):
    """A value, when its computation ended (monotonic), and how many seconds that took."""

    value: T
    at: float
    cost: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.at


Lasts = Callable[[_Answer[Any]], float]  # for how many seconds an answer may be used


def at_most_every(seconds: float, key: str, compute: Callable[[], T], *, kept: float = 0.0) -> T:
    """
    Return an answer no older than ``seconds``; with 0 compute one. Concurrent callers share one computation.

    From half that age on a thread renews an answer that is not cheap: while many callers ask, none of them waits.

    :param kept: seconds for which the answer stays there for callers of the same key that accept an older one.
    """

    def put() -> _Answer[T]:
        return _put(key, compute, lambda _: max(seconds, kept))

    found = _fresh(key, put, lambda _: seconds)
    if found.cost > CHEAP and 0 < seconds / 2 < found.age:
        in_background(key, put)
    return found.value


def while_worth(
    times: float,
    key: str,
    compute: Callable[[], T],
    *,
    at_least: float,
    act: str = "",
    compute_after_act: Callable[[], T] | None = None,
) -> T:
    """
    Return an answer that is used for ``times`` what it cost, but at least for ``at_least`` seconds and at most for ten: its
    computation takes no more than that part of the time, unless it is so slow that the answer would become stale.

    :param act: names the last change of the caller's user. The first answer in this process under a new name is computed after
        that change, however young the last one is.
    :param compute_after_act: computes that first answer. Answers that ``compute`` itself shares may be older than the change, so
        this one must not share them.
    """
    lasts = _worth(times, at_least)
    anew = compute_after_act if act and compute_after_act and not cache.get(_after(key, act)) else compute
    return _fresh(key, lambda: _put(key, anew, lasts), lasts, act=act).value


def without_waiting(times: float, key: str, compute: Callable[[], T], *, at_least: float) -> T:
    """
    As :func:`while_worth`, but callers wait for an expensive answer only if there is none of the last minute; otherwise a thread
    renews it while they get the last one. For trends, not for changes that must show immediately.
    """
    lasts = _worth(times, at_least)

    def put() -> _Answer[T]:
        return _put(key, compute, lambda answer: max(SERVED, lasts(answer)))

    last: _Answer[T] | None = cache.get(key)
    if last is None or last.age < lasts(last) or last.cost < DEAR or last.age > SERVED:
        return _fresh(key, put, lasts).value
    in_background(key, put)
    return last.value


def in_background(key: str, compute: Callable[[], object]) -> None:
    """Compute in a thread, unless one does so already for this key."""
    if cache.add(f"{key}:busy", True, SERVED):
        Thread(target=_alone, args=(key, compute), name=f"renews {key}", daemon=True).start()


def _worth(times: float, at_least: float) -> Lasts:
    return lambda answer: max(at_least, min(times * answer.cost, WORTH_MOST))


def _fresh(key: str, put: Callable[[], _Answer[T]], lasts: Lasts, *, act: str = "") -> _Answer[T]:
    found = _known(key, lasts, act)
    if found is None:
        with _lock_of(key):
            found = _known(key, lasts, act)
            if found is None:
                found = put()
                if act:
                    cache.set(_after(key, act), True, ACT_KEPT)
    return found


def _known(key: str, lasts: Lasts, act: str) -> _Answer[Any] | None:
    """The last answer, unless it is too old or was computed before the act."""
    found: _Answer[Any] | None = cache.get(key) if not act or cache.get(_after(key, act)) else None
    return found if found is not None and found.age < lasts(found) else None


def _after(key: str, act: str) -> str:
    """Return the key of the mark that an answer was computed after the act."""
    return f"{key}:{act}"


def _put(key: str, compute: Callable[[], T], kept: Lasts) -> _Answer[T]:
    began = time.monotonic()
    value = compute()
    ended = time.monotonic()
    found = _Answer(value, ended, ended - began)
    cache.set(key, found, kept(found))
    return found


def _lock_of(key: str) -> Any:
    with _locks_lock:
        return _locks.setdefault(key, RLock())


def _alone(key: str, compute: Callable[[], object]) -> None:
    try:
        compute()
    except (DatabaseError, InterfaceError) as error:
        log.warning("%s could not be renewed: %s", key, str(error).strip())
    finally:
        connection.close()
        cache.delete(f"{key}:busy")
