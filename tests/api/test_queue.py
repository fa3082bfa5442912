"""The queue, the models, the wallet, and the health of the whole."""

from datetime import timedelta

import pytest
from django.test import Client

from queue_app import clock
from queue_app.models import AuditEntry, ModelConcurrencyLimit, QueueSettings, WorkerProcess
from tests.factories import NOON, UserFactory, advance, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(api_for):
    return api_for(UserFactory(staff=True, rights=["change_modelconcurrencylimit"]), "read", "submit", "manage")


class TestQueue:
    def test_tells_counts_models_workers_and_the_two_lists(self, api_for):
        owner = UserFactory()
        running, first, second = make_job("running", owner=owner), make_job(owner=owner), make_job(owner=owner)
        make_job()

        found = api_for(owner).get("/api/v1/queue/").json()

        of_all = [
            "limit",
            "median_wait_seconds",
            "median_run_seconds",
            "throughput_per_hour",
            "failure_rate",
            "models",
            "workers",
        ]
        assert list(found) == ["summary", "by_priority", *of_all, "processing", "queued"]
        assert found["by_priority"] == {"0": 2}
        assert list(found["summary"]) == ["queued", "processing", "completed", "failed", "cancelled", "available"]
        assert (found["summary"]["queued"], found["summary"]["processing"]) == (2, 1)
        assert [job["id"] for job in found["processing"]] == [running.pk]
        assert [(job["id"], job["model"], job["position"]) for job in found["queued"]] == [
            (first.pk, "sora-2", 1),
            (second.pk, "sora-2", 3),  # after the other account's turn
        ]

    def test_tells_our_machines_to_staff_alone(self, api_for, staff):
        at = clock.now()
        WorkerProcess.objects.create(
            host="db-7.internal",
            pid=4711,
            role="worker",
            group_id=1,
            group_started="1",
            started_at=at,
            beat_at=at,
            task="check 815",
        )

        (shown,) = staff.get("/api/v1/queue/").json()["workers"]
        (hidden,) = api_for(UserFactory()).get("/api/v1/queue/").json()["workers"]

        assert (shown["host"], shown["pid"], shown["task"]) == ("db-7.internal", 4711, "check 815")
        assert (hidden["host"], hidden["pid"], hidden["task"], hidden["alive"]) == (None, None, "", True)

    def test_shows_staff_everybodys_jobs(self, staff):
        make_job()
        make_job(priority=10)

        found = staff.get("/api/v1/queue/").json()

        assert (len(found["queued"]), found["by_priority"]) == (2, {"10": 1, "0": 1})

    def test_tells_the_limit_of_all_and_how_the_last_hour_went(self, api_for):
        at = clock.now() - timedelta(minutes=30)
        for state in ("completed", "completed", "completed", "failed"):
            make_job(state, at=at)
        make_job("completed", at=at - timedelta(hours=1))
        make_job("running")
        QueueSettings.objects.update(max_concurrent=7, peak_factor=1, paused=True, paused_reason="stocktaking")

        found = api_for(UserFactory()).get("/api/v1/queue/").json()

        assert found["limit"] == {"used": 1, "max": 7, "paused": True, "reason": "stocktaking", "until": None}
        assert (found["throughput_per_hour"], found["failure_rate"]) == (3, 0.25)
        assert (found["median_wait_seconds"], found["median_run_seconds"]) == (0, 30)

    def test_lists_follow_each_event_at_once_and_are_nobody_elses(self, api_for):
        owner, other = UserFactory(), UserFactory()
        first = make_job(owner=owner)
        api = api_for(owner)

        def listed():
            found = api.get("/api/v1/queue/").json()
            return [job["id"] for job in found["processing"]], [job["id"] for job in found["queued"]]

        assert listed() == ([], [first.pk])
        second = make_job(owner=owner)
        assert listed() == ([], [first.pk, second.pk])
        advance(first, "running")
        assert listed() == ([first.pk], [second.pk])
        assert api_for(other).get("/api/v1/queue/").json()["queued"] == []

    def test_takes_a_fixed_number_of_queries(self, api_for, django_assert_max_num_queries):
        owner = UserFactory()
        for _ in range(50):
            make_job(owner=owner)
        api = api_for(owner)

        with django_assert_max_num_queries(25):
            api.get("/api/v1/queue/")
        with django_assert_max_num_queries(4):  # what is shared is a second old at most and not computed again
            api.get("/api/v1/queue/")

    def test_counts_once_for_all_staff_who_ask_within_a_second(self, api_for, staff, django_assert_max_num_queries):
        make_job()
        assert staff.get("/api/v1/queue/").json()["summary"]["queued"] == 1
        other = api_for(UserFactory(staff=True))

        with django_assert_max_num_queries(4):
            assert other.get("/api/v1/queue/").json()["summary"]["queued"] == 1


