"""Batches: in as one, read as one, stopped, held and tried again as one."""

import pytest

from queue_app.models import AuditEntry, Batch, Job, Reservation, State, Wallet
from queue_app.work import jobs
from tests.factories import NOON, BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
URL = "/api/v1/jobs/batch/"
GOOD = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}}


@pytest.fixture
def owner():
    return UserFactory(tickets=100)


@pytest.fixture
def api(api_for, owner):
    return api_for(owner)


def ids_of(answer):
    return [job["id"] for job in answer.json()["results"]]


def ids_of_batch(batch):
    return list(batch.jobs.order_by("-pk").values_list("pk", flat=True))


def address(batch, verb=""):
    return f"/api/v1/batches/{batch.pk}/{verb}"


class TestSubmit:
    def test_takes_all_jobs_in(self, api, owner):
        answer = api.post(URL, {"jobs": [GOOD | {"prompt": f"Tram {n}."} for n in range(3)], "name": "Trams"})

        assert answer.status_code == 201
        made = answer.json()
        assert made["total"] == 3
        assert [job["position"] for job in made["jobs"]] == [1, 2, 3]
        assert [job["prompt"] for job in made["jobs"]] == ["Tram 0.", "Tram 1.", "Tram 2."]
        assert made["cost"]["reserved"] == 12
        assert api.get(made["url"]).json()["starts_in"]["p50_seconds"] == 0
        batch = Batch.objects.get(pk=made["batch"])
        assert answer["Location"] == made["links"]["self"] == made["url"]
        assert ids_of(api.get(made["links"]["jobs"])) == ids_of_batch(batch)
        for verb in ("pause", "resume", "cancel", "retry_failed"):
            assert api.post(made["links"][verb]).json()["links"] == made["links"]
        assert api.get(made["url"]).json()["done"] is True
        assert (batch.name, batch.owner, batch.jobs.count()) == ("Trams", owner, 3)

    def test_may_have_a_limit_of_its_own(self, api):
        made = api.post(URL, {"jobs": [GOOD, GOOD], "max_concurrent": 1}).json()

        assert api.get(f"/api/v1/batches/{made['batch']}/").json()["max_concurrent"] == 1
        for limit in (0, 51, "1"):
            answer = api.post(URL, {"jobs": [GOOD], "max_concurrent": limit})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "max_concurrent")

    def test_names_the_job_that_is_wrong_and_takes_none(self, api):
        answer = api.post(URL, {"jobs": [GOOD, GOOD, GOOD, GOOD | {"prompt": ""}, GOOD | {"parameters": {"duration": 7}}]})

        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == ["jobs[3].prompt", "jobs[4].parameters.duration"]
        assert not Job.objects.exists()
        assert not Batch.objects.exists()

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"jobs": []}, "jobs"),
            ({"jobs": "three"}, "jobs"),
            ({"jobs": {}}, "jobs"),
            ({}, "jobs"),
            ({"jobs": [GOOD] * 1_001}, "jobs"),
            ({"jobs": [7]}, "jobs[0]"),
            ({"jobs": [GOOD | {"colour": "red"}]}, "jobs[0].colour"),
            ({"jobs": [GOOD, GOOD | {"priority": "5"}]}, "jobs[1].priority"),
            ({"jobs": [GOOD], "title": "x"}, "title"),
            ({"jobs": [GOOD], "name": 5}, "name"),
        ],
    )
    def test_is_refused_naming_the_field(self, api, body, field):
        answer = api.post(URL, body)

        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert not Batch.objects.exists()

    def test_of_a_model_that_nobody_offers_is_422(self, api):
        answer = api.post(URL, {"jobs": [GOOD, {"model": "haiper-2.0", "prompt": "A tram."}]})

        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "jobs[1].model")
        assert not Job.objects.exists()

    def test_that_the_wallet_cannot_pay_is_402_as_a_whole(self, api_for):
        owner = UserFactory(tickets=7)

        answer = api_for(owner).post(URL, {"jobs": [GOOD, GOOD]})

        assert (answer.status_code, answer.json()["missing"]) == (402, 1)
        assert not Job.objects.exists()
        assert not Reservation.objects.exists()

    def test_of_a_thousand_jobs_takes_a_fixed_number_of_queries(self, api_for, django_assert_max_num_queries):
        api = api_for(UserFactory(tickets=10_000))

        with django_assert_max_num_queries(60):
            answer = api.post(URL, {"jobs": [GOOD] * 1_000})

        assert (answer.status_code, len(answer.json()["jobs"])) == (201, 1_000)


