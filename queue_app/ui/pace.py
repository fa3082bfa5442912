"""
Rates of calls that all processes share: so many calls at the same time, then one each time a call's share of the time is over.

One moment says of each caller when its calls so far will be used up at the allowed rate. Each process counts with a copy of it,
and settles with the shared one when a second has passed or a tenth of the rate is unsettled: a caller of hundreds of calls a
second costs one statement a second, and a rate of fewer than ten calls is kept to the call. In between the others don't know
these calls, so in one rush each further process may let through up to a tenth of the rate more. The calls are owed: what was let
through too early is refused later, and over time the rate is kept exactly.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from queue_app.ui import shared_pace
from queue_app.ui.shared_pace import Settled, Spending

SETTLED_EVERY = 1.0  # seconds
UNSETTLED_MOST = 0.1  # of a rate
CALLERS_MOST = 20_000  # that a process remembers; of the longest silent one it forgets what is unsettled
CLOCKS_APART = 1e-3  # seconds: the shared moment is read at another time than it is compared
Settle = Callable[[Spending], Settled | None]


@dataclass(frozen=True)
class Quota:
    """
    What is left of a rate after a call: ``left`` calls now, and one more in ``more_in`` seconds. The call was refused if ``wait``
    is more than 0: the seconds until the next one is allowed.
    """

    left: int
    more_in: float
    wait: float


@dataclass
class _Caller:
    """When the calls that this process knows of are used up, how many of them are unsettled and since when (monotonic)."""

    used_up: float
    owed: int = 0
    since: float = 0.0
    settled: float = float("-inf")


class Rates:
    """The rates as one process counts them."""

    def __init__(self, settle: Settle) -> None:
        self._settle, self._lock = settle, Lock()
        self._callers: OrderedDict[str, _Caller] = OrderedDict()

    def spend(self, key: str, *, calls: int, seconds: float) -> Quota:
        """Count one call of ``key`` at a rate of ``calls`` in ``seconds``; above the rate count none."""
        each = seconds / calls
        with self._lock:
            now = time.monotonic()
            caller = self._caller(key, now)
            refused = _late(caller, now, each, seconds) > 0
            unsettled = (caller.owed + 1) * each
            if refused or not (now - caller.settled >= SETTLED_EVERY or unsettled >= UNSETTLED_MOST * seconds):
                if not refused:
                    _count(caller, now, each)
                return _quota(caller, now, each, seconds, refused=refused)
            owed, age = caller.owed, now - caller.since if caller.owed else 0.0
            caller.owed, caller.settled = 0, now  # another thread counts on, and settles its own
        found = self._settle(Spending(key, unsettled, age, seconds + CLOCKS_APART))
        with self._lock:
            now = time.monotonic()
            if found is None:  # nothing is shared for now
                caller.owed += owed
                _count(caller, now, each)
                return _quota(caller, now, each, seconds, refused=False)
            if not found.is_taken:
                caller.owed += owed
            caller.used_up = now + found.ahead + caller.owed * each
            return _quota(caller, now, each, seconds, refused=not found.is_taken)

    def forget(self) -> None:
        """Forget what this process has counted and not settled."""
        with self._lock:
            self._callers.clear()

    def _caller(self, key: str, now: float) -> _Caller:
        caller = self._callers.setdefault(key, _Caller(now))
        self._callers.move_to_end(key)
        if len(self._callers) > CALLERS_MOST:
            self._callers.popitem(last=False)
        return caller


def _count(caller: _Caller, now: float, each: float) -> None:
    caller.since = caller.since if caller.owed else now
    caller.owed += 1
    caller.used_up = max(caller.used_up, now) + each


def _late(caller: _Caller, now: float, each: float, seconds: float) -> float:
    """Return how many seconds too early one more call is."""
    late = max(caller.used_up, now) + each - now - seconds
    return late if late > CLOCKS_APART else 0.0


def _quota(caller: _Caller, now: float, each: float, seconds: float, *, refused: bool) -> Quota:
    free = max(0.0, seconds + CLOCKS_APART - max(caller.used_up - now, 0.0))
    left = int(free / each)
    more_in = (left + 1) * each - free
    return Quota(left, more_in, max(_late(caller, now, each, seconds), CLOCKS_APART) if refused else 0.0)


_here = Rates(lambda spending: shared_pace.settle(spending))  # tests replace it
spend, forget = _here.spend, _here.forget
