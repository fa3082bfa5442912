"""The work of a task: the verb for its lease, then the resulting leases, then the next job."""

from collections.abc import Callable
from typing import Any

import pytest
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from queue_app import clock, lifecycle
from queue_app.lifecycle import Lease
from queue_app.models import Attempt, Job, ModelConcurrencyLimit, QueueSettings, State
from queue_app.models.job import IN_FLIGHT_STATES
from queue_app.runtime import tasks
from queue_app.runtime.queues import Queue
from queue_app.runtime.tasks import DUTIES, Duty
from queue_app.work import dispatch
from tests.factories import JobFactory, long_workers

pytestmark = pytest.mark.django_db(transaction=True)
Verb = Callable[[Job, Attempt, Lease], list[tuple[Lease, State]]]


def queued(queue: Queue) -> list[tuple[Any, ...]]:
    """Return the arguments of the tasks in a queue."""
    return [SignedPackage.loads(row.payload)["args"] for row in OrmQ.objects.filter(key=queue.cluster).order_by("id")]


def fails_for_good(job: Job, attempt: Attempt, lease: Lease) -> list[tuple[Lease, State]]:
    from django.db import transaction

    with transaction.atomic():
        held = lifecycle.held_by(lease)
        assert held
        lifecycle.fail(held, at=clock.now(), actor="tests", trouble=lifecycle.Trouble("refused", "No."))
    return []


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[State, Verb], list[int]]:
    """Replace a verb in the table; return a list that collects the ids of the jobs it is called with."""

    def put(state: State, verb: Verb) -> list[int]:
        called: list[int] = []

        def noted(job: Job, attempt: Attempt, lease: Lease) -> list[tuple[Lease, State]]:
            called.append(job.pk)
            return verb(job, attempt, lease)

        monkeypatch.setitem(DUTIES, state, Duty("test", noted, DUTIES[state].queue))
        return called

    return put


def claim_one() -> Lease:
    ModelConcurrencyLimit.objects.filter(pk="sora-2").update(max_concurrent=1)
    (lease,) = dispatch.claim_due_jobs(at=clock.now())
    return lease


class TestTable:
    def test_each_state_in_flight_has_its_verb(self) -> None:
        assert set(DUTIES) == set(IN_FLIGHT_STATES)

    def test_storing_has_a_queue_of_its_own(self) -> None:
        assert {state for state, duty in DUTIES.items() if duty.queue is Queue.STORE} == {State.STORING}


class TestHandOut:
    def test_a_task_carries_ids_only_and_goes_to_the_queue_of_its_state(self) -> None:
        assert tasks.hand_out([(Lease(7, 1), State.RUNNING), (Lease(8, 2), State.STORING)]) == 2
        assert (queued(Queue.DEFAULT), queued(Queue.STORE)) == ([(7, 1)], [(8, 2)])

    def test_a_long_call_goes_to_the_queue_for_them(self) -> None:
        tasks.hand_out([(Lease(7, 1), State.SUBMITTING), (Lease(8, 2, synchronous=True), State.SUBMITTING)])
        assert (queued(Queue.DEFAULT), queued(Queue.LONG)) == ([(7, 1)], [(8, 2)])


class TestWork:
    def test_a_task_that_runs_twice_works_once(self, verb: Callable[[State, Verb], list[int]]) -> None:
        job = JobFactory()
        called = verb(State.SUBMITTING, lambda *_: [])
        lease = claim_one()
        tasks.work(lease.job_id, lease.fence)
        tasks.work(lease.job_id, lease.fence)
        assert called == [job.pk]

    def test_a_task_that_comes_late_does_nothing(self, verb: Callable[[State, Verb], list[int]]) -> None:
        JobFactory()
        called = verb(State.SUBMITTING, lambda *_: [])
        lease = claim_one()
        tasks.work(lease.job_id, lease.fence - 1)
        tasks.work(lease.job_id + 1, lease.fence)
        assert called == []

    def test_what_came_of_it_is_handed_out(self, verb: Callable[[State, Verb], list[int]]) -> None:
        JobFactory()
        verb(State.SUBMITTING, lambda *_: [(Lease(5, 6), State.STORING)])
        lease = claim_one()
        tasks.work(lease.job_id, lease.fence)
        assert queued(Queue.STORE) == [(5, 6)]

    def test_who_frees_a_slot_goes_on_with_the_next_job_itself(self, verb: Callable[[State, Verb], list[int]]) -> None:
        first, second, third = JobFactory.create_batch(3)
        called = verb(State.SUBMITTING, fails_for_good)
        lease = claim_one()
        tasks.work(lease.job_id, lease.fence)
        assert called == [first.pk, second.pk, third.pk]
        assert queued(Queue.DEFAULT) == []

    def test_it_keeps_one_and_hands_out_the_others(self, verb: Callable[[State, Verb], list[int]]) -> None:
        first, second, third = JobFactory.create_batch(3)

        def frees_two(job: Job, attempt: Attempt, lease: Lease) -> list[tuple[Lease, State]]:
            ModelConcurrencyLimit.objects.filter(pk="sora-2").update(max_concurrent=2)
            return fails_for_good(job, attempt, lease) if job.pk == first.pk else []

        called = verb(State.SUBMITTING, frees_two)
        lease = claim_one()
        tasks.work(lease.job_id, lease.fence)
        assert called == [first.pk, second.pk]
        assert [job_id for job_id, _ in queued(Queue.DEFAULT)] == [third.pk]

    def test_without_time_left_it_hands_out_all(
        self, verb: Callable[[State, Verb], list[int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = JobFactory.create_batch(2)
        called = verb(State.SUBMITTING, fails_for_good)
        monkeypatch.setitem(tasks.GO_ON_SHARES, Queue.DEFAULT, 1)
        lease = claim_one()
        tasks.work(lease.job_id, lease.fence)
        assert called == [first.pk]
        assert [job_id for job_id, _ in queued(Queue.DEFAULT)] == [second.pk]

    def test_a_short_one_leaves_long_calls_to_the_workers_for_them(self, verb: Callable[[State, Verb], list[int]]) -> None:
        long_workers(1, at=clock.now())
        first, long = JobFactory(), JobFactory(model_id="text-writer", parameters={}, priority=-10)
        called = verb(State.SUBMITTING, fails_for_good)
        QueueSettings.objects.update(max_concurrent=1, peak_factor=1)
        lease = claim_one()
        tasks.work(lease.job_id, lease.fence)
        assert called == [first.pk]
        assert [job_id for job_id, _ in queued(Queue.LONG)] == [long.pk]
        assert queued(Queue.DEFAULT) == []

    def test_a_long_one_goes_on_with_the_next_long_call_alone(
        self, verb: Callable[[State, Verb], list[int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("django_q.conf.Conf.CLUSTER_NAME", "long")
        long_workers(1, at=clock.now())
        first, second = JobFactory.create_batch(2, model_id="text-writer", parameters={})
        called = verb(State.SUBMITTING, fails_for_good)
        (lease,) = dispatch.claim_due_jobs(at=clock.now())
        short = JobFactory()
        tasks.work(lease.job_id, lease.fence)
        assert called == [first.pk, second.pk]
        assert [job_id for job_id, _ in queued(Queue.DEFAULT)] == [short.pk]

    def test_a_stopping_worker_begins_nothing(
        self, verb: Callable[[State, Verb], list[int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        JobFactory()
        called = verb(State.SUBMITTING, lambda *_: [])
        lease = claim_one()
        monkeypatch.setattr("queue_app.runtime.tasks.LINE.is_cut", lambda: True)
        tasks.work(lease.job_id, lease.fence)
        assert called == []
