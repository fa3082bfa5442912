"""
The canary: a task that does next to nothing. Its way through pusher, worker and monitor shows that a cluster moves.

The pusher makes it itself, so that it is this very cluster's (another host would take one out of the queue). The worker that
gets it looks whether the dispatcher comes round (`deputy`).
"""

import time

from django_q.signing import SignedPackage

FUNCTION = "queue_app.runtime.deputy.look"
CANARY_SECONDS = 2

Delivery = list[tuple[int | None, str]]  # what to acknowledge (nothing, for a canary), and the signed task


class CanarySource:
    """Gives a canary every 2 s to who asks often enough."""

    def __init__(self) -> None:
        self._gave_at = -float("inf")

    def next(self) -> Delivery:
        """Give one if it is due, else nothing."""
        if time.monotonic() - self._gave_at < CANARY_SECONDS:
            return []
        self._gave_at = time.monotonic()
        return [(None, SignedPackage.dumps({"id": "canary", "name": "canary", "func": FUNCTION, "args": (), "kwargs": {}}))]
