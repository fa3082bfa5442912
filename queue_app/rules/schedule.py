"""
When to look at a running task next.

A fixed interval of 30 s keeps a finished job's slot for 15 s on average. Here a check comes when so much slot time may have been
wasted since the last one that a look is worth it: sparse while the end is improbable, dense where it is likely. What is likely
is read off the durations of the past, the provider's progress, or its own hint.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from random import Random

LEAST, MOST = 0.5, 30.0
WORTH = 0.002  # of the median duration: the slot time that one check may cost; the test prints what that comes to
DENSEST = 0.025  # of the median duration: closer looks would learn nothing new
FEW = 5  # durations; with fewer the typical one stands in, spread out
SPREAD = (0.6, 0.8, 1.0, 1.25, 1.6)
POINTS = 60  # at least, of what ends are likely: fewer durations are taken as samples of what lies between them, too


def next_check(
    elapsed: float,
    past: Sequence[float],
    *,
    typical: float,
    progress: float | None = None,
    hint: float | None = None,
    chance: Random,
) -> float:
    """
    Seconds until the next check, from 0.5 to 30 with ±20 % jitter; within that never sooner than the provider asks.

    :param elapsed: seconds since the create call.
    :param past: durations of finished jobs of this model, ascending; ``typical`` stands in while there are fewer than 5.
    :param progress: 0 to 1, what the provider said last. :param hint: seconds the provider asks to wait.
    """
    known = _filled(past if len(past) >= FEW else [typical * part for part in SPREAD])
    median = known[len(known) // 2]
    left = known[bisect_right(known, elapsed) :]  # those that ran longer than this one has
    if progress and 0.05 <= progress < 1:
        wait = 0.8 * elapsed * (1 - progress) / progress
    elif left:
        wait = _worth_a_look(left, WORTH * median) - elapsed
    else:
        wait = 0.25 * (elapsed - known[-1])
    wait = max(wait, DENSEST * median) * chance.uniform(0.8, 1.2)
    asked = (hint or 0.0) * chance.uniform(1.0, 1.2)
    return min(MOST, max(LEAST, wait, asked))


def _filled(known: Sequence[float]) -> Sequence[float]:
    """Put moments between few durations (ascending), as likely as they are: else no look would come until the next one's end."""
    if len(known) >= POINTS:
        return known
    parts = -(-POINTS // (len(known) - 1))
    between = [shorter + (longer - shorter) * part / parts for shorter, longer in pairwise(known) for part in range(parts)]
    return [*between, known[-1]]


def _worth_a_look(ends: Sequence[float], worth: float) -> float:
    """The moment by which a task is expected to have waited ``worth``; its end is one of ``ends`` (ascending), each as likely."""
    waited, so_far, moment = worth * len(ends), 0.0, ends[0]
    for ended, end in enumerate(ends):
        more = ended * (end - moment)  # those that have ended by then wait on until this one ends
        if so_far + more > waited:
            return moment + (waited - so_far) / ended
        so_far, moment = so_far + more, end
    return moment + (waited - so_far) / len(ends)
