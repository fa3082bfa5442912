"""
The hub: one per web process, with one database connection and any number of listening pages.

Notifications carry no data, only "reload". Losing one delays an update but never shows wrong data. Each page has at most one
pending `News`, into which later ones are merged. After a lost database connection all pages reload everything.
"""

import asyncio
import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from types import FrameType
from typing import Any
from weakref import WeakSet

import psycopg2
from django.db import connection

from queue_app import clock
from queue_app.models import User
from queue_app.wake import CHANNEL

MOST_OF_ONE_USER = 20  # streams
MOST_WAITS, MOST_WAITS_OF_ONE_USER = 1_000, 600  # requests that wait, in this process
MOST_IDS = 1_000  # most job ids in one `News`; with more it is faster to reload everything
MOST_MISSED = 10_000  # events that a stream catches up on; after more everything has to be loaded again
# an event this old has been told to all who listen: what was committed late, or whose wake-up was slow, is told twice, not never
SETTLED_SECONDS = 5.0
ROWS_KEPT = 20_000  # jobs whose owner and batch are remembered; neither changes
LOOK_SECONDS = 5.0  # interval of the check whether listening users still have access
GATHER_SECONDS = 0.02  # merges a burst into one `News`
FIRST_DELAY, LONGEST_DELAY = 0.2, 5.0  # seconds between attempts to reach the database
KEEP_ALIVE = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}  # TCP settings that detect a dead server
log = logging.getLogger(__name__)
# the pages that keep access: the user is active and unchanged, and the key or session is still valid
_MAY_STAY = """
    SELECT page.number FROM unnest(%(numbers)s::int[], %(users)s::bigint[], %(staff)s::boolean[], %(passwords)s::text[],
                                   %(keys)s::text[], %(scopes)s::text[], %(sessions)s::text[])
             AS page(number, user_id, is_staff, password, key, scope, session)
      JOIN queue_app_user owner ON owner.id = page.user_id AND owner.is_active AND owner.is_staff = page.is_staff
     WHERE (page.key = '' OR EXISTS (
              SELECT FROM queue_app_apikey known WHERE known.digest = page.key AND known.scopes ? page.scope
                 AND known.revoked_at IS NULL AND (known.expiry IS NULL OR known.expiry > %(at)s)))
       AND (page.session = '' OR owner.password = page.password AND EXISTS (
              SELECT FROM django_session open WHERE open.session_key = page.session AND open.expire_date > %(at)s))
"""
# the last event that is settled; after a storm the first of the newest ten thousand
_MARK = """
    SELECT coalesce(max(id) FILTER (WHERE at < %(at)s), min(id), 0)
      FROM (SELECT id, at FROM queue_app_jobevent ORDER BY id DESC LIMIT 10000) newest
"""
_MISSED = """
    WITH missed AS (SELECT job_id FROM queue_app_jobevent WHERE id > %(since)s ORDER BY id LIMIT %(most)s + 1)
    SELECT (SELECT count(*) FROM missed) > %(most)s OR %(since)s > (SELECT coalesce(max(id), 0) FROM queue_app_jobevent),
           ARRAY(SELECT DISTINCT job.id FROM missed JOIN queue_app_job job ON job.id = missed.job_id
                  WHERE %(all)s OR job.owner_id = %(user)s)
"""


class TooManyStreams(Exception):
    """The user already has the most streams that one user may have."""

    def __init__(self) -> None:
        super().__init__(f"Too many live pages or streams open ({MOST_OF_ONE_USER}). Close one and try again.")


class TooManyWaits(Exception):
    """So many requests wait already that no other may."""

    def __init__(self) -> None:
        super().__init__(
            f"Too many requests are waiting (at most {MOST_WAITS_OF_ONE_USER} of one user). Send the request without `wait`."
        )


