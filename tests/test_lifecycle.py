"""The moves of a job, T1 to T20: the state, one event, the attempt's outcome, the tickets, and old leases void."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from queue_app import lifecycle, tickets
from queue_app.lifecycle import Lease, MoveRefused, Trouble
from queue_app.models import Attempt, GenerationModel, Job, Outcome, Reservation, State
from tests.factories import NOON, PROVED, BatchFactory, JobFactory, UserFactory, begun, claimed, make_asset, make_job

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(seconds=10)
BROKE = Trouble("provider_failed", "It broke.", "retryable")
HELD, RELEASED, CAPTURED = Reservation.State.HELD, Reservation.State.RELEASED, Reservation.State.CAPTURED


def locked(job):
    return Job.objects.lock().get(pk=job.pk)


def story(job):
    return [(event.from_state, event.to_state) for event in job.events.order_by("seq")]


def hold(job):
    return Reservation.objects.filter(job=job).order_by("-id")[0].state


def put_back(job, *, outcome=Outcome.FAILED, spent=True, trouble=BROKE, not_before=None):
    if job.state == State.UNKNOWN:
        Attempt.objects.filter(job=job, outcome=None).update(lookups=PROVED)
    return lifecycle.put_back(
        locked(job), at=LATER, actor="worker", outcome=outcome, spent=spent, trouble=trouble, not_before=not_before
    )


def start(job):
    lifecycle.start(
        locked(job), at=LATER, actor="worker", remote_id="video_7", remote={"remote_id": "video_7"}, next_check_at=LATER
    )


def fail(job, outcome=Outcome.FAILED):
    lifecycle.fail(locked(job), at=LATER, actor="worker", trouble=BROKE, outcome=outcome)


def lose_track(job):
    lifecycle.lose_track(locked(job), at=LATER, actor="worker", trouble=BROKE, next_check_at=LATER)


def complete(job):
    lifecycle.complete(locked(job), [make_asset(job)], at=LATER, actor="worker", stages=[{"name": "storage"}])


@dataclass
class Move:
    name: str
    before: State
    act: object
    after: State
    outcome: Outcome | None
    hold: str


MOVES = [
    Move("T3", State.SUBMITTING, start, State.RUNNING, None, HELD),
    Move("T4", State.SUBMITTING, lambda job: put_back(job, outcome=Outcome.NOT_ACCEPTED, spent=False), State.QUEUED,
         Outcome.NOT_ACCEPTED, HELD),
    Move("T5", State.SUBMITTING, lambda job: fail(job, Outcome.NOT_ACCEPTED), State.FAILED, Outcome.NOT_ACCEPTED, RELEASED),
    Move("T6", State.SUBMITTING, lose_track, State.UNKNOWN, None, HELD),
    Move("T7", State.UNKNOWN, start, State.RUNNING, None, HELD),
    Move("T8", State.UNKNOWN, lambda job: put_back(job, outcome=Outcome.NOT_ACCEPTED), State.QUEUED, Outcome.NOT_ACCEPTED, HELD),
    Move("T9", State.UNKNOWN, lambda job: fail(job, Outcome.ABANDONED), State.FAILED, Outcome.ABANDONED, RELEASED),
    Move("T10", State.RUNNING, lambda job: lifecycle.deliver(locked(job), at=LATER, actor="worker", ran_seconds=9.0),
         State.STORING, None, HELD),
    Move("T11", State.RUNNING, put_back, State.QUEUED, Outcome.FAILED, HELD),
    Move("T12", State.RUNNING, fail, State.FAILED, Outcome.FAILED, RELEASED),
    Move("T13", State.RUNNING, lambda job: lifecycle.cancel([job.pk], at=LATER, actor="user"), State.CANCELLING, None, HELD),
    Move("T13 by time", State.RUNNING, lambda job: lifecycle.expire(locked(job), at=LATER), State.CANCELLING, None, HELD),
    Move("T14", State.QUEUED, lambda job: lifecycle.cancel([job.pk], at=LATER, actor="user"), State.CANCELLED, None, RELEASED),
    Move("T16", State.CANCELLING,
         lambda job: lifecycle.confirm_cancel(locked(job), at=LATER, actor="worker", evidence="It says so."),
         State.CANCELLED, Outcome.CANCELLED, RELEASED),
    Move("T18", State.CANCELLING, lambda job: lifecycle.deliver(locked(job), at=LATER, actor="worker", ran_seconds=9.0),
         State.STORING, None, HELD),
    Move("T19", State.STORING, complete, State.COMPLETED, Outcome.DELIVERED, CAPTURED),
    Move("T20", State.STORING, fail, State.FAILED, Outcome.FAILED, RELEASED),
]  # fmt: skip


class TestADeadline:
    """T26: a job that has not started by its deadline fails, whatever it waits for."""

    def late(self, **fields):
        return JobFactory(deadline=LATER, **fields)

    def test_fails_a_queued_job_once_it_has_passed_and_returns_its_tickets(self):
        owner = UserFactory(tickets=10)
        job, other, open_end = self.late(owner=owner), JobFactory(deadline=LATER + timedelta(seconds=1)), JobFactory()

        assert lifecycle.fail_overdue(at=LATER - timedelta(seconds=1)) == 0
        assert lifecycle.fail_overdue(at=LATER) == 1
        assert lifecycle.fail_overdue(at=LATER) == 0

        job.refresh_from_db()
        assert (job.state, job.error_code, job.error_message) == (
            "failed",
            "deadline_passed",
            "Its deadline passed before it could start.",
        )
        event = job.events.latest("seq")
        assert (event.from_state, event.to_state, event.actor, event.at) == ("queued", "failed", "dispatcher", LATER)
        assert (hold(job), tickets.balances(owner)["available"]) == (RELEASED, 10)
        assert [locked(one).state for one in (other, open_end)] == ["queued", "queued"]

    def test_holds_for_what_is_paused_delayed_or_waits_for_its_next_try(self):
        held = self.late(batch=BatchFactory(paused=True))
        delayed = self.late(not_before=LATER + timedelta(days=1))
        again = self.late()
        begun(again)
        put_back(again, not_before=LATER + timedelta(days=1))

        assert lifecycle.fail_overdue(at=LATER) == 3

        assert {locked(job).error_code for job in (held, delayed, again)} == {"deadline_passed"}

    @pytest.mark.parametrize("state", [state for state in State.values if state != State.QUEUED])
    def test_is_nothing_to_a_job_that_has_started_or_ended(self, state):
        job = make_job(state, deadline=LATER)

        assert lifecycle.fail_overdue(at=LATER) == 0
        assert locked(job).state == state


CANCELS = ("T13", "T14")  # never refused: a cancel returns a verdict
REFUSALS = (MoveRefused, RuntimeError, IntegrityError, Attempt.DoesNotExist)


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.name)
class TestEachMove:
    def test_comes_to_its_state_with_one_event(self, move):
        job = make_job(move.before)
        before = job.events.count()

        move.act(job)

        job.refresh_from_db()
        assert job.state == move.after
        assert job.events.count() == job.event_seq == before + 1
        assert story(job)[-1] == (move.before, move.after)
        event = job.events.latest("seq")
        assert (event.at, event.attempt) == (LATER, job.attempt_number or None)

    def test_ends_its_attempt_or_leaves_it(self, move):
        job = make_job(move.before)

        move.act(job)

        attempt = Attempt.objects.filter(job=job).first()
        assert (attempt and attempt.outcome) == move.outcome
        assert attempt is None or (attempt.ended_at == LATER) == (move.outcome is not None)

    def test_moves_the_tickets_it_must_and_no_other(self, move):
        owner = UserFactory(tickets=10)
        job = make_job(move.before, owner=owner)

        move.act(job)

        wallet = {HELD: (6, 4), RELEASED: (10, 0), CAPTURED: (6, 0)}[move.hold]
        balances = tickets.balances(owner)
        assert (hold(job), balances["available"], balances["reserved"]) == (move.hold, *wallet)

    def test_makes_the_last_lease_void(self, move):
        job = make_job(move.before)

        move.act(job)

        assert lifecycle.held_by(Lease(job.pk, job.fence)) is None
        assert lifecycle.begin(Lease(job.pk, job.fence), at=LATER) is None

    def test_is_refused_from_every_state_that_does_not_allow_it(self, move):
        for state in State.values:
            if move.after in lifecycle.MOVES[state] or move.name in CANCELS:
                continue
            job = make_job(state)
            with pytest.raises(REFUSALS), transaction.atomic():
                move.act(job)
            assert (locked(job).state, locked(job).event_seq) == (state, job.event_seq)


class TestEnter:
    def test_queues_with_one_event_and_the_tickets_held(self):
        owner = UserFactory(tickets=10)

        job = JobFactory(owner=owner)

        assert (job.state, story(job), hold(job)) == (State.QUEUED, [("", "queued")], HELD)
        assert (job.order_key, job.queued_at) == (0, NOON)

    def test_takes_all_or_none(self):
        owner = UserFactory(tickets=7)
        jobs = [JobFactory.build(owner=owner, kind_id="video", model_id="sora-2") for _ in range(2)]

        with pytest.raises(tickets.NotEnoughTickets, match=r"needs 8 tickets, but only 7 are available \(1 short\)"):
            lifecycle.enter(jobs, at=NOON, actor="user")

        assert not Job.objects.exists()
        assert tickets.balances(owner)["available"] == 7

    def test_holds_what_enters_a_paused_batch(self):
        assert JobFactory(batch=BatchFactory(paused=True)).held

    def test_opens_a_batch_that_had_ended(self):
        batch = BatchFactory(ended_at=NOON)

        JobFactory(batch=batch)

        batch.refresh_from_db()
        assert batch.ended_at is None


class TestClaim:
    def test_writes_the_attempt_with_its_route_and_says_the_limits(self):
        job = JobFactory()

        lease = claimed(job)

        job.refresh_from_db()
        attempt = lifecycle.current_attempt(job)
        assert (job.state, job.fence, job.lease_taken, job.started_at) == (State.SUBMITTING, lease.fence, False, NOON)
        assert (attempt.number, attempt.account_id, attempt.endpoint_id, attempt.called_at) == (
            1,
            "openai_videos",
            "sora-2",
            None,
        )
        assert job.events.latest("seq").data == {"limits": {"model": [1, 50]}, "account": "openai_videos"}

    def test_numbers_attempts_from_one_each_with_a_token_of_its_own(self):
        job = make_job("running")
        put_back(job)
        claimed(job, at=LATER)

        attempts = Attempt.objects.filter(job=job).order_by("number")
        assert [attempt.number for attempt in attempts] == [1, 2]
        assert attempts[0].token != attempts[1].token
        assert locked(job).started_at == NOON, "when it first started"


class TestPutBack:
    def test_waits_until_it_may_be_tried_again(self):
        job = make_job("submitting")
        moment = LATER + timedelta(minutes=1)

        assert put_back(job, spent=False, not_before=moment) == State.QUEUED

        assert locked(job).not_before == moment

    def test_a_time_that_has_come_is_no_wait(self):
        job = make_job("submitting")

        put_back(job, spent=False, not_before=LATER)

        assert locked(job).not_before is None

    def test_what_was_surely_not_accepted_spends_no_attempt(self):
        job = make_job("submitting")
        for _ in range(6):
            assert put_back(job, outcome=Outcome.NOT_ACCEPTED, spent=False) == State.QUEUED
            begun(job, at=LATER)

    def test_the_fourth_spent_attempt_is_the_last(self):
        job = JobFactory()
        for ends_in in (State.QUEUED, State.QUEUED, State.QUEUED, State.FAILED):
            begun(job)
            start(job)
            Attempt.objects.filter(job=job, outcome=None).update(remote_id=None)
            assert put_back(job) == ends_in

        job.refresh_from_db()
        assert (job.error_code, job.error_message, hold(job)) == ("provider_failed", "It broke. (last attempt, 4 of 4)", RELEASED)

    def test_a_job_that_ended_three_workers_is_poison(self):
        job = make_job("submitting")
        Job.objects.filter(pk=job.pk).update(worker_deaths=3)

        assert put_back(job, spent=False) == State.FAILED

        assert (locked(job).error_code, hold(job)) == ("poison", RELEASED)

    def test_two_dead_workers_are_not_yet_poison_and_an_answer_starts_the_count_anew(self):
        job = make_job("submitting")
        Job.objects.filter(pk=job.pk).update(worker_deaths=2)

        start(job)

        assert locked(job).worker_deaths == 0


class TestLosingTrack:
    def test_tells_a_person_and_keeps_the_slot_and_the_tickets(self):
        job = make_job("unknown")

        review = job.reviews.get()
        assert (review.closed_at, review.decide_by) == (None, NOON + timedelta(hours=24))
        assert lifecycle.current_attempt(job).slot_until == NOON + timedelta(seconds=1200)

    @pytest.mark.parametrize("act", [start, put_back, fail], ids=lambda act: act.__name__)
    def test_the_person_is_released_when_it_is_known(self, act):
        job = make_job("unknown")

        act(job)

        assert not job.reviews.filter(closed_at=None).exists()

    def test_is_looked_at_by_the_end_of_the_day_at_the_latest(self):
        job = make_job("submitting")

        lifecycle.lose_track(locked(job), at=LATER, actor="worker", trouble=BROKE, next_check_at=LATER + timedelta(days=9))

        assert locked(job).next_check_at == NOON + timedelta(hours=24)


class TestConfirmCancel:
    def test_a_timeout_ends_as_failed_and_says_so(self):
        job = make_job("running")
        lifecycle.expire(locked(job), at=LATER)

        assert lifecycle.confirm_cancel(locked(job), at=LATER, actor="worker", evidence="It says so.") == State.FAILED

        job.refresh_from_db()
        assert (job.error_code, hold(job)) == ("timeout", RELEASED)
        assert job.error_message == "Timed out after 1200s. It says so."


class TestDeliver:
    def test_gives_the_lease_for_storing(self):
        job = make_job("running")

        lease = lifecycle.deliver(locked(job), at=LATER, actor="worker", ran_seconds=9.0)

        found = lifecycle.begin(lease, at=LATER)
        assert found is not None
        assert (found[0].state, found[0].store_tries, found[0].ran_seconds) == (State.STORING, 1, 9.0)

    @pytest.mark.parametrize(
        ("told", "rule", "cost"),
        [
            (Decimal("0.70"), {}, (Decimal("0.70"), "vendor")),
            (None, {}, (Decimal("2.00"), "rule")),
            (None, {"rates": [], "estimated": True}, (Decimal("2.00"), "estimate")),
        ],
    )
    def test_writes_down_what_the_attempt_cost_and_who_says_so(self, told, rule, cost):
        job = make_job("running")
        GenerationModel.objects.filter(pk=job.model_id).update(price=rule)

        lifecycle.deliver(locked(job), at=LATER, actor="worker", ran_seconds=9.0, usd_actual=told)

        attempt = lifecycle.current_attempt(job)
        assert (attempt.cost, attempt.cost_source) == cost

    def test_a_cost_that_is_told_once_the_files_are_here_counts(self):
        job = make_job("storing")

        stored = locked(job)
        lifecycle.complete(stored, [make_asset(stored)], at=LATER, actor="worker", stages=[], usd_actual=Decimal("0.85"))

        attempt, found = lifecycle.current_attempt(job), Job.objects.get(pk=job.pk)
        assert (attempt.cost, attempt.cost_source, attempt.outcome) == (Decimal("0.85"), "vendor", "delivered")
        assert (found.state, found.usd_actual, hold(job)) == (State.COMPLETED, Decimal("0.85"), CAPTURED)


class TestTrouble:
    def test_words_of_a_provider_never_stop_a_job_from_ending(self):
        job = make_job("running")
        words = Trouble("c\x00" * 100, "half a pair \ud83d, a NUL \x00 " * 1_000, "k" * 100)

        lifecycle.fail(locked(job), at=LATER, actor="worker", trouble=words, review="look " * 100)

        job.refresh_from_db()
        assert (job.state, job.error_code) == (State.FAILED, "c" * 60)

    def test_a_long_code_without_a_kind_fits_the_attempt(self):
        job = make_job("storing")

        lifecycle.fail(locked(job), at=LATER, actor="worker", trouble=Trouble("asset_type_not_allowed_here", "No."))

        assert lifecycle.current_attempt(job).error_kind == "asset_type_not_allow"
