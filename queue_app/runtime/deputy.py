"""
A dispatcher that stands still is stood in for.

A process that is frozen keeps its session, and with it the leader's lock: no standby can take over. So the worker that gets a
cluster's canary looks whether the leader has come round lately, and if it has not, does a round in its place.
"""

import logging
import time
from datetime import timedelta

from django.db.models import Max

from queue_app import clock, database
from queue_app.models import WorkerProcess
from queue_app.runtime import dispatcher

log = logging.getLogger(__name__)
STANDS_STILL = timedelta(seconds=4)  # a leader comes round every second, and says so every two
STINT_SECONDS, REST_SECONDS = 3.0, 0.5  # of rounds, until the next look is due; between two of them


def look() -> None:
    """Do rounds for a while if nobody else does. Where the database is gone, nobody can."""
    try:
        still = _still_for()
        if still < STANDS_STILL:
            return
        log.warning("no dispatcher has come round for %.0f s: a worker stands in", still.total_seconds())
        ends = time.monotonic() + STINT_SECONDS
        dispatcher.stand_in()
        while time.monotonic() + REST_SECONDS < ends:
            time.sleep(REST_SECONDS)
            dispatcher.stand_in()
    except Exception as error:
        if not database.may_pass(error):
            raise
        log.warning("no look at the dispatcher: %s", str(error).strip())


def _still_for() -> timedelta:
    """Since when the leader has not come round; no time at all where none has led yet."""
    leading = WorkerProcess.objects.filter(role=WorkerProcess.Role.DISPATCHER, leader=True)
    came_round_at = leading.aggregate(at=Max("turned_at"))["at"]
    return timedelta(0) if came_round_at is None else clock.now() - came_round_at
