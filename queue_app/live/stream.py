"""
The live stream: server-sent events that tell you what to load again.

``change`` (``{"jobs": [1, 2]}``, only jobs that you may see), ``queue`` (limits or pauses changed), ``resync`` (anything may have
changed: at the start, after a lost database connection, or when there are too many changes to list).

Each event has an ``id``. A client that comes again with the last one as ``Last-Event-ID`` (browsers do) gets, in place of the
``resync`` at the start, one ``change`` with the jobs that had events since, some of which it may have heard of, and a ``queue``;
a ``resync`` if there were too many. A comment every 15 seconds shows that the stream is alive.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from queue_app.live.hub import Client, News, hub

STILL_HERE_SECONDS = 15.0  # interval of keep-alives, because proxies cut silent connections
PACE_SECONDS = 0.1  # least time between two events for one page
LIFETIME_SECONDS = 600.0  # then the browser reconnects and its permissions are checked again
LAST_HEARD = "Last-Event-ID"
LONGEST_MARK = 18  # digits of a number that the database can compare
COME_AGAIN = b"retry: 2000\n\n"
STILL_HERE = b": still here\n\n"


async def events(client: Client) -> AsyncIterator[bytes]:
    """Yield events for a page until it leaves, its user loses access, its lifetime is over, or the web process stops."""
    try:
        loop = asyncio.get_running_loop()
        ends = loop.time() + LIFETIME_SECONDS
        hub.join(client)
        yield COME_AGAIN
        while loop.time() < ends and not (hub.closing or client.has_ended):
            try:
                async with asyncio.timeout(STILL_HERE_SECONDS):  # not wait_for(), which may lose a cancellation
                    news = await client.news()
            except TimeoutError:
                yield STILL_HERE
                continue
            if news:
                yield _as_text(news, hub.mark)
            await asyncio.sleep(PACE_SECONDS)
    finally:
        hub.leave(client)


def last_heard(header: str) -> int | None:
    """Return the mark that a ``Last-Event-ID`` names; ``None`` if it is none of ours."""
    return int(header) if header.isascii() and header.isdecimal() and len(header) <= LONGEST_MARK else None


def _as_text(news: News, mark: int) -> bytes:
    events: list[tuple[str, dict[str, Any]]] = []
    if news.resync:
        events.append(("resync", {}))
    if news.jobs:
        events.append(("change", {"jobs": sorted(news.jobs)}))
    if news.queue:
        events.append(("queue", {}))
    return "".join(
        f"event: {name}\nid: {mark}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n" for name, data in events
    ).encode()
