"""The task queue in Redis: django-q2's broker with our pipe and canaries. Needs the `redis` extra."""

import time
from typing import Any

from django_q.brokers.redis_broker import Redis
from redis.exceptions import RedisError

from queue_app.runtime.canary import CanarySource, Delivery
from queue_app.runtime.pipe import LINE


class RedisQueueBroker(Redis):  # type: ignore[misc]  # django-q2 has no types
    """A FIFO queue. Redis forgets a task once it is delivered; if it is lost then, the dispatcher finds its work."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._canaries = CanarySource(self.list_key)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._canaries = CanarySource(self.list_key)

    def dequeue(self) -> Delivery:
        """Take the first task, waiting at most 1 second. If Redis is lost, return nothing and try again later."""
        if LINE.is_cut():
            time.sleep(0.2)
            return []
        try:
            return self._canaries.next() or super().dequeue() or []
        except RedisError:
            time.sleep(1)
            return []
