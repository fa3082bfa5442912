"""Schedules in the admin: what they are, when they run, what came of it, and the pause of operators."""

import pytest
from django.test import Client
from django.urls import reverse

from queue_app.models import AuditEntry
from queue_app.work import schedules
from tests.factories import UserFactory, make_schedule
from tests.markup import html_of

pytestmark = pytest.mark.django_db


def test_staff_see_and_pause_them_and_it_is_audited(admin: Client) -> None:
    listed = reverse("admin:queue_app_schedule_changelist")
    schedule = make_schedule(UserFactory(username="carol", tickets=0))
    schedules.run_due(schedule.pk, at=schedule.next_run_at)  # type: ignore[arg-type]
    html = html_of(admin.get(listed))
    assert "At 09:00 every day" in html and "Refused" in html and "carol" in html

    admin.post(listed, {"action": "pause", "_selected_action": [schedule.pk]})

    schedule.refresh_from_db()
    entry = AuditEntry.objects.get(action="pause schedule")
    assert schedule.paused and schedule.paused_reason == f"Paused by {entry.actor_name}"
    assert "Paused by" in html_of(admin.get(reverse("admin:queue_app_schedule_change", args=[schedule.pk])))
    admin.post(listed, {"action": "resume", "_selected_action": [schedule.pk]})
    schedule.refresh_from_db()
    assert not schedule.paused and schedule.next_run_at is not None
