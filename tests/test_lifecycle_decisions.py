"""What a person decides about an outcome that nobody could ask for (T8, T9)."""

from datetime import timedelta

import pytest

from queue_app import lifecycle
from queue_app.lifecycle import MoveRefused
from queue_app.models import Attempt, Outcome, ReviewItem, State
from queue_app.models.job import slots_in_use
from tests.factories import NOON, make_job

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
        with pytest.raises(MoveRefused, match="Say why"):
            lifecycle.settle_unknown([1], again=True, at=NOON, actor="ana", reason=" ")
