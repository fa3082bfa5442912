"""Long calls: as many at once as there are workers for them, and never in the way of short work."""

from datetime import timedelta

import pytest

from queue_app import lifecycle
from queue_app.insight import snapshot, waiting
from queue_app.lifecycle import Lease
from queue_app.models import Attempt, Job, ModelConcurrencyLimit, ProviderAccount, QueueSettings, State, WorkerProcess
from queue_app.work import dispatch
from queue_app.work.capacity import Capacity
from tests.factories import NOON, begun, long_workers, make_job

pytestmark = pytest.mark.django_db
TEXT = {"model_id": "text-writer", "parameters": {}}
IMAGE = {"model_id": "gpt-image-2", "parameters": {"aspect_ratio": "1:1", "quality": "low", "resolution": "1K"}}


def claims() -> list[Lease]:
    return dispatch.claim_due_jobs(at=NOON)


def claimed_ids() -> list[int]:
    return [lease.job_id for lease in claims()]


def room() -> Capacity:
    return Capacity.load(at=NOON, policy=QueueSettings.objects.current())


@pytest.fixture(autouse=True)
def wide_limits():
    ModelConcurrencyLimit.objects.update(max_concurrent=50)
    QueueSettings.objects.update(max_concurrent=50, peak_factor=1)


class TestAClaim:
    def test_takes_as_many_as_there_are_workers(self):
        long_workers(2)
        jobs = [make_job(**TEXT) for _ in range(4)]

        leases = claims()

        assert [lease.job_id for lease in leases] == [job.pk for job in jobs[:2]]
        assert all(lease.synchronous for lease in leases)
        assert set(Attempt.objects.values_list("synchronous", flat=True)) == {True}
        assert claims() == []

    def test_takes_none_without_workers(self):
        make_job(**TEXT)
        short = make_job()
        assert claimed_ids() == [short.pk]

    def test_counts_workers_of_several_machines_that_are_alive(self):
        long_workers(1)
        long_workers(1, host="b", beat_at=NOON - timedelta(seconds=9))
        long_workers(3, host="c", beat_at=NOON - timedelta(seconds=11))
        long_workers(3, host="d", queue="default")
        WorkerProcess.objects.create(
            host="e", pid=1, role="cluster", queue="long", group_id=1, group_started="1", started_at=NOON, beat_at=NOON
        )
        for _ in range(4):
            make_job(**TEXT)
        assert len(claims()) == 2

    def test_lets_short_jobs_pass_a_queue_of_long_ones(self):
        long_workers(1)
        for _ in range(30):
            make_job(priority=10, **TEXT)
        short = [make_job() for _ in range(3)]

        ids = claimed_ids()

        assert ids[1:] == [job.pk for job in short]
        assert len(ids) == 4

    def test_fills_the_place_of_a_call_that_was_answered(self):
        long_workers(1)
        second = [make_job(**TEXT) for _ in range(2)][1]
        (lease,) = claims()
        taken = lifecycle.begin(lease, at=NOON)
        assert taken is not None
        assert claims() == []

        lifecycle.start(taken[0], at=NOON, actor="worker", remote_id="x", remote={}, next_check_at=NOON)

        assert claimed_ids() == [second.pk]

    @pytest.mark.parametrize("state", [State.RUNNING, State.UNKNOWN, State.STORING, State.CANCELLING])
    def test_counts_only_calls_in_progress(self, state: str):
        long_workers(1)
        make_job(state, **TEXT)
        waiting_one = make_job(**TEXT)
        assert claimed_ids() == [waiting_one.pk]

    def test_writes_the_numbers_into_the_event(self):
        long_workers(3)
        begun(make_job(**TEXT))
        job = make_job(**TEXT)
        claims()
        assert job.events.get(to_state="submitting").data["limits"]["long"] == [2, 3]

    def test_uses_a_long_route_only_where_a_worker_is_free(self):
        """The first route of this model needs none."""
        ProviderAccount.objects.filter(pk="fal").update(max_concurrent=1)
        jobs = [make_job(**IMAGE) for _ in range(3)]
        assert claimed_ids() == [jobs[0].pk]
        long_workers(1)
        assert claims() == [Lease(jobs[1].pk, Job.objects.get(pk=jobs[1].pk).fence, synchronous=True)]
        assert claims() == []
        accounts = Attempt.objects.order_by("created_at", "job_id").values_list("account_id", "synchronous")
        assert list(accounts) == [("fal", False), ("openai_images", True)]

    def test_keeps_to_the_other_limits(self):
        long_workers(5)
        ModelConcurrencyLimit.objects.filter(pk="text-writer").update(max_concurrent=2)
        for _ in range(4):
            make_job(**TEXT)
        assert len(claims()) == 2

    def test_says_after_a_cut_connection_which_leases_are_for_long_calls(self):
        long_workers(1)
        make_job(**TEXT)
        make_job()
        leases = claims()
        assert {lease for lease, _ in lifecycle.given_out(NOON)} == set(leases)
        at = NOON + timedelta(seconds=6)
        assert {lease for lease, _ in lifecycle.waiting_for_a_worker(at=at, since=NOON)} == set(leases)
        assert sorted(lease.synchronous for lease in leases) == [False, True]


