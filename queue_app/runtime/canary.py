"""
The canary: a task that does next to nothing. If it passes pusher, worker and monitor, the cluster is not frozen.

The pusher creates it in memory, because another host could take one out of the queue, and to spare the database. In the cluster
of the default queue every second canary also checks whether the dispatcher is running (`deputy`).
"""

import time

from django.conf import settings
from django_q.signing import SignedPackage

SING, LOOK = "queue_app.runtime.canary.sing", "queue_app.runtime.deputy.look"
FUNCTIONS = {SING, LOOK}
CANARY_SECONDS = 2

Delivery = list[tuple[int | None, str]]  # (id to acknowledge, None for a canary; signed task)


class CanarySource:
    """The source of a cluster's canaries, one every 2 seconds if `next` is called often enough."""

    def __init__(self, queue: str) -> None:
        self._functions = [SING, LOOK] if queue == settings.Q_CLUSTER["name"] else [SING]
        self._given = 0
        self._gave_at = -float("inf")

    def next(self) -> Delivery:
        """Return a canary if it is due, else an empty list."""
        if time.monotonic() - self._gave_at < CANARY_SECONDS:
            return []
        self._gave_at = time.monotonic()
        function = self._functions[self._given % len(self._functions)]
        self._given += 1
        return [(None, SignedPackage.dumps({"id": "canary", "name": "canary", "func": function, "args": (), "kwargs": {}}))]


def sing() -> None:
    """Do nothing. Runs in a worker."""
