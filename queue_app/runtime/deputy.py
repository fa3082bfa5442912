"""
A dispatcher that stands still is stood in for.

A process that is frozen keeps its session, and with it the leader's lock: no standby can take over. So the worker that gets a
cluster's canary looks whether the leader has come round lately, and if it has not, does a round in its place.
"""

import logging
from datetime import timedelta

from django.db.models import Max

from queue_app import clock, database
from queue_app.models import WorkerProcess
from queue_app.runtime import loop

log = logging.getLogger(__name__)
STANDS_STILL = timedelta(seconds=5)  # a leader comes round every second, and says so every two


def look() -> None:
    """Do a round if nobody else does. Where the database is gone, nobody can."""
    try:
        at = clock.now()
        leading = WorkerProcess.objects.filter(role=WorkerProcess.Role.DISPATCHER, leader=True)
        came_round_at = leading.aggregate(at=Max("turned_at"))["at"]
        if came_round_at is not None and at - came_round_at > STANDS_STILL:
            log.warning("no dispatcher has come round for %.0f s: a worker stands in", (at - came_round_at).total_seconds())
            loop.stand_in()
    except Exception as error:
        if not database.may_pass(error):
            raise
        log.warning("no look at the dispatcher: %s", str(error).strip())
