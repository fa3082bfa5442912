"""
Keys that providers publish for their webhooks: read once, kept in memory for a day, and read again if a signature fits none.

Forged webhooks can make us read keys again, so that happens at most once a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
KEPT_SECONDS, AGAIN_SECONDS = 24 * 3600.0, 60.0


class KeysUnavailable(Exception):
    """The keys could not be read; the text says why."""


class Keyring(Generic[K]):
    """Keys by the place that publishes them, such as a URL. Safe for threads; each process has its own."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Sequence[K]]] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self._lock = Lock()

    def keys(self, place: str, read: Callable[[], Sequence[K]], *, fresh: bool = False) -> Sequence[K]:
        """
        Return the keys of a place. ``fresh``: read them again, unless they were read within the last minute.

        :raises KeysUnavailable: there are none, and ``read`` raised this now or within the last minute.
        """
        with self._lock:
            now = time.monotonic()
            read_at, kept = self._kept.get(place, (None, ()))
            failed_at, why = self._failed.get(place, (None, ""))
            if read_at is not None and now - read_at < (AGAIN_SECONDS if fresh else KEPT_SECONDS):
                return kept
            if failed_at is not None and now - failed_at < AGAIN_SECONDS:
                return self._or_raise(kept, why)
            try:
                kept = read()
            except KeysUnavailable as error:
                self._failed[place] = (now, str(error))
                return self._or_raise(kept, str(error))
            self._kept[place] = (now, kept)
            return kept

    def _or_raise(self, kept: Sequence[K], why: str) -> Sequence[K]:
        """Old keys are better than none: providers keep them valid for long."""
        if not kept:
            raise KeysUnavailable(why)
        return kept

    def forget(self) -> None:
        """Drop all keys."""
        with self._lock:
            self._kept.clear()
            self._failed.clear()
