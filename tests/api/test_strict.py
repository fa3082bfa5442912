"""Every call takes what it declares and nothing else; all that is wrong is named at once, and nothing was done."""

import itertools
import re

import pytest
from django.urls import get_resolver
from rest_framework import serializers

from campaigns.models import Campaign
from queue_app import clock
from queue_app.api import fields, generics
from queue_app.api.generics import StrictAPIView
from queue_app.models import ApiKey, Batch, Job, Upload
from tests.campaigns.support import make_campaign
from tests.factories import UserFactory, make_endpoint, make_job

pytestmark = pytest.mark.django_db
JOBS, BATCH, CAMPAIGNS = "/api/v1/jobs/", "/api/v1/jobs/batch/", "/api/v1/campaigns/"
GOOD = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}}
BRIEF = {"brand": "Alder", "big_idea": "A parcel.", "dimensions": {"mood": ["calm"]}, "model": "sora-2", "duration": 4}
BODIES = {JOBS: GOOD, BATCH: {"jobs": [GOOD]}, CAMPAIGNS: BRIEF}


@pytest.fixture
def owner():
    return UserFactory(tickets=100)


@pytest.fixture
def api(api_for, owner):
    return api_for(owner)


def fields_of(answer):
    return [error["field"] for error in answer.json()["errors"]]


def nothing_was_bought():
    return not Job.objects.exists() and not Batch.objects.exists() and not Campaign.objects.exists()


