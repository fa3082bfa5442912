"""Who may call, how often, and how refusals look."""

import re
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from queue_app import clock
from queue_app.api import throttling
from queue_app.api.generics import JsonAPIView
from queue_app.models import ApiKey, AuditEntry, LedgerTransaction, User, Wallet
from queue_app.ui import pace, shared_pace
from queue_app.ui.pace import Rates
from queue_app.work import retention
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
URL, KEYS = "/api/v1/wallet/", "/api/v1/keys/"


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
    @pytest.fixture(autouse=True)
    def throttled(self, monkeypatch):
        monkeypatch.setattr(JsonAPIView, "throttle_classes", [throttling.CallerThrottle])

    @pytest.fixture
    def slow(self, settings):
        settings.API_READS_PER_MINUTE, settings.API_WRITES_PER_MINUTE = 2, 1

    def test_lets_a_hundred_reads_a_second_through_by_default(self, api_for):
        api = api_for(UserFactory())

        assert {api.get(URL).status_code for _ in range(110)} == {200}

    def test_is_429_and_says_when_to_come_back(self, api_for, slow):
        api = api_for(UserFactory())

        answers = [api.get(URL) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer["RateLimit-Policy"] for answer in answers] == ['"read";q=2;w=60'] * 3
        left = [re.fullmatch(r'"read";r=(\d+);t=\d+', answer["RateLimit"])[1] for answer in answers]
        assert left == ["1", "0", "0"]
        assert answers[2].json()["code"] == "throttled"
        assert 1 <= int(answers[2]["Retry-After"]) <= 30

    def test_counts_reads_and_writes_and_callers_apart(self, api_for, slow):
        owner = UserFactory()
        one, other = api_for(owner), api_for(owner)

        assert [one.get(URL).status_code for _ in range(3)] == [200, 200, 429]
        assert other.get(URL).status_code == 200
        assert one.post("/api/v1/jobs/", {}).status_code == 400
        assert one.post("/api/v1/jobs/", {}).status_code == 429

    def test_tells_the_rate_with_every_refusal_of_a_known_caller(self, api_for):
        api = api_for(UserFactory())
        calls = [
            (403, api.patch("/api/v1/models/sora-2/", {"paused": True})),
            (404, api.get("/api/v1/jobs/1/")),
            (400, api.get("/api/v1/jobs/?x=1")),
            (405, api.delete("/api/v1/jobs/")),
        ]

        assert [answer.status_code for _, answer in calls] == [status for status, _ in calls]
        assert all(answer["RateLimit-Policy"].endswith(";w=60") and ";r=" in answer["RateLimit"] for _, answer in calls)

    def test_is_that_of_the_key_where_it_has_one(self, api_for):
        api = api_for(UserFactory())
        ApiKey.objects.update(reads_per_minute=1)

        assert [api.get(URL).status_code for _ in range(2)] == [200, 429]
        assert api.get(URL)["RateLimit-Policy"] == '"read";q=1;w=60'


class TestTwoProcesses:
    """Each counts with a copy of its own, and settles with what they share."""

    @pytest.fixture
    def processes(self, monkeypatch):
        monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: 0.0))
        return [Rates(shared_pace.settle) for _ in range(2)]

    def test_share_a_rate_to_the_call_if_it_is_small(self, processes):
        one, other = processes

        waits = [process.spend("few", calls=4, seconds=36_000).wait for process in (one, other, one, other, one, other)]

        assert [wait > 0 for wait in waits] == [False] * 4 + [True] * 2
        assert 0 < waits[-1] <= 9_000

    def test_share_a_rate_within_a_tenth_if_it_is_large(self, processes):
        one, other = processes

        took = [
            sum(not process.spend("many", calls=1_000, seconds=36_000).wait for _ in range(1_100)) for process in (one, other)
        ]

        assert 1_000 <= sum(took) <= 1_100

    def test_count_alone_while_redis_is_away(self, tmp_path, caplog):
        alone = Rates(shared_pace.Redis(f"unix://{tmp_path}/nobody.sock").settle)

        assert [alone.spend("few", calls=2, seconds=36_000).wait > 0 for _ in range(3)] == [False, False, True]
        assert caplog.text.count("Redis can't be reached") == 1

    def test_ask_what_is_shared_once_in_a_tenth_of_the_rate(self, processes, django_assert_num_queries):
        with django_assert_num_queries(3):
            for _ in range(300):
                processes[0].spend("many", calls=1_000, seconds=36_000)


def own_keys(api):
    return [key["name"] for key in api.get(KEYS).json()["results"]]


