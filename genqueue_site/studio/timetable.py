"""Things that the studio does at a later time, in one thread: end jobs at their deadlines, send webhooks."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
import traceback
from collections.abc import Callable


class Timetable:
    """Runs functions at their times (Unix seconds), one after the other. They must be quick."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False

    def open(self) -> None:
        """Start to run functions."""
        threading.Thread(target=self._run_for_ever, name="timetable", daemon=True).start()

    def close(self) -> None:
        """Stop; functions whose time comes later do not run."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def at(self, moment: float, do: Callable[[], None]) -> None:
        """Run ``do`` at this time, or now if it has passed."""
        with self._changed:
            heapq.heappush(self._due, (moment, next(self._numbers), do))
            self._changed.notify()

    def _run_for_ever(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._due or self._due[0][0] > time.time()):
                    self._changed.wait(self._due[0][0] - time.time() if self._due else None)
                if self._closed:
                    return
                do = heapq.heappop(self._due)[2]
            try:
                do()
            except Exception:
                traceback.print_exc()  # a failure must not stop the others
