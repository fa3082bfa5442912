"""
The connection to the database where it breaks: one name for "it is gone", and one way to go on after it.

A session ends in many ways (a restart, a failover, an administrator, the crash of another session), and the driver has a class of
error for each; it has the same ones for a statement that merely waited too long. So the connection is asked, not the class.
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
PAUSES = (0.05, 0.1, 0.2, 0.5)  # seconds between tries, the last one for ever
LONGEST_SECONDS = 600.0  # whoever works on a job has a time limit of its own, which comes first
CONNECTION_OK = 0  # of libpq
_FATAL = ("08", "25P03", "25P04", "53300", "57P")  # codes with which the server ends a session, or refuses one


def is_gone(error: BaseException | None) -> bool:
    """
    Whether ``error`` came of a connection that is lost or could not be had. The connection is asked: by what the server said
    last, by the driver's knowledge of it, and at the end by a statement.
    """
    if isinstance(error, psycopg2.Error):
        return True  # of a connection beside Django's: those only listen, and raise nothing else
    cause = error.__cause__ if isinstance(error, Error) else None
    if not isinstance(cause, psycopg2.Error):
        return isinstance(error, Error) and connection.closed_in_transaction  # Django's own refusal to go on without it
    if cause.pgcode:
        return _is_fatal(cause)
    if cause.cursor is None:  # a connect, a commit: nobody answered
        return type(cause) in (psycopg2.DatabaseError, psycopg2.OperationalError, psycopg2.InterfaceError)
    return not _answers(cause.cursor.connection)


def may_pass(error: BaseException | None) -> bool:
    """
    Whether what failed may work when it is done again over a new connection: this one was cut; a deadlock, a lock, a full disk; a
    plan that the server keeps for it is of before a migration.
    """
    return isinstance(error, OperationalError) or is_gone(error) or _is_outdated(error)


def has_waited_in_vain(error: BaseException) -> bool:
    """Whether a statement was ended because it took too long: somebody else has locked what it needs."""
    return isinstance(error.__cause__, (LockNotAvailable, QueryCanceled))


def again(do: Callable[[], T], *, seconds: float = LONGEST_SECONDS, look: Callable[[], T] | None = None) -> T:
    """
    Do what needs the database, and where its connection is cut do it again on a new one: for ``seconds``, and once at least.

    ``do`` is one whole transaction, or reads alone, or several of which each may be done again. What it did may have been
    committed and only its word been lost, so done again it must change nothing (leases see to that); ``look`` then gives what it
    came to, from the rows. Inside a transaction nothing can be done again, and the error is the caller's.
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
            log.warning("the database did not take it, once more on a new connection: %s", str(error).strip())
        connection.close()  # a broken one is not replaced by itself
        time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
        tries += 1


@contextmanager
def in_haste(*, lock_seconds: float, statement_seconds: float) -> Iterator[None]:
    """Let no statement in here wait for a lock, or take, longer than this; for who must not stand still."""
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
        return error.pgcode is not None and not _is_fatal(error)  # "the transaction is aborted" is an answer, too
    return True


def _is_outdated(error: BaseException | None) -> bool:
    """Of a kept statement: "cached plan must not change result type"."""
    return isinstance(error, Error) and isinstance(error.__cause__, FeatureNotSupported)


def _is_fatal(error: psycopg2.Error) -> bool:
    return error.pgcode is not None and error.pgcode.startswith(_FATAL)
