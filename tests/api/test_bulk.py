"""Bulk actions and usage by API."""

from datetime import timedelta

import pytest

from queue_app import clock
from queue_app.models import AuditEntry, BulkAction, Job, LedgerTransaction
from queue_app.work import bulk
from tests.factories import NOON, BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
URL = "/api/v1/bulk-actions/"


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def api(api_for, owner):
    return api_for(owner)


def work(answer):
    """Do what a worker does."""
    bulk.work(answer.json()["id"], may_go_on=lambda: True)


def states(*jobs):
    found = dict(Job.objects.values_list("pk", "state"))
    return [found[job.pk] for job in jobs]


class TestOnesOwn:
    def test_jobs_are_cancelled_as_the_filter_finds_them_and_nobody_elses(self, api, owner):
        batch = BatchFactory(owner=owner)
        mine, other = make_job(owner=owner, batch=batch), make_job(owner=owner)
        done, foreign = make_job("completed", owner=owner, batch=batch), make_job()

        made = api.post(URL, {"action": "cancel", "filter": {"batch": batch.pk}})

        assert (made.status_code, made["Location"]) == (201, made.json()["links"]["self"])
        assert (made.json()["status"], made.json()["total"], made.json()["filter"]) == ("waiting", 2, f"batch {batch.pk}")
        work(made)
        found = api.get(made["Location"]).json()
        assert (found["status"], found["done"], found["results"]) == ("done", True, {"cancelled": 1, "refused": 1})
        assert found["refused"] == [{"job": done.pk, "why": "Skipped (completed): too late to cancel."}]
        assert states(mine, other, done, foreign) == ["cancelled", "queued", "completed", "queued"]
        api.post(URL, {"action": "cancel", "filter": {}})
        assert BulkAction.objects.latest("id").total == 3

    def test_jobs_are_retried_and_told_before_what_that_would_come_to(self, api, owner):
        failed = [make_job("failed", owner=owner, metadata={"order": name}) for name in ("A-1", "A-1", "A-2")]
        wanted = {"status": "failed,cancelled", "metadata.order": "A-1"}

        preview = api.post(URL, {"action": "retry", "filter": wanted, "dry_run": True}).json()

        assert (preview["total"], preview["by_state"], preview["changes"]) == (2, {"failed": 2}, 2)
        assert preview["tickets"] == {"returned": 0, "returned_later": 0, "reserved": 8}
        assert not BulkAction.objects.exists()
        work(api.post(URL, {"action": "retry", "filter": wanted}))
        assert states(*failed) == ["queued", "queued", "failed"]

    def test_preview_of_a_cancel_tells_tickets_and_what_cannot_be_stopped(self, api, owner):
        for state in ("queued", "running", "storing"):
            make_job(state, owner=owner)

        preview = api.post(URL, {"action": "cancel", "filter": {}, "dry_run": True}).json()

        assert preview["by_state"] == {"queued": 1, "running": 1, "storing": 1}
        assert preview["tickets"] == {"returned": 4, "returned_later": 4, "reserved": 0}
        assert (preview["changes"], preview["cannot_be_stopped"]) == (2, 0)
        assert [line["count"] for line in preview["effects"]] == [1, 1, 1]

    @pytest.mark.parametrize("verb", ["set_priority", "move_to_front", "clear_completed", "force_fail", "refund"])
    def test_jobs_are_not_for_the_verbs_of_staff(self, api, owner, verb):
        make_job(owner=owner)

        option = {"priority": 0} if verb == "set_priority" else {}
        answer = api.post(URL, {"action": verb, "filter": {}, "reason": "so", **option})

        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
        assert not BulkAction.objects.exists()

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"filter": {}}, "action"),
            ({"action": "cancel"}, "filter"),
            ({"action": "stop", "filter": {}}, "action"),
            ({"action": "cancel", "filter": {"stauts": "failed"}}, "filter.stauts"),
            ({"action": "cancel", "filter": {"status": "done"}}, "filter.status"),
            ({"action": "cancel", "filter": {"ordering": "id"}}, "filter.ordering"),
            ({"action": "cancel", "filter": {"batch": -1}}, "filter.batch"),
            ({"action": "cancel", "filter": {}, "delay_seconds": 301}, "delay_seconds"),
            ({"action": "cancel", "filter": {}, "priority": 5}, "priority"),
            ({"action": "cancel", "filter": {}, "refund": True}, "reason"),
            ({"action": "force_fail", "filter": {}}, "reason"),
            ({"action": "set_priority", "filter": {}}, "priority"),
        ],
    )
    def test_request_that_is_wrong_is_refused_naming_the_field(self, api, body, field):
        answer = api.post(URL, body)

        assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, [field])

    def test_actions_are_at_most_three_unfinished_at_a_time(self, api, owner):
        make_job("failed", owner=owner)
        body = {"action": "retry", "filter": {}}
        made = [api.post(URL, body) for _ in range(3)]

        refused = api.post(URL, body)

        assert (refused.status_code, refused.json()["code"]) == (409, "bulk_refused")
        assert "3 unfinished bulk actions" in refused.json()["detail"]
        assert api.post(URL, {**body, "dry_run": True}).status_code == 200
        work(made[0])
        api.post(made[1].json()["links"]["abort"])
        assert [api.post(URL, body).status_code for _ in range(3)] == [201, 201, 409]

    def test_filter_that_finds_nothing_is_409(self, api):
        answer = api.post(URL, {"action": "cancel", "filter": {}})

        assert (answer.status_code, answer.json()["code"]) == (409, "bulk_refused")


