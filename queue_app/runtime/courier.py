"""
The threads of a worker that send outbox messages. A slow receiver holds one of them, never the worker, so that it delays nobody.

They may outlive the task that started them. At its end a worker waits for them; one that is killed leaves leases, which run out.
"""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from queue_app import clock, database
from queue_app.outbox import delivery
from queue_app.runtime.pipe import LINE

log = logging.getLogger(__name__)
THREADS = 48  # most of the time they wait for an answer, without a database connection


def send(tries: Iterable[tuple[int, int]]) -> None:
    """Deliver messages, each as its try of this number, in threads. Returns at once."""
    for message_id, number in tries:
        _threads().submit(_work, message_id, number)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "courier")


def _work(message_id: int, number: int) -> None:
    """Deliver a message and then what else is due in its lane, so that the next one waits for no round of the dispatcher."""
    try:
        lane = delivery.deliver(message_id, number)
        while lane and not LINE.is_cut() and (following := delivery.lease_next(lane, at=clock.now())):
            lane = delivery.deliver(*following)
    except Exception:  # the lease runs out, and the message is handed out again
        log.exception("outbox message %s: attempt %s was broken off", message_id, number)
    finally:
        database.release()
