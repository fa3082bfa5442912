"""Deliveries of webhooks, as their users see them: status, name, next attempt."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Count, Min, Q, QuerySet

from queue_app.announce import WEBHOOKS
from queue_app.caching import at_most_every
from queue_app.models import DeliveryTry, OutboxMessage, User, WebhookEndpoint
from queue_app.models.outbox import FAILED, OPEN
from queue_app.outbox.delivery import WAITS
from queue_app.statements import Statement

HOURS = 24  # of a `DeliveryDay`
KEPT = 10.0  # seconds: open pages ask for a day every 5 seconds
_BY_HOUR = Statement("""
    SELECT endpoint_id, floor(extract(epoch FROM %(at)s::timestamptz - created_at) / 3600)::int AS hours_ago,
           count(*) FILTER (WHERE delivered_at IS NOT NULL),
           count(*) FILTER (WHERE delivered_at IS NULL AND (given_up_at IS NOT NULL OR last_error <> '')),
           count(*)
      FROM queue_app_outboxmessage
     WHERE endpoint_id = ANY(%(endpoints)s::bigint[])
       AND created_at > %(since)s::timestamptz AND created_at <= %(at)s::timestamptz
     GROUP BY 1, 2
""")
_WITHIN = Statement("""
    SELECT message.endpoint_id, percentile_disc(0.95) WITHIN GROUP (ORDER BY log.seconds)
      FROM queue_app_outboxmessage message JOIN queue_app_deliverytry log ON log.message_id = message.id AND log.error = ''
     WHERE message.endpoint_id = ANY(%(endpoints)s::bigint[]) AND message.created_at > %(since)s::timestamptz
     GROUP BY 1
""")
_NAME = re.compile("msg_([1-9][0-9]{0,17})")


class DeliveryStatus(models.TextChoices):
    """Status of a delivery."""

    DELIVERED = "delivered"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True)
class DeliveryHour:
    """Deliveries created in one hour: delivered, failed at least once and not delivered, and all."""

    delivered: int = 0
    failed: int = 0
    total: int = 0


@dataclass
class DeliveryDay:
    """The deliveries to an endpoint in 24 hours, the oldest hour first; in how many seconds 95% of the successful tries ended."""

    hours: list[DeliveryHour] = field(default_factory=lambda: [DeliveryHour()] * HOURS)
    within_seconds: float | None = None

    @property
    def total(self) -> int:
        return sum(hour.total for hour in self.hours)

    @property
    def delivered(self) -> int:
        return sum(hour.delivered for hour in self.hours)


@dataclass(frozen=True)
class EndpointTrouble:
    """
    What is wrong at an endpoint that fails: its last try, how many deliveries wait, when the next one is tried, and when the
    endpoint is turned off unless one succeeds before. ``None``: nothing waits, or nobody can say.
    """

    last: DeliveryTry | None
    waiting: int
    next_try_at: datetime | None
    off_at: datetime | None


WITH_STATUS: dict[str, Q] = {
    DeliveryStatus.DELIVERED: Q(delivered_at__isnull=False),
    DeliveryStatus.WAITING: OPEN,
    DeliveryStatus.FAILED: FAILED,
}


def of(user: User) -> "QuerySet[OutboxMessage]":
    """Return the webhooks to a user's endpoints and callbacks, the newest first."""
    return OutboxMessage.objects.filter(owner=user, channel=WEBHOOKS).order_by("-id")


def days(endpoints: Sequence[WebhookEndpoint], *, at: datetime) -> dict[int, DeliveryDay]:
    """Return the last 24 hours of each endpoint, by its number, as they were at most `KEPT` seconds ago; two queries."""
    numbers = tuple(sorted(one.pk for one in endpoints))
    return at_most_every(KEPT, f"deliveries:days:{hash(numbers)}", lambda: _days(numbers, at))


def _days(endpoints: Sequence[int], at: datetime) -> dict[int, DeliveryDay]:
    found: dict[int, DeliveryDay] = defaultdict(DeliveryDay)
    span = {"endpoints": [*endpoints], "since": at - timedelta(hours=HOURS)}
    for endpoint, hours_ago, *counts in _BY_HOUR.run(**span, at=at):
        found[endpoint].hours[HOURS - 1 - hours_ago] = DeliveryHour(*counts)
    for endpoint, seconds in _WITHIN.run(**span):
        found[endpoint].within_seconds = seconds
    return found


def trouble(endpoint: WebhookEndpoint) -> EndpointTrouble:
    """Return what is wrong at an endpoint that fails."""
    waiting = endpoint.messages.filter(OPEN)
    facts = waiting.aggregate(number=Count("pk"), next=Min("due_at", filter=Q(leased_until=None)))
    last = DeliveryTry.objects.filter(message__endpoint=endpoint).exclude(error="").order_by("-id").first()
    # the rule of `outbox.webhooks`: a message whose first try is no older than the trouble goes through all its tries
    begun = waiting.filter(tries__gt=0).annotate(first=Min("log__at")).filter(first__gte=endpoint.failing_since)
    ends = [one.due_at + timedelta(seconds=sum(WAITS[one.tries :])) for one in begun.order_by("first")[:1]]
    return EndpointTrouble(last, facts["number"], facts["next"], min(ends, default=None))


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
