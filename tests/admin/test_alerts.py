"""Alerts in the admin: open ones first, each with its remedy; rules edited by those who may, and audited."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from queue_app import clock
from queue_app.admin.alerts import remedy
from queue_app.models import Alert, AlertRule, AuditEntry, State
from queue_app.work import alerts
from tests.admin.conftest import StaffWith
from tests.factories import JobFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
LIST, RULES = "/admin/queue_app/alert/", "/admin/queue_app/alertrule/"


class TestList:
    @pytest.fixture(autouse=True)
    def rung(self) -> None:
        """One about low tickets that is open, one about an unknown outcome that is over, and one that is open."""
        now = clock.now()
        AlertRule.objects.exclude(measure__in=("tickets_low", "unknown_jobs")).update(active=False)
        JobFactory(owner=UserFactory(username="low & behold", tickets=10), at=now)
        alerts.review(at=now - timedelta(minutes=5))
        rule = AlertRule.objects.get(pk="unknown_jobs")
        Alert.objects.create(rule=rule, value=1, words="long ago", opened_at=now, closed_at=now)
        make_job(State.UNKNOWN, at=now)
        alerts.review(at=now)

    def test_has_the_open_ones_first(self, admin: Client) -> None:
        rows = admin.get(LIST).context["cl"].result_list
        assert [row.closed_at is None for row in rows] == [True, True, False]

    def test_is_filtered_by_whether_they_are_open(self, admin: Client) -> None:
        assert {row.words for row in admin.get(LIST, {"open": "0"}).context["cl"].result_list} == {"long ago"}
        assert len(admin.get(LIST, {"open": "1"}).context["cl"].result_list) == 2

    def test_each_leads_to_its_remedy(self, admin: Client) -> None:
        page = admin.get(LIST).content.decode()
        assert f"{reverse('admin:queue_app_wallet_changelist')}?q=low+%26+behold" in page
        assert reverse("admin:queue_app_reviewitem_changelist") in page

    def test_every_remedy_is_a_page(self, admin: Client) -> None:
        for rule in AlertRule.objects.all():
            alert = Alert.objects.create(rule=rule, subject="mill", value=1, words="w", opened_at=clock.now())
            page = admin.get(f"{LIST}{alert.pk}/change/").content.decode()
            assert "What to do" in page
            assert admin.get(remedy(alert)[1]).status_code == 200, rule

    def test_nobody_closes_one_by_hand(self, admin: Client) -> None:
        alert = Alert.objects.filter(closed_at=None).first()
        assert alert is not None
        assert admin.post(f"{LIST}{alert.pk}/change/", {"words": "all is well"}).status_code == 403
        assert admin.post(f"{LIST}{alert.pk}/delete/", {"post": "yes"}).status_code == 403


class TestRules:
    def save(self, client: Client, **changed: str) -> Any:
        form = {"active": "on", "mail": "on", "opens_at": "25", "closes_at": "10", "why": "a busy week"}
        return client.post(f"{RULES}failure_rate/change/", form | changed)

    def test_a_change_is_audited(self, admin: Client) -> None:
        assert self.save(admin, opens_at="40").status_code == 302
        assert AlertRule.objects.get(pk="failure_rate").opens_at == 40
        entry = AuditEntry.objects.get()
        assert (entry.before, entry.after, entry.reason) == ({"opens_at": 25}, {"opens_at": 40}, "a busy week")
        assert (entry.target_model, entry.target_pk) == ("queue_app.alertrule", "failure_rate")

    def test_values_that_would_flutter_are_refused_in_words(self, admin: Client) -> None:
        page = self.save(admin, closes_at="25")
        assert "Must be below the opening value." in page.content.decode()
        assert not AuditEntry.objects.exists()

    def test_of_low_tickets_close_above(self, admin: Client) -> None:
        form = {"active": "on", "opens_at": "20", "closes_at": "20"}
        page = admin.post(f"{RULES}tickets_low/change/", form).content.decode()
        assert "Must be above the opening value." in page

    @pytest.mark.parametrize("word", ["", "many", "nan", "inf"])
    def test_what_is_no_number_is_refused(self, admin: Client, word: str) -> None:
        assert self.save(admin, opens_at=word).status_code == 200

    def test_stand_with_their_units(self, admin: Client) -> None:
        page = admin.get(RULES).content.decode()
        assert "25%" in page and "3,600s" in page
        assert 'value="25"' in admin.get(f"{RULES}failure_rate/change/").content.decode()

    def test_none_is_added_or_taken_away(self, admin: Client) -> None:
        assert admin.get(f"{RULES}add/").status_code == 403
        assert admin.post(f"{RULES}failure_rate/delete/", {"post": "yes"}).status_code == 403

    def test_need_the_right_of_those_who_edit_the_catalogue(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_alertrule", "operate_queue")
        assert self.save(client).status_code == 403
