"""Requests of people and the effect of leases: cancels (T14, T15), force-fail (T25), retries (T21), notes, late workers."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from queue_app import lifecycle, tickets
from queue_app.lifecycle import CancelVerdict, Lease, MoveRefused, Trouble
from queue_app.models import Attempt, Batch, Job, LedgerTransaction, Outcome, Reservation, State
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES, TERMINAL_STATES, slots_in_use
from queue_app.work import policy
from tests.factories import (
    NOON,
    PROVED,
    BatchFactory,
    JobFactory,
    UserFactory,
    begun,
    claimed,
    make_asset,
    make_job,
    storing_begun,
)

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(seconds=10)
BROKE = Trouble("provider_failed", "It broke.", "retryable")


def locked(job):
    return Job.objects.lock().get(pk=job.pk)


def cancel(*jobs, at=LATER):
    return lifecycle.cancel([job.pk for job in jobs], at=at, actor="user")


def start(job):
    lifecycle.start(locked(job), at=LATER, actor="worker", remote_id="video_7", remote={}, next_check_at=LATER)


def put_back(job, *, outcome=Outcome.NOT_ACCEPTED, spent=False):
    if job.state == State.UNKNOWN:
        Attempt.objects.filter(job=job, outcome=None).update(lookups=PROVED)
    return lifecycle.put_back(locked(job), at=LATER, actor="worker", outcome=outcome, spent=spent, trouble=BROKE, not_before=None)


def history(job):
    return [event.to_state for event in job.events.order_by("seq")]


class TestCancel:
    VERDICTS = {
        State.QUEUED: (CancelVerdict.CANCELLED, State.CANCELLED),
        State.SUBMITTING: (CancelVerdict.REQUESTED, State.SUBMITTING),
        State.RUNNING: (CancelVerdict.REQUESTED, State.CANCELLING),
        State.UNKNOWN: (CancelVerdict.REQUESTED, State.UNKNOWN),
        State.CANCELLING: (CancelVerdict.REQUESTED, State.CANCELLING),
        State.STORING: (CancelVerdict.TOO_LATE, State.STORING),
        State.COMPLETED: (CancelVerdict.TOO_LATE, State.COMPLETED),
        State.FAILED: (CancelVerdict.TOO_LATE, State.FAILED),
        State.CANCELLED: (CancelVerdict.CANCELLED, State.CANCELLED),
    }

    @pytest.mark.parametrize("state", State.values)
    def test_says_what_it_came_to_and_twice_the_same(self, state):
        job = make_job(state)

        first = cancel(job)
        told = job.events.count()
        second = cancel(job)

        assert first == second == {job.pk: self.VERDICTS[state][0]}
        assert locked(job).state == self.VERDICTS[state][1]
        assert job.events.count() == told, "the second changes nothing"

    def test_takes_many_in_one_go_and_ignores_what_is_not_there(self):
        jobs = [make_job(state) for state in ("queued", "running", "completed")]

        verdicts = lifecycle.cancel([job.pk for job in reversed(jobs)] + [10**9], at=LATER, actor="user")

        assert list(verdicts.values()) == ["cancelled", "requested", "too_late"]

    def test_of_a_delayed_job_in_a_paused_batch_leaves_neither(self):
        job = JobFactory(not_before=LATER, batch=BatchFactory(paused=True))

        cancel(job)

        assert (locked(job).not_before, locked(job).held, locked(job).ended_at) == (None, False, LATER)

    @pytest.mark.parametrize("state", ["submitting", "unknown"])
    def test_is_remembered_until_the_task_is_there(self, state):
        job = make_job(state)
        cancel(job)

        start(job)

        assert history(job)[-2:] == ["running", "cancelling"]
        assert (locked(job).cancel_reason, locked(job).next_check_at) == ("user", LATER)

    @pytest.mark.parametrize("state", ["submitting", "unknown"])
    def test_is_carried_out_when_there_is_no_task(self, state):
        job = make_job(state)
        cancel(job)

        assert put_back(job) == State.CANCELLED

        assert history(job)[-2:] == ["queued", "cancelled"]
        assert Reservation.objects.get(job=job).state == "released"

    def test_a_job_given_up_after_a_cancel_stays_failed(self):
        job = make_job("unknown")
        cancel(job)

        lifecycle.fail(locked(job), at=LATER, actor="recovery", trouble=BROKE, outcome=Outcome.ABANDONED)

        assert locked(job).state == State.FAILED

    def test_before_the_create_call_buys_nothing(self):
        job = JobFactory()
        lease = claimed(job)
        cancel(job)

        assert lifecycle.begin(lease, at=LATER) is None

        attempt = Attempt.objects.get(job=job)
        assert (attempt.called_at, attempt.outcome, attempt.spent) == (None, Outcome.NOT_ACCEPTED, False)
        assert history(job)[-2:] == ["queued", "cancelled"]

    def test_asked_while_it_is_stopped_for_its_timeout_leaves_the_reason_and_asks_again_now(self):
        job = make_job("running")
        lifecycle.expire(locked(job), at=NOON)
        Job.objects.filter(pk=job.pk).update(next_check_at=NOON + timedelta(hours=1))

        assert cancel(job) == {job.pk: CancelVerdict.REQUESTED}

        assert (locked(job).cancel_reason, locked(job).next_check_at) == ("timeout", LATER)


class TestPromiseOfARefund:
    def promised(self, *jobs, reason="The client left."):
        return lifecycle.promise_refund([job.pk for job in jobs], at=LATER, actor="ana", reason=reason)

    def test_gives_the_tickets_back_as_soon_as_they_are_charged(self):
        job = make_job(State.CANCELLING, tickets=8)
        assert self.promised(job) == [job.pk]

        lifecycle.deliver(locked(job), at=LATER, actor="poller", ran_seconds=30.0)
        assert tickets.balances(job.owner)["reserved"] == 8
        lifecycle.complete(locked(job), [make_asset(job)], at=LATER, actor="worker", stages=[])

        assert tickets.balances(job.owner) == {"available": 1000, "reserved": 0, "captured": 8, "refunded": 8}
        booked = LedgerTransaction.objects.filter(reservation__job=job).order_by("id").values_list("kind", "actor", "reason")
        assert list(booked)[1:] == [("capture", "worker", ""), ("refund", "ana", "The client left.")]
        assert [event.reason for event in job.events.order_by("seq")][-1] == "refunded as promised: The client left."

    def test_is_made_for_what_is_asked_to_stop_alone_and_with_a_reason(self):
        jobs = [make_job(state) for state in State if state != State.CANCELLING]
        assert self.promised(*jobs) == []
        with pytest.raises(MoveRefused, match="Enter a reason for the refund"):
            self.promised(make_job(State.CANCELLING), reason=" ")
        assert not Job.objects.filter(refund_promised__isnull=False).exists()

    def test_ends_with_the_cancel(self):
        job = make_job(State.CANCELLING)
        self.promised(job)
        with transaction.atomic():
            lifecycle.confirm_cancel(locked(job), at=LATER, actor="poller", evidence="gone")
            lifecycle.queue_again([locked(job)], at=LATER, actor="owner")

        assert locked(job).refund_promised is None


class TestForceFail:
    @pytest.mark.parametrize("state", OPEN_STATES)
    def test_ends_every_open_job_and_gives_the_tickets_back(self, state):
        owner = UserFactory(tickets=10)
        job = make_job(state, owner=owner)

        assert lifecycle.force_fail([job.pk], at=LATER, actor="staff", reason="it hangs") == [job.pk]

        job.refresh_from_db()
        assert (job.state, job.error_code, job.error_message) == ("failed", "forced", "Stopped by staff: it hangs")
        assert tickets.balances(owner)["available"] == 10
        assert not Attempt.objects.filter(job=job, outcome=None).exists()
        assert not job.reviews.filter(closed_at=None).exists()

    @pytest.mark.parametrize("state", TERMINAL_STATES)
    def test_leaves_what_has_ended(self, state):
        job = make_job(state)

        assert lifecycle.force_fail([job.pk], at=LATER, actor="staff", reason="it hangs") == []

        assert locked(job).event_seq == job.event_seq

    @pytest.mark.parametrize("reason", ["", "  \n"])
    def test_needs_a_reason(self, reason):
        with pytest.raises(MoveRefused, match="Enter a reason for force-failing"):
            lifecycle.force_fail([make_job("running").pk], at=LATER, actor="staff", reason=reason)

    @pytest.mark.parametrize(("state", "slots"), [("running", 1), ("unknown", 1), ("storing", 0), ("queued", 0)])
    def test_keeps_the_slot_of_what_may_still_run_until_its_time_is_over(self, state, slots):
        job = make_job(state)

        lifecycle.force_fail([job.pk], at=LATER, actor="staff", reason="it hangs")

        until = NOON + timedelta(seconds=1200)
        assert len(slots_in_use(until - timedelta(seconds=1))) == slots
        assert slots_in_use(until) == []


class TestQueueAgain:
    def retried(self, job, **today):
        again = locked(job)
        for name, value in today.items():
            setattr(again, name, value)
        lifecycle.queue_again([again], at=LATER, actor="user")
        return locked(job)

    @pytest.mark.parametrize("state", ["failed", "cancelled"])
    def test_reserves_anew_at_today_s_price(self, state):
        owner = UserFactory(tickets=10)
        job = make_job(state, owner=owner)

        again = self.retried(job, tickets=7, usd_estimate=Decimal("9"))

        assert (again.state, again.tickets, again.usd_estimate) == (State.QUEUED, 7, Decimal("9"))
        assert list(job.reservations.order_by("id").values_list("state", "amount")) == [("released", 4), ("held", 7)]
        assert tickets.balances(owner)["available"] == 3

    def test_goes_to_the_end_of_its_lane_and_forgets_how_it_ended(self):
        job = make_job("failed")
        other = JobFactory()

        again = self.retried(job)

        assert again.order_key > other.order_key
        assert (again.queued_at, again.ended_at, again.error_code, again.started_at) == (LATER, None, "", None)
        assert again.attempt_number == 1, "attempts go on being numbered"

    def test_has_all_its_attempts_again(self):
        job = make_job("failed")
        self.retried(job)
        for ends_in in (*[State.QUEUED] * 3, State.FAILED):
            begun(job)
            assert put_back(job, spent=True) == ends_in

    def test_forgets_a_cancel_of_before(self):
        job = make_job("cancelling")
        lifecycle.confirm_cancel(locked(job), at=LATER, actor="worker", evidence="")
        self.retried(job)
        begun(job)
        Attempt.objects.filter(job=job, number=1).update(remote_id=None)

        start(job)

        assert locked(job).state == State.RUNNING

    @pytest.mark.parametrize("state", [state for state in State.values if state not in ("failed", "cancelled")])
    def test_is_refused_to_all_others(self, state):
        with pytest.raises(MoveRefused, match="You can only retry failed or cancelled jobs"), transaction.atomic():
            self.retried(make_job(state))

    def test_without_tickets_nothing_is_written(self):
        job = make_job("failed", owner=UserFactory(tickets=4))

        with pytest.raises(tickets.NotEnoughTickets), transaction.atomic():
            self.retried(job, tickets=5)

        assert (locked(job).state, job.reservations.count()) == ("failed", 1)

    def test_opens_its_batch_again(self):
        batch = BatchFactory()
        job = make_job("failed", batch=batch)
        Batch.objects.filter(pk=batch.pk).update(ended_at=LATER)

        self.retried(job)

        batch.refresh_from_db()
        assert batch.ended_at is None


class TestHolds:
    def test_follow_the_pause_of_the_batch_through_a_flight(self):
        batch = BatchFactory()
        job = make_job("submitting", batch=batch)

        policy.pause_batch(batch, at=LATER, actor=None)
        put_back(job)
        assert locked(job).held
        policy.resume_batch(batch, at=LATER, actor=None)
        assert not locked(job).held

    def test_a_job_in_flight_is_let_go_with_its_batch(self):
        batch = BatchFactory()
        job = make_job("submitting", batch=batch)
        policy.pause_batch(batch, at=LATER, actor=None)

        policy.resume_batch(batch, at=LATER, actor=None)
        put_back(job)

        assert not locked(job).held

    def test_a_job_retried_in_a_paused_batch_waits_with_it(self):
        batch = BatchFactory()
        job = make_job("failed", batch=batch)
        policy.pause_batch(batch, at=LATER, actor=None)

        lifecycle.queue_again([locked(job)], at=LATER, actor="user")

        assert locked(job).held


class TestLeases:
    @pytest.mark.parametrize("state", IN_FLIGHT_STATES)
    def test_an_old_one_changes_nothing(self, state):
        job = make_job(state)

        assert lifecycle.begin(Lease(job.pk, job.fence - 1), at=LATER) is None
        assert lifecycle.held_by(Lease(job.pk, job.fence - 1)) is None

    def test_is_taken_up_once(self):
        lease = claimed(JobFactory())

        assert lifecycle.begin(lease, at=LATER) is not None
        assert lifecycle.begin(lease, at=LATER) is None

    def test_is_not_taken_up_when_its_time_is_over(self):
        lease = claimed(JobFactory())

        assert lifecycle.begin(lease, at=NOON + timedelta(seconds=20)) is None

    def test_taking_it_up_commits_that_the_call_may_follow(self):
        _, attempt, lease = begun(JobFactory())

        job = Job.objects.get(pk=lease.job_id)
        assert (attempt.called_at, attempt.slot_until) == (NOON, NOON + timedelta(seconds=1200))
        assert (job.lease_taken, job.lease_until) == (True, NOON + timedelta(seconds=45))

    def test_a_model_s_own_timeout_goes_before_its_kind_s(self):
        job = JobFactory()
        job.model.timeout_seconds = 300
        job.model.save()

        assert begun(job)[1].slot_until == NOON + timedelta(seconds=300)

    def test_a_store_is_counted_and_has_longer(self):
        job, _, _ = storing_begun(make_job("storing"))

        assert (job.store_tries, job.lease_until) == (1, NOON + timedelta(seconds=330))

    @pytest.mark.parametrize("state", ["running", "unknown", "cancelling", "storing"])
    def test_are_given_out_when_a_check_is_due_once(self, state):
        job = make_job(state)
        Job.objects.filter(pk=job.pk).update(lease_until=None, next_check_at=LATER)

        assert lifecycle.lease_due(LATER - timedelta(seconds=1)) == []
        ((lease, found),) = lifecycle.lease_due(LATER)
        assert (lease.job_id, found) == (job.pk, state)
        assert lifecycle.lease_due(LATER) == []

    def test_files_come_before_older_checks_as_some_providers_keep_them_an_hour(self):
        older, files, newer = make_job("running"), make_job("storing"), make_job("running")
        for minutes, job in enumerate((older, files, newer)):
            Job.objects.filter(pk=job.pk).update(lease_until=None, next_check_at=NOON + timedelta(minutes=minutes))

        found = lifecycle.lease_due(NOON + timedelta(hours=1), most=2)

        assert [lease.job_id for lease, _ in found] == [files.pk, older.pk]

    def test_one_that_no_worker_took_up_is_given_out_again(self):
        job = make_job("running")
        ((first, _),) = lifecycle.lease_due(LATER)

        ((second, _),) = lifecycle.lease_due(LATER + timedelta(seconds=20))

        assert second.fence > first.fence
        assert lifecycle.held_by(first) is None
        assert locked(job).state == State.RUNNING

    def test_one_that_was_taken_up_is_left_to_recovery(self):
        make_job("running")
        ((lease, _),) = lifecycle.lease_due(LATER)
        assert lifecycle.begin(lease, at=LATER) is not None

        assert lifecycle.lease_due(LATER + timedelta(hours=1)) == []

    def test_end_with_the_look_and_the_next_one_is_planned(self):
        job = make_job("running")

        with transaction.atomic():
            lifecycle.check_again(locked(job), next_check_at=LATER, progress=0.4)

        job.refresh_from_db()
        assert (job.progress, job.next_check_at, job.lease_until, job.state) == (0.4, LATER, None, "running")


class TestNotes:
    @pytest.mark.parametrize("state", State.values)
    def test_are_events_that_change_nothing(self, state):
        job = make_job(state)

        lifecycle.note(job, at=LATER, actor="worker", reason="late", data={"task": "video_9"})

        event = job.events.latest("seq")
        assert (event.from_state, event.to_state, event.data) == (state, state, {"task": "video_9"})
        assert locked(job).state == state
