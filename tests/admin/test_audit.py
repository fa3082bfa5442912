"""The audit: found by who, what and when; each entry readable; and shown on the page of the thing that was changed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from campaigns.models import Dimension
from queue_app import clock
from queue_app.admin.audit import calendar_days
from queue_app.models import AuditEntry, ModelConcurrencyLimit, User
from queue_app.ui import history
from queue_app.work import policy
from tests.admin.conftest import StaffWith
from tests.factories import UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
LIST = "/admin/queue_app/auditentry/"


@pytest.fixture
def ada() -> User:
    return UserFactory(staff=True, tickets=0, username="ada")


@pytest.fixture
def lowered(ada: User) -> AuditEntry:
    """Ada has lowered the limit of sora-2 from 4 to 2."""
    limit = ModelConcurrencyLimit.objects.get(model="sora-2")
    policy.change(limit, at=clock.now(), actor=ada, reason="a quiet day", max_concurrent=2)
    return AuditEntry.objects.get()


class TestList:
    @pytest.fixture
    def targets(self, admin: Client) -> Callable[..., list[str]]:
        def found(**asked: str) -> list[str]:
            answer = admin.get(LIST, asked)
            assert answer.status_code == 200
            return [entry.target for entry in answer.context["cl"].result_list]

        return found

    @pytest.fixture(autouse=True)
    def entries(self, ada: User) -> None:
        bob, now = UserFactory(staff=True, tickets=0, username="bob"), clock.now()
        for actor, action, target, age in (
            (ada, "set model limit", "sora-2", 0),
            (ada, "grant tickets", "carol", 3),
            (bob, "set model limit", "kling-1.6", 40),
        ):
            policy.audit(action, target, at=now - timedelta(days=age), actor=actor, reason=f"for {target}")

    def test_is_newest_first(self, targets: Callable[..., list[str]]) -> None:
        assert targets() == ["kling-1.6", "carol", "sora-2"]

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({"who": "ada"}, ["carol", "sora-2"]),
            ({"action": "set model limit"}, ["kling-1.6", "sora-2"]),
            ({"who": "bob", "action": "set model limit"}, ["kling-1.6"]),
            ({"when": "24h"}, ["sora-2"]),
            ({"when": "7d"}, ["carol", "sora-2"]),
            ({"q": "bob"}, ["kling-1.6"]),
            ({"q": "for carol"}, ["carol"]),
            ({"when": "soon"}, ["kling-1.6", "carol", "sora-2"]),
        ],
    )
    def test_is_found_by_who_what_and_when(
        self, targets: Callable[..., list[str]], asked: dict[str, str], found: list[str]
    ) -> None:
        assert targets(**asked) == found

    def test_is_found_by_month_and_day(self, targets: Callable[..., list[str]]) -> None:
        day = clock.now() - timedelta(days=40)
        assert "kling-1.6" in targets(when=f"{day:%Y-%m}")
        assert targets(when=f"{day:%Y-%m-%d}") == ["kling-1.6"]

    def test_offers_the_days_of_a_chosen_month(self, admin: Client) -> None:
        assert "?when=2026-02-28" in admin.get(LIST, {"when": "2026-02"}).content.decode()

    def test_costs_the_same_number_of_queries_with_more_rows(
        self, admin: Client, django_assert_max_num_queries: Callable[[int], object], ada: User
    ) -> None:
        for number in range(30):
            policy.audit("set model limit", f"model {number}", at=clock.now(), actor=ada)
        with django_assert_max_num_queries(12):
            admin.get(LIST)

    @pytest.mark.parametrize("word", ["", "2026", "2026-13", "2026-02-30", "9999999", "----------", "٢٠٢٦-٠٢"])
    def test_what_is_no_date_is_none(self, word: str) -> None:
        assert calendar_days(word) == []


class TestEntry:
    def test_shows_before_and_after_in_the_words_of_the_form(self, admin: Client, lowered: AuditEntry) -> None:
        page = html_of(admin.get(f"{LIST}{lowered.pk}/change/"))
        assert '<th scope="row">Concurrent jobs</th><td class="gq-quiet">4</td><td>2</td>' in page
        assert "a quiet day" in page and "?who=ada" in page
        assert reverse("admin:queue_app_modelconcurrencylimit_change", args=["sora-2"]) in page

    def test_of_what_is_gone_leads_nowhere(self, lowered: AuditEntry) -> None:
        lowered.target_pk = "vhs-1"
        assert history.address(lowered) == ""
        lowered.target_model = "queue_app.taperecorder"
        assert history.address(lowered) == ""

    def test_values_are_said_as_people_say_them(self) -> None:
        entry = AuditEntry(
            before={"paused": False, "paused_until": None, "groups": []},
            after={"paused": True, "paused_until": "2026-11-20T12:00:00Z", "groups": ["Viewer", "Finance"]},
        )
        said = [(change.before, change.after) for change in history.changes(entry)]
        assert said == [("no", "yes"), ("–", "20 Nov 2026, 12:00:00 UTC"), ("–", "Viewer, Finance")]

    @pytest.mark.parametrize(
        ("action", "target", "of", "did", "change"),
        [
            ("pause model", "manim", "queue_app.modelconcurrencylimit", "paused model", ""),
            ("pause queue", "whole queue", "queue_app.queuesettings", "paused", ""),
            ("set model limit", "manim", "queue_app.modelconcurrencylimit", "set model limit of", "phase: a → b"),
            ("change alert rule", "failure_rate", "queue_app.alertrule", "changed alert rule", "phase: a → b"),
            ("stop all", "the whole queue", "queue_app.queuesettings", "stopped", ""),
            ("cancel jobs", "Cancel 3 jobs", "queue_app.bulkaction", "confirmed", ""),
            ("cancel jobs: undone", "Cancel 3 jobs", "queue_app.bulkaction", "undid", ""),
            ("cancel jobs: stopped after 1", "Cancel 3 jobs", "queue_app.bulkaction", "stopped", ""),
            ("odd deed", "x", "", "odd deed", "phase: a → b"),
        ],
    )
    def test_is_told_as_a_sentence(self, action: str, target: str, of: str, did: str, change: str) -> None:
        values = {"before": {"phase": "a"}, "after": {"phase": "b"}}
        entry = AuditEntry(action=action, target=target, target_model=of, **values)
        assert history.did(entry) == (did, change)

    def test_nobody_changes_or_removes_one(self, admin: Client, lowered: AuditEntry) -> None:
        assert admin.post(f"{LIST}{lowered.pk}/change/", {"reason": "another"}).status_code == 403
        assert admin.post(f"{LIST}{lowered.pk}/delete/", {"post": "yes"}).status_code == 403

    @pytest.mark.parametrize("number", ["x", "9" * 30, "0"])
    def test_one_that_is_not_there_leads_back(self, admin: Client, number: str) -> None:
        assert admin.get(f"{LIST}{number}/change/").status_code == 302


class TestHistoryOfAThing:
    def test_is_its_audit(self, admin: Client, lowered: AuditEntry) -> None:
        page = admin.get(reverse("admin:queue_app_modelconcurrencylimit_history", args=["sora-2"])).content.decode()
        assert "Concurrent jobs" in page and "ada" in page and "a quiet day" in page
        assert f"{LIST}{lowered.pk}/change/" in page

    def test_is_its_own_alone(self, admin: Client, lowered: AuditEntry) -> None:
        page = admin.get(reverse("admin:queue_app_modelconcurrencylimit_history", args=["kling-1.6"])).content.decode()
        assert "No changes yet" in page

    def test_needs_the_right_to_see_the_thing(self, staff_with: StaffWith, lowered: AuditEntry) -> None:
        address = reverse("admin:queue_app_modelconcurrencylimit_history", args=["sora-2"])
        assert staff_with("view_job")[1].get(address).status_code == 403
        page = staff_with("view_modelconcurrencylimit")[1].get(address)
        assert page.status_code == 200 and f"{LIST}{lowered.pk}/" not in page.content.decode()

    def test_of_a_user_tells_rights_and_passwords_set(self, admin: Client) -> None:
        user = UserFactory(tickets=0)
        form = {"username": user.username, "email": user.email, "is_active": "on", "is_staff": "on", "max_concurrent": ""}
        admin.post(f"/admin/queue_app/user/{user.pk}/change/", {**form, "last_login_0": "", "last_login_1": ""})
        new = {"password1": "a-new-password-1", "password2": "a-new-password-1", "usable_password": "true"}
        assert admin.post(f"/admin/queue_app/user/{user.pk}/password/", new).status_code == 302
        page = admin.get(f"/admin/queue_app/user/{user.pk}/history/").content.decode()
        assert "Staff status" in page and "Set password" in page and "a-new-password-1" not in page

    def test_of_a_wallet_tells_grants_by_command(self, admin: Client) -> None:
        user = UserFactory()
        call_command("grant_tickets", user.username, "7", reason="for the fair")
        page = admin.get(reverse("admin:queue_app_wallet_history", args=[user.wallet.pk])).content.decode()
        assert "Grant tickets" in page and "for the fair" in page

    def test_of_a_user_tells_their_keys_made_and_revoked(self, admin: Client, capsys: pytest.CaptureFixture[str]) -> None:
        user = UserFactory(tickets=0)
        call_command("create_api_key", user.username)
        key = capsys.readouterr().out.strip()
        row = user.auth_token_set.get()
        admin.post(reverse("admin:queue_app_apikey_delete", args=[row.pk]), {"post": "yes"})
        page = admin.get(f"/admin/queue_app/user/{user.pk}/history/").content.decode()
        assert "Add API key" in page and "read, submit" in page and key not in page
        assert "Revoke API key" in page

    def test_of_a_dimension_tells_what_became_of_its_values(self, admin: Client) -> None:
        mood = Dimension.objects.get(key="mood")
        values = list(mood.values.order_by("position", "id"))
        form = {"label": mood.label, "prompt_label": mood.prompt_label, "position": mood.position}
        form |= {"values-TOTAL_FORMS": len(values), "values-INITIAL_FORMS": len(values)}
        for place, value in enumerate(values):
            row = {"id": value.pk, "dimension": mood.pk, "label": value.label + "!" * (place == 0), "position": value.position}
            form |= {f"values-{place}-{name}": content for name, content in row.items()}
        assert admin.post(reverse("admin:campaigns_dimension_change", args=[mood.pk]), form).status_code == 302
        page = admin.get(reverse("admin:campaigns_dimension_history", args=[mood.pk])).content.decode()
        assert "Change dimension value" in page and f"{values[0].label}!" in page
