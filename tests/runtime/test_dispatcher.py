"""A round of the dispatcher, without its loop."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from pytest_django import DjangoAssertNumQueries

from queue_app import clock, database, lifecycle
from queue_app.models import BulkAction, Job, QueueSettings, Schedule, State
from queue_app.runtime import tasks
from queue_app.runtime.dispatcher import Dispatcher
from queue_app.runtime.queues import Queue
from queue_app.work import bulk, dispatch, recovery
from tests.cuts import end_backend
from tests.factories import BatchFactory, JobFactory, UserFactory, claimed, make_job, make_schedule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dispatcher() -> Dispatcher:
    """A dispatcher that has just swept and pruned."""
    dispatcher = Dispatcher()
    dispatcher.turn(woken=False)
    return dispatcher


class TestPruning:
    def test_what_is_only_kept_for_a_while_is_removed(self) -> None:
        at = clock.now()
        for key, days in (("over", -1), ("open", 1)):
            Session.objects.create(session_key=key, session_data="", expire_date=at + timedelta(days=days))
        known = {"verb": "clear_completed", "phase": "done", "actor": UserFactory(), "job_ids": [1], "total": 1, "created_at": at}
        old = BulkAction.objects.create(**known, ended_at=at - timedelta(days=40))
        Dispatcher().turn(woken=False)
        assert list(Session.objects.values_list("session_key", flat=True)) == ["open"]
        old.refresh_from_db()
        assert old.job_ids == []

    def test_the_storage_is_tidied_every_hour(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("queue_app.runtime.dispatcher.TIDY_SECONDS", 0)
        Dispatcher().turn(woken=False)
        assert [SignedPackage.loads(task.payload)["func"] for task in OrmQ.objects.all()] == ["queue_app.runtime.tasks.tidy"]


class TestTurn:
    def test_woken_it_claims_what_fits_and_hands_it_out(self, dispatcher: Dispatcher) -> None:
        JobFactory.create_batch(6)
        dispatcher.turn(woken=True)
        assert Job.objects.filter(state=State.SUBMITTING).count() == 4
        assert OrmQ.objects.count() == 4

    def test_it_sleeps_a_second_when_nothing_is_due(self, dispatcher: Dispatcher) -> None:
        assert dispatcher.turn(woken=False) == 1

    @pytest.mark.usefixtures("time_stands_still")
    def test_it_sleeps_until_something_is_due(self, dispatcher: Dispatcher) -> None:
        JobFactory(not_before=clock.now() + timedelta(seconds=0.5))
        assert dispatcher.turn(woken=False) == 0.5

    def test_what_has_become_due_is_claimed_without_a_wake_up(self, dispatcher: Dispatcher) -> None:
        JobFactory(not_before=clock.now() - timedelta(seconds=1))
        dispatcher.turn(woken=False)
        assert Job.objects.get().state == State.SUBMITTING

    def test_a_schedule_that_is_due_is_handed_out_once_and_runs_in_its_task(self, dispatcher: Dispatcher) -> None:
        schedule = make_schedule(UserFactory(), cron="0 0 1 1 *", at=clock.now())
        due_at = clock.now() - timedelta(minutes=1)
        Schedule.objects.filter(pk=schedule.pk).update(next_run_at=due_at, wake_at=due_at)
        for _ in range(2):
            dispatcher.turn(woken=False)
        (task,) = (SignedPackage.loads(one.payload) for one in OrmQ.objects.filter(key=Queue.DELIVER.cluster))
        assert (task["func"], task["args"]) == ("queue_app.runtime.tasks.schedule", (schedule.pk,))
        tasks.schedule(schedule.pk)
        assert schedule.runs.get().job_id == Job.objects.get().pk

    @pytest.mark.usefixtures("time_stands_still")
    def test_a_deadline_fails_the_job_that_has_not_started_by_then(
        self, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        QueueSettings.objects.update(paused=True)
        ends_at = clock.now() + timedelta(seconds=0.5)
        JobFactory(deadline=ends_at)
        assert dispatcher.turn(woken=True) == 0.5
        assert Job.objects.get().state == State.QUEUED
        monkeypatch.setattr(clock, "now", lambda: ends_at)
        dispatcher.turn(woken=False)
        assert (Job.objects.get().state, Job.objects.get().error_code) == (State.FAILED, "deadline_passed")

    @pytest.mark.usefixtures("time_stands_still")
    def test_the_end_of_a_pause_that_was_foreseen_is_claimed_at_without_a_wake_up(
        self, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        JobFactory()
        ends_at = clock.now() + timedelta(seconds=0.25)
        QueueSettings.objects.update(paused=True, paused_until=ends_at)
        assert dispatcher.turn(woken=True) == 0.25
        assert Job.objects.get().state == State.QUEUED
        monkeypatch.setattr(clock, "now", lambda: ends_at)
        dispatcher.turn(woken=False)
        assert Job.objects.get().state == State.SUBMITTING

    def test_a_check_that_is_due_takes_no_claim_lock(self, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
        make_job(state=State.RUNNING, at=clock.now() - timedelta(minutes=1))
        Job.objects.update(lease_until=None, lease_taken=False, next_check_at=clock.now())
        monkeypatch.setattr(dispatch, "claim_due_jobs", _broken)
        dispatcher.turn(woken=False)
        assert OrmQ.objects.count() == 1

    def test_idle_it_asks_no_more_than_what_is_due(
        self, dispatcher: Dispatcher, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(2):  # the time, and the next due times
            dispatcher.turn(woken=False)

    @pytest.mark.parametrize("state", [State.RUNNING, State.STORING])
    def test_a_job_in_flight_is_handed_out_when_its_check_is_due(self, dispatcher: Dispatcher, state: State) -> None:
        job = make_job(state=state, at=clock.now() - timedelta(minutes=1))
        Job.objects.filter(pk=job.pk).update(lease_until=None, lease_taken=False, next_check_at=clock.now() + timedelta(hours=1))
        dispatcher.turn(woken=False)
        assert not OrmQ.objects.exists()
        Job.objects.filter(pk=job.pk).update(next_check_at=clock.now())
        dispatcher.turn(woken=False)
        assert OrmQ.objects.count() == 1

    @pytest.mark.usefixtures("time_stands_still")
    def test_a_bulk_action_is_handed_out_when_its_time_has_come_and_worked_through(self, dispatcher: Dispatcher) -> None:
        job, ana = make_job(), UserFactory(admin=True)
        action = bulk.draft("cancel", [job.pk], at=clock.now(), actor=ana, chosen="by hand")
        bulk.confirm(action, at=clock.now() - timedelta(seconds=9.75), actor=ana)
        assert dispatcher.turn(woken=False) == 0.25
        assert not OrmQ.objects.exists()
        bulk.run_now(action, at=clock.now(), actor=ana)
        Job.objects.filter(pk=job.pk).update(held=True)  # so that nothing else is handed out
        dispatcher.turn(woken=False)
        assert OrmQ.objects.get().key == Queue.DELIVER.cluster
        tasks.bulk(action.pk)
        assert Job.objects.get().state == State.CANCELLED

    def test_a_lost_wake_up_costs_one_sweep(self, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
        JobFactory()
        dispatcher.turn(woken=False)
        assert Job.objects.get().state == State.QUEUED
        monkeypatch.setattr(dispatcher._sweep, "is_due", lambda: True)
        dispatcher.turn(woken=False)
        assert Job.objects.get().state == State.SUBMITTING

    def test_a_sweep_that_fails_keeps_nobody_from_being_claimed(
        self, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        JobFactory()
        monkeypatch.setattr(dispatcher._sweep, "is_due", lambda: True)
        monkeypatch.setattr(recovery, "sweep", _broken)
        dispatcher.turn(woken=False)
        assert Job.objects.get().state == State.SUBMITTING
        assert "failed" in caplog.text

    def test_a_database_that_is_gone_ends_the_turn(self, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also in the sweep, whose other errors do not end the round."""

        monkeypatch.setattr(dispatcher._sweep, "is_due", lambda: True)
        monkeypatch.setattr(recovery, "sweep", lambda **_: (end_backend(connection.connection), Job.objects.exists()))
        with pytest.raises(OperationalError) as raised:
            dispatcher.turn(woken=True)
        assert database.is_gone(raised.value)
        dispatcher.begin_anew()


