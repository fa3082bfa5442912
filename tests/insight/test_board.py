"""The queue at a glance."""

from datetime import timedelta

import pytest
from django.core.cache import cache

from queue_app.insight import board
from queue_app.models import Job, ModelConcurrencyLimit, QueueSettings, State, WorkerProcess
from tests.factories import NOON, UserFactory, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff():
    return UserFactory(staff=True)


def worker(**fields):
    known = {
        "host": "one",
        "pid": 1,
        "role": "worker",
        "group_id": 1,
        "group_started": "1",
        "started_at": NOON,
        "beat_at": NOON,
    }
    return WorkerProcess.objects.create(**known | fields)


class TestSummary:
    def test_counts_by_status(self, staff):
        for state in ("queued", "queued", "running", "storing", "unknown", "completed", "failed", "cancelled"):
            make_job(state)

        found = board.summary(staff, at=NOON)

        assert {name: found[name] for name in ("queued", "processing", "completed", "failed", "cancelled")} == {
            "queued": 2,
            "processing": 3,
            "completed": 1,
            "failed": 1,
            "cancelled": 1,
        }

    def test_leaves_out_what_ended_a_day_ago_or_was_cleared(self, staff):
        Job.objects.filter(pk=make_job("completed").pk).update(archived_at=NOON)
        make_job("completed", at=NOON - timedelta(hours=25))

        assert board.summary(staff, at=NOON)["completed"] == 0

    def test_shows_people_their_own_jobs(self):
        mine = make_job()
        make_job()
        make_job("running")

        found = board.summary(mine.owner, at=NOON)

        assert (found["queued"], found["processing"]) == (1, 0)

    def test_tells_the_free_slots_of_the_whole_queue(self, staff):
        assert board.summary(staff, at=NOON)["available"] == 8  # 4 at openai_videos, shared by two models, and 4 of manim
        cache.clear()
        make_job("running")
        assert board.summary(staff, at=NOON)["available"] == 7
        cache.clear()
        QueueSettings.objects.update(paused=True)
        assert board.summary(staff, at=NOON)["available"] == 0

    def test_is_computed_once_for_all_who_ask_within_a_second(self, staff, django_assert_num_queries):
        board.summary(staff, at=NOON)

        with django_assert_num_queries(0):
            board.summary(UserFactory.build(is_staff=True), at=NOON)


class TestModels:
    def line(self, key):
        return next(line for line in board.models(at=NOON) if line.key == key)

    def test_tell_used_and_free_slots(self):
        make_job("running")
        make_job()

        line = self.line("sora-2")

        assert (line.max_concurrent, line.used, line.free, line.queued) == (4, 1, 3, 1)

    def test_tell_how_many_could_start_under_shared_limits(self):
        make_job("running", model_id="sora-2")

        line = self.line("sora-2-pro")

        assert (line.free, line.can_start) == (4, 3)

    def test_have_nothing_free_while_paused(self):
        ModelConcurrencyLimit.objects.filter(model="manim").update(paused=True, paused_reason="maintenance")

        line = self.line("manim")

        assert (line.free, line.can_start, line.paused, line.paused_reason) == (0, 0, True, "maintenance")

    def test_say_which_can_be_bought_and_which_the_studio_makes(self):
        assert (self.line("sora-2").available, self.line("sora-2").preview) == (True, True)
        assert not self.line("haiper-2.0").available


class TestWorkers:
    def test_are_alive_for_ten_seconds_and_in_view_for_ten_minutes(self):
        worker(pid=1, beat_at=NOON - timedelta(seconds=5))
        worker(pid=2, beat_at=NOON - timedelta(seconds=15))
        worker(pid=3, beat_at=NOON - timedelta(minutes=11))

        assert [(line.pid, line.alive) for line in board.workers(at=NOON)] == [(1, True), (2, False)]


class TestLists:
    def test_what_comes_next_is_in_dispatch_order_over_all_lanes(self, staff):
        low, normal = make_job(priority=-10), make_job(model_id="manim")
        urgent, later = make_job(priority=20, model_id="manim"), make_job()

        assert board.coming_next(staff) == [urgent, normal, later, low]
        assert board.coming_next(staff, first=2) == [urgent, normal]

    def test_people_see_their_own(self, staff):
        mine, running = make_job(), make_job(State.RUNNING)

        assert board.coming_next(mine.owner) == [mine]
        assert board.processing(mine.owner) == []
        assert board.processing(staff) == [running]
