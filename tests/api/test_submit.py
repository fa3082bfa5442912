"""POST jobs/: one job goes in, or nothing at all is written."""

import json
from datetime import timedelta

import pytest
from django.db import connection

from queue_app import clock
from queue_app.models import ApiKey, Job, JobEvent, LedgerTransaction, ModelConcurrencyLimit, Reservation, Wallet
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/jobs/"
GOOD = {"model": "sora-2", "prompt": "A tram through a sunlit old town.", "parameters": {"duration": 4}}


@pytest.fixture
def owner():
    return UserFactory(tickets=100)


@pytest.fixture
def api(api_for, owner):
    return api_for(owner)


def nothing_was_written():
    return not Job.objects.exists() and not Reservation.objects.exists() and not JobEvent.objects.exists()


def fields_of(answer):
    return [error["field"] for error in answer.json()["errors"]]


class TestSubmit:
    def test_queues_a_job_and_holds_its_tickets(self, api, owner):
        answer = api.post(URL, GOOD)

        assert answer.status_code == 201
        job = answer.json()
        assert (job["status"], job["state"], job["kind"], job["model"]) == ("queued", "queued", "video", "sora-2")
        assert job["parameters"] == {"duration": 4, "aspect_ratio": "16:9", "loop": False}
        assert job["tickets"] == {"reserved": 4, "captured": 0, "refunded": 0}
        assert job["cost"] == {"tickets": 4, "usd": "2.00", "usd_is_estimate": True}
        assert job["position"] == 1
        assert job["preview"] is True
        assert Wallet.objects.get(owner=owner).reserved == 4
        assert JobEvent.objects.get(job=job["id"]).actor == f"{owner.username} by API"

    def test_says_where_the_job_can_be_read_and_changed(self, api):
        links = api.post(URL, GOOD).json()["links"]

        assert api.get(links["self"]).status_code == 200
        assert api.get(links["events"]).status_code == 200
        assert {name: link.rpartition("/api/v1/")[2].split("/", 2)[2] for name, link in links.items()} == {
            "self": "",
            "status": "status/",
            "events": "events/",
            "cancel": "cancel/",
            "retry": "retry/",
            "assets": "assets/",
            "move": "move/",
        }

    def test_takes_null_for_left_out(self, api):
        answer = api.post(URL, GOOD | {"kind": None, "priority": None, "deadline": None, "metadata": None, "not_before": None})

        assert answer.status_code == 201
        assert answer.json()["metadata"] == {}

    def test_keeps_metadata_and_times(self, api):
        start, end = (f"{clock.now() + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (1, 2))
        extras = {"metadata": {"sku": "A-1", "n": [1, 2.5]}, "deadline": end, "not_before": start}

        job = api.post(URL, GOOD | extras).json()

        assert job["metadata"] == extras["metadata"]
        assert (job["deadline"], job["not_before"]) == (extras["deadline"], extras["not_before"])

    def test_of_a_session_needs_a_csrf_token(self, client_for, owner):
        browser = client_for(owner)
        browser.handler.enforce_csrf_checks = True

        answer = browser.post(URL, json.dumps(GOOD), content_type="application/json")

        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        assert nothing_was_written()

    def test_works_in_a_session(self, client_for, owner):
        assert client_for(owner).post(URL, json.dumps(GOOD), content_type="application/json").status_code == 201


class TestRights:
    """Nobody comes first by what he calls his job (I41)."""

    @pytest.mark.parametrize("kind", ["doubt", "topic_short", "daily_ca"])
    @pytest.mark.parametrize("query", ["", "?dry_run=true"])
    def test_a_restricted_kind_is_refused_by_its_own_code(self, api, kind, query):
        answer = api.post(URL + query, GOOD | {"model": "sora-2-pro", "kind": kind})

        assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (403, "kind_restricted", ["kind"])
        assert nothing_was_written()

    def test_a_batch_names_the_job_whose_kind_is_restricted(self, api):
        answer = api.post(f"{URL}batch/", {"jobs": [GOOD, GOOD | {"kind": "doubt"}]})

        assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (403, "kind_restricted", ["jobs[1].kind"])
        assert nothing_was_written()

    def test_who_has_the_rights_goes_first(self, api_for):
        able = api_for(UserFactory(rights=["submit_restricted_kinds", "exceed_normal_priority"]))

        job = able.post(URL, GOOD | {"kind": "doubt"}).json()

        assert (job["kind"], job["priority"], job["priority_reasons"]) == ("doubt", 10, ["default for doubt"])

    def test_who_may_submit_the_kind_and_not_go_first_is_told_why(self, api_for):
        job = api_for(UserFactory(rights=["submit_restricted_kinds"])).post(URL, GOOD | {"kind": "doubt"}).json()

        assert (job["kind"], job["priority"]) == ("doubt", 0)
        assert job["priority_reasons"] == ["default for doubt", "lowered from high to normal: above normal needs permission"]

    def test_invented_metadata_makes_no_video_a_page(self, api):
        metadata = {"sku_count": 99_999, "monthly_searches": 99_999, "content_status": "missing"}

        answer = api.post(URL, GOOD | {"kind": "page", "metadata": metadata})

        assert (answer.status_code, fields_of(answer)) == (400, ["kind"])


class TestDryRun:
    def test_prices_and_writes_nothing(self, api):
        answer = api.post(f"{URL}?dry_run=true", GOOD | {"parameters": {"duration": 20}})

        assert answer.status_code == 200
        price = answer.json()
        assert price["cost"] == {"tickets": 20, "usd": "10.00", "usd_is_estimate": True}
        assert price["wallet"] == {"available": 100, "after": 80}
        assert price["affordable"] is True
        assert nothing_was_written()

    def test_tells_what_cannot_be_afforded(self, api_for):
        price = api_for(UserFactory(tickets=0)).post(f"{URL}?dry_run=true", GOOD).json()

        assert (price["affordable"], price["wallet"]["after"]) == (False, -4)

    def test_refuses_what_would_be_refused(self, api):
        assert api.post(f"{URL}?dry_run=true", GOOD | {"prompt": ""}).status_code == 400
        assert api.post(f"{URL}?dry_run=perhaps", GOOD).status_code == 400


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "field", "words"),
        [
            ({"model": "sora-9"}, "model", "Unknown model “sora-9”"),
            ({"prompt": ""}, "prompt", "Enter a prompt."),
            ({"prompt": "  "}, "prompt", "Enter a prompt."),
            ({"prompt": "x" * 32_001}, "prompt", "32,001 characters"),
            ({"prompt": 7}, "prompt", "Send a string, not a number"),
            ({"prompt": None}, "prompt", "Enter a prompt."),
            ({"parameters": {"duration": 7}}, "parameters.duration", "4, 5, 8, 10, 12, 16 or 20 s"),
            ({"parameters": {"duration": "8"}}, "parameters.duration", "not the text “8”"),
            ({"parameters": {"duration": True}}, "parameters.duration", "not true"),
            ({"parameters": {"aspect_ratio": "4:3"}}, "parameters.aspect_ratio", "16:9, 9:16 or 1:1"),
            ({"parameters": {"sharpness": 3}}, "parameters.sharpness", "no parameter “sharpness”"),
            ({"parameters": []}, "parameters", "Send an object"),
            ({"priority": "5"}, "priority", "Send a whole number, not a string"),
            ({"priority": True}, "priority", "Send a whole number, not true or false"),
            ({"priority": 1.0}, "priority", "Send a whole number"),
            ({"priority": 10**30}, "priority", "whole number from -100 to 100"),
            ({"priority": 10}, "priority", "Only staff"),
            ({"kind": "poem"}, "kind", "Unknown kind “poem”"),
            ({"deadline": "soon"}, "deadline", "Send a time such as"),
            ({"deadline": 1790000000}, "deadline", "Send a time such as"),
            ({"deadline": "2026-01-01T00:00:00Z"}, "deadline", "The deadline has passed"),
            ({"kind": "image"}, "kind", "“image” is for images; sora-2 generates videos"),
            ({"callback_url": "http://example.com/hook"}, "callback_url", "must begin with https"),
            ({"callback_url": "https://127.0.0.1/hook"}, "callback_url", "public server"),
            ({"metadata": {"note": "x" * 20_000}}, "metadata", "the limit is 16,000"),
            ({"colour": "red"}, "colour", "Unknown field"),
        ],
    )
    def test_is_refused_naming_the_field(self, api, change, field, words):
        answer = api.post(URL, GOOD | change)

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        body = answer.json()
        assert (body["code"], body["status"]) == ("invalid_input", 400)
        assert [(error["field"], words in error["message"]) for error in body["errors"]] == [(field, True)]
        assert nothing_was_written()

    def test_names_every_field_that_is_wrong(self, api):
        assert fields_of(api.post(URL, {"colour": "red", "prompt": 1})) == ["colour", "prompt", "model"]

    @pytest.mark.parametrize(
        "body",
        [
            "{",
            "",
            "nul",
            '{"model": NaN}',
            '{"metadata": {"x": 1e999}}',
            '{"prompt": "\\ud800"}',
            "[" * 100_000,
            "\xff",
            "9" * 5_000,
        ],
    )
    def test_is_refused_when_it_is_not_json(self, api, body):
        answer = api.post(URL, body.encode("latin-1"), content_type="application/json")

        assert answer.status_code == 400
        assert answer.json()["code"] in ("malformed_json", "invalid_input")
        assert nothing_was_written()

    @pytest.mark.parametrize("body", ["[]", '"text"', "7", "null", "true"])
    def test_is_refused_when_it_is_not_an_object(self, api, body):
        assert api.post(URL, body, content_type="application/json").status_code == 400

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
    def test_is_refused_when_it_is_not_sent_as_json(self, api, content_type):
        answer = api.post(URL, "model=sora-2", content_type=content_type)

        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")

    def test_nul_is_refused(self, api):
        assert fields_of(api.post(URL, GOOD | {"prompt": "a\x00b"})) == ["prompt"]
        assert fields_of(api.post(URL, GOOD | {"metadata": {"a": "\x00"}})) == ["metadata"]


