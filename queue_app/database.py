"""
Lost database connections: one test for a lost connection, and one way to continue after it.

A session ends in many ways (restart, failover, administrator, crash of another session). The driver has a different error class
for each, and uses the same classes for a statement that merely waited too long. So we check the connection, not the class.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg2
from django.db import Error, OperationalError, connection
from psycopg2.errors import FeatureNotSupported, LockNotAvailable, QueryCanceled

log = logging.getLogger(__name__)
T = TypeVar("T")
PAUSES = (0.05, 0.1, 0.2, 0.5)  # seconds between tries; the last one repeats
LONGEST_SECONDS = 600.0  # longer than the time limit of any task that works on a job
CONNECTION_OK = 0  # libpq's CONNECTION_OK
_FATAL = ("08", "25P03", "25P04", "53300", "57P")  # prefixes of the error codes that end or refuse a session


def is_gone(error: BaseException | None) -> bool:
    """
    Whether ``error`` was caused by a lost or refused connection.

    Decided by the server's last error code, then by the driver's state of the connection, and finally by a test statement.
    """
    if isinstance(error, psycopg2.Error):
        return True  # from a connection outside Django: those only listen, and raise nothing else
    cause = error.__cause__ if isinstance(error, Error) else None
    if not isinstance(cause, psycopg2.Error):
        return isinstance(error, Error) and connection.closed_in_transaction  # Django itself refused to continue without it
    if cause.pgcode:
        return _is_fatal(cause)
    if cause.cursor is None:  # a connect or a commit without an answer
        return type(cause) in (psycopg2.DatabaseError, psycopg2.OperationalError, psycopg2.InterfaceError)
    return not _answers(cause.cursor.connection)


def may_pass(error: BaseException | None) -> bool:
    """
    Whether the failed work may succeed on a new connection: after a cut, a deadlock, a lock timeout, a full disk, or a prepared
    plan that a migration has outdated.
    """
    return isinstance(error, OperationalError) or is_gone(error) or _is_outdated(error)


def has_waited_in_vain(error: BaseException) -> bool:
    """Whether a statement was ended by the lock timeout or the statement timeout."""
    return isinstance(error.__cause__, (LockNotAvailable, QueryCanceled))


def again(do: Callable[[], T], *, seconds: float = LONGEST_SECONDS, look: Callable[[], T] | None = None) -> T:
    """
    Return the result of ``do``; when it fails for a reason that may pass, repeat it on a new connection.

    Tries for ``seconds``, but repeats at least once. ``do`` is one whole transaction, only reads, or several steps that may each
    be repeated. Its work may have been committed and only the answer lost, so a repeat must change nothing (leases ensure
    that); ``look`` then reads the result from the rows.

    :raises django.db.Error: another failure, the time is over, or the caller is in a transaction, which can't be repeated here.
    """
    ends = time.monotonic() + seconds
    tries = 0
    while True:
        try:
            answer = do()
            return look() if look and tries else answer
        except Error as error:
            if connection.in_atomic_block or not may_pass(error) or (tries and time.monotonic() > ends):
                raise
            log.warning("database error, trying again on a new connection: %s", str(error).strip())
        connection.close()  # Django does not replace a broken one on its own
        time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
        tries += 1


@contextmanager
def in_haste(*, lock_seconds: float, statement_seconds: float) -> Iterator[None]:
    """Limit how long statements in this block wait for a lock and how long they run; for processes that must not block."""
    _limit(lock_seconds, statement_seconds)
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed and not connection.needs_rollback:
            _limit(0, 0)


def _limit(lock_seconds: float, statement_seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)",
            [f"{lock_seconds * 1000:.0f}ms", f"{statement_seconds * 1000:.0f}ms"],
        )


def _answers(raw: Any) -> bool:
    if raw.closed or raw.info.status != CONNECTION_OK:
        return False
    try:
        with raw.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error as error:
        return error.pgcode is not None and not _is_fatal(error)  # "transaction is aborted" proves a live server, too
    return True


def _is_outdated(error: BaseException | None) -> bool:
    """Whether a prepared statement failed with "cached plan must not change result type"."""
    return isinstance(error, Error) and isinstance(error.__cause__, FeatureNotSupported)


def _is_fatal(error: psycopg2.Error) -> bool:
    return error.pgcode is not None and error.pgcode.startswith(_FATAL)


def release() -> None:
    """
    Close this thread's connection, for one that will wait long for something else. The next query opens a new one.

    In a transaction, which only a test has open at such a place, it stays.
    """
    if not connection.in_atomic_block:
        connection.close()
