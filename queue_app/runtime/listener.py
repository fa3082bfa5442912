"""A connection outside Django that listens to a channel and may hold the leader lock as long as it is open."""

import select
from contextlib import suppress
from typing import Any

import psycopg2
from django.db import connection

LEADER_LOCK = 0x67656E71  # "genq"
# a machine that vanishes must not keep the lock: the server notices after 2 + 2 × 1 s (without effect on a local socket)
_NOTICE_THE_DEAD = "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 2"


class Listener:
    """
    Listens on a channel from its creation on.

    :raises psycopg2.Error: in each method, when the connection is lost and the lock with it.
    """

    def __init__(self, channel: str) -> None:
        self._connection: Any = connection.get_new_connection(connection.get_connection_params())
        self._connection.autocommit = True
        self._leads = False
        self._run(_NOTICE_THE_DEAD)
        self._run(f'LISTEN "{channel}"')

    def try_to_lead(self) -> bool:
        """Take the leader lock if it is free. Return whether this listener holds it."""
        self._leads = self._leads or bool(self._run("SELECT 1 WHERE pg_try_advisory_lock(%s)", LEADER_LOCK))
        return self._leads

    def wait(self, seconds: float, *, also: int) -> list[str]:
        """Sleep until a notification arrives, ``also`` becomes readable, or the time is over. Return the payloads received."""
        if not self._connection.notifies:
            select.select([self._connection, also], [], [], seconds)
        self._connection.poll()
        heard = [notice.payload for notice in self._connection.notifies]
        self._connection.notifies.clear()
        return heard

    def close(self) -> None:
        """Close the connection, which releases the lock."""
        with suppress(psycopg2.Error):
            self._connection.close()

    def _run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall()) if cursor.description else []
