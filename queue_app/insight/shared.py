"""Answers that many ask for and that may be a little old: computed once, shared by the whole process."""

import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar, cast

from django.core.cache import cache

T = TypeVar("T")
_LOCKS = [Lock() for _ in range(64)]


def at_most_every(seconds: float, key: str, compute: Callable[[], T]) -> T:
    """Give what ``compute`` answered at most ``seconds`` ago; of many who ask at once, one computes and the others wait."""
    return while_worth(0, key, compute, at_least=seconds)


def while_worth(times: float, key: str, compute: Callable[[], T], *, at_least: float) -> T:
    """
    The same for what grows with the queue: the answer serves for ``times`` what it cost, but ``at_least`` so many seconds, so
    that computing it never takes more than that part of the time.
    """
    found = cache.get(key)
    if found is None:
        with _LOCKS[hash(key) % len(_LOCKS)]:
            found = cache.get(key)
            if found is None:
                began = time.monotonic()
                found = compute()
                cache.set(key, found, max(at_least, times * (time.monotonic() - began)))
    return cast(T, found)