class TestOwnKeys:
    def test_are_made_shown_once_and_work(self, api_for):
        api = api_for(UserFactory(), "read", "submit")
        ends = clock.now() + timedelta(days=30)

        answer = api.post(KEYS, {"name": " render\nfarm ", "scopes": ["read"], "expires_at": ends.isoformat()})

        made = answer.json()
        assert (answer.status_code, answer["Cache-Control"]) == (201, "no-store")
        assert answer["Location"].endswith(f"{KEYS}{made['id']}/")
        assert (made["name"], made["scopes"], made["current"]) == ("render farm", ["read"], False)
        assert made["key"].startswith(made["prefix"]) and len(made["prefix"]) == 15
        new = with_key(made["key"])
        listed = new.get(f"{KEYS}{made['id']}/", REMOTE_ADDR="2001:db8::7").json()
        assert made["key"] not in str(listed) and listed["current"] is True
        assert new.get(f"{KEYS}{made['id']}/").json()["last_used_from"] == "2001:db8::7"
        assert made["key"] not in str(AuditEntry.objects.values())
        assert AuditEntry.objects.get().action == "add API key"

    def test_take_what_the_key_that_makes_them_has_and_no_more(self, api_for):
        staff = UserFactory(admin=True)
        api = api_for(staff, "read", "submit")
        ends = clock.now() + timedelta(days=9)
        ApiKey.objects.update(expiry=ends, reads_per_minute=7)

        made = api.post(KEYS, {"name": "child"}).json()
        wider = api.post(KEYS, {"scopes": ["read", "manage"]})
        later = [api.post(KEYS, {"expires_at": end}) for end in (None, (ends + timedelta(seconds=1)).isoformat())]

        child = ApiKey.objects.get(pk=made["id"])
        assert (child.scopes, child.expiry, child.reads_per_minute) == (["read", "submit"], ends, 7)
        assert [answer.status_code for answer in (wider, *later)] == [400] * 3
        assert [error["field"] for answer in (wider, *later) for error in answer.json()["errors"]] == [
            "scopes",
            *["expires_at"] * 2,
        ]

    def test_get_no_other_end_from_a_key_with_less(self, api_for):
        staff = UserFactory(admin=True)
        narrow, wide = api_for(staff, "read", "submit"), api_for(staff, "read", "manage")
        of_wide, of_narrow = (f"{KEYS}{key['id']}/" for key in wide.get(KEYS).json()["results"])
        soon, later = (clock.now() + timedelta(days=days) for days in (5, 9))
        ApiKey.objects.update(expiry=soon)

        answers = [
            narrow.patch(of_wide, {"expires_at": str(soon - timedelta(days=1))}),
            narrow.patch(of_narrow, {"expires_at": str(later)}),
        ]

        assert [answer.status_code for answer in answers] == [400, 400]
        assert "lacks the “manage” scope" in answers[0].json()["detail"] and "expires at" in answers[1].json()["detail"]
        assert {*ApiKey.objects.values_list("expiry", flat=True)} == {soon}

    def test_are_neither_renamed_nor_revoked_by_a_key_with_less(self, api_for):
        owner = UserFactory()
        narrow, wide = api_for(owner, "read", "submit"), api_for(owner, "read", "submit", "manage")
        of_wide, of_narrow = (f"{KEYS}{key['id']}/" for key in wide.get(KEYS).json()["results"])

        answers = [narrow.patch(of_wide, {"name": "mine"}), narrow.delete(of_wide)]

        assert [answer.status_code for answer in answers] == [400, 400]
        assert all("lacks the “manage” scope" in answer.json()["detail"] for answer in answers)
        assert not ApiKey.objects.exclude(name="", revoked_at=None).exists()
        assert narrow.patch(of_narrow, {"name": "mine"}).status_code == 200
        assert [key.delete(of_narrow).status_code for key in (narrow, wide)] == [204, 204]

    def test_need_a_scope_to_be_made_and_are_the_callers_own(self, api_for):
        owner, other = UserFactory(), UserFactory(admin=True)
        reader, boss = api_for(owner, "read"), api_for(other, "read", "submit", "manage")
        mine = reader.get(KEYS).json()["results"][0]["id"]

        assert reader.post(KEYS, {}).status_code == 403
        assert boss.get(f"{KEYS}{mine}/").status_code == boss.delete(f"{KEYS}{mine}/").status_code == 404
        assert len(boss.get(KEYS).json()["results"]) == 1

    def test_are_renamed_renewed_and_revoked(self, api_for):
        api = api_for(UserFactory())
        made = api.post(KEYS, {"name": "old"}).json()
        address, ends = f"{KEYS}{made['id']}/", clock.now() + timedelta(days=365)

        renewed = api.patch(address, {"name": "new", "expires_at": ends.isoformat()}).json()
        assert (renewed["name"], renewed["expires_at"]) == ("new", ends.isoformat().replace("+00:00", "Z"))
        assert [api.delete(address).status_code for _ in range(2)] == [204, 204]

        assert api.get(address).json()["revoked_at"] is not None
        assert (api.patch(address, {"name": "x"}).status_code, with_key(made["key"]).get(URL).status_code) == (409, 401)
        assert [*AuditEntry.objects.order_by("id").values_list("action", flat=True)] == [
            "add API key",
            "change API key",
            "revoke API key",
        ]
        retention.prune(at=clock.now() + timedelta(days=31))
        assert own_keys(api) == [""]

    def test_are_at_most_fifty_and_twenty_within_an_hour(self, api_for):
        owner = UserFactory()
        api = api_for(owner)
        statuses = [api.post(KEYS, {}).status_code for _ in range(19)]
        refused = api.post(KEYS, {})

        assert {*statuses} == {201}
        assert (refused.status_code, refused.json()["code"]) == (429, "throttled")
        assert 3_000 < int(refused["Retry-After"]) <= 3_600
        ApiKey.objects.update(created=clock.now() - timedelta(hours=2))
        for _ in range(30):
            ApiKey.objects.create(owner)
        assert "50 keys" in api.post(KEYS, {}).json()["detail"]


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
