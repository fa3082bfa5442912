"""Deliveries of webhooks, as their users see them: status, name, next attempt."""

import re
from datetime import datetime

from django.db import models
from django.db.models import Q

from queue_app.models import OutboxMessage
from queue_app.models.outbox import OPEN

_NAME = re.compile("msg_([1-9][0-9]{0,17})")


class DeliveryStatus(models.TextChoices):
    """Status of a delivery."""

    DELIVERED = "delivered"
    WAITING = "waiting"
    FAILED = "failed"


WITH_STATUS: dict[str, Q] = {
    DeliveryStatus.DELIVERED: Q(delivered_at__isnull=False),
    DeliveryStatus.WAITING: OPEN,
    DeliveryStatus.FAILED: Q(given_up_at__isnull=False),
}


def status(message: OutboxMessage) -> DeliveryStatus:
    if message.is_open:
        return DeliveryStatus.WAITING
    return DeliveryStatus.DELIVERED if message.delivered_at else DeliveryStatus.FAILED


def next_try(message: OutboxMessage) -> datetime | None:
    """Return when a delivery is tried next; ``None`` if it is over, or under way."""
    return message.due_at if message.is_open and message.leased_until is None else None


def number(name: str) -> int | None:
    """Return the number of a delivery by its name, such as “msg_12”; ``None`` for any other text."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None