@dataclass
class News:
    """What a page should reload: these jobs, limits and pauses (``queue``), or everything (``resync``)."""

    jobs: set[int] = field(default_factory=set)
    queue: bool = False
    resync: bool = False

    def __bool__(self) -> bool:
        return bool(self.jobs or self.queue or self.resync)

    def add(self, other: "News") -> None:
        self.jobs |= other.jobs
        self.queue |= other.queue
        self.resync |= other.resync or len(self.jobs) > MOST_IDS
        if self.resync:
            self.jobs = set()


@dataclass
class Rows:
    """What is known of changed jobs: the owner of each, and the batches of all."""

    owners: dict[int, int]
    batches: set[int | None]


class Client:
    """
    A page that listens for a user, who is authenticated by an API key (its digest) or a session.

    ``since`` is the last mark that a client heard before it came again.
    """

    scope = "read"  # that its key must keep

    def __init__(self, user: User, *, key: str = "", session: str = "", since: int | None = None) -> None:
        self.user_id, self.sees_all = user.pk, user.is_staff
        self.password, self.key, self.session = user.password, key, session
        self.since, self.is_greeted = since, False
        self.has_ended = False
        self._waiting, self._has_news = News(), asyncio.Event()

    @property
    def needs_rows(self) -> bool:
        """Whether the ids of changed jobs are not enough to know what it may see."""
        return not self.sees_all

    def part_of(self, news: News, rows: Rows) -> News:
        """Return the news that it may see: all jobs for staff, their own for other users."""
        jobs = news.jobs if self.sees_all else {job for job in news.jobs if rows.owners.get(job) == self.user_id}
        return News(set(jobs), news.queue, news.resync)

    def end(self) -> None:
        """End the stream, because its user's access was revoked or has changed."""
        self.has_ended = True
        self.tell(News())

    def tell(self, news: News) -> None:
        self._waiting.add(news)
        self._has_news.set()

    async def news(self) -> News:
        """Wait for news and return all of it; empty if the stream should end."""
        await self._has_news.wait()
        self._has_news.clear()
        taken, self._waiting = self._waiting, News()
        return taken


class Waiter(Client):
    """A request that waits for a change of one job, or of any job of a batch. Its caller may read these."""

    def __init__(
        self, user: User, *, key: str = "", session: str = "", scope: str = "read", job: int = 0, batch: int = 0
    ) -> None:
        super().__init__(user, key=key, session=session)
        self.scope, self.job, self.batch = scope, job, batch
        self.is_greeted = True  # it looks by itself after it was admitted, so it has missed nothing

    @property
    def needs_rows(self) -> bool:
        return bool(self.batch)

    def part_of(self, news: News, rows: Rows) -> News:
        return News(resync=news.resync or self.job in news.jobs or self.batch in rows.batches)


