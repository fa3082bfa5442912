"""Retention: rows that are kept only for a while."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.sessions.models import Session
from django.test import Client

from queue_app.work import retention
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db


def test_log_ins_that_are_over_are_removed_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    for number in range(3):
        Session.objects.create(session_key=f"over-{number}", session_data="", expire_date=NOON - timedelta(seconds=1))
    Session.objects.create(session_key="open", session_data="", expire_date=NOON)
    left = []
    for _ in range(3):
        retention.prune(at=NOON)
        left.append(Session.objects.count())
    assert left == [2, 1, 1] and Session.objects.get().session_key == "open"


def test_a_log_in_leaves_no_row_that_nothing_removes(client: Client) -> None:
    user = UserFactory()
    client.post("/login/", {"username": user.username, "password": "wrong"})
    assert client.post("/login/", {"username": user.username, "password": "password"}).status_code == 302
    client.post("/logout/")
    assert [model.objects.count() for model in (AccessAttempt, AccessFailureLog, AccessLog)] == [0, 0, 0]
