"""A job's priority and its place among its owner's, by API; and where what it waits for can be looked at."""

import pytest
from django.urls import reverse

from queue_app.models import HeldFor, Job, ModelConcurrencyLimit, State
from queue_app.work import holds, policy
from tests.factories import NOON, PAGE, BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return UserFactory(username="ana")


@pytest.fixture
def api(api_for, owner):
    return api_for(owner)


def read(api, job):
    return api.get(f"/api/v1/jobs/{job.pk}/").json()


class TestPriority:
    def test_tells_what_was_asked_what_counts_and_why(self, api, owner):
        job = make_job(owner=owner, priority=-10, priority_reasons=["default for daily_ca"])
        Job.objects.filter(pk=job.pk).update(priority=0, raised=1)

        found = read(api, job)

        assert (found["priority"], found["effective_priority"], found["raised"]) == (-10, 0, 1)
        assert (found["priority_reasons"], found["score"]) == (["default for daily_ca"], None)

    def test_tells_the_points_of_a_page(self, api, owner):
        asked = {"model": "page-writer", "metadata": PAGE | {"sku_count": 1500, "content_status": "missing"}}

        found = api.post("/api/v1/jobs/", asked, format="json").json()

        assert found["score"] == 60
        assert found["priority_reasons"][-1] == "60 points: normal"

    def test_is_lowered_and_taken_back(self, api, owner):
        job = make_job(owner=owner)

        for level in (-10, 0):
            answer = api.patch(f"/api/v1/jobs/{job.pk}/", {"priority": level}, format="json")
            assert (answer.status_code, answer.json()["priority"]) == (200, level)

    def test_is_not_raised_by_its_owner(self, api, owner):
        job = make_job(owner=owner, priority=-10)

        answer = api.patch(f"/api/v1/jobs/{job.pk}/", {"priority": 0}, format="json")

        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        assert answer.json()["detail"].startswith("You can only lower the priority of a job. ")
        assert read(api, job)["priority"] == -10

    def test_of_a_running_job_is_refused(self, api, owner):
        answer = api.patch(f"/api/v1/jobs/{make_job(State.RUNNING, owner=owner).pk}/", {"priority": -10}, format="json")

        assert (answer.status_code, answer.json()["code"]) == (409, "move_refused")


class TestMove:
    def test_to_the_first_place_and_before_another(self, api, owner):
        first, second, third = (make_job(owner=owner) for _ in range(3))

        moved = api.post(f"/api/v1/jobs/{third.pk}/move/", {"to": "first"}, format="json")
        assert (moved.status_code, moved.json()["position"]) == (200, 1)
        api.post(f"/api/v1/jobs/{second.pk}/move/", {"before": first.pk}, format="json")
        assert [read(api, job)["position"] for job in (third, second, first)] == [1, 2, 3]

    @pytest.mark.parametrize(
        ("body", "status"), [({}, 400), ({"to": "last"}, 400), ({"to": "first", "before": 1}, 400), ({"before": 1}, 409)]
    )
    def test_elsewhere_is_refused(self, api, owner, body, status):
        answer = api.post(f"/api/v1/jobs/{make_job(owner=owner).pk}/move/", body, format="json")

        assert answer.status_code == status


class TestLinks:
    """`waiting_on` says where the caller can see or change the cause: staff in the admin, owners by API, others nowhere."""

    def links(self, api, job):
        return {one["limit"]: one["link"] for one in read(api, job)["waiting_on"]}

    def test_of_an_owner_lead_to_calls_of_the_api(self, api, owner):
        batch = BatchFactory(owner=owner)
        owner.max_concurrent = 1
        owner.save()
        make_job(State.RUNNING, owner=owner)
        job = make_job(owner=owner, batch=batch)
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(max_concurrent=1)
        policy.pause_batch(batch, at=NOON, actor=owner)
        own = f"http://testserver/api/v1/batches/{batch.pk}/"

        assert self.links(api, job) == {"model": "http://testserver/api/v1/models/sora-2/", "user": None, "batch": own}
        holds.hold([job.pk], HeldFor.CANARY, at=NOON, actor="ana", reason="waits")
        assert self.links(api, job)["held"] == own

    def test_of_staff_lead_to_the_admin_as_far_as_they_may_see_it(self, api_for, owner):
        job = make_job(owner=owner)
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(paused=True)
        page = reverse("admin:queue_app_modelconcurrencylimit_change", args=["sora-2"])

        assert self.links(api_for(UserFactory(admin=True)), job) == {"model": f"http://testserver{page}"}
        assert self.links(api_for(UserFactory(staff=True)), job) == {"model": "http://testserver/api/v1/models/sora-2/"}