class Hub:
    """The pages of this web process and their connection, which is open while there are any."""

    def __init__(self) -> None:
        self._lock = Lock()  # pages are admitted from several threads
        self._clients: WeakSet[Client] = WeakSet()  # weak, so that a response that is never sent leaves nothing behind
        self._rows: dict[int, tuple[int, int | None]] = {}  # owner and batch of a job
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closing = False  # the web process stops, and with it all streams
        self.mark = 0  # the number of an event up to which all events have been told

    def admit(self, user: User, *, key: str = "", session: str = "", since: int | None = None) -> Client:
        """
        Register one more page of this user; call `join` once it is served. It ends soon after its key or session has ended.

        :param since: the last mark that it heard earlier; it is told of the changes since.
        :raises TooManyStreams: the user already has the most streams.
        """
        with self._lock:
            if Counter(client.user_id for client in self._clients if not isinstance(client, Waiter))[user.pk] >= MOST_OF_ONE_USER:
                raise TooManyStreams
            client = Client(user, key=key, session=session, since=since)
            self._clients.add(client)
            return client

    def admit_waiter(self, waiter: Waiter) -> None:
        """
        Register a request that waits. From now on it is told of changes, so its caller reads what it waits for after this.

        :raises TooManyWaits: there are the most waits, of this user or of all.
        """
        with self._lock:
            users = [client.user_id for client in self._clients if isinstance(client, Waiter)]
            if len(users) >= MOST_WAITS or users.count(waiter.user_id) >= MOST_WAITS_OF_ONE_USER:
                raise TooManyWaits
            self._clients.add(waiter)

    def join(self, client: Client) -> None:
        """Start sending news to the page, first of what it has missed until now: a resync, or the changes since its last mark."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self.closing = loop, False
            _on_stop_signal(loop, self.close)
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = asyncio.create_task(self._run())
        if not client.is_greeted:
            self._set_ready()

    def leave(self, client: Client) -> None:
        """Remove a page. After the last one the connection is closed."""
        with self._lock:
            self._clients.discard(client)
        if not self._everybody():
            self._set_ready()

    def close(self) -> None:
        """End every page's stream; later ones end immediately."""
        self.closing = True
        self._tell_everybody(News())

    async def _run(self) -> None:
        loop, delay = asyncio.get_running_loop(), FIRST_DELAY
        while self._everybody():
            began = loop.time()
            try:
                await self._hear()
            except Exception as error:  # any error: open pages must get news again
                if loop.time() - began > LONGEST_DELAY:
                    delay = FIRST_DELAY
                log.warning("Live updates interrupted. Next attempt in %.1fs: %s", delay, error, exc_info=_is_unexpected(error))
                await asyncio.sleep(delay)
                delay = min(LONGEST_DELAY, delay * 2)

    async def _hear(self) -> None:
        """Listen on a new connection until the last page leaves."""
        listener = await asyncio.to_thread(_connect)
        try:
            for client in self._everybody():
                if client.is_greeted:
                    client.tell(News(resync=True))
            await self._listen(listener)
        finally:
            listener.close()

    async def _listen(self, listener: Any) -> None:
        """
        Pass on notifications to the pages, and end those without access, until the last page leaves.

        :raises psycopg2.Error: the connection is lost.
        """
        loop = asyncio.get_running_loop()
        look_at = loop.time()
        while self._everybody():
            if loop.time() >= look_at:
                await self._end_revoked(listener)
                self.mark = await asyncio.to_thread(_mark, listener)
                look_at = loop.time() + LOOK_SECONDS
            await self._greet(listener)
            if self._everybody() and not (listener.notifies or self._newcomers()):  # somebody may have left or come meanwhile
                await self._readable(listener.fileno(), until=look_at)
                listener.poll()
            payloads = [notice.payload for notice in listener.notifies]
            listener.notifies.clear()
            await self._pass_on(_read(payloads), listener)
            await asyncio.sleep(GATHER_SECONDS)

    async def _greet(self, listener: Any) -> None:
        """Tell new pages what they have missed."""
        for client in self._newcomers():
            client.is_greeted = True
            client.tell(News(resync=True) if client.since is None else await asyncio.to_thread(_missed, listener, client))

    def _newcomers(self) -> list[Client]:
        return [client for client in self._everybody() if not client.is_greeted]

    async def _readable(self, descriptor: int, *, until: float) -> None:
        """
        Wait until the connection is readable, the last page leaves, or the time comes.

        Takes the descriptor's number, because a lost connection no longer has it for the removal of the reader.
        """
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        loop.add_reader(descriptor, self._set_ready)
        at_last = loop.call_at(until, self._set_ready)
        try:
            await self._ready
        finally:
            at_last.cancel()
            loop.remove_reader(descriptor)

    async def _end_revoked(self, listener: Any) -> None:
        """End the pages of users who have lost access."""
        clients = self._everybody()
        staying = await asyncio.to_thread(may_stay, listener, clients)
        for number, client in enumerate(clients):
            if number not in staying:
                client.end()

    def _set_ready(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    async def _pass_on(self, news: News, listener: Any) -> None:
        """Send each page its part of the news."""
        if not news:
            return
        clients = self._everybody()
        unknown = news.jobs - self._rows.keys()
        if unknown and any(client.needs_rows for client in clients):
            # nothing else uses the connection until then; notifications of the meantime are collected in `notifies`
            self._remember(await asyncio.to_thread(_rows, listener, unknown))
        known = {job: self._rows[job] for job in news.jobs if job in self._rows}
        rows = Rows({job: owner for job, (owner, _) in known.items()}, {batch for _, batch in known.values()})
        for client in clients:
            if mine := client.part_of(news, rows):
                client.tell(mine)

    def _remember(self, found: Iterable[tuple[int, int, int | None]]) -> None:
        if len(self._rows) > ROWS_KEPT:
            self._rows.clear()
        self._rows.update((job, (owner, batch)) for job, owner, batch in found)

    def _tell_everybody(self, news: News) -> None:
        for client in self._everybody():
            client.tell(news)

    def _everybody(self) -> list[Client]:
        with self._lock:
            return list(self._clients)


def _on_stop_signal(loop: asyncio.AbstractEventLoop, close: Callable[[], None]) -> None:
    """
    Call ``close`` at SIGTERM and SIGINT, in addition to the server's own handler.

    A server waits for open responses before it tells the application to stop (ASGI lifespan), so a stream would stay open.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread can handle signals
    for number in (signal.SIGTERM, signal.SIGINT):
        servers = signal.getsignal(number)
        if not callable(servers):
            continue  # the default action ends the process

        def both(number: int, frame: FrameType | None, servers: Callable[..., Any] = servers) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(close)
            servers(number, frame)

        signal.signal(number, both)


def _connect() -> Any:
    """
    Open a connection outside Django that listens to the channel.

    :raises psycopg2.Error: the database can't be reached.
    """
    listener = connection.get_new_connection(connection.get_connection_params() | KEEP_ALIVE)
    listener.autocommit = True
    with listener.cursor() as cursor:
        cursor.execute(f'LISTEN "{CHANNEL}"')
    return listener


def _is_unexpected(error: Exception) -> bool:
    return not isinstance(error, psycopg2.Error)


def _rows(listener: Any, jobs: Collection[int]) -> list[tuple[int, int, int | None]]:
    with listener.cursor() as cursor:
        cursor.execute("SELECT id, owner_id, batch_id FROM queue_app_job WHERE id = ANY(%s)", [list(jobs)])
        found: list[tuple[int, int, int | None]] = cursor.fetchall()
    return found


def _mark(listener: Any) -> int:
    """Return the number of an event up to which all events were committed and told some seconds ago."""
    with listener.cursor() as cursor:
        cursor.execute(_MARK, {"at": clock.read(cursor) - timedelta(seconds=SETTLED_SECONDS)})
        ((mark,),) = cursor.fetchall()
    return int(mark)


def _missed(listener: Any, client: Client) -> News:
    """Return what a client has missed since its mark, and that it should look at limits and pauses, which leave no events."""
    asked = {"since": client.since, "most": MOST_MISSED, "all": client.sees_all, "user": client.user_id}
    with listener.cursor() as cursor:
        cursor.execute(_MISSED, asked)
        ((is_too_much, jobs),) = cursor.fetchall()
    news = News(queue=True)
    news.add(News(resync=True) if is_too_much else News(set(jobs)))
    return news


def may_stay(of: Any, clients: Sequence[Client]) -> set[int]:
    """Return the indices of the clients that keep access. Runs one query for all on the connection ``of``."""
    with of.cursor() as cursor:
        asked = {
            "numbers": list(range(len(clients))),
            "users": [client.user_id for client in clients],
            "staff": [client.sees_all for client in clients],
            "passwords": [client.password for client in clients],
            "keys": [client.key for client in clients],
            "scopes": [client.scope for client in clients],
            "sessions": [client.session for client in clients],
            "at": clock.read(cursor),
        }
        cursor.execute(_MAY_STAY, asked)
        return {number for (number,) in cursor.fetchall()}


def _read(payloads: Iterable[str]) -> News:
    """Parse the payloads that `wake` sends to browsers; skip others."""
    news = News()
    for payload in payloads:
        what, _, ids = payload.partition(":")
        if what == "queue":
            news.add(News(queue=True))
        elif what == "jobs":
            news.add(News(resync=True) if ids == "*" else News({int(job) for job in ids.split(",")}))
    return news


hub = Hub()
