"""The queue of tasks in Redis: django-q2's own, with our pipe and our canary. Needs the `redis` extra."""

import time
from typing import Any

from django_q.brokers.redis_broker import Redis
from redis.exceptions import RedisError

from queue_app.runtime.canary import CanarySource, Delivery
from queue_app.runtime.pipe import LINE


class RedisQueueBroker(Redis):  # type: ignore[misc]  # django-q2 has no types
    """First in, first out. Redis forgets a task when it hands it over; the dispatcher finds what got lost then."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._canaries = CanarySource(self.list_key)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._canaries = CanarySource(self.list_key)

    def dequeue(self) -> Delivery:
        """Take what is first, waiting 1 s at most. A Redis that is gone is waited for."""
        if LINE.is_cut():
            time.sleep(0.2)
            return []
        try:
            return self._canaries.next() or super().dequeue() or []
        except RedisError:
            time.sleep(1)
            return []
