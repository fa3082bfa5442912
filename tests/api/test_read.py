"""GET jobs/, GET jobs/{id}/ and its events: where everything is, and nobody else's."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queue_app import lifecycle, tickets
from queue_app.insight import search
from queue_app.models import Attempt, GenerationModel, Job, Outcome
from queue_app.ui import job_facts
from tests.factories import NOON, BatchFactory, UserFactory, make_asset, make_job

pytestmark = pytest.mark.django_db
URL = "/api/v1/jobs/"


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def api(api_for, owner):
    return api_for(owner)


def ids(answer):
    return [job["id"] for job in answer.json()["results"]]


class TestOneJob:
    def test_that_waits_tells_its_place_why_and_how_long(self, api, owner):
        for _ in range(4):
            make_job("running")
        make_job()
        job = make_job(owner=owner)

        found = api.get(f"{URL}{job.pk}/").json()

        assert found["position"] == 2
        account, model = found["waiting_on"]
        there = {"link": "http://testserver/api/v1/models/sora-2/", "until": None, "reason": ""}
        assert model == {"limit": "model", "key": "sora-2", "used": 4, "max": 4, **there}
        assert (account["limit"], account["link"]) == ("account", None)
        assert found["done"] is False
        assert found["waiting"].endswith("1 job ahead.")
        assert found["eta"]["p50_seconds"] > found["starts_in"]["p50_seconds"] > 0
        assert found["eta"]["p90_seconds"] >= found["eta"]["p50_seconds"]
        assert found["eta"]["basis"] == "the model's typical time"
        assert found["stage"] is None
        assert [(stage["name"], stage["status"]) for stage in found["stages"]] == [
            ("validation", "done"),
            ("submission", "wait"),
            ("generation", "wait"),
            ("download", "wait"),
            ("post-processing", "wait"),
            ("storage", "wait"),
        ]

    def test_that_runs_tells_its_stage_and_attempt(self, api, owner):
        job = make_job("running", owner=owner)

        found = api.get(f"{URL}{job.pk}/").json()

        assert (found["status"], found["state"], found["position"], found["waiting_on"]) == ("processing", "running", None, [])
        assert found["stage"] == "generation"
        (attempt,) = found["attempts"]
        assert (attempt["number"], attempt["account"], attempt["outcome"], attempt["error"]) == (1, "openai_videos", None, None)
        assert attempt["called_at"] == attempt["accepted_at"] == "2026-11-20T12:00:00Z"

    def test_that_is_completed_tells_its_files_stages_and_charge(self, api, owner):
        job = make_job("storing", owner=owner)
        stored = Job.objects.select_related("model", "kind", "batch").get(pk=job.pk)
        names = ("download", "post-processing", "storage")
        parts = [{"name": name, "started_at": NOON.isoformat(), "seconds": 0.5} for name in names]
        video = make_asset(stored)
        thumbnail = make_asset(
            stored,
            kind="thumbnail",
            created_at=NOON - timedelta(seconds=1),
            name=f"assets/2026/11/{uuid.uuid4()}.webp",
            content_type="image/webp",
        )
        lifecycle.complete(stored, [video, thumbnail], at=NOON + timedelta(seconds=2), actor="worker", stages=parts)
        tickets.refund(stored, at=NOON, actor="staff", reason="to please", amount=1)

        found = api.get(f"{URL}{job.pk}/").json()

        assert found["status"] == "completed"
        assert found["completed_at"] == "2026-11-20T12:00:02Z"
        assert found["tickets"] == {"reserved": 0, "captured": 4, "refunded": 1}
        assert found["result_url"] == f"http://testserver/files/{video.pk}/{video.name.rpartition('/')[2]}"
        assert [asset["kind"] for asset in found["assets"]] == ["video", "thumbnail"]
        assert (found["assets"][0]["url"], found["done"]) == (found["result_url"], True)
        assert [stage["status"] for stage in found["stages"]] == ["done"] * 6
        assert [stage["seconds"] for stage in found["stages"][3:]] == [0.5, 0.5, 0.5]
        assert (found["stage"], found["starts_in"], found["eta"], found["error"]) == (None, None, None, None)

    def test_that_failed_tells_its_error_and_where_it_ended(self, api, owner):
        found = api.get(f"{URL}{make_job('failed', owner=owner).pk}/").json()

        assert found["error"] == {"code": "provider_failed", "message": "It broke."}
        assert found["stage"] == "generation"
        assert [stage["status"] for stage in found["stages"][:3]] == ["done", "done", "bad"]
        assert found["attempts"][0]["error"] == {"code": "retryable", "message": "It broke."}
        assert (found["tickets"]["reserved"], found["completed_at"], found["result_url"]) == (0, None, None)

    def test_that_failed_tells_what_to_do_now(self, api, owner):
        found = api.get(f"{URL}{make_job('failed', owner=owner).pk}/").json()
        assert (found["remedy"], found["retry_may_help"]) == ("Temporary problem. Retry it.", True)
        assert (found["attempts_allowed"], found["next_attempt_at"]) == (4, None)

    def test_that_waits_for_its_next_attempt_tells_when_it_starts(self, api, owner):
        job = make_job("running", owner=owner)
        trouble, later = lifecycle.Trouble("provider_failed", "It broke."), NOON + timedelta(days=9999)
        lifecycle.put_back(job, at=NOON, actor="worker", outcome=Outcome.FAILED, spent=True, trouble=trouble, not_before=later)
        GenerationModel.objects.filter(pk=job.model_id).update(max_attempts=7)
        found = api.get(f"{URL}{job.pk}/").json()
        assert (found["attempts_allowed"], found["next_attempt_at"]) == (7, later.isoformat().replace("+00:00", "Z"))
        assert api.get(URL).json()["results"][0]["next_attempt_at"] == found["next_attempt_at"]
        job.refresh_from_db()
        said = job_facts.facts(Job.objects.get(pk=job.pk), at=NOON, group="batch")["next_attempt"]
        assert said.startswith("Attempt 2 of 7 starts at ") and said.endswith(" or later.")

    def test_shows_no_secret(self, api, owner):
        job = make_job("running", owner=owner)
        attempt = Attempt.objects.get(job=job)

        body = api.get(f"{URL}{job.pk}/").content.decode() + api.get(f"{URL}{job.pk}/events/").content.decode()

        assert attempt.token not in body
        assert attempt.remote_id not in body

    @pytest.mark.parametrize("scopes", [["read"], ["read", "submit"], ["read", "submit", "manage"]])
    def test_of_a_stranger_is_404_for_every_scope(self, api_for, scopes):
        api, job = api_for(UserFactory(), *scopes), make_job()

        for verb in ("", "events/"):
            assert api.get(f"{URL}{job.pk}/{verb}").json()["code"] == "not_found"
        for verb in ("cancel/", "retry/"):
            assert api.post(f"{URL}{job.pk}/{verb}").status_code == (404 if "submit" in scopes else 403)

    def test_that_is_missing_is_404(self, api):
        for number in (0, 2**63, 10**40):
            assert api.get(f"{URL}{number}/").status_code == 404

    def test_of_anybody_is_shown_to_staff(self, api_for):
        assert api_for(UserFactory(staff=True), "read").get(f"{URL}{make_job().pk}/").status_code == 200


class TestEvents:
    def test_tell_the_history_in_order(self, api, owner):
        job = make_job("failed", owner=owner)

        events = api.get(f"{URL}{job.pk}/events/").json()["results"]

        assert [(event["seq"], event["from_state"], event["to_state"]) for event in events] == [
            (1, "", "queued"),
            (2, "queued", "submitting"),
            (3, "submitting", "running"),
            (4, "running", "failed"),
        ]
        assert events[1]["data"]["limits"] == {"model": [1, 50]}
        assert events[3]["attempt"] == 1


class TestList:
    def test_is_the_callers_own_newest_first(self, api, owner):
        jobs = [make_job(owner=owner) for _ in range(3)]
        make_job()

        assert ids(api.get(URL)) == [job.pk for job in reversed(jobs)]

    def test_is_everybodys_for_staff(self, api_for):
        make_job()
        make_job()

        assert len(ids(api_for(UserFactory(staff=True)).get(URL))) == 2

    def test_can_be_narrowed(self, api, owner):
        batch = BatchFactory(owner=owner)
        tram = make_job(owner=owner, prompt="A yellow tram.", batch=batch)
        cat = make_job("running", owner=owner, prompt="A sleeping cat.", model_id="manim", kind_id="topic_short")

        assert ids(api.get(URL, {"status": "queued"})) == [tram.pk]
        assert ids(api.get(URL, {"status": "processing"})) == [cat.pk]
        assert ids(api.get(URL, {"model": "manim"})) == [cat.pk]
        assert ids(api.get(URL, {"kind": "topic_short"})) == [cat.pk]
        assert ids(api.get(URL, {"campaign": batch.pk})) == ids(api.get(URL, {"batch": batch.pk})) == [tram.pk]
        assert ids(api.get(URL, {"search": "sleeping"})) == [cat.pk]
        assert ids(api.get(URL, {"search": str(tram.pk)})) == [tram.pk]
        empty = dict.fromkeys(("status", "model", "kind", "campaign", "search", "cursor"), "")
        assert ids(api.get(URL, empty)) == [cat.pk, tram.pk]
        assert ids(api.get(URL, {"status": "failed"})) == []

    def test_takes_several_statuses_and_spans_of_time(self, api, owner):
        states = ("queued", "running", "completed", "failed")
        queued, running, completed, failed = (make_job(state, owner=owner).pk for state in states)
        early = make_job("failed", owner=owner, at=NOON - timedelta(days=1)).pk

        assert ids(api.get(URL, {"status": "queued,processing"})) == [running, queued]
        assert ids(api.get(URL, {"created_after": "2026-11-20T12:00:00Z"})) == [failed, completed, running, queued]
        assert ids(api.get(URL, {"created_before": "2026-11-20T12:00:00Z"})) == [early]
        assert ids(api.get(URL, {"completed_after": "2026-11-20T11:00:00Z", "status": "failed"})) == [failed]
        assert ids(api.get(URL, {"completed_before": "2026-11-20T11:00:00Z"})) == [early]

    def test_finds_jobs_by_their_clients_own_keys_exactly(self, api, owner):
        first = make_job(owner=owner, metadata={"order": "A-17", "shop": "north", "note": ""}).pk
        second = make_job(owner=owner, metadata={"order": "A-17", "shop": "south"}).pk
        make_job(owner=owner, metadata={"order": 17, "nested": {"order": "A-17"}})
        make_job(metadata={"order": "A-17"})

        assert ids(api.get(URL, {"metadata.order": "A-17"})) == [second, first]
        assert ids(api.get(URL, {"metadata.order": "A-17", "metadata.shop": "north"})) == [first]
        assert ids(api.get(URL, {"metadata.note": "", "ordering": "id"})) == [first]
        assert ids(api.get(URL, {"metadata.order": "A-1"})) == ids(api.get(URL, {"metadata.order": "17"})) == []

    def test_comes_oldest_first_where_that_is_asked_also_of_a_search(self, api, owner):
        jobs = [make_job(owner=owner, prompt="A cat.").pk for _ in range(5)]

        for search_for in ("", "cat"):
            seen, url = [], f"{URL}?page_size=2&ordering=id&search={search_for}"
            while url:
                page = api.get(url).json()
                seen += [job["id"] for job in page["results"]]
                url = page["next"]
            assert seen == jobs

    @pytest.mark.parametrize("rare", [True, False])
    def test_a_search_comes_in_the_same_pages_however_frequent_its_words(self, api, owner, monkeypatch, rare):
        monkeypatch.setattr(search, "_is_rare", lambda *found: rare)
        cats = [make_job(owner=owner, prompt=f"A {how} cat.").pk for how in ("sleeping", "running", "black", "white", "old")]
        make_job(owner=owner, prompt="A yellow tram.")
        make_job(prompt="A cat of somebody else.")

        assert ids(api.get(URL, {"search": "cat"})) == cats[::-1]
        pages = [api.get(URL, {"search": "cat", "page_size": 2}).json()]
        while pages[-1]["next"]:
            pages.append(api.get(pages[-1]["next"]).json())
        assert [[job["id"] for job in page["results"]] for page in pages] == [cats[:2:-1], cats[2:0:-1], cats[:1]]
        back = api.get(pages[-1]["previous"]).json()
        assert ([job["id"] for job in back["results"]], back["next"]) == (cats[2:0:-1], pages[1]["next"])
        assert ids(api.get(back["previous"])) == cats[:2:-1]

    def test_comes_in_pages(self, api, owner):
        jobs = [make_job(owner=owner).pk for _ in range(5)]

        seen, url = [], f"{URL}?page_size=2"
        while url:
            page = api.get(url).json()
            seen += [job["id"] for job in page["results"]]
            url = page["next"]

        assert seen == sorted(jobs, reverse=True)

    @pytest.mark.parametrize(
        "query",
        [
            {"status": "done"},
            {"status": "queued,done"},
            {"status": "queued,"},
            {"created_after": "yesterday"},
            {"completed_before": "2026-13-01T00:00:00Z"},
            {"campaign": "x"},
            {"campaign": 0},
            {"campaign": 2**70},
            {"cursor": "x"},
            {"cursor": "cD1hYmM="},
            {"cursor": "cD0xMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"},
            {"search": "a\x00b"},
            {"model": "\x00"},
            {"metadata": "A-17"},
            {"metadata.order": "x" * 1_001},
            {"ordering": "-ended_at"},
        ],
    )
    def test_refuses_what_it_cannot_read(self, api, query):
        answer = api.get(URL, query)

        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
        assert answer.json()["errors"][0]["field"] == next(iter(query))

    def test_of_fifty_jobs_takes_as_many_queries_as_of_five(self, api, owner):
        states = ("queued", "running", "completed", "failed", "queued")
        for n in range(50):
            make_job(states[n % 5], owner=owner, batch=BatchFactory(owner=owner) if n % 3 else None)

        def queries(size):
            with CaptureQueriesContext(connection) as made:
                assert len(ids(api.get(URL, {"page_size": size}))) == size
            return len(made)

        queries(5)  # notes the key's use and draws the forecast: both happen now and then
        assert queries(50) == queries(5) <= 25
