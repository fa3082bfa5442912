"""Cancel and retry by API."""

from datetime import timedelta

import pytest

from queue_app import clock
from queue_app.models import Asset, AuditEntry, Job, JobEvent, ProviderAccount, State
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

    def test_a_job_in_stages_stops_after_its_current_call(self, api, owner):
        job = make_job("running", owner=owner, model_id="page-writer", parameters={})

        assert api.get(f"/api/v1/jobs/{job.pk}/").json()["can_be_stopped"] is True
        assert api.post(address(job, "cancel")).json()["message"] == "Cancel requested. Stops after its current call."

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

    def test_can_change_prompt_and_parameters_at_their_price_and_keeps_what_they_were_in_the_history(self, api, owner):
        job = make_job("failed", owner=owner, prompt="A tram.")

        answer = api.post(address(job, "retry"), {"prompt": "A red tram.", "parameters": {"duration": 8}})

        found = answer.json()
        assert (found["status"], found["prompt"], found["parameters"]["duration"]) == ("queued", "A red tram.", 8)
        assert (found["tickets"]["reserved"], found["cost"]["usd"]) == (8, "4.00")
        was = JobEvent.objects.filter(job=job).latest("seq").data["before"]
        assert (was["prompt"], was["parameters"]["duration"]) == ("A tram.", 4)

    @pytest.mark.parametrize(
        ("state", "body", "status", "field"),
        [
            ("failed", {"prompt": " "}, 400, "prompt"),
            ("failed", {"parameters": {"duration": 7}}, 400, "parameters.duration"),
            ("failed", {"parameters": {"images": {"first_frame": "https://127.0.0.1/a.png"}}}, 400, "parameters.images"),
            ("failed", {"model": "manim"}, 400, "model"),
            ("running", {"prompt": "A red tram."}, 409, None),
        ],
    )
    def test_with_a_change_is_checked_like_a_new_job(self, api, owner, state, body, status, field):
        job = make_job(state, owner=owner)

        answer = api.post(address(job, "retry"), body)

        assert (answer.status_code, [error["field"] for error in answer.json()["errors"]][:1]) == (
            status,
            [field] if field else [],
        )
        assert (Job.objects.get(pk=job.pk).state, Job.objects.get(pk=job.pk).prompt) == (state, job.prompt)

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


class TestDeletingFiles:
    def test_leaves_the_job_and_its_charge_and_can_be_repeated(self, api, owner, deleted):
        job = make_job("completed", owner=owner)
        name = Asset.objects.get(job=job).name

        for _ in range(2):
            answer = api.delete(address(job, "assets"))
            assert answer.status_code == 200
            found = answer.json()
            assert ([file["url"] for file in found["assets"]], found["result_url"]) == ([None], None)
            assert (found["status"], found["tickets"]["captured"]) == ("completed", 4)
        assert deleted == [{name}, set()]
        assert [event.reason for event in JobEvent.objects.filter(job=job).order_by("seq")][-1:] == ["files deleted"]

    def test_of_an_unfinished_job_is_409(self, api, owner, deleted):
        answer = api.delete(address(make_job("storing", owner=owner), "assets"))

        assert (answer.status_code, answer.json()["code"], deleted) == (409, "move_refused", [])

    def test_keeps_an_object_that_another_file_names_and_is_audited_if_staff_do_it(self, api_for, deleted):
        job, twin = make_job("completed"), make_job("completed")
        Asset.objects.filter(job=twin).update(name=Asset.objects.get(job=job).name)
        staff = UserFactory(staff=True, rights=["operate_queue"])

        assert api_for(staff, "read", "submit").delete(address(job, "assets")).status_code == 404
        assert api_for(staff, "read", "submit", "manage").delete(address(job, "assets")).status_code == 200
        assert deleted == [set()]
        assert AuditEntry.objects.get(action="delete files").after == {"files": 1}

    @pytest.fixture
    def deleted(self, monkeypatch):
        """The names of the objects that were deleted, by call."""
        found = []
        monkeypatch.setattr("queue_app.work.disk.delete", found.append)
        return found
