"""
Cut connections: at any statement, before a commit, or after a commit but before its answer.

The backend is terminated as an administrator would do it, so the errors are the driver's own and the session is really lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.db import connection


class Scissors:
    """Records the places where this thread's connection can be cut in ``places``, and cuts it at place number ``at``."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.places: list[str] = []

    @contextmanager
    def at_work(self) -> Iterator[Scissors]:
        commit = connection._commit  # type: ignore[attr-defined]
        connection._commit = lambda: self._commit(commit)  # type: ignore[attr-defined]
        try:
            with connection.execute_wrapper(self._statement):
                yield self
        finally:
            del connection._commit  # type: ignore[attr-defined]

    def _statement(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self._come_to(" ".join(str(sql).split())[:80])
        return execute(sql, params, many, context)

    def _commit(self, commit: Callable[[], None]) -> None:
        self._come_to("COMMIT, not made")
        if len(self.places) != self.at:
            commit()
            self.places.append("COMMIT, made and not told")
            return
        self.places.append("COMMIT, made and not told")
        commit()
        end_backend(connection.connection)
        with connection.wrap_database_errors, connection.connection.cursor() as cursor:
            cursor.execute("SELECT 1")  # raises the driver's error for a lost session

    def _come_to(self, place: str) -> None:
        if len(self.places) == self.at:
            end_backend(connection.connection)
        self.places.append(place)


def end_backend(raw: Any) -> None:
    """Let the server end this session and wait for its end."""
    with closing(connection.get_new_connection(connection.get_connection_params())) as other, other.cursor() as cursor:
        other.autocommit = True
        cursor.execute("SELECT pg_terminate_backend(%s)", [raw.info.backend_pid])
        while cursor.rowcount:  # pg_terminate_backend's own wait checks only ten times per second
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [raw.info.backend_pid])