class TestModels:
    def model(self, api, key="sora-2"):
        return next(model for model in api.get("/api/v1/models/").json()["results"] if model["key"] == key)

    def test_tell_slots_prices_and_parameters(self, api_for):
        make_job("running")

        found = self.model(api_for(UserFactory()))

        assert (found["max_concurrent"], found["used"], found["free"]) == (4, 1, 3)
        assert (found["unit"], found["tickets_per_unit"], found["usd_per_unit"]) == ("second", 1, "0.500000")
        assert found["parameters"]["duration"]["values"] == [4, 5, 8, 10, 12, 16, 20]

    def test_are_limited_and_paused_by_staff(self, staff):
        answer = staff.patch("/api/v1/models/sora-2/", {"max_concurrent": 2, "paused": True, "reason": "maintenance"})

        assert answer.status_code == 200
        found = answer.json()
        assert (found["max_concurrent"], found["paused"], found["paused_reason"], found["free"]) == (2, True, "maintenance", 0)
        entry = AuditEntry.objects.get()
        assert (entry.before["max_concurrent"], entry.after["max_concurrent"], entry.reason) == (4, 2, "maintenance")
        assert staff.patch("/api/v1/models/sora-2/", {"paused": False}).json()["paused_reason"] == ""

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"paused": "yes"}, "paused"),
            ({"paused": 1}, "paused"),
            ({}, ""),
            ({"price": 3}, "price"),
            ({"max_concurrent": 51}, "max_concurrent"),
        ],
    )
    def test_refuse_what_is_wrong(self, staff, body, field):
        answer = staff.patch("/api/v1/models/sora-2/", body)

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == field
        assert ModelConcurrencyLimit.objects.get(model="sora-2").max_concurrent == 4

    def test_are_not_changed_by_others(self, api_for):
        change = {"max_concurrent": 50}

        assert api_for(UserFactory(), "read", "submit", "manage").patch("/api/v1/models/sora-2/", change).status_code == 403
        editor = UserFactory(staff=True, rights=["change_modelconcurrencylimit"])
        assert api_for(editor, "read", "submit").patch("/api/v1/models/sora-2/", change).status_code == 403
        assert not AuditEntry.objects.exists()


class TestKinds:
    def test_tell_their_rules_and_whether_the_caller_may_use_them(self, api_for):
        def kinds(**rights):
            return {kind["key"]: kind for kind in api_for(UserFactory(**rights)).get("/api/v1/kinds/").json()["results"]}

        found = kinds()

        assert (found["video"]["medium"], found["video"]["restricted"], found["video"]["allowed"]) == ("video", False, True)
        assert found["video"]["timeout_seconds"] > 0 and found["video"]["max_attempts"] > 1
        assert (found["doubt"]["restricted"], found["doubt"]["allowed"]) == (True, False)
        assert kinds(rights=["submit_restricted_kinds"])["doubt"]["allowed"] is True


class TestWallet:
    def test_tells_what_is_there_and_what_was_spent(self, api_for):
        owner = UserFactory(tickets=20)
        make_job("completed", owner=owner)
        make_job(owner=owner)

        assert api_for(owner).get("/api/v1/wallet/").json() == {"available": 12, "reserved": 4, "captured": 4, "refunded": 0}

    def test_of_a_new_user_is_empty(self, api_for):
        assert set(api_for(UserFactory(tickets=0)).get("/api/v1/wallet/").json().values()) == {0}

    def test_entries_tell_every_movement_newest_first(self, api_for, django_assert_max_num_queries):
        owner = UserFactory(tickets=20)
        job = make_job("completed", owner=owner)
        make_job("completed")
        api = api_for(owner)

        with django_assert_max_num_queries(6):
            entries = api.get("/api/v1/wallet/entries/").json()["results"]

        assert [(entry["kind"], entry["available"], entry["reserved"], entry["job"]) for entry in entries] == [
            ("capture", 0, -4, job.pk),
            ("reserve", -4, 4, job.pk),
            ("grant", 20, 0, None),
        ]


class TestHealth:
    def beat(self, seconds_ago=0, *, turned=0, leader=True):
        """A worker and a dispatcher that said so long ago that they live; the latter came round ``turned`` s before that."""
        at = clock.now() - timedelta(seconds=seconds_ago)
        known = {"host": "one", "pid": 1, "group_id": 1, "group_started": "1", "started_at": NOON, "beat_at": at}
        WorkerProcess.objects.create(role="worker", **known)
        turned_at = None if turned is None else at - timedelta(seconds=turned)
        WorkerProcess.objects.create(role="dispatcher", leader=leader, turned_at=turned_at, **known)

    def test_healthz_needs_no_database(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert Client().get("/healthz").json() == {"status": "ok"}

    def test_readyz_is_200_with_a_worker_and_names_the_studios_models(self):
        self.beat()

        answer = Client().get("/readyz")

        assert answer.status_code == 200
        assert answer.json()["missing"] == {}
        assert {"manim", "sora-2", "sora-2-pro"} <= set(answer.json()["studio_models"])

    def test_readyz_names_models_that_nobody_makes_for_want_of_a_key(self, settings):
        settings.ALLOW_STUDIO = False
        self.beat()

        answer = Client().get("/readyz").json()

        assert (answer["status"], answer["studio_models"]) == ("ready", [])
        assert {"sora-2", "sora-2-pro"} <= set(answer["inactive_models"])

    def test_readyz_is_503_without_a_workers_heartbeat(self):
        self.beat(seconds_ago=30)

        answer = Client().get("/readyz")

        assert answer.status_code == 503
        assert "runworker" in answer.json()["missing"]["worker"]

    @pytest.mark.parametrize(("turned", "leader"), [(11, True), (None, True), (0, False)])
    def test_readyz_is_503_while_no_dispatcher_comes_round_though_all_of_them_live(self, turned, leader):
        """One that stands still, one whose claims somebody has locked, one that does not lead yet."""
        self.beat(turned=turned, leader=leader)

        answer = Client().get("/readyz")

        assert (answer.status_code, list(answer.json()["missing"])) == (503, ["dispatcher"])

    def test_readyz_is_503_without_seeds(self):
        self.beat()
        QueueSettings.objects.all().delete()

        assert list(Client().get("/readyz").json()["missing"]) == ["seeds"]
