"""A steady rate of calls with bursts of up to 10 seconds of it, counted per process in the cache."""

import time

from django.core.cache import cache

BURST = 10.0  # seconds of the rate that may come in one burst


def wait(key: str, *, calls: int, seconds: float) -> float:
    """
    Count one call of ``key`` and return 0; or, above the rate of ``calls`` in ``seconds``, count none and return the seconds
    until the next one is allowed.

    Keeps one number instead of a list of times: when the calls so far would be used up at the allowed rate.
    """
    now, each = time.monotonic(), seconds / calls
    used_up = max(cache.get(key, now), now) + each
    late: float = used_up - now - max(BURST, each)
    if late > 0:
        return late
    cache.set(key, used_up, BURST + each + 1)
    return 0.0