class TestRead:
    def test_counts_its_jobs_and_sums_their_cost(self, api, owner):
        batch = BatchFactory(owner=owner, name="Trams")
        for state in ("queued", "running", "storing", "completed", "failed", "cancelled"):
            make_job(state, owner=owner, batch=batch)

        found = api.get(address(batch)).json()

        assert {name: found[name] for name in ("name", "total", "queued", "processing", "completed", "failed", "cancelled")} == {
            "name": "Trams",
            "total": 6,
            "queued": 1,
            "processing": 2,
            "completed": 1,
            "failed": 1,
            "cancelled": 1,
        }
        assert found["cost"] == {"tickets": 16, "reserved": 12, "captured": 4, "refunded": 0, "usd": "8.00"}
        assert found["eta"]["p50_seconds"] > 0
        assert (found["paused"], found["max_concurrent"], found["done"], found["starts_in"]) == (False, None, False, None)

    def test_has_no_time_left_once_all_have_ended(self, api, owner):
        batch = BatchFactory(owner=owner)
        make_job("completed", owner=owner, batch=batch)

        assert api.get(address(batch)).json()["eta"] is None

    def test_are_listed_newest_first_and_can_be_narrowed(self, api, owner):
        going, held, ended, noted = (BatchFactory(owner=owner, name=name).pk for name in ("Red", "Blue tram", "Old", "Older"))
        make_job("running", owner=owner, batch_id=going)
        make_job(owner=owner, batch_id=held)
        make_job("failed", owner=owner, batch_id=ended)
        make_job("failed", owner=owner, batch_id=noted)
        Batch.objects.filter(pk=held).update(paused=True)
        Batch.objects.filter(pk=noted).update(ended_at=NOON)
        BatchFactory()

        def listed(**query):
            return [batch["id"] for batch in api.get("/api/v1/batches/", query).json()["results"]]

        assert listed() == [noted, ended, held, going]
        assert (listed(done="true"), listed(done="false")) == ([noted, ended], [held, going])
        assert (listed(paused="true"), listed(search="blue")) == ([held], [held])
        first = api.get("/api/v1/batches/?page_size=1&done=false").json()
        (line,) = first["results"]
        assert (line["queued"], line["done"], line["starts_in"] is None) == (1, False, False)
        whole = api.get(line["links"]["self"]).json()
        assert {name: whole[name] for name in line if name not in ("starts_in", "eta")} == {
            name: line[name] for name in line if name not in ("starts_in", "eta")
        }
        assert [batch["id"] for batch in api.get(first["next"]).json()["results"]] == [going]

    def test_of_a_stranger_is_404(self, api):
        batch = BatchFactory()

        for verb in ("", "cancel/", "pause/", "resume/", "retry-failed/"):
            answer = api.post(address(batch, verb)) if verb else api.get(address(batch))
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


class TestVerbs:
    def test_cancel_stops_what_can_be_stopped(self, api, owner):
        batch = BatchFactory(owner=owner)
        for state in ("queued", "queued", "running", "completed"):
            make_job(state, owner=owner, batch=batch)

        found = api.post(address(batch, "cancel/")).json()

        assert found["verdicts"] == {"cancelled": 2, "requested": 1, "too_late": 0}
        assert (found["cancelled"], found["processing"], found["completed"]) == (2, 1, 1)
        assert api.post(address(batch, "cancel/")).status_code == 200

    def test_pause_keeps_its_reason_and_its_end(self, api, owner):
        batch = BatchFactory(owner=owner)
        asked = {"reason": "new packshot", "until": "2030-01-02T08:00:00Z"}
        found = api.post(address(batch, "pause/"), asked).json()
        assert (found["paused_reason"], found["paused_until"]) == ("new packshot", "2030-01-02T08:00:00Z")
        assert api.post(address(batch, "resume/")).json()["paused_until"] is None
        assert api.post(address(batch, "pause/"), {"until": "soon"}).status_code == 400

    def test_pause_holds_its_jobs_and_resume_lets_them_go(self, api, owner):
        batch = BatchFactory(owner=owner)
        job = make_job(owner=owner, batch=batch)

        assert api.post(address(batch, "pause/")).json()["paused"] is True
        waits = api.get(f"/api/v1/jobs/{job.pk}/").json()
        assert [one["limit"] for one in waits["waiting_on"]] == ["batch"]
        assert waits["eta"] == {"p50_seconds": None, "p90_seconds": None, "basis": "paused"}
        assert api.post(address(batch, "resume/")).json()["paused"] is False
        audited = AuditEntry.objects.filter(target=str(batch.pk), actor=owner)
        assert [entry.reason for entry in audited] == ["via API"] * 2

    def test_retry_failed_queues_the_failed_ones_again(self, api, owner):
        batch = BatchFactory(owner=owner)
        failed = [make_job("failed", owner=owner, batch=batch) for _ in range(2)]
        make_job("cancelled", owner=owner, batch=batch)

        found = api.post(address(batch, "retry-failed/")).json()

        assert (found["queued"], found["failed"], found["cancelled"]) == (2, 0, 1)
        assert Job.objects.filter(pk__in=[job.pk for job in failed], state=State.QUEUED).count() == 2

    @pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "a"}])
    def test_retry_failed_of_a_batch_that_had_ended_tells_that_it_is_open_again(self, api, owner, headers):
        batch = BatchFactory(owner=owner)
        make_job("failed", owner=owner, batch=batch)
        Batch.objects.filter(pk=batch.pk).update(ended_at=NOON)

        found = api.post(address(batch, "retry-failed/"), headers=headers).json()

        assert (found["queued"], found["ended_at"]) == (1, None)

    def test_retry_failed_leaves_those_whose_deadline_has_passed(self, api, owner):
        batch = BatchFactory(owner=owner)
        again, late = (make_job("failed", owner=owner, batch=batch, deadline=moment) for moment in (None, NOON))

        found = api.post(address(batch, "retry-failed/")).json()

        assert (found["queued"], found["failed"]) == (1, 1)
        assert [Job.objects.get(pk=job.pk).state for job in (again, late)] == ["queued", "failed"]

    def test_retry_failed_is_402_as_a_whole(self, api_for):
        owner = UserFactory(tickets=5)
        batch = BatchFactory(owner=owner)
        make_job("failed", owner=owner, batch=batch)
        make_job("failed", owner=owner, batch=batch)

        answer = api_for(owner).post(address(batch, "retry-failed/"))

        assert answer.status_code == 402
        assert Job.objects.filter(state=State.FAILED).count() == 2
        assert Wallet.objects.get(owner=owner).reserved == 0


