"""Whose turn it is: fair share between accounts, FIFO within each, and what holds, pauses, cancels and retries do to a turn."""

from datetime import timedelta
from decimal import Decimal

import pytest

from queue_app import lifecycle, turns
from queue_app.insight import positions
from queue_app.models import HeldFor, Job, JobEvent, ModelConcurrencyLimit, QueueSettings, State
from queue_app.work import aging, dispatch, holds, policy, reorder
from tests.factories import NOON, BatchFactory, JobFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def one_at_a_time():
    QueueSettings.objects.update(max_concurrent=1_000, peak_hours="")
    ModelConcurrencyLimit.objects.filter(model="manim").update(max_concurrent=50)


def queue(owner, count, **fields):
    jobs = JobFactory.build_batch(count, **{"model_id": "manim", "owner": owner} | fields)
    lifecycle.enter(jobs, at=NOON, actor="user")
    return [job.pk for job in jobs]


def start(count):
    """Claim so many jobs and return them in order: their lane has that much room."""
    QueueSettings.objects.update(max_concurrent=Job.objects.filter(state=State.SUBMITTING).count() + count)
    return [lease.job_id for lease in dispatch.claim_due_jobs(at=NOON)]


def order():
    return list(Job.objects.filter(state=State.QUEUED).in_dispatch_order().values_list("pk", flat=True))


def owners_of(jobs):
    names = dict(Job.objects.filter(pk__in=jobs).values_list("pk", "owner__username"))
    return [names[pk] for pk in jobs]


def set_fair_share(value):
    policy.change(QueueSettings.objects.current(), at=NOON, actor=None, fair_share=value)


class TestAccounts:
    def test_take_turns_and_each_is_served_first_come_first_served(self):
        ana, ben = UserFactory(username="ana"), UserFactory(username="ben")
        first, second = queue(ana, 3), queue(ben, 2)

        assert order() == [first[0], second[0], first[1], second[1], first[2]]
        assert start(5) == [first[0], second[0], first[1], second[1], first[2]]

    def test_wait_with_a_single_job_behind_nobodys_600(self):
        queue(UserFactory(tickets=5_000), 600)
        start(7)

        (one,) = queue(UserFactory(), 1)

        assert positions.of_jobs([one])[one] <= 2
        assert one in start(2)

    def test_gain_nothing_by_splitting_a_batch(self):
        ana, ben = UserFactory(username="ana"), UserFactory(username="ben")
        for _ in range(4):
            queue(ana, 3, batch=BatchFactory(owner=ana))
        queue(ben, 12)

        assert owners_of(start(12)).count("ana") == 6

    def test_gain_nothing_by_sending_each_job_when_the_one_before_has_started(self):
        ana, ben = UserFactory(username="ana"), UserFactory(username="ben")
        queue(ben, 20)
        started = []
        for _ in range(10):
            queue(ana, 1)
            started += owners_of(start(1))

        assert started.count("ana") <= 6

    def test_are_not_owed_what_they_did_not_use(self):
        ana, ben = UserFactory(username="ana"), UserFactory(username="ben")
        queue(ana, 1)
        queue(ben, 10)
        start(6)

        queue(ana, 5)

        assert owners_of(start(6)) in (["ana", "ben"] * 3, ["ben", "ana"] * 3)

    @pytest.mark.parametrize("weight", [Decimal(2), Decimal("0.5")])
    def test_start_as_many_jobs_as_they_weigh(self, weight):
        ana, ben = UserFactory(username="ana", share_weight=weight), UserFactory(username="ben")
        queue(ana, 30)
        queue(ben, 30)

        assert owners_of(start(18)).count("ana") == {2: 12, Decimal("0.5"): 6}[weight]

    def test_have_the_turns_of_cancelled_jobs_back(self):
        ana, ben = UserFactory(), UserFactory()
        lifecycle.cancel(queue(ana, 50), at=NOON, actor="user")
        queue(ben, 3)

        (again,) = queue(ana, 1)

        assert positions.of_jobs([again])[again] <= 3

    def test_take_turns_in_each_model_by_itself(self):
        ana, ben = UserFactory(), UserFactory()
        queue(ana, 100, model_id="sora-2")
        queue(ben, 100)

        (quick,) = queue(ana, 1)

        assert positions.of_jobs([quick]) == {quick: 2}

    def test_start_a_lane_where_the_furthest_one_is(self):
        """So that models which share an account's limit alternate, and a new one does not go before all."""
        ana, ben = UserFactory(username="ana"), UserFactory(username="ben")
        queue(ana, 30)
        start(20)
        queue(ben, 10, model_id="sora-2")

        assert owners_of(start(4)).count("ana") == 2

    def test_of_a_retried_job_take_the_next_turn(self):
        ana, ben = UserFactory(), UserFactory()
        (failed,) = queue(ana, 1, priority=-10, base_priority=-10)
        lifecycle.cancel([failed], at=NOON, actor="user")
        queue(ana, 2, priority=-10)
        theirs = queue(ben, 4, priority=-10)

        lifecycle.queue_again([*Job.objects.filter(pk=failed).lock_for_retry()], at=NOON, actor="user")

        assert order().index(failed) > order().index(theirs[1])


