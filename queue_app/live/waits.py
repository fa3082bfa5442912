"""
Requests that wait for a change: `Later`, the answer to one, holds neither a thread nor a database connection meanwhile.

The hub tells the request of changes. Each look whether one of them is what it waits for, and the rendering of its answer, takes
one of few threads, whose connection is closed as soon as nothing is left to look at.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import attrgetter
from typing import TypeVar

from django.db import connections
from django.http import HttpResponse

from queue_app.live.hub import Waiter, hub

LONGEST_SECONDS = 60
THREADS = 2
AT_ONCE = "genqueue.at_once"  # in the META of a request: true if it must not wait, whatever it asks for
T = TypeVar("T")
Look = Callable[[bool], HttpResponse | None]
"""Returns the answer if there is one now; if it must be, the answer to the state of now. Runs in a `LookRoom`."""


class Later(HttpResponse):
    """
    An answer that comes when there is one, at the latest after ``seconds``, when the waiter loses its access, or when the web
    process stops. Its headers are set by whatever the request passes; `settle` sets status and body.
    """

    def __init__(self, waiter: Waiter, look: Look, *, seconds: float) -> None:
        super().__init__()
        self._waiter, self._look = waiter, look
        self._ends = time.monotonic() + seconds

    async def settle(self) -> None:
        """Wait. :raises Exception: what the look raised."""
        answer = None
        try:
            hub.join(self._waiter)
            while answer is None:
                is_last = await self._is_over()
                answer = await min(_rooms, key=attrgetter("asked")).take(partial(self._look, is_last))
        finally:
            hub.leave(self._waiter)
        self.status_code, self.content = answer.status_code, answer.content
        for name, value in answer.items():
            self[name] = value
        self["Content-Length"] = str(len(self.content))

    async def _is_over(self) -> bool:
        """Wait for news. Returns whether it is too late for any."""
        try:
            async with asyncio.timeout(self._ends - time.monotonic()):  # not wait_for(), which may lose a cancellation
                if not self._must_end():
                    await self._waiter.news()
        except TimeoutError:
            return True
        return self._must_end()

    def _must_end(self) -> bool:
        return hub.closing or self._waiter.has_ended


class LookRoom:
    """A thread that looks for requests that wait, and its connection, which is open while there is something to look at."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="look")
        self.asked = 0  # looks that are due or under way

    async def take(self, look: Callable[[], T]) -> T:
        self.asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, _on_a_sound_connection, look)
        finally:
            self.asked -= 1
            if not self.asked:
                self._thread.submit(connections.close_all)


def _on_a_sound_connection(look: Callable[[], T]) -> T:
    if any(one.errors_occurred for one in connections.all(initialized_only=True)):
        connections.close_all()
    return look()


_rooms = [LookRoom() for _ in range(THREADS)]
