"""
The deputy of a frozen dispatcher.

A frozen process keeps its database session and with it the leader lock, so no standby can take over. Therefore the worker that
gets a canary checks when the leader last completed a round and, if that is too long ago, does rounds in its place.
"""

import logging
import time
from datetime import timedelta

from django.db.models import Max

from queue_app import clock, database
from queue_app.models import WorkerProcess
from queue_app.runtime import dispatcher

log = logging.getLogger(__name__)
STANDS_STILL = timedelta(seconds=4)  # a leader does a round every second; its row is written every two
STINT_SECONDS, REST_SECONDS = 3.0, 0.5  # duration of rounds per canary, pause between two rounds


def look() -> None:
    """Do rounds for 3 seconds if the leader has not completed one lately. Give up if the database is lost."""
    try:
        still = _time_since_round()
        if still < STANDS_STILL:
            return
        log.warning("no dispatcher round for %.0f s: a worker stands in", still.total_seconds())
        ends = time.monotonic() + STINT_SECONDS
        dispatcher.stand_in()
        while time.monotonic() + REST_SECONDS < ends:
            time.sleep(REST_SECONDS)
            dispatcher.stand_in()
    except Exception as error:
        if not database.may_pass(error):
            raise
        log.warning("could not check the dispatcher: %s", str(error).strip())


def _time_since_round() -> timedelta:
    """Return the time since the leader's last complete round; 0 if there has been none yet."""
    leading = WorkerProcess.objects.filter(role=WorkerProcess.Role.DISPATCHER, leader=True)
    came_round_at = leading.aggregate(at=Max("turned_at"))["at"]
    return timedelta(0) if came_round_at is None else clock.now() - came_round_at
