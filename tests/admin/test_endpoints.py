"""Webhook endpoints of users, as staff see them: without secrets, turned off only with a reason."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from queue_app.models import AuditEntry, OutboxMessage, User
from queue_app.ui import deeds
from tests.factories import NOON, UserFactory, make_endpoint, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db


def test_an_endpoint_is_seen_without_secrets_and_turned_off_for_a_reason(client_for: Callable[[User], Client]) -> None:
    owner, operator = UserFactory.create(), UserFactory.create(staff=True, admin=True)
    endpoint = make_endpoint(owner, "https://example.com/hooks?token=abc123", previous_secret="whsec_old")
    make_job("failed", owner=owner)
    desk = client_for(operator)
    page = reverse("admin:queue_app_webhookendpoint_change", args=[endpoint.pk])

    shown = html_of(desk.get(page))
    listed = html_of(desk.get(reverse("admin:queue_app_webhookendpoint_changelist")))
    for html in (shown, listed):
        assert "https://example.com/hooks?…" in html
        assert not any(secret in html for secret in ("abc123", endpoint.secret, "whsec_old"))
    assert OutboxMessage.objects.get(endpoint=endpoint).name in shown

    stop = reverse("admin:queue_app_webhookendpoint_stop", args=[endpoint.pk])
    assert "Enter a reason" in html_of(desk.post(stop, {"reason": " "}, follow=True))
    assert "turned off" in html_of(desk.post(stop, {"reason": "floods a customer"}, follow=True))
    endpoint.refresh_from_db()
    entry = AuditEntry.objects.get(action="turn off webhook endpoint")
    assert not endpoint.active and "floods a customer" in endpoint.off_reason
    assert deeds.of([entry], at=NOON)[0].told == "turned off webhook endpoint https://example.com/hooks?…"
