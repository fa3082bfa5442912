"""The page of the user's own API keys."""

import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from queue_app import clock
from queue_app.models import ApiKey, AuditEntry
from queue_app.work import keys
from tests.factories import UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
PAGE = "/keys/"
FORM = {"name": "render farm", "scopes": ["read", "submit"], "ends": "90", "form_key": "7c9e6679-7425-40de-944b-e07fc1f90ae7"}


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def browser(client_for, owner):
    return client_for(owner)


def status_with(key):
    return APIClient().get("/api/v1/wallet/", HTTP_AUTHORIZATION=f"Bearer {key}").status_code


class TestANewKey:
    def test_is_shown_once_and_kept_nowhere(self, browser, owner):
        answer = browser.post(PAGE, FORM)

        html = answer.content.decode()
        key = re.search(r"gq_[0-9a-f]{64}", html)[0]
        assert (answer.status_code, html.count(key), status_with(key)) == (201, 1, 200)
        assert "no-store" in answer["Cache-Control"]
        assert "-H &quot;Authorization" not in html and 'Authorization: Bearer $key"' in html
        row = ApiKey.objects.get()
        assert (row.name, row.scopes, row.user) == ("render farm", ["read", "submit"], owner)
        assert timedelta(days=89) < row.expiry - clock.now() <= timedelta(days=90)
        for later in (browser.get(PAGE), browser.post(PAGE, FORM, follow=True)):  # a reload sends the form again
            assert key not in later.content.decode()
        assert "shown only once" in html_of(later)
        assert ApiKey.objects.count() == 1
        kept = [str(session.get_decoded()) for session in Session.objects.all()] + [str([*AuditEntry.objects.values()])]
        assert kept and not any(key in text for text in kept)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"name": " "}, "Enter a name."),
            ({"name": "n" * 101}, "Too long: 101 of 100 characters. Shorten it by 1."),
            ({"scopes": []}, "Choose at least one scope."),
            ({"ends": "5000"}, "Choose when the key expires."),
        ],
    )
    def test_is_refused_at_its_field_with_what_was_typed(self, browser, change, words):
        answer = browser.post(PAGE, FORM | change)

        html = html_of(answer)
        assert (answer.status_code, words in html) == (422, True)
        assert change.get("name", FORM["name"]) in answer.content.decode()
        assert not ApiKey.objects.exists()

    def test_is_refused_with_all_that_is_wrong_at_the_same_time(self, browser):
        html = html_of(browser.post(PAGE, {}))

        assert html.count('class="gq-err"') == 3

    def test_may_manage_what_its_user_may(self, client_for, browser):
        of_staff = client_for(UserFactory(staff=True))
        assert "other users" not in html_of(browser.get(PAGE)) and "other users" in html_of(of_staff.get(PAGE))

        answer = of_staff.post(PAGE, FORM | {"scopes": ["manage"], "ends": "never"})

        assert (answer.status_code, ApiKey.objects.get().scopes, ApiKey.objects.get().expiry) == (201, ["manage"], None)


class TestTheList:
    def test_says_of_each_key_when_and_from_where_it_was_used_and_when_it_ends(self, browser, owner):
        at = clock.now()
        for name, values in {
            "used": {"last_used_at": at, "last_used_from": "10.0.4.12"},
            "soon": {"expiry": at + timedelta(days=5, hours=1)},
            "over": {"expiry": at - timedelta(days=1)},
            "gone": {"revoked_at": at},
        }.items():
            row, _ = ApiKey.objects.create(owner, name=name, scopes=["read"])
            ApiKey.objects.filter(pk=row.pk).update(**values)
        ApiKey.objects.create(UserFactory(), name="of another")

        html = html_of(browser.get(PAGE))

        rows = dict(zip(("soon", "used", "gone", "over"), re.findall(r"<tr.*?</tr>", html)[1:], strict=True))
        assert "from 10.0.4.12" in rows["used"] and "Never" in rows["soon"]
        assert "in 5 days" in rows["soon"] and "Renew…" in rows["soon"]
        assert "Expired" in rows["over"] and "Renew…" in rows["over"]
        assert "Revoked" in rows["gone"] and "Revoke…" not in rows["gone"]
        assert "2 valid" in html and "of another" not in html

    def test_says_what_a_key_is_for_while_there_is_none(self, browser):
        assert "A key lets a program of yours use the API as you." in html_of(browser.get(PAGE))
        assert Client().get(PAGE).status_code == 302


class TestAKey:
    @pytest.fixture
    def key(self, owner):
        return keys.make(owner, keys.NewKey("laptop", ("read",)), at=clock.now(), actor=owner)

    def test_is_renamed_and_renewed(self, browser, key):
        page = reverse("campaigns:key", args=[key[0].pk])

        browser.post(page, {"name": "desk", "ends": "as-it-is"})
        assert [*ApiKey.objects.values_list("name", "expiry")] == [("desk", None)]
        assert browser.post(page, {"name": "desk", "ends": "365"}).status_code == 302

        assert ApiKey.objects.get().expiry > clock.now() + timedelta(days=364)
        assert browser.post(page, {"name": "", "ends": "as-it-is"}).status_code == 422

    def test_is_revoked_and_stays_listed(self, browser, key):
        row, secret = key

        answer = browser.post(reverse("campaigns:key-revoke", args=[row.pk]), follow=True)

        assert "API key “laptop” revoked." in html_of(answer) and "Revoked" in html_of(answer)
        assert status_with(secret) == 401
        assert browser.get(reverse("campaigns:key", args=[row.pk])).status_code == 404

    def test_of_another_user_is_not_there(self, client_for, key):
        staff = client_for(UserFactory(admin=True))

        for name in ("campaigns:key", "campaigns:key-revoke"):
            assert staff.post(reverse(name, args=[key[0].pk]), {"name": "x", "ends": "never"}).status_code == 404
        assert ApiKey.objects.get().revoked_at is None


class TestStaff:
    def test_set_the_rate_of_a_key_and_revoke_it_with_an_entry_in_the_audit(self, client_for, owner):
        admin = client_for(UserFactory(admin=True))
        row, secret = keys.make(owner, keys.NewKey("laptop", ("read",)), at=clock.now(), actor=owner)
        page = reverse("admin:queue_app_apikey_change", args=[row.pk])

        admin.post(page, {"reads_per_minute": "60", "writes_per_minute": "", "why": "too eager", "scopes": '["manage"]'})
        html = html_of(admin.post(reverse("admin:queue_app_apikey_delete", args=[row.pk]), {"post": "yes"}, follow=True))

        found = ApiKey.objects.get()
        assert (found.reads_per_minute, found.writes_per_minute, found.scopes) == (60, None, ["read"])
        assert "revoked. Its next call is refused." in html and "Revoke…" not in html
        assert status_with(secret) == 401
        entries = AuditEntry.objects.order_by("id").values_list("action", "after", "reason")[1:]
        assert [*entries] == [("change API key", {"reads_per_minute": 60}, "too eager"), ("revoke API key", {}, "")]
