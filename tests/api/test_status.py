"""The light status of a job."""

import pytest

from queue_app import clock
from queue_app.api import status
from queue_app.forecast import estimates
from queue_app.models import Asset, Job, State
from tests.factories import UserFactory, advance, make_asset, make_job

pytestmark = pytest.mark.django_db
JPEG = {"name": "assets/2026/11/2f0f7bd4-8d9e-4f5b-9c54-0d7a5f0b2f11.jpg", "content_type": "image/jpeg"}
SHAPE = ["id", "status", "state", "position", "progress", "starts_in", "eta", "result_url", "error", "done", "seq"]


def and_basis(answer, name):
    """Return what an answer says by this name; of an estimate, whose seconds go by between two answers, what it is based on."""
    return answer[name] and answer[name]["basis"] if name in ("starts_in", "eta") else answer[name]


def address(job: Job) -> str:
    return f"/api/v1/jobs/{job.pk}/status/"


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.COMPLETED, State.FAILED])
def test_says_what_the_whole_job_says_in_few_bytes(state, api_for):
    job = make_job(state)
    if state == State.COMPLETED:  # it has a file already
        Asset.objects.bulk_create([make_asset(job, version=2), make_asset(job, version=2, kind="thumbnail", **JPEG)])
    api = api_for(job.owner)

    answer = api.get(address(job))

    told, whole = answer.json(), api.get(f"/api/v1/jobs/{job.pk}/").json()
    assert list(told) == SHAPE and len(answer.content) <= 400
    assert [and_basis(told, name) for name in SHAPE] == [and_basis(whole, name) for name in SHAPE]
    assert told["done"] == (state not in (State.QUEUED, State.RUNNING)) == ("Retry-After" not in answer.headers)
    assert (told["starts_in"] is not None) == (state == State.QUEUED)
    assert bool(told["result_url"]) == (state == State.COMPLETED)


def test_is_not_told_again_until_more_than_its_forecast_changes(api_for, monkeypatch):
    job = make_job()
    api = api_for(job.owner)
    tag = api.get(address(job)).headers["ETag"]
    monkeypatch.setattr(estimates.Forecast, "start_of", lambda *_, **__: estimates.Estimate(8.4, 9.0, "another guess"))

    again = api.get(address(job), headers={"If-None-Match": f'"other", {tag}'})

    assert (again.status_code, again.content, again.headers["ETag"], again.headers["Retry-After"]) == (304, b"", tag, "8")
    advance(job, State.RUNNING, at=clock.now())
    changed = api.get(address(job), headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["state"], changed.headers["ETag"] != tag) == (200, "running", True)


@pytest.mark.parametrize(("seconds", "hint"), [(None, status.UNFORESEEN), (0.2, 1), (17.4, 17), (3600, 60)])
def test_is_worth_asking_for_again_when_something_is_due_but_within_a_minute(seconds, hint):
    assert status._worth_asking_in({"starts_in": {"p50_seconds": seconds}, "eta": {"p50_seconds": 5_000}}) == hint


def test_is_not_found_by_strangers(api_for):
    assert api_for(UserFactory()).get(address(make_job())).status_code == 404
