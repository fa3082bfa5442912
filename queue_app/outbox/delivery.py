"""
Delivering outbox messages, at least once: leased in one transaction, sent outside any, settled in another.

A try is counted when it begins: one that was handed out and never came is none, and one that ends its worker is one.
"""

import logging
from datetime import datetime, timedelta
from random import Random

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from queue_app import clock
from queue_app.models import OutboxMessage

log = logging.getLogger(__name__)
chance = Random()  # noqa: S311 - jitter, not a secret
LEASE = timedelta(seconds=90)  # longer than a task of the deliver queue may run
WAITS = (5, 60, 300, 1800, 7200, 10_800, 14_400, 18_000, 28_800)  # seconds after each failed try: 10 tries over 24 h
TRIES = len(WAITS) + 1
AT_ONCE = 50


@transaction.atomic
def lease_due(*, at: datetime) -> list[tuple[int, int]]:
    """
    Take the messages that are due, oldest first, so that nobody else sends them meanwhile. Gives their ids, each with the number
    of its next try. Those whose last try ended with its worker are given up.
    """
    open_ones = OutboxMessage.objects.filter(delivered_at=None, given_up_at=None, due_at__lte=at).order_by("due_at", "id")
    due = {message.pk: message.tries + 1 for message in open_ones.select_for_update(skip_locked=True)[:AT_ONCE]}
    spent = [pk for pk, number in due.items() if number > TRIES]
    words = f"The worker was lost during attempt {TRIES}, the last one."
    OutboxMessage.objects.filter(pk__in=spent).update(given_up_at=at, last_error=words)
    OutboxMessage.objects.filter(pk__in=due.keys() - set(spent)).update(due_at=at + LEASE)
    return [(pk, number) for pk, number in due.items() if number <= TRIES]


def deliver(message_id: int, number: int) -> None:
    """
    Send one message by its channel, as the try of this number, and write down what came of it. A try that was begun before does
    nothing: while nobody was there to send, it was handed out again and again.
    """
    at = clock.now()
    open_one = OutboxMessage.objects.filter(pk=message_id, tries=number - 1, delivered_at=None, given_up_at=None)
    if not open_one.update(tries=number, due_at=at + LEASE + _wait_after(number)):
        return
    message = OutboxMessage.objects.get(pk=message_id)
    try:
        import_string(settings.OUTBOX_CHANNELS[message.channel])(message_id)
    except Exception as error:
        log.exception("outbox message %s was not delivered, attempt %s", message.key, number)
        _try_later(message_id, number, f"{type(error).__name__}: {error}", at=clock.now())
    else:
        OutboxMessage.objects.filter(pk=message_id).update(delivered_at=clock.now(), last_error="")


def _try_later(message_id: int, number: int, words: str, *, at: datetime) -> None:
    changes = {"due_at": at + _wait_after(number)} if number < TRIES else {"given_up_at": at}
    OutboxMessage.objects.filter(pk=message_id).update(**changes, last_error=words)


def _wait_after(number: int) -> timedelta:
    """From the end of this try to the next one; none after the last."""
    return timedelta(seconds=WAITS[number - 1] * chance.uniform(1.0, 1.2)) if number < TRIES else timedelta()
