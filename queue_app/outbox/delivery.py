"""Delivering outbox messages, at least once: leased in one transaction, sent outside any, settled in another."""

import logging
from datetime import datetime, timedelta
from random import Random

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.module_loading import import_string

from queue_app import clock
from queue_app.models import OutboxMessage

log = logging.getLogger(__name__)
chance = Random()  # noqa: S311 - jitter, not a secret
LEASE = timedelta(seconds=90)  # longer than a task of the deliver queue may run
WAITS = (5, 60, 300, 1800, 7200, 10_800, 14_400, 18_000, 28_800)  # seconds after each failed try: 10 tries over 24 h
AT_ONCE = 50


@transaction.atomic
def lease_due(*, at: datetime) -> list[int]:
    """Take the messages that are due, oldest first, so that nobody else sends them meanwhile. Gives their ids."""
    open_ones = OutboxMessage.objects.filter(delivered_at=None, given_up_at=None, due_at__lte=at).order_by("due_at", "id")
    ids = [message.pk for message in open_ones.select_for_update(skip_locked=True)[:AT_ONCE]]
    OutboxMessage.objects.filter(pk__in=ids).update(due_at=at + LEASE, tries=F("tries") + 1)
    return ids


def deliver(message_id: int) -> None:
    """Send one message by its channel and write down what came of it. Sent already, it does nothing."""
    message = OutboxMessage.objects.filter(pk=message_id, delivered_at=None, given_up_at=None).first()
    if message is None:
        return
    try:
        import_string(settings.OUTBOX_CHANNELS[message.channel])(message_id)
    except Exception as error:
        log.exception("outbox message %s was not delivered, try %s", message.key, message.tries)
        _try_later(message, f"{type(error).__name__}: {error}", at=clock.now())
    else:
        OutboxMessage.objects.filter(pk=message_id).update(delivered_at=clock.now(), last_error="")


def _try_later(message: OutboxMessage, words: str, *, at: datetime) -> None:
    if message.tries > len(WAITS):
        OutboxMessage.objects.filter(pk=message.pk).update(given_up_at=at, last_error=words)
    else:
        wait = WAITS[message.tries - 1] * chance.uniform(1.0, 1.2)
        OutboxMessage.objects.filter(pk=message.pk).update(due_at=at + timedelta(seconds=wait), last_error=words)
