"""
Wake-ups: the only sender of NOTIFY. Sent after commit, outside the writing transaction, coalesced; never truth.

Channel ``genqueue_dispatch``: the dispatcher should look (payload ``dispatch``; ``plan`` where nothing is due yet).
Channel ``genqueue``: rows changed that a browser may show (payload ``jobs:1,2,3``, ``jobs:*`` for many, ``queue`` for limits and
pauses); those do not wake the dispatcher.
"""

import logging
from collections.abc import Iterable
from functools import partial

from django.db import DatabaseError, InterfaceError, connection, transaction

CHANNEL, DISPATCHER = "genqueue", "genqueue_dispatch"
log = logging.getLogger(__name__)
SLEEP_SECONDS = 1.0  # at most, of a dispatcher that is told nothing
_MANY = 200  # ids in one payload; NOTIFY takes 8,000 bytes


def dispatcher() -> None:
    """Tell the dispatcher after commit that there may be something to claim or hand out."""
    _after_commit(DISPATCHER, "dispatch")


def looks_in(seconds: float) -> None:
    """Tell the dispatcher after commit of a look that it could oversleep; there is nothing to claim yet."""
    if seconds < SLEEP_SECONDS:
        _after_commit(DISPATCHER, "plan")


def jobs_changed(ids: Iterable[int]) -> None:
    """Tell listening pages after commit that these jobs changed."""
    listed = list(ids)
    if listed:
        _after_commit(CHANNEL, "jobs:" + (",".join(map(str, listed)) if len(listed) <= _MANY else "*"))


def queue_changed() -> None:
    """Tell the dispatcher and listening pages after commit that a limit, a pause or a policy changed."""
    _after_commit(CHANNEL, "queue")
    dispatcher()


def _after_commit(channel: str, payload: str) -> None:
    open_savepoints = set(connection.savepoint_ids)
    for savepoints, waiting, *_ in connection.run_on_commit:
        if isinstance(waiting, partial) and waiting.func is _send and savepoints <= open_savepoints:
            waiting.args[0].setdefault((channel, payload))  # it is sent whenever this one would be: in one statement with it
            return
    transaction.on_commit(partial(_send, {(channel, payload): None}))


def _send(wake_ups: dict[tuple[str, str], None]) -> None:
    try:
        with connection.cursor() as cursor:
            said = ", ".join(["pg_notify(%s, %s)"] * len(wake_ups))
            cursor.execute(f"SELECT {said}", [word for wake_up in wake_ups for word in wake_up])
    except (DatabaseError, InterfaceError) as error:  # what was committed stands; the next sweep finds it
        log.warning("wake-ups %s could not be sent: %s", ", ".join(payload for _, payload in wake_ups), str(error).strip())
