"""schedules/: users save what is made again and again, read when it runs and what came of it, and pause it."""

from datetime import timedelta

import pytest

from campaigns.models import Campaign, ComplianceRule
from queue_app import clock
from queue_app.models import AuditEntry, Schedule
from queue_app.work import schedules
from tests.factories import NOON, UserFactory, make_schedule

pytestmark = pytest.mark.django_db
URL = "/api/v1/schedules/"
JOB = {"model": "sora-2", "prompt": "The news of the day.", "parameters": {"duration": 4}}
BRIEF = {"brand": "Maison Alder", "big_idea": "The parcel opens.", "dimensions": {"mood": ["calm"]}, "model": "sora-2"}
GOOD = {"name": "Daily", "cron": "0 9 * * 1-5", "time_zone": "Europe/Madrid", "job": JOB}


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def api(api_for, owner):
    return api_for(owner, "read", "submit")


def fields_of(answer):
    return [error["field"] for error in answer.json()["errors"]]


def test_a_schedule_is_saved_once_per_key_and_read(api):
    sent = [api.post(URL, GOOD, headers={"Idempotency-Key": "one"}) for _ in range(2)]

    assert [answer.status_code for answer in sent] == [201, 201] and sent[0].json() == sent[1].json()
    schedule, found = Schedule.objects.get(), sent[0].json()
    assert (schedule.cron, schedule.time_zone, schedule.request) == (GOOD["cron"], GOOD["time_zone"], JOB)
    assert (found["calendar"], found["job"], found["campaign"]) == ("At 09:00 on Monday through Friday", JOB, None)
    assert len(found["next_runs"]) == 3 and found["last_run"] is None
    assert sent[0]["Location"] == found["links"]["self"]
    assert api.get(URL).json()["results"] == [api.get(found["links"]["self"]).json()] == [found]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"name": " "}, ["name"]),
        ({"cron": "every day"}, ["cron"]),
        ({"cron": "* * * * *", "time_zone": "Mars"}, ["cron", "time_zone"]),
        ({"time_zone": 1}, ["time_zone"]),
        ({"job": JOB | {"prompt": ""}}, ["job.prompt"]),
        ({"job": JOB | {"parameters": {"duration": "x"}}, "cron": "x"}, ["cron", "job.parameters.duration"]),
        ({"job": JOB | {"not_before": "2030-01-01T00:00:00Z"}}, ["job.not_before"]),
        ({"campaign": BRIEF}, ["campaign"]),
        ({"owner": "me"}, ["owner"]),
    ],
)
def test_a_wrong_one_is_refused_naming_the_fields(api, change, fields):
    refused = api.post(URL, GOOD | change)

    assert (refused.status_code, fields_of(refused)) == (400, fields)
    assert not Schedule.objects.exists()


def test_a_restricted_type_needs_permission(api):
    refused = api.post(URL, GOOD | {"job": JOB | {"kind": "daily_ca"}})

    assert (refused.status_code, fields_of(refused)) == (403, ["job.kind"])


def test_the_fifty_first_is_refused(api, owner, monkeypatch):
    monkeypatch.setattr(schedules, "SCHEDULES_MOST", 1)
    make_schedule(owner)

    assert api.post(URL, GOOD).status_code == 409


def test_a_campaign_is_launched_each_time_under_a_name_of_its_own(api, owner):
    made = api.post(URL, {"name": "Parcels", "cron": "0 9 * * *", "time_zone": "Europe/Madrid", "campaign": BRIEF})
    schedule = Schedule.objects.get()
    for _ in range(2):
        schedule.refresh_from_db()
        schedules.run_due(schedule.pk, at=schedule.next_run_at)

    campaigns = list(Campaign.objects.order_by("pk"))
    assert made.status_code == 201 and made.json()["campaign"] == BRIEF
    assert len({one.name for one in campaigns}) == 2 and all(one.name.startswith("Parcels, ") for one in campaigns)
    assert all(one.name.endswith(", 09:00") for one in campaigns)
    last = api.get(made["Location"]).json()["last_run"]
    assert (last["outcome"], last["campaign"], last["job"]) == ("made", campaigns[-1].pk, None)


def test_a_campaign_is_checked_at_each_run_by_the_rules_of_that_moment(api):
    refused = api.post(URL, {"name": "A", "cron": "0 9 * * *", "campaign": BRIEF | {"big_idea": " "}})
    assert fields_of(refused) == ["campaign.big_idea"]
    api.post(URL, {"name": "Parcels", "cron": "0 9 * * *", "campaign": BRIEF})
    ComplianceRule.objects.create(name="No parcels", pattern="parcel", reason="Out of stock.")
    schedule = Schedule.objects.get()

    schedules.run_due(schedule.pk, at=schedule.next_run_at)

    run = schedule.runs.get()
    assert (run.outcome, Campaign.objects.exists()) == ("refused", False) and "blocked" in run.reason


def test_one_is_changed_paused_resumed_and_deleted(api, owner):
    schedule = make_schedule(owner, at=clock.now())
    at = f"{URL}{schedule.pk}/"

    assert api.patch(at, {"cron": "0 10 * * *"}).json()["calendar"] == "At 10:00 every day"
    assert fields_of(api.patch(at, {})) == [""]
    assert fields_of(api.patch(at, {"cron": "x"})) == ["cron"]
    assert api.patch(at, {"campaign": BRIEF}).json()["job"] is None
    paused = api.post(f"{at}pause/", {"reason": "summer"}).json()
    assert (paused["paused"], paused["paused_reason"], paused["next_runs"]) == (True, "summer", [])
    assert fields_of(api.post(f"{at}pause/", {"reason": "x" * 201})) == ["reason"]
    resumed = api.post(f"{at}resume/").json()
    assert (resumed["paused"], resumed["paused_reason"], len(resumed["next_runs"])) == (False, "", 3)
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == ["pause schedule", "resume schedule"]
    assert api.delete(at).status_code == 204 and api.get(at).status_code == 404


def test_a_run_that_was_missed_is_told(api, owner):
    schedule = make_schedule(owner)
    schedules.run_due(schedule.pk, at=NOON + timedelta(days=2))

    last = api.get(f"{URL}{schedule.pk}/").json()["last_run"]
    assert (last["outcome"], last["occurrences"], last["due_at"]) == ("missed", 2, "2026-11-22T09:00:00Z")