def every_call(patterns=None, before="/"):
    """Each method of each address of the API, with its view."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(one.pattern)
        if hasattr(one, "url_patterns"):
            yield from every_call(one.url_patterns, route)
        elif issubclass(getattr(one.callback, "cls", object), StrictAPIView):
            there = getattr(one.callback, "actions", None) or dir(one.callback.cls)  # a viewset's router has bound its methods
            yield from ((method, route) for method in ("get", "post", "patch", "put", "delete") if method in there)
        elif route.startswith("/api/"):
            raise AssertionError(f"{route} has no view that refuses what it does not know")


class TestEveryCall:
    @pytest.fixture
    def address(self, owner):
        campaign = make_campaign(owner)
        cell = campaign.combinations.first().pk
        row = Upload.objects.create(owner=owner, name="uploads/a.png", size=1, width=1, height=1, created_at=clock.now())
        jobs = make_job(owner=owner).pk
        key = ApiKey.objects.create(owner)[0].pk
        numbers = {
            "uploads": row.pk,
            "keys": key,
            "campaigns": campaign.pk,
            "batches": campaign.pk,
            "combinations": cell,
            "jobs": jobs,
            "webhook-endpoints": make_endpoint(owner).pk,
        }

        def filled(route):
            part = next((name for name in numbers if f"/{name}/" in route), "")
            values = {"pk": numbers.get(part, 1), "key": "sora-2", "asset_id": row.pk, "upload_id": row.pk, "delivery": "msg_1"}
            return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values.get(found[1], "a.mp4")), route)

        return filled

    def test_is_known(self):
        calls = list(every_call())

        assert len(calls) >= 30
        assert ("post", JOBS) in calls and ("get", "/api/v1/queue/stream/") in calls

    def test_refuses_a_parameter_that_it_does_not_know_by_name(self, api_for, address):
        staff = api_for(UserFactory(admin=True), "read", "submit", "manage")

        for method, route in every_call():
            answer = getattr(staff, method)(f"{address(route)}?stauts=failed")

            assert (method, route, answer.status_code) == (method, route, 400)
            assert "stauts" in fields_of(answer)
            assert answer["Content-Type"] == "application/problem+json"

    def test_refuses_a_field_that_it_does_not_know_by_name(self, api_for, address):
        staff = api_for(UserFactory(admin=True), "read", "submit", "manage")

        for method, route in every_call():
            answer = staff.generic(method.upper(), address(route), '{"reasno": "x"}', content_type="application/json")

            assert (method, route, answer.status_code) == (method, route, 400)
            assert "reasno" in fields_of(answer)


class TestAParameter:
    @pytest.mark.parametrize("address", [JOBS, CAMPAIGNS, "/api/v1/wallet/entries/"])
    @pytest.mark.parametrize("size", ["abc", "0", "101", "-1", "1.0", "1_0", "٣", "9" * 5_000])
    def test_of_pages_is_not_bent_into_what_it_is_not(self, api, address, size):
        answer = api.get(address, {"page_size": size})

        assert (answer.status_code, fields_of(answer)) == (400, ["page_size"])
        assert "1" in answer.json()["detail"]

    def test_is_sent_once(self, api):
        answer = api.get(f"{JOBS}?status=failed&status=queued&kind=video")

        assert (answer.status_code, fields_of(answer)) == (400, ["status"])
        assert "once" in answer.json()["detail"]

    @pytest.mark.parametrize("query", ["order=id", "format=json", "format=xml", "limit=5", "Status=failed"])
    def test_that_is_unknown_is_refused_with_those_that_are_known(self, api, query):
        answer = api.get(f"{JOBS}?{query}")

        assert (answer.status_code, fields_of(answer)) == (400, [query.partition("=")[0]])
        assert "status, model, kind" in answer.json()["errors"][0]["message"]


class TestADryRun:
    @pytest.mark.parametrize("address", BODIES)
    def test_buys_nothing(self, api, address):
        answer = api.post(f"{address}?dry_run=true", BODIES[address])

        assert (answer.status_code, answer.json()["dry_run"]) == (200, True)
        assert nothing_was_bought()

    @pytest.mark.parametrize("address", BODIES)
    @pytest.mark.parametrize(
        "query", ["dryrun=true", "dry-run=true", "dry_run", "dry_run=", "dry_run=1", "dry_run=True", "Dry_run=true"]
    )
    def test_that_is_not_spelt_like_this_buys_nothing_either(self, api, address, query):
        answer = api.post(f"{address}?{query}", BODIES[address])

        assert (answer.status_code, fields_of(answer)) == (400, [query.partition("=")[0]])
        assert nothing_was_bought()

    @pytest.mark.parametrize(
        ("address", "body", "named"),
        [
            (JOBS, {}, ["dryrun", "model", "prompt"]),
            (JOBS, GOOD | {"prompt": "", "colour": "red"}, ["dryrun", "colour", "prompt"]),
            (JOBS, GOOD | {"model": "sora-9"}, ["dryrun", "model"]),
            (BATCH, {"jobs": [GOOD, GOOD | {"prompt": 5}]}, ["dryrun", "jobs[1].prompt"]),
            (BATCH, {"jobs": [GOOD], "callback_url": "http://a.b"}, ["dryrun", "callback_url"]),
            (CAMPAIGNS, BRIEF | {"model": "sora-9"}, ["dryrun", "model"]),
        ],
    )
    def test_that_is_not_spelt_like_this_hides_nothing_that_is_wrong_with_the_body(self, api, address, body, named):
        answer = api.post(f"{address}?dryrun=true", body)

        assert (answer.status_code, fields_of(answer)) == (400, named)

    def test_is_not_mixed_up_with_a_field_of_the_same_name(self, api):
        answer = api.post(f"{JOBS}?model=sora-2&kind=video", {"model": "sora-9", "prompt": "A tram.", "kind": 7})

        assert [error["field"] for error in answer.json()["errors"]] == ["model", "model", "kind", "kind"]

    def test_of_a_batch_prices_each_job_and_all(self, api):
        found = api.post(f"{BATCH}?dry_run=true", {"jobs": [GOOD, GOOD | {"parameters": {"duration": 8}}]}).json()

        assert (found["batch"], found["total"], [job["cost"]["tickets"] for job in found["jobs"]]) == (None, 2, [4, 8])
        assert found["cost"] == {"tickets": 12, "reserved": 0, "captured": 0, "refunded": 0, "usd": "6.00"}
        assert (found["wallet"], found["affordable"]) == ({"available": 100, "after": 88}, True)

    def test_of_a_batch_refuses_what_would_be_refused(self, api):
        answer = api.post(f"{BATCH}?dry_run=true", {"jobs": [GOOD, GOOD | {"prompt": ""}]})

        assert (answer.status_code, fields_of(answer)) == (400, ["jobs[1].prompt"])


class TestABodyThatIsNone:
    def test_may_be_an_empty_object_or_an_empty_form(self, api, owner):
        job = make_job(owner=owner)

        for sent in ({"data": "{}", "content_type": "application/json"}, {"data": {}, "format": "multipart"}, {}):
            assert api.post(f"{JOBS}{job.pk}/cancel/", **sent).status_code == 200

    @pytest.mark.parametrize(
        ("sent", "field"),
        [
            ({"data": '{"reason": "late"}', "content_type": "application/json"}, "reason"),
            ({"data": "reason=late", "content_type": "application/x-www-form-urlencoded"}, "reason"),
            ({"data": '["late"]', "content_type": "application/json"}, ""),
        ],
    )
    def test_is_not_dropped_when_something_is_in_it(self, api, owner, sent, field):
        job = make_job(owner=owner)

        answer = api.post(f"{JOBS}{job.pk}/cancel/", **sent)

        assert (answer.status_code, fields_of(answer)) == (400, [field])
        assert Job.objects.get(pk=job.pk).state == "queued"


class TestWhatIsWrong:
    """Shapes and values, of every field of every item, in one answer."""

    def test_is_named_whether_it_cannot_be_read_or_not_be_taken(self, api):
        wrong = {"model": "sora-9", "prompt": "", "kind": 7, "priority": "high", "colour": "red", "deadline": "soon"}

        answer = api.post(JOBS, wrong)

        assert answer.status_code == 400
        assert sorted(fields_of(answer)) == ["colour", "deadline", "kind", "model", "priority", "prompt"]

    def test_is_said_once_of_each_field(self, api):
        assert fields_of(api.post(JOBS, {})) == ["model", "prompt"]
        assert fields_of(api.post(JOBS, {"model": None, "prompt": None})) == ["model", "prompt"]
        assert fields_of(api.post(JOBS, {"model": "sora-2", "prompt": "x", "parameters": []})) == ["parameters"]

    def test_is_named_in_every_job_of_a_batch(self, api):
        jobs = [
            GOOD,
            GOOD | {"prompt": 5},
            GOOD | {"prompt": ""},
            7,
            GOOD | {"model": "sora-9", "colour": 1},
            {"model": "haiper-2.0"},
        ]

        answer = api.post(BATCH, {"jobs": jobs, "name": "n" * 201, "title": "x"})

        assert answer.status_code == 400
        assert sorted(fields_of(answer)) == [
            "jobs[1].prompt",
            "jobs[2].prompt",
            "jobs[3]",
            "jobs[4].colour",
            "jobs[4].model",
            "jobs[5].model",
            "jobs[5].prompt",
            "name",
            "title",
        ]
        assert nothing_was_bought()

    def test_names_every_job_whose_model_nobody_offers(self, api):
        answer = api.post(
            BATCH, {"jobs": [GOOD, GOOD | {"model": "haiper-2.0", "parameters": {}}, {"model": "haiper-2.0", "prompt": "x"}]}
        )

        assert (answer.status_code, answer.json()["code"]) == (422, "model_not_available")
        assert fields_of(answer) == ["jobs[1].model", "jobs[2].model"]

    def test_is_not_hidden_by_a_model_that_nobody_offers(self, api):
        answer = api.post(BATCH, {"jobs": [{"model": "haiper-2.0", "prompt": ""}, GOOD | {"prompt": ""}]})

        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
        assert fields_of(answer) == ["jobs[0].model", "jobs[0].prompt", "jobs[1].prompt"]

    def test_is_named_in_every_field_of_a_campaign(self, api):
        wrong = {"brand": "", "big_idea": 5, "model": "haiper-2.0", "dimensions": {"mood": ["gloomy"]}, "loop": "no", "colour": 1}

        answer = api.post(CAMPAIGNS, wrong)

        assert answer.status_code == 400
        assert sorted(fields_of(answer)) == ["big_idea", "brand", "colour", "dimensions", "dimensions.mood", "loop", "model"]

    def test_of_a_dimension_that_cannot_be_read_is_not_guessed_at(self, api):
        answer = api.post(CAMPAIGNS, BRIEF | {"dimensions": {"mood": "calm"}, "exclude": [{"mood": "calm"}]})

        assert (answer.status_code, fields_of(answer)) == (400, ["dimensions.mood"])

    def test_is_listed_up_to_a_hundred_and_names_are_clipped(self, api):
        answer = api.post(BATCH, {"jobs": [GOOD | {f"{n:04}" + "x" * 130: 1 for n in range(50)} for _ in range(1_000)]})

        assert answer.status_code == 400
        assert len(answer.json()["errors"]) == 100
        assert "Only the first 100 problems are listed." in answer.json()["detail"]
        assert len(answer.content) < 50_000

    def test_of_values_is_listed_up_to_a_hundred(self, api, django_assert_max_num_queries):
        with django_assert_max_num_queries(20):
            answer = api.post(BATCH, {"jobs": [{"model": f"none-{n}", "prompt": "x"} for n in range(1_000)]})

        assert (answer.status_code, len(answer.json()["errors"])) == (400, 100)

    def test_of_parameters_is_listed_up_to_a_hundred_whatever_else_is_wrong(self, api):
        body = GOOD | {"parameters": {f"p{n}": n for n in range(10_000)}}

        for address, field in ((JOBS, "parameters.p0"), (f"{JOBS}?dryrun=true", "dryrun")):
            answer = api.post(address, body)

            assert (answer.status_code, fields_of(answer)[0], len(fields_of(answer))) == (400, field, 100)
            assert "Only the first 100 problems are listed." in answer.json()["detail"]

    def test_is_compared_with_what_cannot_be_read_as_far_as_it_is_listed(self):
        endless = ((f"parameters.p{n}", "unknown") for n in itertools.count())

        found = generics.together([("dryrun", "unknown")], [("metadata", "no object")], endless)

        assert list(found)[:3] == ["dryrun", "metadata", "parameters.p0"]
        assert len(found) == 101

    def test_of_dimensions_takes_as_many_queries_for_a_hundred_as_for_one(self, api, django_assert_max_num_queries):
        unknown = {f"dimension-{number}": ["x"] for number in range(100)}

        with django_assert_max_num_queries(20):
            answer = api.post(CAMPAIGNS, BRIEF | {"dimensions": unknown})

        assert (answer.status_code, len(answer.json()["errors"])) == (400, 100)
        assert len(answer.content) < 50_000


class TestALongList:
    """Is counted before it is read, and read no further than what is wrong is said: it costs no more than its bytes."""

    @pytest.fixture
    def read(self, monkeypatch):
        """The values that were looked at."""
        seen, validate = [], fields.Text.run_validation

        def noted(field, data=serializers.empty):
            if field.field_name == "":  # a value of a list or of an object
                seen.append(data)
            return validate(field, data)

        monkeypatch.setattr(fields.Text, "run_validation", noted)
        return seen

    @pytest.mark.parametrize(
        ("change", "field", "words"),
        [
            ({"dimensions": {"mood": [5] * 200_000}}, "dimensions.mood", "at most 1,000 values, not 200,000"),
            ({"dimensions": {f"d{n}": [] for n in range(101)}}, "dimensions", "at most 100 dimensions, not 101"),
            ({"exclude": [{"mood": 5}] * 10_001}, "exclude", "at most 10,000 exclusions, not 10,001"),
            ({"exclude": [{f"d{n}": 5 for n in range(101)}]}, "exclude[0]", "at most 100 dimensions, not 101"),
        ],
    )
    def test_of_too_many_is_refused_unread(self, api, read, change, field, words):
        answer = api.post(CAMPAIGNS, BRIEF | change)

        assert (answer.status_code, fields_of(answer)) == (400, [field])
        assert words in answer.json()["detail"]
        assert 5 not in read

    @pytest.mark.parametrize(
        "change",
        [
            {"dimensions": {"mood": [5] * 1_000}},
            {"dimensions": {f"d{n}": [5] for n in range(100)}, "exclude": [{"mood": 5}]},
            {"exclude": [{"mood": 5}] * 10_000},
        ],
    )
    def test_of_wrong_ones_is_read_as_far_as_it_is_said(self, api, read, change):
        answer = api.post(CAMPAIGNS, BRIEF | change)

        assert (answer.status_code, len(fields_of(answer))) == (400, 100)
        assert "Only the first 100 problems are listed." in answer.json()["detail"]
        assert read.count(5) == 101

    def test_of_jobs_says_how_many_are_taken(self, api):
        answer = api.post(BATCH, {"jobs": [GOOD] * 1_001})

        assert (answer.status_code, fields_of(answer)) == (400, ["jobs"])
        assert answer.json()["errors"][0]["message"] == "Send 1 to 1,000 jobs per request, not 1,001."


class TestANameThatStandsTwice:
    """Which of the two is meant, and so what is bought, nobody knows."""

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ('"parameters": {"duration": 4}, "parameters": {"duration": 20}', "parameters"),
            ('"parameters": {"duration": 4, "duration": 20}', "duration"),
            ('"metadata": {"a": [{"b": {"c": 1, "d": 2, "c": 1}}]}', "c"),
            ('"metadata": {"": 1, "": 1}', ""),
            ('"prompt": "A bus."', "prompt"),
            ('"\\u0070rompt": "A bus."', "prompt"),
        ],
    )
    def test_is_refused_by_name_at_any_depth(self, api, fields, named):
        body = f'{{"model": "sora-2", "prompt": "A tram.", {fields}}}'

        for address, sent in ((JOBS, body), (f"{JOBS}?dry_run=true", body), (BATCH, f'{{"jobs": [{body}]}}')):
            answer = api.generic("POST", address, sent, content_type="application/json")

            assert (answer.status_code, fields_of(answer)) == (400, [named])
            assert f"“{named}” appears more than once" in answer.json()["detail"]
        assert nothing_was_bought()

    def test_is_none_in_two_objects(self, api):
        body = '{"model": "sora-2", "prompt": "A tram.", "metadata": {"prompt": {"prompt": [{"a": 1}, {"a": 2}]}}}'

        assert api.generic("POST", JOBS, body, content_type="application/json").status_code == 201


class TestNesting:
    @staticmethod
    def nested(levels):
        value = 1
        for _ in range(levels):
            value = {"a": value}
        return value

    def test_of_metadata_may_be_32_levels(self, api, client_for):
        job = api.post(JOBS, GOOD | {"metadata": self.nested(32)}).json()

        assert api.get(f"{JOBS}{job['id']}/").json()["metadata"] == self.nested(32)
        assert client_for(UserFactory(admin=True)).get(f"/admin/queue_app/job/{job['id']}/change/").status_code == 200

    @pytest.mark.parametrize(
        ("levels", "is_named"), [(33, True), (36, True), (37, True), (501, True), (960, False), (20_000, False)]
    )
    def test_of_more_is_refused_at_the_field_as_far_as_it_can_be_read(self, api, levels, is_named):
        body = '{"model": "sora-2", "prompt": "A tram.", "metadata": ' + '{"a":' * levels + "1" + "}" * levels + "}"
        many = f'{{"jobs": [{body}]}}'

        for address, sent, field in ((JOBS, body, "metadata"), (BATCH, many, "jobs[0].metadata")):
            answer = api.generic("POST", address, sent, content_type="application/json")

            named, unnamed = ("invalid_input", [field]), ("malformed_json", [])
            assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (400, *(named if is_named else unnamed))
            assert "nested" in answer.json()["detail"].lower()
        assert nothing_was_bought()

    @pytest.mark.parametrize("name", ["parameters", "prompt", "colour"])
    def test_is_looked_at_wherever_it_is(self, api, name):
        rest = "" if name == "prompt" else '"prompt": "A tram.", '
        body = f'{{"model": "sora-2", {rest}"{name}": ' + "[" * 700 + "]" * 700 + "}"

        answer = api.generic("POST", JOBS, body, content_type="application/json")

        assert (answer.status_code, fields_of(answer)) == (400, [f"{name}[0]"])


class TestWhatIsAccepted:
    @pytest.mark.parametrize(
        "accept",
        [
            "application/problem+json",
            "application/json",
            "*/*",
            "application/*",
            "text/html, */*;q=0.1",
            "application/problem+json, x/y",
        ],
    )
    def test_is_json_of_any_name(self, api, accept):
        answer = api.get(JOBS, headers={"Accept": accept})

        assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")

    @pytest.mark.parametrize("accept", ["text/html", "image/png", "*;q=x", "a/b; c*=BOGUS''d"])
    def test_is_nothing_else(self, api, accept):
        answer = api.get(JOBS, headers={"Accept": accept})

        assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
        assert answer["Content-Type"] == "application/problem+json"


class TestWhatWasMade:
    @pytest.mark.parametrize("address", BODIES)
    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "a"}])
    def test_is_where_the_answer_says(self, api, address, headers):
        for _ in range(2 if headers else 1):
            answer = api.post(address, BODIES[address], headers=headers)

            assert answer.status_code == 201
            assert api.get(answer["Location"]).status_code == 200


class TestAnAddressWithoutItsLastSlash:
    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_takes_no_order_and_says_the_right_one(self, api, method):
        answer = getattr(api, method)(JOBS.removesuffix("/"), GOOD)

        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
        assert JOBS in answer.json()["detail"]
        assert nothing_was_bought()

    def test_leads_a_read_to_the_right_one(self, api):
        assert api.get(JOBS.removesuffix("/"))["Location"] == JOBS

    def test_that_is_none_either_way_says_so(self, api):
        answer = api.post("/api/v1/jbos", GOOD)

        assert (answer.status_code, answer.json()["detail"]) == (404, "No such endpoint: /api/v1/jbos.")
