"""A worker that gets a canary checks the dispatcher's last round and does rounds in its place if it is frozen."""

from datetime import timedelta
from pydoc import locate

import pytest
from django.db import connection
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from queue_app import clock
from queue_app.models import Job, State, WorkerProcess
from queue_app.runtime import canary, deputy
from queue_app.runtime.queues import Queue
from tests.cuts import Scissors
from tests.factories import JobFactory, make_job

pytestmark = pytest.mark.django_db(transaction=True)


def dispatcher(*, turned: float, leader: bool = True, pid: int = 1) -> None:
    """Create the row of a dispatcher that completed a round ``turned`` seconds ago."""
    at = clock.now()
    facts = {"host": "mill", "pid": pid, "group_id": pid, "group_started": "1", "started_at": at, "beat_at": at}
    turned_at = at - timedelta(seconds=turned)
    WorkerProcess.objects.create(role="dispatcher", leader=leader, turned_at=turned_at, **facts)


@pytest.fixture(autouse=True)
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deputy, "STINT_SECONDS", 0)


def test_every_second_canary_of_the_default_queue_looks_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "CANARY_SECONDS", 0)
    found = {}
    for queue in Queue:
        source = canary.CanarySource(queue.cluster)
        found[queue] = [SignedPackage.loads(source.next()[0][1])["func"] for _ in range(4)]
    assert found == {
        Queue.DEFAULT: [canary.SING, canary.LOOK] * 2,
        Queue.LONG: [canary.SING] * 4,
        Queue.STORE: [canary.SING] * 4,
        Queue.DELIVER: [canary.SING] * 4,
    }
    assert {locate(function) for function in canary.FUNCTIONS} == {canary.sing, deputy.look}


@pytest.mark.usefixtures("time_stands_still")
class TestALook:
    def test_does_everything_that_is_due_while_the_leader_stands_still(self) -> None:
        waiting, running = JobFactory(), make_job("running", at=clock.now() - timedelta(minutes=1))
        storing = make_job("storing", at=clock.now())
        Job.objects.filter(pk=running.pk).update(next_check_at=clock.now())
        Job.objects.filter(pk=storing.pk).update(lease_until=clock.now() - timedelta(seconds=1), lease_taken=True)
        dispatcher(turned=6)

        deputy.look()

        assert Job.objects.get(pk=waiting.pk).state == State.SUBMITTING
        assert OrmQ.objects.filter(key=Queue.DEFAULT.cluster).count() == 2
        assert OrmQ.objects.filter(key=Queue.STORE.cluster).count() == 1

    @pytest.mark.parametrize(("turned", "leader"), [(3, True), (600, False)])
    def test_leaves_everything_to_a_leader_that_comes_round_or_is_to_come(self, turned: float, leader: bool) -> None:
        waiting = JobFactory()
        dispatcher(turned=turned, leader=leader)
        deputy.look()
        assert Job.objects.get(pk=waiting.pk).state == State.QUEUED

    def test_believes_the_leader_that_came_round_last(self) -> None:
        """The row of a killed dispatcher stays for a while."""
        waiting = JobFactory()
        dispatcher(turned=600)
        dispatcher(turned=1, pid=2)
        deputy.look()
        assert Job.objects.get(pk=waiting.pk).state == State.QUEUED

    def test_lets_the_canary_through_when_its_connection_is_cut(self) -> None:
        dispatcher(turned=6)
        JobFactory()
        uncut = Scissors()
        with uncut.at_work():
            deputy.look()
        for number in range(len(uncut.places)):
            with Scissors(number).at_work():
                deputy.look()
            connection.close()
