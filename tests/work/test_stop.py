"""Stop all: the chosen jobs, that one undo is enough, and that its retry covers only the jobs that it cancelled itself."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction

from queue_app import clock, lifecycle
from queue_app.lifecycle import Trouble
from queue_app.models import BulkAction, Job, Outcome, State, User
from queue_app.work import bulk, stop
from tests.factories import UserFactory, make_job
from tests.work.steps import fresh

pytestmark = pytest.mark.django_db
EVERYTHING = {"cancel_queued": True, "cancel_running": True}


@pytest.fixture(autouse=True)
def every_look_at_the_clock_is_a_second_later(one_step_at_a_time: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Advance the clock at every call, because the order of events matters and `later` can't change the history."""
    began, seconds = clock.now(), count()
    monkeypatch.setattr(clock, "now", lambda: began + timedelta(seconds=next(seconds)))


@pytest.fixture
def ana() -> User:
    return UserFactory(admin=True, username="ana", tickets=0)


def stopped(by: User, **wanted: bool) -> list[BulkAction]:
    return stop.stop_all(at=clock.now(), actor=by, reason="the bill explodes", **wanted)


def carried_out(*actions: BulkAction) -> None:
    for action in actions:
        bulk.run_now(action, at=clock.now(), actor=action.actor)
        bulk.work(action.pk, may_go_on=lambda: True)


def way_back(by: User) -> list[list[int]]:
    """Return the jobs of each draft."""
    return [draft.job_ids for draft in stop.queue_again(at=clock.now(), actor=by)]


def cancelled_by(name: str, job: Job) -> None:
    lifecycle.cancel([job.pk], at=clock.now(), actor=name)


def queued_again(job: Job) -> None:
    with transaction.atomic():
        lifecycle.queue_again([Job.objects.lock().get(pk=job.pk)], at=clock.now(), actor="owner")


class TestWhatIsChosen:
    def test_is_not_chosen_twice_while_it_can_be_undone(self, ana: User) -> None:
        job = make_job(at=clock.now())
        (action,) = stopped(ana, cancel_queued=True)
        assert stopped(ana, cancel_queued=True) == []
        bulk.undo(action, at=clock.now(), actor=ana)
        assert bulk.lease_due(at=clock.now() + timedelta(seconds=11)) == [] and fresh(job).state == State.QUEUED

    def test_is_what_came_meanwhile_when_all_is_stopped_again(self, ana: User) -> None:
        make_job(at=clock.now())
        stopped(ana, **EVERYTHING)
        new, running = make_job(at=clock.now()), make_job(State.RUNNING, at=clock.now())
        assert [action.job_ids for action in stopped(ana, **EVERYTHING)] == [[running.pk], [new.pk]]

    def test_is_chosen_again_when_that_was_undone(self, ana: User) -> None:
        job = make_job(at=clock.now())
        (action,) = stopped(ana, cancel_queued=True)
        bulk.undo(action, at=clock.now(), actor=ana)
        assert [action.job_ids for action in stopped(ana, cancel_queued=True)] == [[job.pk]]

    def test_has_what_falls_back_into_the_queue_meanwhile_and_once(self, ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
        job = make_job(State.SUBMITTING, at=clock.now())
        choose = bulk.drafts

        def slowly(*args: Any, **named: Any) -> list[BulkAction]:
            found = choose(*args, **named)
            if fresh(job).state == State.SUBMITTING:  # after the first selection, its create call is answered by 429
                refused = {"outcome": Outcome.NOT_ACCEPTED, "spent": False, "trouble": Trouble("rate_limited", "429")}
                lifecycle.put_back(Job.objects.lock().get(pk=job.pk), at=clock.now(), actor="worker", not_before=None, **refused)
            return found

        monkeypatch.setattr(stop.bulk, "drafts", slowly)
        assert [action.job_ids for action in stopped(ana, **EVERYTHING)] == [[job.pk]]

    @pytest.mark.django_db(transaction=True)
    def test_is_chosen_once_by_two_who_press_at_once(self, ana: User) -> None:
        job = make_job(at=clock.now())
        start = Barrier(2)

        def press(_: int) -> list[list[int]]:
            try:
                start.wait(timeout=30)
                return [action.job_ids for action in stopped(ana, cancel_queued=True)]
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as hands:
            assert sorted(hands.map(press, range(2))) == [[], [[job.pk]]]


class TestTheWayBack:
    def test_brings_back_what_the_stop_cancelled_wherever_it_was(self, ana: User) -> None:
        queued, submitting = make_job(at=clock.now()), make_job(State.SUBMITTING, at=clock.now())
        running = make_job(State.RUNNING, at=clock.now())
        carried_out(*stopped(ana, **EVERYTHING))
        with transaction.atomic():
            lifecycle.confirm_cancel(Job.objects.lock().get(pk=running.pk), at=clock.now(), actor="poller", evidence="gone")
            refused = {"outcome": Outcome.NOT_ACCEPTED, "spent": False, "trouble": Trouble("rate_limited", "429")}
            locked = Job.objects.lock().get(pk=submitting.pk)
            lifecycle.put_back(locked, at=clock.now(), actor="worker", not_before=None, **refused)
        assert way_back(ana) == [[queued.pk, submitting.pk, running.pk]]

    def test_is_none_for_what_was_undone_and_cancelled_by_its_owner(self, ana: User) -> None:
        job = make_job(at=clock.now())
        (action,) = stopped(ana, cancel_queued=True)
        bulk.undo(action, at=clock.now(), actor=ana)
        cancelled_by("owner", job)
        assert way_back(ana) == []

    def test_is_none_for_what_its_owner_was_faster_to_cancel(self, ana: User) -> None:
        mine, running, other = make_job(at=clock.now()), make_job(State.RUNNING, at=clock.now()), make_job(at=clock.now())
        actions = stopped(ana, **EVERYTHING)
        cancelled_by("owner", mine)
        cancelled_by("owner", running)
        carried_out(*actions)
        with transaction.atomic():
            lifecycle.confirm_cancel(Job.objects.lock().get(pk=running.pk), at=clock.now(), actor="poller", evidence="gone")
        assert way_back(ana) == [[other.pk]]

    @pytest.mark.parametrize("by", ["owner", "ana"])
    def test_is_none_for_what_was_queued_again_and_then_cancelled_by_hand(self, ana: User, by: str) -> None:
        job = make_job(at=clock.now())
        carried_out(*stopped(ana, cancel_queued=True))
        queued_again(job)
        cancelled_by(by, job)
        assert way_back(ana) == []

    def test_is_that_of_the_last_stop_with_anything_to_bring_back(self, ana: User) -> None:
        first = make_job(at=clock.now())
        carried_out(*stopped(ana, cancel_queued=True))
        second = make_job(at=clock.now())
        carried_out(*stopped(ana, cancel_queued=True))
        stopped(ana)
        shown = stop.last()
        assert shown is not None and [action.job_ids for action in shown.actions] == [[second.pk]]
        assert way_back(ana) == [[second.pk]]
        queued_again(second)
        assert way_back(ana) == [[first.pk]]
