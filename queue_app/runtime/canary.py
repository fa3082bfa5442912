"""
The canary: a task that does next to nothing. Its way through pusher, worker and monitor shows that a cluster moves.

The pusher makes it itself, so that it is this very cluster's (another host would take one out of the queue), and so that it
costs the database nothing. In the cluster of the default queue every second one also looks whether the dispatcher comes round
(`deputy`).
"""

import time

from django.conf import settings
from django_q.signing import SignedPackage

SING, LOOK = "queue_app.runtime.canary.sing", "queue_app.runtime.deputy.look"
FUNCTIONS = {SING, LOOK}
CANARY_SECONDS = 2

Delivery = list[tuple[int | None, str]]  # what to acknowledge (nothing, for a canary), and the signed task


class CanarySource:
    """Gives the cluster of a queue a canary every 2 s, if it is asked often enough."""

    def __init__(self, queue: str) -> None:
        self._functions = [SING, LOOK] if queue == settings.Q_CLUSTER["name"] else [SING]
        self._given = 0
        self._gave_at = -float("inf")

    def next(self) -> Delivery:
        """Give one if it is due, else nothing."""
        if time.monotonic() - self._gave_at < CANARY_SECONDS:
            return []
        self._gave_at = time.monotonic()
        function = self._functions[self._given % len(self._functions)]
        self._given += 1
        return [(None, SignedPackage.dumps({"id": "canary", "name": "canary", "func": function, "args": (), "kwargs": {}}))]


def sing() -> None:
    """Do nothing, in a worker."""
