"""Who may call, how often, and how refusals look."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from queue_app import clock
from queue_app.api import throttling
from queue_app.api.generics import JsonAPIView
from queue_app.models import ApiKey, AuditEntry, LedgerTransaction, User, Wallet
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/wallet/"


def with_key(key):
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return api


class TestAKey:
    def test_lets_its_user_in(self):
        _, key = ApiKey.objects.create(UserFactory(tickets=7), scopes=["read"])

        assert with_key(key).get(URL).json()["available"] == 7

    def test_costs_one_query_and_notes_its_use_once_a_minute(self, django_assert_num_queries):
        owner = UserFactory(tickets=0)
        for _ in range(5):
            ApiKey.objects.create(owner, expiry=timedelta(hours=1), scopes=["read"])
        found, key = ApiKey.objects.create(owner, scopes=["read"])
        with_key(key).get(URL)
        used_at = ApiKey.objects.get(pk=found.pk).last_used_at

        with django_assert_num_queries(2):  # the key with its user and the time, the wallet
            with_key(key).get(URL)
        assert ApiKey.objects.get(pk=found.pk).last_used_at == used_at is not None

    @pytest.mark.parametrize(
        "header", ["Bearer gq_unknown", "Bearer", "Bearer a b", "Bearer \xff\xfe", "Token x", "", "Basic YQ"]
    )
    def test_that_is_wrong_or_missing_is_401(self, header):
        api = APIClient()
        api.credentials(HTTP_AUTHORIZATION=header)

        answer = api.get(URL)

        assert (answer.status_code, answer.json()["code"], answer["WWW-Authenticate"]) == (401, "not_authenticated", "Bearer")
        assert answer["Content-Type"] == "application/problem+json"

    def test_that_has_expired_is_401(self):
        found, key = ApiKey.objects.create(UserFactory(), scopes=["read"])
        ApiKey.objects.filter(pk=found.pk).update(expiry=clock.now() - timedelta(seconds=1))

        assert "expired" in with_key(key).get(URL).json()["detail"]

    def test_of_an_inactive_user_is_401(self):
        owner = UserFactory()
        _, key = ApiKey.objects.create(owner, scopes=["read"])
        User.objects.filter(pk=owner.pk).update(is_active=False)

        assert with_key(key).get(URL).status_code == 401

    def test_without_the_scope_is_403_naming_it(self, api_for):
        answer = api_for(UserFactory(), "submit").get(URL)

        assert (answer.status_code, answer.json()["detail"]) == (403, "This call needs the “read” scope.")


class TestRefusals:
    @pytest.mark.parametrize(
        ("method", "url", "status", "code"),
        [
            ("delete", "/api/v1/jobs/", 405, "method_not_allowed"),
            ("get", "/api/v1/jobs/batch/", 405, "method_not_allowed"),
            ("get", "/api/v1/nowhere/", 404, "not_found"),
            ("get", "/api/v1/jobs/abc/", 404, "not_found"),
            ("get", "/api/v1/models/nothing/", 404, "not_found"),
        ],
    )
    def test_are_problems(self, api_for, method, url, status, code):
        answer = getattr(api_for(UserFactory()), method)(url)

        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
        body = answer.json()
        assert (body["status"], body["code"]) == (status, code)
        assert {"type", "title", "detail", "errors"} <= body.keys()

    def test_of_another_media_type_are_406(self, api_for):
        answer = api_for(UserFactory()).get(URL, headers={"Accept": "application/xml"})

        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")

    def test_a_fault_of_ours_is_a_problem_without_details(self, api_for, monkeypatch):
        monkeypatch.setattr("queue_app.api.views.wallet.tickets.balances", lambda _: 1 / 0)
        api = api_for(UserFactory())
        api.raise_request_exception = False

        answer = api.get(URL)

        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "ZeroDivision" not in answer.content.decode()


class TestThrottle:
    @pytest.fixture
    def slow(self, monkeypatch):
        monkeypatch.setattr(JsonAPIView, "throttle_classes", [throttling.ReadThrottle, throttling.WriteThrottle])
        monkeypatch.setattr(throttling._CallerThrottle, "get_rate", lambda _: "6/min")

    def test_lets_a_hundred_reads_a_second_through_by_default(self, api_for, monkeypatch):
        monkeypatch.setattr(JsonAPIView, "throttle_classes", [throttling.ReadThrottle])
        api = api_for(UserFactory())

        assert {api.get(URL).status_code for _ in range(110)} == {200}

    def test_is_429_and_says_when_to_come_back(self, api_for, slow):
        api = api_for(UserFactory())
        api.get(URL)

        answer = api.get(URL)

        assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
        assert 1 <= int(answer["Retry-After"]) <= 10

    def test_counts_reads_and_writes_and_callers_apart(self, api_for, slow):
        owner = UserFactory()
        one, other = api_for(owner), api_for(owner)
        one.get(URL)

        assert one.get(URL).status_code == 429
        assert other.get(URL).status_code == 200
        assert one.post("/api/v1/jobs/", {}).status_code == 400


class TestCreateApiKey:
    def run(self, *args):
        out = StringIO()
        call_command("create_api_key", *args, stdout=out)
        return out.getvalue()

    def test_prints_the_key_alone(self):
        UserFactory(username="demo")

        printed = self.run("demo")

        assert re.fullmatch(r"gq_\w+\n", printed)
        assert with_key(printed.strip()).get(URL).status_code == 200
        assert ApiKey.objects.get().scopes == ["read", "submit"]

    def test_takes_scopes_and_a_name(self):
        UserFactory(username="demo")

        self.run("demo", "--scope", "read", "--scope", "manage", "--name", "the shop")

        key = ApiKey.objects.get()
        assert (key.scopes, key.name) == (["read", "manage"], "the shop")

    @pytest.mark.parametrize(
        "line",
        [
            "demo --scope read manage",
            "demo --scope read manage --scope read",
            "--scope read manage --name shop demo",
            "--scope read demo --scope manage",
            "--scope read manage demo",
            "--scope read --scope manage demo",
        ],
    )
    def test_takes_scopes_after_one_flag_and_after_several_and_the_user_anywhere(self, line):
        UserFactory(username="demo")

        self.run(*line.split())

        assert ApiKey.objects.get().scopes == ["read", "manage"]

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("nobody", "Unknown user “nobody”"),
            ("demo --scope root", "Unknown scope “root”[.] Available: read, submit, manage[.]"),
            ("demo --scope read root", "Unknown scope “root”[.] Available: read, submit, manage[.]"),
            ("--scope root demo", "Unknown scope “root”"),
            ("--scope read nobody", "Unknown user “nobody”"),
            ("--scope", "expected at least one argument"),
            ("--scope demo", "required: user"),
            ("--scope read submit", "required: user"),
            ("", "required: user"),
        ],
    )
    def test_refuses_an_unknown_user_or_scope(self, line, words):
        UserFactory(username="demo")

        with pytest.raises(CommandError, match=words):
            self.run(*line.split())

        assert not ApiKey.objects.exists()


class TestGrantTickets:
    def test_grants_and_writes_down_why(self):
        owner = UserFactory(username="demo", tickets=0)

        call_command("grant_tickets", "demo", "50", "--reason", "welcome", stdout=StringIO())

        assert Wallet.objects.get(owner=owner).available == 50
        entry = LedgerTransaction.objects.get()
        assert entry.reason == "welcome"
        assert AuditEntry.objects.get().after == {"tickets": 50, "ledger": entry.key}

    @pytest.mark.parametrize("args", [["nobody", "5"], ["demo", "0"], ["demo", "-5"], ["demo", "99999999999999"]])
    def test_refuses_what_makes_no_sense(self, args):
        UserFactory(username="demo", tickets=0)
        with pytest.raises(CommandError):
            call_command("grant_tickets", *args, "--reason", "welcome")
        with pytest.raises(CommandError):
            call_command("grant_tickets", "demo", "5", "--reason", " ")
        assert not LedgerTransaction.objects.exists()