class TestWhyItWaits:
    def outlook(self, job: Job) -> waiting.Outlook:
        return waiting.outlook([job], at=NOON)

    def test_names_the_workers_and_how_many_are_busy(self):
        long_workers(2)
        for _ in range(2):
            begun(make_job(**TEXT))
        job = make_job(**TEXT)

        (blocker,) = waiting.waiting_on(job, NOON)

        assert (blocker.limit, blocker.key, blocker.used, blocker.max) == ("long", "", 2, 2)
        assert self.outlook(job).sentence(job) == "Workers for long calls are all busy (2 of 2). Next in line."

    def test_says_that_none_is_running(self):
        job = make_job(**TEXT)
        (blocker,) = waiting.waiting_on(job, NOON)
        assert (blocker.limit, blocker.max, blocker.reason) == ("long", 0, "no worker")
        assert self.outlook(job).sentence(job) == "Workers for long calls are not running. Next in line."

    def test_does_not_name_them_for_short_work(self):
        job = make_job()
        assert [one.limit for one in waiting.waiting_on(job, NOON)] == ["jobs_ahead"]

    def test_is_in_the_numbers_of_the_queue(self):
        long_workers(2)
        begun(make_job(**TEXT))
        lanes = {lane.key: lane for lane in snapshot.take(at=NOON).lanes}
        assert (lanes["text-writer"].can_start, lanes["page-writer"].can_start, lanes["sora-2"].can_start) == (1, 1, 4)

    def test_is_never_more_than_there_are_workers_in_the_sum_of_free_slots(self):
        long_workers(1)
        with_one = snapshot.take(at=NOON).free_slots
        WorkerProcess.objects.all().delete()
        assert with_one - snapshot.take(at=NOON).free_slots in {0, 1}

    def test_leaves_the_other_limits_as_they_are(self):
        assert room().room.caps[("long", "")] == 0
        assert not room().room.is_open(("long", ""))
        long_workers(4)
        assert room().room.free(("long", ""), 0) == 4


class TestTheForecast:
    @pytest.mark.parametrize(("workers", "ahead"), [(1, 2), (3, 0)])
    def test_counts_long_calls_one_after_the_other(self, settings, workers: int, ahead: int):
        long_workers(workers)
        third = [make_job(**TEXT) for _ in range(3)][-1]
        found = waiting.eta(third, NOON)
        assert found is not None
        assert found.p50_seconds == pytest.approx(ahead * settings.STUDIO_SECONDS + third.model.typical_seconds, rel=0.1)

    def test_has_no_end_without_workers(self):
        found = waiting.eta(make_job(**TEXT), NOON)
        assert found is not None
        assert (found.p50_seconds, found.basis) == (None, "without a worker for long calls")
