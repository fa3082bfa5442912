"""
The schedule of checks of a running task.

With a fixed interval of 30 seconds, a finished job would keep its slot for 15 seconds on average. Here the next check comes when
the expected wasted slot time is worth a check: checks are rare while an end is unlikely and frequent when it is likely. The
likelihood comes from past run times, the provider's progress, or its hint.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

LEAST, MOST = 0.5, 30.0
WORTH = 0.002  # wasted slot time that is worth a check, as a share of the median run time
DENSEST = 0.025  # shortest interval, as a share of the median run time
FEW = 5  # with fewer past run times, the typical one is used, multiplied by SPREAD
SPREAD = (0.6, 0.8, 1.0, 1.25, 1.6)
POINTS = 60  # least number of possible ends; interpolated between fewer past run times


class Pace(NamedTuple):
    """
    How often to check. ``worth`` is the wasted slot time that is worth a check, ``densest`` the shortest interval, both as shares
    of the median run time; ``ahead`` the share of the time that progress leaves; ``most`` the longest interval in seconds.
    """

    worth: float
    densest: float
    ahead: float
    most: float


ALONE = Pace(WORTH, DENSEST, 0.8, MOST)
BESIDE_WEBHOOKS = Pace(0.05, 0.25, 1.5, 60.0)  # a webhook usually comes first; checks find what it missed


def next_check(
    elapsed: float,
    past: Sequence[float],
    *,
    typical: float,
    progress: float | None = None,
    hint: float | None = None,
    chance: Random,
    pace: Pace = ALONE,
) -> float:
    """
    Return the seconds until the next check, 0.5 to the longest of the pace, with ±20% jitter; at least ``hint`` if that is less.

    :param elapsed: seconds since the create call.
    :param past: run times of completed jobs of this model in seconds, ascending; with fewer than 5, ``typical`` is used.
    :param progress: 0 to 1, as last reported by the provider.
    :param hint: seconds that the provider asks to wait.
    """
    known = _filled(past if len(past) >= FEW else [typical * part for part in SPREAD])
    median = known[len(known) // 2]
    left = known[bisect_right(known, elapsed) :]  # past runs that took longer than this one so far
    if progress and 0.05 <= progress < 1:
        wait = pace.ahead * elapsed * (1 - progress) / progress
    elif left:
        wait = _worth_a_look(left, pace.worth * median) - elapsed
    else:
        wait = 0.25 * (elapsed - known[-1])
    wait = max(wait, pace.densest * median) * chance.uniform(0.8, 1.2)
    asked = (hint or 0.0) * chance.uniform(1.0, 1.2)
    return min(pace.most, max(LEAST, wait, asked))


def basis(runs: int, *, similar: bool = False) -> str:
    """Say on how many past runs a time stands; with fewer than 5 it is the model's typical time."""
    return f"the last {runs} {'similar ' if similar else ''}runs" if runs >= FEW else "the model's typical time"


def _filled(known: Sequence[float]) -> Sequence[float]:
    """
    Interpolate between few run times (ascending) to get at least `POINTS` equally likely ends.

    Without it there would be no check between two past run times.
    """
    if len(known) >= POINTS:
        return known
    parts = -(-POINTS // (len(known) - 1))
    between = [shorter + (longer - shorter) * part / parts for shorter, longer in pairwise(known) for part in range(parts)]
    return [*between, known[-1]]


def _worth_a_look(ends: Sequence[float], worth: float) -> float:
    """
    Return the time at which a finished task is expected to have waited ``worth`` seconds for a check.

    Its end is one of ``ends`` (seconds since the create call, ascending), all equally likely.
    """
    waited, so_far, moment = worth * len(ends), 0.0, ends[0]
    for ended, end in enumerate(ends):
        more = ended * (end - moment)  # the earlier ends wait until this one
        if so_far + more > waited:
            return moment + (waited - so_far) / ended
        so_far, moment = so_far + more, end
    return moment + (waited - so_far) / len(ends)