class TestAJobOnHold:
    def test_takes_no_turn_until_it_is_released_and_then_its_place_among_its_owners(self):
        ana, ben = UserFactory(), UserFactory()
        now, *later = queue(ana, 1), queue(ana, 3, held_for=HeldFor.CANARY), queue(ana, 2)
        theirs = queue(ben, 6)
        held, after = later

        assert start(4) == [now[0], theirs[0], after[0], theirs[1]]
        assert {job.pk for job in holds.release(held, HeldFor.CANARY, at=NOON, actor="ana", reason="released")} == {*held}

        assert [pk for pk in order() if pk not in theirs] == [*held, after[1]]
        assert sorted(start(6)) == sorted([*held, *theirs[2:5]])

    def test_stays_on_hold_while_its_batch_is_paused(self):
        batch = BatchFactory()
        held = queue(batch.owner, 1, batch=batch, held_for=HeldFor.BUDGET)
        policy.pause_batch(batch, at=NOON, actor=None)

        holds.release(held, HeldFor.BUDGET, at=NOON, actor="ana", reason="released")
        assert start(1) == []

        policy.resume_batch(batch, at=NOON, actor=None)
        assert start(1) == held

    def test_is_not_released_by_the_end_of_a_pause(self):
        batch = BatchFactory()
        queue(batch.owner, 1, batch=batch, held_for=HeldFor.CANARY)
        policy.pause_batch(batch, at=NOON, actor=None)
        policy.resume_batch(batch, at=NOON, actor=None)

        assert start(1) == []

    def test_is_cancelled_like_any_other(self):
        held = queue(UserFactory(), 2, held_for=HeldFor.STORYBOARD)

        lifecycle.cancel(held, at=NOON, actor="user")

        assert set(Job.objects.values_list("state", "held", "held_for")) == {("cancelled", False, "")}

    def test_is_held_once(self):
        jobs = queue(UserFactory(), 2)

        assert len(holds.hold(jobs, HeldFor.BREAKER, at=NOON, actor="dispatcher", reason="they fail")) == 2
        assert holds.hold(jobs, HeldFor.BUDGET, at=NOON, actor="dispatcher", reason="budget") == []
        assert start(1) == []


