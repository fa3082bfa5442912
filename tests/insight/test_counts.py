"""Jobs by status and by model."""

from datetime import timedelta

import pytest

from queue_app.insight import counts
from queue_app.models import Job
from tests.factories import NOON, make_job

pytestmark = pytest.mark.django_db


class TestByStatus:
    def test_counts_all_jobs(self):
        for state in ("queued", "queued", "running", "storing", "unknown", "completed", "failed", "cancelled"):
            make_job(state)

        assert counts.by_status(at=NOON) == {
            "queued": 2,
            "processing": 3,
            "completed": 1,
            "failed": 1,
            "cancelled": 1,
        }

    def test_leaves_out_what_ended_a_day_ago_or_was_cleared(self):
        Job.objects.filter(pk=make_job("completed").pk).update(archived_at=NOON)
        make_job("completed", at=NOON - timedelta(hours=25))

        assert counts.by_status(at=NOON)["completed"] == 0

    def test_shows_people_their_own_jobs(self):
        mine = make_job()
        make_job()
        make_job("running")

        found = counts.by_status(at=NOON, owner=mine.owner)

        assert (found["queued"], found["processing"]) == (1, 0)


class TestWaiting:
    def test_is_counted_by_model_and_priority(self):
        assert counts.waiting(within=0) == {}
        for model, priority in (("sora-2", 0), ("sora-2", 0), ("sora-2", -10), ("manim", 20)):
            make_job(model_id=model, priority=priority)
        make_job("running", model_id="sora-2-pro")

        assert counts.waiting(within=0) == {("manim", 20): 1, ("sora-2", -10): 1, ("sora-2", 0): 2}

    def test_is_one_count_for_all_who_ask_within_a_second(self, django_assert_num_queries):
        make_job()
        counts.by_status(at=NOON, within=1.0)

        with django_assert_num_queries(0):
            assert counts.by_status(at=NOON, within=1.0)["queued"] == 1
            assert counts.waiting() == {("sora-2", 0): 1}
