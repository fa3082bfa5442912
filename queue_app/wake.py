"""
Wake-ups: the only sender of NOTIFY. They are sent after the commit, outside the writing transaction, and merged. A lost wake-up
costs time, never correctness.

Channel ``genqueue_dispatch`` wakes the dispatcher (payload ``dispatch``, or ``plan`` if nothing is due yet).
Channel ``genqueue`` reports changed rows to browsers and does not wake the dispatcher (payload ``jobs:1,2,3``, ``jobs:*`` for
many jobs, ``queue`` for limits and pauses).
"""

import logging
from collections.abc import Iterable
from functools import partial

from django.db import DatabaseError, InterfaceError, connection, transaction

CHANNEL, DISPATCHER = "genqueue", "genqueue_dispatch"
log = logging.getLogger(__name__)
SLEEP_SECONDS = 1.0  # longest sleep of a dispatcher without a wake-up
_MANY = 200  # most ids in one payload; NOTIFY takes 8,000 bytes


def dispatcher() -> None:
    """After commit, tell the dispatcher to look for jobs to claim and leases to hand out."""
    _after_commit(DISPATCHER, "dispatch")


def looks_in(seconds: float) -> None:
    """
    After commit, tell the dispatcher of a check due in ``seconds`` if it could otherwise sleep through it.

    There is nothing to claim yet.
    """
    if seconds < SLEEP_SECONDS:
        _after_commit(DISPATCHER, "plan")


def jobs_changed(ids: Iterable[int]) -> None:
    """After commit, tell listening pages that these jobs changed."""
    listed = list(ids)
    if listed:
        _after_commit(CHANNEL, "jobs:" + (",".join(map(str, listed)) if len(listed) <= _MANY else "*"))


def queue_changed() -> None:
    """After commit, tell the dispatcher and listening pages that a limit, a pause or a policy changed."""
    _after_commit(CHANNEL, "queue")
    dispatcher()


def _after_commit(channel: str, payload: str) -> None:
    open_savepoints = set(connection.savepoint_ids)
    for savepoints, waiting, *_ in connection.run_on_commit:
        if isinstance(waiting, partial) and waiting.func is _send and savepoints <= open_savepoints:
            waiting.args[0].setdefault((channel, payload))  # that one is sent whenever this one would be: share its statement
            return
    transaction.on_commit(partial(_send, {(channel, payload): None}))


def _send(wake_ups: dict[tuple[str, str], None]) -> None:
    try:
        with connection.cursor() as cursor:
            calls = ", ".join(["pg_notify(%s, %s)"] * len(wake_ups))
            cursor.execute(f"SELECT {calls}", [word for wake_up in wake_ups for word in wake_up])
    except (DatabaseError, InterfaceError) as error:  # the change is committed, and the next sweep finds it
        log.warning("wake-ups %s could not be sent: %s", ", ".join(payload for _, payload in wake_ups), str(error).strip())