class TestTheEndOfAPause:
    def test_puts_no_600_jobs_before_everybody(self):
        batch, ben = BatchFactory(), UserFactory()
        paused = queue(batch.owner, 6, batch=batch)
        policy.pause_batch(batch, at=NOON, actor=None)
        theirs = queue(ben, 12)
        start(8)

        policy.resume_batch(batch, at=NOON, actor=None)

        assert [pk for pk in order() if pk in paused] == paused
        assert len({*start(6)} & {*theirs}) >= 2

    def test_of_many_batches_gains_nothing_and_keeps_their_order(self):
        ana, ben = UserFactory(username="ana"), UserFactory(username="ben")
        batches = BatchFactory.create_batch(5, owner=ana)
        paused = [job for batch in batches for job in queue(ana, 1, batch=batch)]
        for batch in batches:
            policy.pause_batch(batch, at=NOON, actor=None)
        queue(ben, 20)
        start(8)

        for batch in batches:
            policy.resume_batch(batch, at=NOON, actor=None)
        later = queue(ana, 2)

        assert [pk for pk in order() if pk in {*paused, *later}] == [*paused, *later]
        assert owners_of(start(8)).count("ana") <= 5


class TestALaterStart:
    def test_saves_up_no_turns(self):
        ana, ben = UserFactory(username="ana"), UserFactory(username="ben")
        soon = NOON + timedelta(hours=1)
        queue(ana, 8, not_before=soon, client_not_before=soon)
        queue(ben, 24)
        start(10)

        dispatch.wake_due(at=soon)

        assert owners_of(start(8)).count("ana") in (4, 5)

    def test_of_a_further_attempt_keeps_its_place(self):
        (again,) = queue(UserFactory(), 1)
        queue(UserFactory(), 10)
        start(6)
        job = Job.objects.get(pk=again)
        trouble = lifecycle.Trouble("server_error", "500")
        lifecycle.put_back(
            job,
            at=NOON,
            actor="worker",
            outcome="not_accepted",
            spent=False,
            trouble=trouble,
            not_before=NOON + timedelta(minutes=1),
        )

        dispatch.wake_due(at=NOON + timedelta(minutes=1))

        assert order()[0] == again

    def test_lends_its_place_to_no_other_job(self):
        ana = UserFactory()
        parked, real = queue(ana, 1, not_before=NOON + timedelta(days=30)), queue(ana, 2)

        assert set(reorder.own_lane(Job.objects.get(pk=real[0])).values_list("pk", flat=True)) == {*real}
        assert not {*parked} & {*real}


class TestASwitch:
    def test_to_first_come_first_served_and_back_resorts_what_waits(self):
        ana, ben = UserFactory(), UserFactory()
        first, second = queue(ana, 3), queue(ben, 2)

        set_fair_share(False)
        assert order() == first + second
        late = queue(ben, 1)
        assert order() == first + second + late

        set_fair_share(True)
        assert order() == [first[0], second[0], first[1], second[1], first[2], late[0]]
        assert order()[-1:] + queue(ana, 1) == order()[-2:]

    def test_of_a_weight_resorts_what_its_account_has_waiting(self):
        ana, ben = UserFactory(username="ana"), UserFactory(username="ben")
        queue(ana, 20)
        queue(ben, 20)
        start(4)

        policy.change(ana, at=NOON, actor=None, share_weight=Decimal(3))

        assert owners_of(start(12)).count("ana") in (9, 10)

    def test_goes_on_in_the_dispatcher_where_many_wait(self, monkeypatch):
        monkeypatch.setattr(turns, "RESORTED", 3)
        monkeypatch.setattr(turns, "RESORTED_CHUNKS", 1)
        ana, ben = UserFactory(), UserFactory()
        set_fair_share(False)
        while QueueSettings.objects.current().resort_after is not None:
            turns.resort(at=NOON)
        first, second = queue(ana, 5), queue(ben, 3)

        set_fair_share(True)
        while QueueSettings.objects.current().resort_after is not None:
            turns.resort(at=NOON)

        assert order() == [first[0], second[0], first[1], second[1], first[2], second[2], *first[3:]]


