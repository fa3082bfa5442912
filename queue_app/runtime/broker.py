"""
The queue of tasks in PostgreSQL, by django-q2's ``broker_class`` hook; `redis_broker` is the one for ``REDIS_URL``.

It hands over nothing once the cluster's pipe to its runworker is cut, and slips a canary in among the tasks.
A task is a wake-up, never truth: what is lost here is found by the dispatcher.
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

# A task is a wake-up: what a crash of the server loses of the last half second is found by the dispatcher, and what it brings
# back is void. So nobody waits for the disk; but a caller's own transaction is the caller's to wait for.
# Its NOTIFY may come with it then: one in a transaction that waits for the disk would make all commits of the database queue up.
_LAZILY = f"FROM {LAZILY}, pg_notify(%s, '')"
_PUT = "INSERT INTO django_q_ormq (key, payload, lock) SELECT %s, %s, clock_timestamp() {} RETURNING id"
# now(), not clock_timestamp(): the index is of no use to a condition that could change from row to row. The CTE is computed
# once; as a plain subquery the planner may run it again and take more rows than asked for.
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

# While somebody's old snapshot keeps what was taken long ago in the index, a look from the very beginning passes all of it. So it
# is made once a second; the others begin a little before the last task that was taken: what comes in has a later time.
WHOLE_LOOK_SECONDS = 1.0
LATE = timedelta(seconds=5)  # that a task may be seen after its time, behind a slow commit
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


class QueueBroker(ORM):  # type: ignore[misc]  # django-q2 has no types
    """First in, first out; taken with SKIP LOCKED; a NOTIFY wakes a waiting cluster. A task not acknowledged comes back."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._begin()

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._begin()

    def _begin(self) -> None:
        self._ears: Any = None
        self._canaries = CanarySource(self.list_key)
        self._since, self._looked_whole_at = BEGINNING, float("-inf")

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:  # noqa: ARG004 - django-q2's signature
        """Django's own connection, left open: each process of a cluster has its own and uses it all the time."""
        return OrmQ.objects.using(Conf.ORM)

    def info(self) -> str:
        return "PostgreSQL"

    def enqueue(self, task: str) -> int:
        """Put a task at the end. Inside a transaction the task and its wake-up leave with the commit."""
        database = connections[Conf.ORM]
        waits = database.in_atomic_block
        with database.cursor() as cursor:
            cursor.execute(_PUT.format("" if waits else _LAZILY), [self.list_key, task, *([] if waits else [self._channel])])
            number = int(cursor.fetchone()[0])
        if waits:
            transaction.on_commit(self._notify, using=Conf.ORM, robust=True)
        return number

    def dequeue(self) -> Delivery:
        """Take what is first, waiting ``poll`` seconds at most. A database that is gone is waited for."""
        if LINE.is_cut():
            time.sleep(0.2)
            return []
        if due := self._canaries.next():
            return due
        try:
            if taken := self._taken():
                return taken
            self._wait()
            return []
        except (DatabaseError, InterfaceError, psycopg2.Error) as error:
            log.warning("queue %s: the database is gone, looking again soon: %s", self.list_key, str(error).strip())
            self._forget_connections()
            time.sleep(Conf.POLL)
            return []

    def delete(self, task_id: int) -> None:
        """Drop a task. Where the database is gone it comes back after ``retry`` seconds and changes nothing."""
        try:
            with connections[Conf.ORM].cursor() as cursor:
                cursor.execute(_DROP, [task_id])
        except (DatabaseError, InterfaceError) as error:
            log.warning("queue %s: task %s could not be acknowledged: %s", self.list_key, task_id, str(error).strip())
            connections[Conf.ORM].close()

    def _taken(self) -> Delivery:
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
        """Sleep until a task may have come, the line is cut, or ``poll`` seconds have passed."""
        if self._ears is None:
            database = connections[Conf.ORM]
            self._ears = database.get_new_connection(database.get_connection_params())
            self._ears.autocommit = True
            with self._ears.cursor() as cursor:
                cursor.execute(f'LISTEN "{self._channel}"')
            return  # what came before we listened is still to be looked for
        watched = [self._ears] if LINE.descriptor is None else [self._ears, LINE.descriptor]
        select.select(watched, [], [], Conf.POLL)
        self._ears.poll()
        self._ears.notifies.clear()

    def _forget_connections(self) -> None:
        connections[Conf.ORM].close()
        if self._ears is not None:
            self._ears.close()
            self._ears = None
