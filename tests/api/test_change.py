"""Cancel and retry by API."""

from datetime import timedelta

import pytest

from queue_app import clock
from queue_app.models import Job, JobEvent, ProviderAccount, State
from tests.factories import NOON, UserFactory, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return UserFactory(tickets=10)


@pytest.fixture
def api(api_for, owner):
    return api_for(owner)


def address(job, verb):
    return f"/api/v1/jobs/{job.pk}/{verb}/"


class TestCancel:
    @pytest.mark.parametrize(
        ("state", "verdict", "after"),
        [
            ("queued", "cancelled", "cancelled"),
            ("submitting", "requested", "submitting"),
            ("running", "requested", "cancelling"),
            ("storing", "too_late", "storing"),
            ("completed", "too_late", "completed"),
            ("failed", "too_late", "failed"),
            ("cancelled", "cancelled", "cancelled"),
        ],
    )
    def test_tells_what_it_came_to_and_repeats_itself(self, api, owner, state, verdict, after):
        job = make_job(state, owner=owner)

        for _ in range(2):
            answer = api.post(address(job, "cancel"))
            assert answer.status_code == 200
            found = answer.json()
            assert (found["verdict"], found["id"], found["state"]) == (verdict, job.pk, after)

    def test_says_what_it_means_and_whether_the_job_can_be_stopped(self, api, owner):
        for state, before, meaning in (
            ("queued", True, "Nothing is charged"),
            ("running", True, "Cancel requested"),
            ("storing", False, "Too late to cancel"),
        ):
            job = make_job(state, owner=owner)
            assert api.get(f"/api/v1/jobs/{job.pk}/").json()["can_be_stopped"] is before
            assert meaning in api.post(address(job, "cancel")).json()["message"]

    def test_where_the_provider_has_no_cancel_is_said_before_and_after(self, api, owner, settings):
        settings.PROVIDER_KEYS = {"OPENAI_VIDEOS_API_KEY": "sk-12345678"}  # the vendor itself, which deletes and does not stop
        ProviderAccount.objects.filter(key="openai_videos").update(base_url="https://vendor.example")
        job = make_job("running", owner=owner)
        assert api.get(f"/api/v1/jobs/{job.pk}/").json()["can_be_stopped"] is False

        found = api.post(address(job, "cancel")).json()

        assert (found["verdict"], found["state"], found["can_be_stopped"]) == ("requested", "cancelling", False)
        assert found["message"] == "This provider can't cancel. The job is charged if it is delivered."

    def test_gives_the_tickets_of_a_queued_job_back(self, api, owner):
        found = api.post(address(make_job(owner=owner), "cancel")).json()

        assert found["tickets"]["reserved"] == 0
        assert api.get("/api/v1/wallet/").json() == {"available": 10, "reserved": 0, "captured": 0, "refunded": 0}

    def test_needs_the_scope_submit(self, api_for, owner):
        answer = api_for(owner, "read").post(address(make_job(owner=owner), "cancel"))

        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        assert "submit" in answer.json()["detail"]

    def test_by_staff_of_anothers_job_needs_the_scope_manage(self, api_for):
        job, staff = make_job(), UserFactory(staff=True, rights=["operate_queue"])

        assert api_for(staff, "read", "submit").post(address(job, "cancel")).status_code == 404
        assert api_for(staff, "read", "submit", "manage").post(address(job, "cancel")).json()["verdict"] == "cancelled"

    def test_in_a_session_of_an_operator_reaches_every_job(self, client_for):
        answer = client_for(UserFactory(staff=True, rights=["operate_queue"])).post(address(make_job(), "cancel"))

        assert answer.json()["verdict"] == "cancelled"


class TestRetry:
    @pytest.mark.parametrize("state", ["failed", "cancelled"])
    def test_queues_the_job_again(self, api, owner, state):
        job = make_job(state, owner=owner)

        answer = api.post(address(job, "retry"))

        assert answer.status_code == 200
        found = answer.json()
        assert (found["id"], found["status"], found["position"], found["error"]) == (job.pk, "queued", 1, None)
        assert found["tickets"]["reserved"] == 4
        assert JobEvent.objects.filter(job=job).latest("seq").reason == "retry"

    @pytest.mark.parametrize("state", ["queued", "running", "completed"])
    def test_of_a_job_in_another_state_is_409(self, api, owner, state):
        job = make_job(state, owner=owner)

        answer = api.post(address(job, "retry"))

        assert (answer.status_code, answer.json()["code"]) == (409, "move_refused")
        assert Job.objects.get(pk=job.pk).state == state

    def test_after_the_deadline_is_409_and_says_why(self, api, owner):
        job = make_job("failed", owner=owner, deadline=NOON)

        answer = api.post(address(job, "retry"))

        assert (answer.status_code, answer.json()["code"]) == (409, "move_refused")
        assert (
            answer.json()["detail"] == f"The deadline of Job {job.pk} has passed. Submit it as a new job with a later deadline."
        )

    def test_keeps_the_time_to_start_from(self, api):
        start = f"{clock.now() + timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
        body = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}, "not_before": start}
        job = Job.objects.get(pk=api.post("/api/v1/jobs/", body).json()["id"])
        api.post(address(job, "cancel"))

        again = api.post(address(job, "retry")).json()

        assert (again["status"], again["not_before"]) == ("queued", start)
        assert [(one["limit"], one["until"], one["reason"]) for one in again["waiting_on"]] == [
            ("not_before", start, "requested start time")
        ]

    def test_without_tickets_is_402(self, api_for):
        owner = UserFactory(tickets=4)
        job = make_job("failed", owner=owner)
        make_job(owner=owner)

        answer = api_for(owner).post(address(job, "retry"))

        assert (answer.status_code, answer.json()["missing"]) == (402, 4)
        assert Job.objects.get(pk=job.pk).state == State.FAILED
