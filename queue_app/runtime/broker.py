"""
The task queue in PostgreSQL, as a django-q2 ``broker_class``; with ``REDIS_URL``, `redis_broker` is used instead.

It delivers no task once the cluster's pipe to its runworker is cut, and inserts canaries between the tasks. A task is only a
wake-up: if one is lost, the dispatcher finds its work.
"""

import logging
import select
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
from django.db import DatabaseError, InterfaceError, connections, transaction
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ

from queue_app.runtime.canary import CanarySource, Delivery
from queue_app.runtime.pipe import LINE
from queue_app.statements import LAZILY

log = logging.getLogger(__name__)

# A task is only a wake-up: if a crash of the server loses one, the dispatcher finds its work; if it brings one back, the task
# does nothing. So its commit need not wait for the disk, except in a caller's own transaction. A lazy commit may include the
# NOTIFY; a NOTIFY in a transaction that waits for the disk would serialize all commits of the database.
_LAZILY = f"FROM {LAZILY}, pg_notify(%s, '')"
_PUT = "INSERT INTO django_q_ormq (key, payload, lock) SELECT %s, %s, clock_timestamp() {} RETURNING id"
# now(), not clock_timestamp(): a condition that may change from row to row can't use the index. A CTE, because it runs once; the
# planner may repeat a plain subquery and take more rows than requested.
_TAKE = f"""
    WITH first AS (
        SELECT id, lock FROM django_q_ormq
         WHERE key = %s AND lock >= %s AND lock <= now() ORDER BY lock, id LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE django_q_ormq task SET lock = now() + %s * interval '1 second'
      FROM first, {LAZILY}
     WHERE task.id = first.id
    RETURNING task.id, task.payload, first.lock
"""  # noqa: S608 - no value in it
_DROP = f"DELETE FROM django_q_ormq USING {LAZILY} WHERE id = %s"  # noqa: S608

# While an old snapshot keeps dead rows in the index, a scan from its beginning passes all of them. So only one scan per second
# starts there; the others start shortly before the last task taken, since new tasks have later times.
WHOLE_LOOK_SECONDS = 1.0
LATE = timedelta(seconds=5)  # longest delay between a task's time and its commit
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


class QueueBroker(ORM):  # type: ignore[misc]  # django-q2 has no types
    """A FIFO queue. Tasks are taken with SKIP LOCKED, a NOTIFY wakes waiting clusters, unacknowledged tasks come back."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._begin()

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._begin()

    def _begin(self) -> None:
        self._listener: Any = None
        self._canaries = CanarySource(self.list_key)
        self._since, self._looked_whole_at = BEGINNING, float("-inf")

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:  # noqa: ARG004 - django-q2's signature
        """Return the rows by Django's connection, which stays open: each process of a cluster has its own and uses it a lot."""
        return OrmQ.objects.using(Conf.ORM)

    def info(self) -> str:
        return "PostgreSQL"

    def enqueue(self, task: str) -> int:
        """Append a task and return its id. In a transaction, task and wake-up become visible with the commit."""
        database = connections[Conf.ORM]
        waits = database.in_atomic_block
        with database.cursor() as cursor:
            cursor.execute(_PUT.format("" if waits else _LAZILY), [self.list_key, task, *([] if waits else [self._channel])])
            number = int(cursor.fetchone()[0])
        if waits:
            transaction.on_commit(self._notify, using=Conf.ORM, robust=True)
        return number

    def dequeue(self) -> Delivery:
        """Take the first tasks, waiting at most ``poll`` seconds. If the database is lost, return nothing and try again later."""
        if LINE.is_cut():
            time.sleep(0.2)
            return []
        if due := self._canaries.next():
            return due
        try:
            if taken := self._take():
                return taken
            self._wait()
            return []
        except (DatabaseError, InterfaceError, psycopg2.Error) as error:
            log.warning("queue %s: lost the database, reconnecting: %s", self.list_key, str(error).strip())
            self._forget_connections()
            time.sleep(Conf.POLL)
            return []

    def delete(self, task_id: int) -> None:
        """Delete a task. If the database is lost, the task comes back after ``retry`` seconds and does nothing."""
        try:
            with connections[Conf.ORM].cursor() as cursor:
                cursor.execute(_DROP, [task_id])
        except (DatabaseError, InterfaceError) as error:
            log.warning("queue %s: task %s could not be acknowledged: %s", self.list_key, task_id, str(error).strip())
            connections[Conf.ORM].close()

    def _take(self) -> Delivery:
        is_whole = time.monotonic() - self._looked_whole_at >= WHOLE_LOOK_SECONDS
        with connections[Conf.ORM].cursor() as cursor:
            cursor.execute(_TAKE, [self.list_key, BEGINNING if is_whole else self._since, Conf.BULK, Conf.RETRY])
            taken = sorted(cursor.fetchall())
        if is_whole:
            self._looked_whole_at = time.monotonic()
        if taken:
            self._since = max(lock for _, _, lock in taken) - LATE
        return [(number, task) for number, task, _ in taken]

    @property
    def _channel(self) -> str:
        return f"gq_tasks_{self.list_key}"

    def _notify(self) -> None:
        with connections[Conf.ORM].cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [self._channel])

    def _wait(self) -> None:
        """Sleep until a task may have arrived, the pipe is cut, or ``poll`` seconds have passed."""
        if self._listener is None:
            database = connections[Conf.ORM]
            self._listener = database.get_new_connection(database.get_connection_params())
            self._listener.autocommit = True
            with self._listener.cursor() as cursor:
                cursor.execute(f'LISTEN "{self._channel}"')
            return  # don't sleep: a task may have arrived before we listened
        watched = [self._listener] if LINE.descriptor is None else [self._listener, LINE.descriptor]
        select.select(watched, [], [], Conf.POLL)
        self._listener.poll()
        self._listener.notifies.clear()

    def _forget_connections(self) -> None:
        connections[Conf.ORM].close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
