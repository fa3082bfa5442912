"""
Delivery of outbox messages, at least once (I28): leased in one transaction, sent outside any, recorded in another.

A try counts when it begins: a try that crashes its worker counts, one that was handed out but never began does not.
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
LEASE = timedelta(seconds=90)  # longer than the time limit of the deliver queue
WAITS = (5, 60, 300, 1800, 7200, 10_800, 14_400, 18_000, 28_800)  # seconds after each failed try: 10 tries in 24 hours
TRIES = len(WAITS) + 1
AT_ONCE = 50


@transaction.atomic
def lease_due(*, at: datetime) -> list[tuple[int, int]]:
    """
    Lease up to 50 due messages, oldest first. Return their ids, each with the number of its next try.

    Give up on messages whose last try crashed its worker.
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
    Deliver a message by its channel, as its try of this number, and record the result.

    Does nothing if this try has begun before: without a free worker, a try may be handed out several times.
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
        _record_failure(message_id, number, f"{type(error).__name__}: {error}", at=clock.now())
    else:
        OutboxMessage.objects.filter(pk=message_id).update(delivered_at=clock.now(), last_error="")


def _record_failure(message_id: int, number: int, words: str, *, at: datetime) -> None:
    changes = {"due_at": at + _wait_after(number)} if number < TRIES else {"given_up_at": at}
    OutboxMessage.objects.filter(pk=message_id).update(**changes, last_error=words)


def _wait_after(number: int) -> timedelta:
    """Return the wait from the end of this try to the next one; 0 after the last."""
    return timedelta(seconds=WAITS[number - 1] * chance.uniform(1.0, 1.2)) if number < TRIES else timedelta()