class TestAKnownModelThatNobodyOffers:
    def test_is_422(self, api):
        answer = api.post(URL, {"model": "haiper-2.0", "prompt": "A tram."})

        assert (answer.status_code, answer.json()["code"]) == (422, "model_not_available")
        assert "sora-2" in answer.json()["detail"]
        assert nothing_was_written()


class TestNotEnoughTickets:
    def test_is_402_with_the_numbers(self, api_for):
        owner = UserFactory(tickets=3)

        answer = api_for(owner).post(URL, GOOD)

        assert answer.status_code == 402
        body = answer.json()
        assert (body["code"], body["needed"], body["available"], body["missing"]) == ("not_enough_tickets", 4, 3, 1)
        assert nothing_was_written()
        assert not LedgerTransaction.objects.filter(kind="reserve").exists()
        assert Wallet.objects.get(owner=owner).available == 3


class TestALimit:
    @pytest.mark.parametrize("limit", [0, 51, -1, "5", True, 4.0, None])
    def test_out_of_its_span_is_refused(self, api_for, limit):
        staff = api_for(UserFactory(staff=True, rights=["change_modelconcurrencylimit"]), "read", "manage")

        answer = staff.patch("/api/v1/models/sora-2/", {"max_concurrent": limit})

        assert answer.status_code == 400
        assert fields_of(answer) == ["max_concurrent"]
        assert ModelConcurrencyLimit.objects.get(model="sora-2").max_concurrent == 4


def test_the_key_itself_is_nowhere_in_the_database(api_for):
    api_for(UserFactory())

    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(queue_app_apikey)::text FROM queue_app_apikey")
        (row,) = cursor.fetchone()
    key = ApiKey.objects.get()
    assert key.token_key in row
    assert len(key.token_key) == 15  # the part that finds it; the rest is hashed
