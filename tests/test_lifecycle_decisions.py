"""Decisions of staff on unknown outcomes (T8, T9)."""

from datetime import timedelta

import pytest

from queue_app import lifecycle
from queue_app.lifecycle import MoveRefused, Trouble
from queue_app.models import Attempt, Job, Outcome, ReviewItem, State
from queue_app.models.job import slots_in_use
from tests.factories import NOON, advance, make_job

pytestmark = pytest.mark.django_db


class TestSettleUnknown:
    def test_again_queues_it_and_abandons_the_attempt(self):
        job = make_job("unknown", at=NOON)
        assert lifecycle.settle_unknown([job.pk], again=True, at=NOON, actor="ana", reason="not in their list") == [job.pk]
        job.refresh_from_db()
        assert job.state == State.QUEUED
        assert Attempt.objects.get(job=job).outcome == Outcome.ABANDONED
        assert not ReviewItem.objects.filter(job=job, closed_at=None).exists()

    def test_the_abandoned_attempt_keeps_its_slot_while_the_provider_may_be_at_work(self):
        job = make_job("unknown", at=NOON)
        lifecycle.settle_unknown([job.pk], again=True, at=NOON, actor="ana", reason="not in their list")
        assert sum(row[-1] for row in slots_in_use(NOON)) == 1
        assert sum(row[-1] for row in slots_in_use(NOON + timedelta(days=2))) == 0

    def test_giving_up_fails_it_and_gives_the_tickets_back(self):
        job = make_job("unknown", at=NOON)
        lifecycle.settle_unknown([job.pk], again=False, at=NOON, actor="ana", reason="they billed nothing")
        job.refresh_from_db()
        assert (job.state, job.error_code) == (State.FAILED, "settled_by_hand")
        assert job.owner.wallet.reserved == 0

    def test_leaves_alone_what_is_not_unknown(self):
        job = make_job("running", at=NOON)
        assert lifecycle.settle_unknown([job.pk], again=True, at=NOON, actor="ana", reason="x") == []
        job.refresh_from_db()
        assert job.state == State.RUNNING

    def test_needs_a_reason(self):
        with pytest.raises(MoveRefused, match="Enter a reason"):
            lifecycle.settle_unknown([1], again=True, at=NOON, actor="ana", reason=" ")


class TestWhatIsToBeLookedAt:
    BILLED = "2 tasks at the provider match; the others may be billed."
    BROKE = Trouble("provider_failed", "It broke.")

    @pytest.mark.parametrize(
        "act",
        [
            lambda job: lifecycle.put_back(
                job, at=NOON, actor="worker", outcome=Outcome.FAILED, spent=True, trouble=Trouble("x", "x"), not_before=None
            ),
            lambda job: lifecycle.fail(job, at=NOON, actor="worker", trouble=Trouble("x", "x")),
            lambda job: lifecycle.force_fail([job.pk], at=NOON, actor="ana", reason="stuck"),
        ],
        ids=["put back", "failed", "ended by force"],
    )
    def test_stays_whatever_becomes_of_the_job(self, act):
        job = make_job("running")
        lifecycle.flag(job, self.BILLED, at=NOON)
        act(job)
        assert [item.what for item in self.open_ones(job)] == [self.BILLED]

    def test_stays_when_the_task_of_an_unknown_outcome_is_found(self):
        job = make_job("unknown")
        lifecycle.flag(job, self.BILLED, at=NOON)
        lifecycle.start(job, at=NOON, actor="recovery", remote_id="video_1", remote={}, next_check_at=NOON)
        assert [item.what for item in self.open_ones(job)] == [self.BILLED]

    def test_is_another_item_than_the_decision_on_a_later_attempt(self):
        job = make_job("storing")
        lifecycle.fail(job, at=NOON, actor="worker", trouble=self.BROKE, outcome=Outcome.LOST, review="Paid, nothing delivered.")
        lifecycle.queue_again([job], at=NOON, actor="user")
        advance(Job.objects.get(pk=job.pk), State.UNKNOWN)
        looked_at, decided = self.open_ones(job)
        assert (looked_at.what, looked_at.attempt.number, looked_at.decide_by) == ("Paid, nothing delivered.", 1, None)
        assert (decided.attempt.number, decided.decide_by) == (2, NOON + timedelta(days=1))

    def test_ends_when_a_person_closes_it_and_no_other_with_it(self):
        job = make_job("unknown")
        decided = ReviewItem.objects.get(job=job)
        for what in (self.BILLED, "Paid, nothing delivered."):
            lifecycle.flag(job, what, at=NOON)
        _, billed, paid = self.open_ones(job)
        lifecycle.close_review(billed, at=NOON, actor="ana", reason="credited")
        assert self.open_ones(job) == [decided, paid]

    @staticmethod
    def open_ones(job):
        return list(ReviewItem.objects.filter(job=job, closed_at=None).order_by("id"))
