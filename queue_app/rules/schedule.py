"""
When to look at a running task next.

A fixed interval of 30 s keeps a finished job's slot for 15 s on average. Here checks are sparse while the end is improbable and
dense where it is likely, from the durations of the past, the provider's progress, or its own hint.
"""

from bisect import bisect_right
from collections.abc import Sequence
from random import Random

LEAST, MOST = 2.0, 30.0
SPREAD = 0.04  # spacing while the end is likely, as a part of the median: a waste of about 2 % of the slot's time
EARLY = 0.05  # the quantile from which the end is likely


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
    Seconds until the next check, from 2 to 30 with ±20 % jitter.

    :param elapsed: seconds since the create call.
    :param past: durations of finished jobs of this model, ascending; ``typical`` stands in while there are fewer than 5.
    :param progress: 0 to 1, what the provider said last. :param hint: seconds the provider asks to wait.
    """
    known = past if len(past) >= 5 else [typical * part for part in (0.6, 0.8, 1.0, 1.25, 1.6)]
    median = known[len(known) // 2]
    dense = max(LEAST, SPREAD * median)
    if progress and 0.05 <= progress < 1:
        wait = max(dense, 0.8 * elapsed * (1 - progress) / progress)
    else:
        left = known[bisect_right(known, elapsed) :]  # those that ran longer than this one has
        if left:
            likely_from = left[int(len(left) * EARLY)] - elapsed
            wait = max(dense, likely_from)
        else:
            overdue = elapsed - known[-1]
            wait = max(dense, 0.25 * overdue)
    wait = max(wait, hint or 0.0)
    return min(MOST, max(LEAST, wait * chance.uniform(0.8, 1.2)))
