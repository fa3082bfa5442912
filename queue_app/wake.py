"""
Wake-ups: the only sender of NOTIFY. Sent after commit, outside the writing transaction, coalesced; never truth.

Channel ``genqueue``: the dispatcher should look (payload ``dispatch``; ``plan`` where nothing is due yet), or rows changed that a
browser may show: payload ``jobs:1,2,3``, ``jobs:*`` for many, ``queue`` for limits and pauses.
"""

import logging
from collections.abc import Iterable
from functools import partial

from django.db import DatabaseError, InterfaceError, connection, transaction

CHANNEL = "genqueue"
log = logging.getLogger(__name__)
SLEEP_SECONDS = 1.0  # at most, of a dispatcher that is told nothing
_MANY = 200  # ids in one payload; NOTIFY takes 8,000 bytes


def dispatcher() -> None:
    """Tell the dispatcher after commit that there may be something to claim or hand out."""
    _after_commit("dispatch")


def looks_in(seconds: float) -> None:
    """Tell the dispatcher after commit of a look that it could oversleep; there is nothing to claim yet."""
    if seconds < SLEEP_SECONDS:
        _after_commit("plan")


def jobs_changed(ids: Iterable[int]) -> None:
    """Tell listening pages after commit that these jobs changed."""
    listed = list(ids)
    if listed:
        _after_commit("jobs:" + (",".join(map(str, listed)) if len(listed) <= _MANY else "*"))


def queue_changed() -> None:
    """Tell the dispatcher and listening pages after commit that a limit, a pause or a policy changed."""
    _after_commit("queue")
    dispatcher()


def _after_commit(payload: str) -> None:
    open_savepoints = set(connection.savepoint_ids)
    for savepoints, waiting, *_ in connection.run_on_commit:
        said = isinstance(waiting, partial) and waiting.func is _send and waiting.args == (payload,)
        if said and savepoints <= open_savepoints:  # it will be sent whenever this one would be
            return
    transaction.on_commit(partial(_send, payload))


def _send(payload: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])
    except (DatabaseError, InterfaceError) as error:  # what was committed stands; the next sweep finds it
        log.warning("wake-up %s could not be sent: %s", payload, str(error).strip())
