"""
The threads of a worker that send outbox messages. A slow receiver holds one of them, never the worker, so that it delays nobody:
`delivery` keeps the webhooks of one user to 8 at a time, and messages of ours have threads of their own.

They outlive the task that started them. A worker that leaves finishes what is under way, and says so, lest it be taken for an
idle one; one that is killed leaves leases, which run out.
"""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from multiprocessing.util import Finalize
from threading import Event

from queue_app import clock, database
from queue_app.announce import WEBHOOKS
from queue_app.models import OutboxMessage
from queue_app.outbox import delivery
from queue_app.runtime import heartbeats
from queue_app.runtime.pipe import LINE

log = logging.getLogger(__name__)
THREADS, OWN_THREADS = 64, 8  # most of the time those of webhooks wait for an answer, without a database connection
_leaving = Event()


def send(tries: Iterable[tuple[int, int]]) -> None:
    """Deliver messages, each as its try of this number, in threads. Returns at once."""
    numbers = dict(tries)
    for message_id, channel in OutboxMessage.objects.filter(pk__in=numbers).values_list("pk", "channel"):
        _threads(channel == WEBHOOKS).submit(_work, message_id, numbers[message_id])


@cache
def _threads(is_webhook: bool) -> ThreadPoolExecutor:
    Finalize(None, _leave, exitpriority=1)  # before the process joins its threads
    return ThreadPoolExecutor(THREADS if is_webhook else OWN_THREADS, "courier")


def _leave() -> None:
    _leaving.set()
    heartbeats.name_task("finish deliveries")


def _work(message_id: int, number: int) -> None:
    """Deliver a message and then what else is due in its lane, so that the next one waits for no round of the dispatcher."""
    try:
        lane = delivery.deliver(message_id, number)
        while lane and not (_leaving.is_set() or LINE.is_cut()) and (following := delivery.lease_next(lane, at=clock.now())):
            lane = delivery.deliver(*following)
    except Exception:  # the lease runs out, and the message is handed out again
        log.exception("outbox message %s: attempt %s was broken off", message_id, number)
    finally:
        database.release()
