"""Deliveries of webhooks as their users see them: at a cost that does not grow with what was delivered."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queue_app.insight import deliveries
from queue_app.insight.deliveries import DeliveryStatus
from queue_app.models import OutboxMessage, WebhookEndpoint
from tests.database import plan_of
from tests.factories import NOON, UserFactory, make_endpoint

pytestmark = pytest.mark.django_db
INDEX = re.compile(r"Index (?:Only )?Scan.* using (outbox_\w+)")


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    """An endpoint with 36 deliveries in a day and 164 before that, among 600 to that of another user."""
    endpoint, other = make_endpoint(UserFactory()), make_endpoint(UserFactory())
    OutboxMessage.objects.bulk_create(
        OutboxMessage(
            channel="webhooks",
            lane=f"endpoint:{to.pk}",
            key=f"endpoint:{to.pk}:{minute}",
            endpoint=to,
            owner=to.owner,
            created_at=(at := NOON - timedelta(minutes=minute)),
            due_at=at,
            delivered_at=at,
        )
        for minute in range(0, 8_000, 10)
        for to in [other if minute % 40 else endpoint]
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE queue_app_outboxmessage")
    return endpoint


@pytest.mark.parametrize("of", ["endpoint", "owner"])
@pytest.mark.parametrize(
    ("status", "index"),
    [(DeliveryStatus.WAITING, "outbox_open_of"), (DeliveryStatus.FAILED, "outbox_failed_of")],
)
def test_a_list_of_a_status_reads_an_index_of_it_alone(endpoint: WebhookEndpoint, of: str, status: str, index: str) -> None:
    sent = deliveries.of(endpoint.owner) if of == "owner" else OutboxMessage.objects.filter(endpoint=endpoint).order_by("-id")

    with CaptureQueriesContext(connection) as asked:
        list(sent.filter(deliveries.WITH_STATUS[status])[:26])

    plan = plan_of(asked[0]["sql"])
    assert INDEX.findall(plan) == [f"{index}_{of}"] and "Sort" not in plan and "Filter" not in plan


def test_a_day_reads_no_older_messages_and_is_shared_for_some_seconds(endpoint: WebhookEndpoint) -> None:
    with CaptureQueriesContext(connection) as asked:
        first = deliveries.days([endpoint], at=NOON)[endpoint.pk]
        again = deliveries.days([endpoint], at=NOON + timedelta(seconds=5))[endpoint.pk]

    assert (first.total, first.delivered, again) == (36, 36, first)
    assert len(asked) == 2
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX outbox_age")  # which is as good for so few messages, in the order of their time
    plan = plan_of(asked[0]["sql"])
    assert INDEX.findall(plan) == ["outbox_day_of_endpoint"] and "Filter" not in plan


def test_a_new_endpoint_is_in_the_next_answer(endpoint: WebhookEndpoint) -> None:
    deliveries.days([endpoint], at=NOON)
    other = make_endpoint(endpoint.owner)

    days = deliveries.days([endpoint, other], at=NOON)

    assert (days[endpoint.pk].total, days[other.pk].total) == (36, 0)