class TestTakingOver:
    def test_what_was_given_out_and_not_begun_is_handed_out_again_at_once(self) -> None:
        """Its tasks may be lost with the leader that claimed, or with the connection that was to queue them."""
        claimed(JobFactory(), at=clock.now())
        dispatcher = Dispatcher()
        dispatcher.turn(woken=False)
        assert OrmQ.objects.count() == 1
        OrmQ.objects.all().delete()
        dispatcher.turn(woken=False)
        assert OrmQ.objects.count() == 0
        dispatcher.begin_anew()
        dispatcher.turn(woken=False)
        assert OrmQ.objects.count() == 1

    def test_a_task_that_got_lost_is_handed_out_again_after_a_sweep(
        self, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        claimed(JobFactory(), at=clock.now() - timedelta(seconds=6))
        claimed(JobFactory(), at=clock.now())
        monkeypatch.setattr(dispatcher._sweep, "is_due", lambda: True)
        dispatcher.turn(woken=False)
        assert OrmQ.objects.count() == 1

    def test_a_lease_that_was_begun_is_left_to_its_worker(self) -> None:
        lease = claimed(JobFactory(), at=clock.now())
        assert lifecycle.begin(lease, at=clock.now())
        Dispatcher().turn(woken=False)
        assert OrmQ.objects.count() == 0


class Somebody:
    """Another session with a long transaction."""

    def __init__(self) -> None:
        self._connection = connection.get_new_connection(connection.get_connection_params())

    def locks(self, table: str, number: object) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {table} WHERE id::text = %s FOR UPDATE", [str(number)])
            assert cursor.rowcount == 1

    def goes(self) -> None:
        if not self._connection.closed:
            self._connection.rollback()  # releases its locks now; a close alone would do so a moment later
        self._connection.close()


class TestARowThatSomebodyHasLocked:
    @pytest.fixture
    def somebody(self) -> Iterator[Somebody]:
        somebody = Somebody()
        yield somebody
        somebody.goes()

    @pytest.fixture
    def due(self, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> Job:
        """A job that the next sweep must end, which returns its tickets and ends its batch."""
        monkeypatch.setattr(dispatcher._sweep, "is_due", lambda: True)
        batch = BatchFactory()
        return make_job("cancelling", at=clock.now() - timedelta(days=1), batch=batch, owner=batch.owner)

    @pytest.mark.parametrize("what", ["queue_app_job", "queue_app_wallet", "queue_app_attempt", "queue_app_batch"])
    def test_holds_up_no_claim_and_is_seen_to_in_a_later_round(
        self, dispatcher: Dispatcher, due: Job, somebody: Somebody, what: str
    ) -> None:
        rows = {
            "queue_app_job": due.pk,
            "queue_app_wallet": due.owner.wallet.pk,
            "queue_app_attempt": due.attempts.get().pk,
            "queue_app_batch": due.batch_id,
        }
        waiting = JobFactory()
        somebody.locks(what, rows[what])

        dispatcher.turn(woken=True)

        assert Job.objects.get(pk=waiting.pk).state == State.SUBMITTING
        assert Job.objects.get(pk=due.pk).state == ("failed" if what == "queue_app_batch" else "cancelling")
        somebody.goes()
        dispatcher.turn(woken=True)
        due.refresh_from_db()
        assert (due.state, due.batch.ended_at is not None) == ("failed", True)

    def test_of_claims_themselves_holds_up_neither_checks_nor_messages(self, dispatcher: Dispatcher, somebody: Somebody) -> None:
        waiting = JobFactory()
        running = make_job(state=State.RUNNING, at=clock.now() - timedelta(minutes=1))
        Job.objects.filter(pk=running.pk).update(next_check_at=clock.now())
        came_round_at = dispatcher.came_round_at
        somebody.locks("queue_app_queuesettings", 1)

        dispatcher.turn(woken=True)

        assert (OrmQ.objects.count(), Job.objects.get(pk=waiting.pk).state) == (1, State.QUEUED)
        assert dispatcher.came_round_at == came_round_at, "it has not come round: readiness is to say so"
        somebody.goes()
        dispatcher.turn(woken=True)
        assert Job.objects.get(pk=waiting.pk).state == State.SUBMITTING
        assert dispatcher.came_round_at > came_round_at

    def test_makes_a_worker_claim_nothing_and_go_on(self, dispatcher: Dispatcher, somebody: Somebody) -> None:
        JobFactory()
        somebody.locks("queue_app_queuesettings", 1)
        with pytest.raises(dispatch.ClaimsLocked):
            dispatch.claim_due_jobs(at=clock.now())
        assert tasks._claimed() == []


def _broken(*, at: object) -> None:
    raise ValueError("a bad row")
