"""Deliveries of webhooks, made in the test instead of by a worker, and read as a receiver reads them."""

from datetime import datetime
from typing import Any

from standardwebhooks import Webhook

from queue_app import clock
from queue_app.models import OutboxMessage
from queue_app.outbox import delivery
from tests.providers.wire import Seen


def deliver_due(at: datetime | None = None) -> list[OutboxMessage]:
    """Make the due tries; return their messages as they are then."""
    tries = delivery.lease_due(at=at or clock.now())
    for message_id, number in tries:
        delivery.deliver(message_id, number)
    return list(OutboxMessage.objects.filter(pk__in=[pk for pk, _ in tries]).order_by("id"))


def verified(seen: Seen, secret: str) -> dict[str, Any]:
    """Return the body of a call, as a receiver reads it with the library of Standard Webhooks."""
    found: dict[str, Any] = Webhook(secret).verify(seen.body, seen.headers)
    return found
