"""A connection beside Django's that listens, and that may hold the leader's lock for as long as it lives."""

import select
from contextlib import suppress
from typing import Any

import psycopg2
from django.db import connection

LEADER_LOCK = 0x67656E71  # "genq"
# a machine that vanishes must not keep the lock: the server notices after 2 + 2 × 1 s (nothing to do on a local socket)
_NOTICE_THE_DEAD = "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 2"


class Listener:
    """
    Listens on a channel from its making on.

    :raises psycopg2.Error: here and in each call, when the connection is lost; and the lock with it.
    """

    def __init__(self, channel: str) -> None:
        self._connection: Any = connection.get_new_connection(connection.get_connection_params())
        self._connection.autocommit = True
        self._leads = False
        self._run(_NOTICE_THE_DEAD)
        self._run(f'LISTEN "{channel}"')

    def try_to_lead(self) -> bool:
        """Take the leader's lock if it is free, or say that it is ours already."""
        self._leads = self._leads or bool(self._run("SELECT 1 WHERE pg_try_advisory_lock(%s)", LEADER_LOCK))
        return self._leads

    def wait(self, seconds: float, *, also: int) -> list[str]:
        """Sleep until something is heard, ``also`` becomes readable, or the time is over. Gives the payloads heard."""
        if not self._connection.notifies:
            select.select([self._connection, also], [], [], seconds)
        self._connection.poll()
        heard = [notice.payload for notice in self._connection.notifies]
        self._connection.notifies.clear()
        return heard

    def close(self) -> None:
        """Give up the lock."""
        with suppress(psycopg2.Error):
            self._connection.close()

    def _run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall()) if cursor.description else []
