"""Where queued jobs stand, and which jobs run and come next."""

from datetime import timedelta

import pytest
from django.core.cache import cache

from queue_app.insight import positions
from queue_app.models import Job, State
from tests.factories import NOON, JobFactory, UserFactory, claimed, make_job

pytestmark = pytest.mark.django_db


class TestPosition:
    def test_is_1_for_the_only_job_of_a_lane(self):
        assert positions.of_job(make_job()) == 1

    def test_counts_the_own_lane_only(self):
        make_job(model_id="sora-2-pro")

        assert positions.of_job(make_job(model_id="sora-2")) == 1

    def test_follows_priority_then_order_key_then_id(self):
        first, second, urgent, moved = make_job(), make_job(), make_job(priority=20), make_job()
        Job.objects.filter(pk=moved.pk).update(order_key=first.order_key - 1)

        found = positions.of_jobs([first.pk, second.pk, urgent.pk, moved.pk])

        assert found == {urgent.pk: 1, moved.pk: 2, first.pk: 3, second.pk: 4}

    def test_is_dense_and_counts_held_and_delayed_jobs(self):
        jobs = [make_job() for _ in range(5)]
        Job.objects.filter(pk=jobs[0].pk).update(held=True)
        Job.objects.filter(pk=jobs[1].pk).update(not_before=NOON + timedelta(hours=1))
        claimed(jobs[2])

        assert positions.of_jobs(job.pk for job in jobs) == {jobs[0].pk: 1, jobs[1].pk: 2, jobs[3].pk: 3, jobs[4].pk: 4}

    def test_is_none_for_a_job_that_is_not_queued(self):
        assert positions.of_job(make_job(State.RUNNING)) is None

    def test_agrees_with_the_order_of_the_claim(self):
        owner = UserFactory()
        jobs = [make_job(owner=owner, priority=priority) for priority in (0, -10, 10, 0, 10, -10, 0)]

        in_order = Job.objects.filter(state=State.QUEUED).in_dispatch_order().values_list("pk", flat=True)

        assert sorted(positions.of_jobs(job.pk for job in jobs).items(), key=lambda found: found[1]) == [
            (pk, place) for place, pk in enumerate(in_order, start=1)
        ]

    @pytest.mark.parametrize("far", [1, 3, 6, 7])
    def test_counts_no_farther_than_asked(self, far):
        jobs = [make_job(priority=priority) for priority in (20, 10, 10, 0, 0, 0, 0)]

        exact, counted = (positions.of_jobs([job.pk for job in jobs], **how) for how in ({}, {"far": far}))

        assert [exact[job.pk] for job in jobs] == [1, 2, 3, 4, 5, 6, 7]
        assert all(counted[pk] == place if place <= far else counted[pk] > far for pk, place in exact.items())

    @pytest.mark.parametrize("step", [1, 2, 3, 20])
    @pytest.mark.parametrize("asked", [slice(None), slice(9, None, 4), slice(-1, None)])
    def test_is_the_same_far_down_where_it_is_counted_from_milestones(self, step, asked, monkeypatch):
        owner = UserFactory()
        jobs = [
            make_job(owner=owner, priority=number % 3 * 10, model_id=("sora-2", "sora-2-pro")[number % 2]) for number in range(20)
        ]
        Job.objects.filter(pk=jobs[7].pk).update(order_key=jobs[1].order_key)
        ids = [job.pk for job in jobs]
        expected = positions.of_jobs(ids)
        monkeypatch.setattr(positions, "EXACT_UP_TO", 2)
        monkeypatch.setattr(positions, "STEP", step)

        found = positions.of_jobs(ids[asked])

        assert found == {pk: expected[pk] for pk in ids[asked]}
        assert sorted(expected.values()) == sorted([*range(1, 11)] * 2)

    def test_far_down_knows_at_once_who_came_and_after_a_moment_who_went(self, monkeypatch):
        monkeypatch.setattr(positions, "EXACT_UP_TO", 2)
        monkeypatch.setattr(positions, "STEP", 4)
        jobs = [make_job() for _ in range(9)]
        assert positions.of_job(jobs[8]) == 9

        newest = make_job()
        claimed(jobs[0])

        assert (positions.of_job(newest), positions.of_job(jobs[1])) == (10, 1)
        assert positions.of_jobs(job.pk for job in jobs[1:]) == {job.pk: place for place, job in enumerate(jobs[1:], start=1)}
        cache.clear()
        assert positions.of_job(newest) == 9

    def test_of_many_jobs_takes_one_query(self, django_assert_num_queries):
        jobs = [make_job() for _ in range(10)]

        with django_assert_num_queries(1):
            assert len(positions.of_jobs(job.pk for job in jobs)) == 10


class TestLists:
    @pytest.fixture
    def staff(self):
        return UserFactory(staff=True)

    def test_what_comes_next_is_in_dispatch_order_over_all_lanes(self, staff):
        low, normal = make_job(priority=-10), make_job(model_id="manim")
        urgent, later = make_job(priority=20, model_id="manim"), make_job()

        assert positions.coming_next(staff) == [urgent, normal, later, low]
        assert positions.coming_next(staff, first=2) == [urgent, normal]

    def test_people_see_their_own(self, staff):
        mine, running = make_job(), make_job(State.RUNNING)

        assert positions.coming_next(mine.owner) == [mine]
        assert positions.in_progress(mine.owner) == []
        assert positions.in_progress(staff) == [running]


def test_what_somebody_has_to_release_is_ahead_of_nobody():
    owner = UserFactory()
    held = [JobFactory(owner=owner, held_for="canary", held=True) for _ in range(3)]
    free = JobFactory(owner=UserFactory())

    found = positions.of_jobs([job.pk for job in [*held, free]])

    assert found[free.pk] == 1
    assert {found[job.pk] for job in held} <= {1, 2}