class TestAChange:
    def test_sets_name_and_limit_and_moves_queued_jobs(self, api, owner):
        batch = BatchFactory(owner=owner, max_concurrent=3)
        queued, running = make_job(owner=owner, batch=batch), make_job("running", owner=owner, batch=batch)

        found = api.patch(address(batch), {"name": "Red trams", "max_concurrent": None, "priority": -10}).json()

        assert (found["name"], found["max_concurrent"]) == ("Red trams", None)
        assert [Job.objects.get(pk=job.pk).priority for job in (queued, running)] == [-10, 0]
        assert api.patch(address(batch), {"max_concurrent": 2}).json()["max_concurrent"] == 2
        assert not AuditEntry.objects.exists()

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, ""),
            ({"priority": 5}, "priority"),
            ({"priority": None}, "priority"),
            ({"max_concurrent": 0}, "max_concurrent"),
            ({"name": "n" * 201}, "name"),
            ({"paused": True}, "paused"),
        ],
    )
    def test_that_is_wrong_is_refused_naming_the_field(self, api, owner, body, field):
        batch = BatchFactory(owner=owner)

        answer = api.patch(address(batch), body)

        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)

    def test_raises_no_job_above_what_staff_gave_it_and_says_how_many_not(self, api, owner):
        batch, staff = BatchFactory(owner=owner), UserFactory(staff=True)
        lowered, lower, own = (make_job(owner=owner, batch=batch) for _ in range(3))
        for job, level, actor in ((lowered, -10, staff), (lower, -20, staff), (own, -10, owner)):
            jobs.set_priority(job, level, at=NOON, actor=actor)

        for level, not_raised, priorities in ((0, 2, [-10, -20, 0]), (-10, 1, [-10, -20, -10]), (-20, 0, [-20, -20, -20])):
            answer = api.patch(address(batch), {"priority": level})
            assert (answer.status_code, answer.json()["not_raised"]) == (200, not_raised)
            assert [Job.objects.get(pk=job.pk).base_priority for job in (lowered, lower, own)] == priorities

    def test_by_staff_may_go_above_normal_and_is_audited(self, api_for):
        batch = BatchFactory(max_concurrent=1)
        job = make_job(owner=batch.owner, batch=batch)
        staff = UserFactory(staff=True, rights=["operate_queue"])

        assert api_for(staff).patch(address(batch), {"priority": 20}).status_code == 404
        answer = api_for(staff, "read", "submit", "manage").patch(address(batch), {"priority": 20, "max_concurrent": 5})

        assert (answer.status_code, Job.objects.get(pk=job.pk).priority) == (200, 20)
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.before, entry.after) == (
            "change batch",
            {"max_concurrent": 1},
            {"max_concurrent": 5, "priority": 20, "jobs": 1},
        )
