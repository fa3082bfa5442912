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
from typing import TypeVar

from django.db import connections
from django.http import HttpResponse

from queue_app.live.hub import Waiter, hub

LONGEST_SECONDS = 60
THREADS = 2
T = TypeVar("T")
Look = Callable[[bool], HttpResponse | None]
"""Returns the answer if there is one now; if it must be, the answer to the state of now. Runs in a thread of `LookRoom`."""


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
                answer = await looks.take(partial(self._look, is_last))
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
    """The threads that look, one after the other, for all requests that wait."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="look")
        self._asked = 0  # looks that wait or are under way; only the event loop changes it

    async def take(self, look: Callable[[], T]) -> T:
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, look)
        finally:
            self._asked -= 1

    def _run(self, look: Callable[[], T]) -> T:
        try:
            return look()
        finally:
            opened = connections.all(initialized_only=True)
            if self._asked <= THREADS or any(one.errors_occurred for one in opened):  # no other look waits, or none could use it
                connections.close_all()


looks = LookRoom()