class TestAbort:
    def test_undoes_before_the_start_and_can_be_repeated(self, api, owner):
        job = make_job(owner=owner)
        made = api.post(URL, {"action": "cancel", "filter": {}, "delay_seconds": 300})
        assert bulk.lease_due(at=clock.now() + timedelta(seconds=200)) == []

        for _ in range(2):
            answer = api.post(made.json()["links"]["abort"])
            assert (answer.status_code, answer.json()["status"], answer.json()["done"]) == (200, "undone", True)
        work(made)
        assert states(job) == ["queued"]

    def test_stops_the_rest_while_it_runs(self, api, owner, monkeypatch):
        monkeypatch.setattr(bulk.verbs.CANCEL, "chunk", 1)
        jobs = [make_job(owner=owner) for _ in range(3)]
        made = api.post(URL, {"action": "cancel", "filter": {}})
        bulk.work(made.json()["id"], may_go_on=lambda: False)

        found = api.post(made.json()["links"]["abort"]).json()

        assert (found["status"], found["worked"], states(*jobs)) == ("aborted", 1, ["cancelled", "queued", "queued"])

    def test_is_too_late_once_it_is_done(self, api, owner):
        make_job(owner=owner)
        made = api.post(URL, {"action": "cancel", "filter": {}})
        work(made)

        assert api.post(made.json()["links"]["abort"]).status_code == 409

    def test_of_a_strangers_is_404(self, api_for):
        make_job(owner=(other := UserFactory()))
        links = api_for(other).post(URL, {"action": "cancel", "filter": {}}).json()["links"]
        api = api_for(UserFactory())

        assert (api.get(links["self"]).status_code, api.post(links["abort"]).status_code) == (404, 404)
        assert api.get(URL).json()["results"] == []