class TestPages:
    def page(self, owner, *points):
        jobs = [JobFactory.build(model_id="manim", owner=owner, score=one) for one in points]
        lifecycle.enter(jobs, at=NOON, actor="user")
        return [job.pk for job in jobs]

    def scores(self):
        return list(Job.objects.filter(state=State.QUEUED).in_dispatch_order().values_list("score", flat=True))

    @pytest.mark.parametrize("fair", [True, False])
    def test_of_an_account_go_by_score(self, fair):
        set_fair_share(fair)
        ana = UserFactory()
        self.page(ana, 40, 60, 50)
        self.page(ana, 55)

        assert self.scores() == [60, 55, 50, 40]

    def test_exchange_turns_with_nobody_else(self):
        ana, ben = UserFactory(), UserFactory()
        self.page(ana, 40)
        other, theirs = queue(ana, 1), self.page(ben, 45, 41)
        before = dict(Job.objects.filter(pk__in=other + theirs).values_list("pk", "order_key"))

        self.page(ana, 69)

        assert dict(Job.objects.filter(pk__in=before).values_list("pk", "order_key")) == before


class TestWaiting:
    def test_raises_a_job_level_by_level_and_never_to_high(self):
        low, lower, normal = (queue(UserFactory(), 1, priority=level, base_priority=level)[0] for level in (-10, -25, 0))

        assert aging.raise_waiting(at=NOON + timedelta(minutes=29)) == 0
        assert aging.raise_waiting(at=NOON + timedelta(minutes=30)) == 2
        assert aging.raise_waiting(at=NOON + timedelta(minutes=59)) == 0
        assert aging.raise_waiting(at=NOON + timedelta(minutes=60)) == 1
        assert aging.raise_waiting(at=NOON + timedelta(days=1)) == 1
        assert aging.raise_waiting(at=NOON + timedelta(days=1)) == 0

        found = {job.pk: (job.priority, job.base_priority, job.raised) for job in Job.objects.all()}
        assert found == {low: (0, -10, 1), lower: (0, -25, 3), normal: (0, 0, 0)}
        assert JobEvent.objects.filter(job=low).last().reason == "priority raised by waiting"

    def test_never_puts_a_job_that_was_a_little_lower_before_normal_ones(self):
        normal = queue(UserFactory(), 2)
        sly = queue(UserFactory(), 2, priority=-1, base_priority=-1)

        aging.raise_waiting(at=NOON + timedelta(hours=1))

        assert set(Job.objects.values_list("priority", flat=True)) == {0}
        assert order()[0] == normal[0]
        assert {*order()[:2]} != {*sly}

    def test_keeps_the_order_of_an_account(self):
        first, second = queue(UserFactory(), 2, priority=-10)
        Job.objects.filter(pk=second).update(order_key=-1)

        aging.raise_waiting(at=NOON + timedelta(minutes=30))

        assert order() == [second, first]

    def test_is_switched_off_and_changed_by_the_settings(self):
        queue(UserFactory(), 1, priority=-10)
        QueueSettings.objects.update(aging_minutes=None)
        assert aging.raise_waiting(at=NOON + timedelta(days=1)) == 0

        QueueSettings.objects.update(aging_minutes=5)
        assert aging.raise_waiting(at=NOON + timedelta(minutes=5)) == 1

    def test_takes_a_turn_in_the_higher_priority(self):
        ana, ben = UserFactory(), UserFactory()
        (low,) = queue(ana, 1, priority=-10)
        theirs = queue(ben, 3)

        aging.raise_waiting(at=NOON + timedelta(minutes=30))

        assert order() == [low, *theirs]

    def test_begins_anew_with_a_retry(self):
        (job,) = queue(UserFactory(), 1, priority=-10, base_priority=-10)
        aging.raise_waiting(at=NOON + timedelta(minutes=30))
        lifecycle.cancel([job], at=NOON, actor="user")
        lifecycle.queue_again([*Job.objects.filter(pk=job).lock_for_retry()], at=NOON, actor="user")

        found = Job.objects.get()
        assert (found.priority, found.raised) == (-10, 0)


def test_the_next_turn_is_told_without_taking_it():
    ana = UserFactory(share_weight=Decimal(2))
    queue(ana, 3)

    assert turns.next_of(ana.pk, "manim", 0) == turns.next_of(ana.pk, "manim", 0) == (1.5, 2.0)
    set_fair_share(False)
    assert turns.next_of(ana.pk, "manim", 0) is None
