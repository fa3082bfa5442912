"""The lock order: claim lock, batches, jobs, wallets, each with ids ascending."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from threading import Event

import pytest
from django.db import connection, transaction

from queue_app import lifecycle
from queue_app.lifecycle import Trouble
from queue_app.models import Job
from queue_app.work import batches, policy
from tests.factories import NOON, BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db(transaction=True)
Beside = Callable[[Callable[[], object]], "Future[object]"]


@pytest.fixture
def beside() -> Iterator[Beside]:
    """Run something concurrently on its own connection."""

    def alone(what: Callable[[], object]) -> object:
        with closing(connection):
            return what()

    with ThreadPoolExecutor() as pool:
        yield lambda what: pool.submit(alone, what)


def waits_for_a_lock(number: int = 1) -> None:
    """Wait until this many sessions of the database wait for a lock."""
    ends = time.monotonic() + 30
    waiting = 0
    while waiting < number:
        assert time.monotonic() < ends, f"{waiting} of {number} came to wait"
        time.sleep(0.02)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # within a transaction the view below does not change
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            (waiting,) = cursor.fetchone()


def test_a_retry_of_a_batch_and_its_pause_wait_for_each_other(beside: Beside) -> None:
    batch = BatchFactory()
    at_work, failing = (make_job("running", batch=batch, owner=batch.owner) for _ in range(2))
    with transaction.atomic():
        Job.objects.lock().get(pk=at_work.pk)  # a worker has it locked
        paused = beside(lambda: policy.pause_batch(batch, at=NOON, actor=None))
        waits_for_a_lock()  # the pause holds the batch and has seen both jobs as open
        beside(lambda: fail(failing)).result(30)
        retried = beside(lambda: batches.retry(batch, at=NOON, actor=batch.owner))
        waits_for_a_lock(2)
    paused.result(30)
    assert [job.pk for job in retried.result(30)] == [failing.pk]  # type: ignore[attr-defined]
    assert Job.objects.get(pk=failing.pk).held


@transaction.atomic
def fail(job: Job) -> None:
    lifecycle.fail(Job.objects.lock().get(pk=job.pk), at=NOON, actor="worker", trouble=Trouble("no", "No."))


def test_decisions_on_jobs_of_two_owners_and_a_cancel_take_turns(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = UserFactory(), UserFactory()
    unknown = [make_job("unknown", owner=owner) for owner in (second, first)]  # the wallets' ids are in reverse order
    queued = [make_job(owner=owner) for owner in (first, second)]
    in_the_middle, real = Event(), lifecycle.fail

    def fail_slowly(job: Job, **facts: object) -> None:
        real(job, **facts)  # type: ignore[arg-type]
        if not in_the_middle.is_set():
            in_the_middle.set()
            time.sleep(0.5)  # leave time for the cancel

    monkeypatch.setattr(lifecycle, "fail", fail_slowly)
    ids = [job.pk for job in unknown]
    settled = beside(lambda: lifecycle.settle_unknown(ids, again=False, at=NOON, actor="ana", reason="Looked."))
    assert in_the_middle.wait(30)
    cancelled = beside(lambda: lifecycle.cancel([job.pk for job in queued], at=NOON, actor="ana"))
    assert settled.result(30) == ids
    assert len(cancelled.result(30)) == 2  # type: ignore[arg-type]