class TestStaff:
    def test_act_on_all_jobs_where_they_have_the_right_and_the_scope(self, api_for):
        jobs, staff = [make_job(), make_job()], UserFactory(staff=True, rights=["operate_queue"])
        body = {"action": "set_priority", "filter": {"status": "queued"}, "priority": 20}

        assert api_for(staff).post(URL, body).status_code == 403
        assert api_for(UserFactory(staff=True), "read", "submit", "manage").post(URL, body).status_code == 403
        work(api_for(staff, "read", "submit", "manage").post(URL, body))

        assert {job.priority for job in Job.objects.filter(pk__in=[job.pk for job in jobs])} == {20}
        assert AuditEntry.objects.get().action == "set job priority"

    def test_without_the_scope_act_on_their_own_jobs_alone(self, api_for):
        staff = UserFactory(staff=True, rights=["operate_queue"])
        mine, other = make_job(owner=staff), make_job()

        work(api_for(staff).post(URL, {"action": "cancel", "filter": {}}))

        assert states(mine, other) == ["cancelled", "queued"]

    def test_promise_no_refund_by_a_key_without_the_scope(self, api_for):
        finance = UserFactory(staff=True, rights=["operate_queue", "move_tickets"])
        make_job("running", owner=finance)
        body = {"action": "cancel", "filter": {}, "refund": True, "reason": "ours"}

        answers = [api_for(finance).post(URL, {**body, "dry_run": dry}) for dry in (False, True)]

        assert [(one.status_code, one.json()["code"]) for one in answers] == [(403, "permission_denied")] * 2
        assert "manage" in answers[0].json()["detail"] and not BulkAction.objects.exists()
        assert api_for(finance, "read", "submit", "manage").post(URL, body).status_code == 201

    def test_refund_with_a_reason(self, api_for):
        make_job("completed")
        finance = UserFactory(staff=True, rights=["move_tickets"])
        api = api_for(finance, "read", "submit", "manage")

        preview = api.post(URL, {"action": "refund", "filter": {}, "tickets": 1, "dry_run": True}).json()
        assert preview["tickets"]["returned"] == 1
        work(api.post(URL, {"action": "refund", "filter": {}, "tickets": 1, "reason": "blurred"}))

        assert LedgerTransaction.objects.filter(kind="refund").count() == 1


class TestUsage:
    ADDRESS = "/api/v1/usage/?from=2026-11-20&to=2026-11-21"

    def test_is_ones_own_by_day_and_by_model(self, api, owner):
        for state in ("completed", "completed", "failed", "cancelled"):
            make_job(state, owner=owner)
        make_job("completed", owner=owner, at=NOON + timedelta(days=1))
        make_job("completed")

        by_day, by_model = (api.get(f"{self.ADDRESS}&by={by}").json() for by in ("day", "model"))

        assert [(line["name"], line["jobs"], line["captured"]) for line in by_day["lines"]] == [
            ("2026-11-20", 4, 8),
            ("2026-11-21", 1, 4),
        ]
        assert [(line["name"], line["completed"], line["usd_estimated"]) for line in by_model["lines"]] == [("sora-2", 3, "6.00")]
        assert by_day["total"]["net"] == 12
        asked = {"from": "2026-11-20", "to": "2026-11-21", "by": "day", "owner": owner.username}
        assert {name: by_day[name] for name in asked} == asked

    def test_of_others_is_for_staff_who_may_see_it(self, api_for, owner):
        make_job("completed", owner=owner)
        address = f"{self.ADDRESS}&owner={owner.username}"
        staff = UserFactory(staff=True, rights=["view_job", "view_ledgertransaction"])

        assert api_for(staff).get(address).json()["total"]["captured"] == 4
        assert api_for(staff).get(f"{self.ADDRESS}&owner=nobody").status_code == 400
        for other in (UserFactory(), UserFactory(staff=True)):
            assert api_for(other).get(address).status_code == 403

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("from=2026-11-22&to=2026-11-21", "from"),
            ("from=2024-11-22&to=2026-11-21", "from"),
            ("from=yesterday", "from"),
            ("to=0001-01-01", "to"),
            ("by=user", "by"),
        ],
    )
    def test_of_no_period_is_refused(self, api, query, field):
        answer = api.get(f"/api/v1/usage/?{query}")

        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
