"""Answers that many ask for and that may be a little old: computed once, shared by the whole process."""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar, cast

from django.core.cache import cache

T = TypeVar("T")
_LOCKS = [Lock() for _ in range(64)]


def at_most_every(seconds: float, key: str, compute: Callable[[], T]) -> T:
    """Give what ``compute`` answered at most ``seconds`` ago; of many who ask at once, one computes and the others wait."""
    found = cache.get(key)
    if found is None:
        with _LOCKS[hash(key) % len(_LOCKS)]:
            found = cache.get(key)
            if found is None:
                found = compute()
                cache.set(key, found, seconds)
    return cast(T, found)
