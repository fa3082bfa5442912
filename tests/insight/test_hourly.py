"""The last 24 hours by the hour."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queue_app.insight import failures, hourly
from queue_app.models import Attempt, Job, State
from tests.factories import NOON, make_job

pytestmark = pytest.mark.django_db
NOW = NOON + timedelta(minutes=30)


def ended(state: str, at: datetime, *, waited: timedelta = timedelta(0), **fields: object) -> Job:
    """A job that was queued, ``waited`` long, started and ended, all but the wait at ``at``."""
    job = make_job(state, at=at, **fields)
    Job.objects.filter(pk=job.pk).update(queued_at=at - waited)
    return job


def hour(start: datetime) -> hourly.Hour:
    return next(one for one in hourly.look(at=NOW) if one.start == start)


class TestDay:
    def test_is_24_hours_that_ended_and_the_one_that_goes_on(self) -> None:
        found = hourly.look(at=NOW)
        assert [one.is_over for one in found] == [True] * 24 + [False]
        assert (found[0].start, found[-1].start) == (NOON - timedelta(hours=24), NOON)

    def test_counts_what_ended_by_the_hour_cleared_or_not(self) -> None:
        for state in ("completed", "completed", "failed", "cancelled"):
            ended(state, NOON - timedelta(minutes=10))
        Job.objects.filter(state=State.COMPLETED).update(archived_at=NOON)
        found = hour(NOON - timedelta(hours=1))
        assert (found.completed, found.failed, found.cancelled) == (2, 1, 1)
        assert found.failure_rate == pytest.approx(100 / 3)

    def test_an_hour_without_any_has_no_rate_and_no_wait(self) -> None:
        found = hour(NOON - timedelta(hours=5))
        assert (found.failure_rate, found.p50, found.p95, found.oldest) == (None, None, None, None)

    def test_says_the_median_and_the_95th_percentile_of_the_waits(self) -> None:
        for seconds in (10, 20, 30):
            ended("completed", NOON - timedelta(minutes=10), waited=timedelta(seconds=seconds))
        found = hour(NOON - timedelta(hours=1))
        assert (found.started, found.p50, found.p95) == (3, 20.0, pytest.approx(29.0))


class TestDepth:
    def test_a_queue_that_stalls_shows_in_the_age_of_its_oldest_job(self) -> None:
        """Waits of what started fall silent then."""
        make_job(at=NOON - timedelta(hours=3))
        for back, age in ((4, None), (3, 3600.0), (2, 7200.0), (1, 10800.0)):
            assert hour(NOON - timedelta(hours=back)).oldest == age, back
        assert hour(NOON).oldest == 3 * 3600 + 1800

    def test_what_waited_then_and_started_later_counts_then(self) -> None:
        ended("completed", NOON, waited=timedelta(hours=2, minutes=30))
        assert [hour(NOON - timedelta(hours=back)).waiting for back in (4, 3, 2, 1, 0)] == [0, 1, 1, 1, 0]

    def test_so_does_what_was_cancelled_before_it_started(self) -> None:
        ended("cancelled", NOON, waited=timedelta(hours=2, minutes=30))
        assert hour(NOON - timedelta(hours=1)).oldest == 2.5 * 3600


class TestCost:
    def test_hours_that_ended_are_read_once(self) -> None:
        ended("completed", NOON - timedelta(hours=3))
        with CaptureQueriesContext(connection) as first:
            before = hourly.look(at=NOW)
        with CaptureQueriesContext(connection) as second:
            assert hourly.look(at=NOW) == before
        read_from = "ended_at >= '2026-11-20T12:00:00+00:00'"
        assert [any(read_from in one["sql"] for one in asked) for asked in (first, second)] == [False, True]
        assert len(first) == len(second) == 7

    def test_an_hour_is_read_again_until_late_transactions_are_in(self) -> None:
        soon = NOON + timedelta(seconds=30)
        assert hourly.look(at=soon)[-2].completed == 0
        ended("completed", NOON - timedelta(seconds=1))
        assert hourly.look(at=soon)[-2].completed == 1


class TestFailures:
    def test_are_grouped_by_error_the_most_frequent_first(self) -> None:
        for model in ("sora-2", "sora-2", "manim"):
            ended("failed", NOON - timedelta(hours=2), model_id=model)
        odd = ended("failed", NOON - timedelta(hours=1))
        Job.objects.filter(pk=odd.pk).update(error_code="timeout")
        found = failures.look(at=NOW)
        assert [(one.code, one.jobs) for one in found] == [("provider_failed", 3), ("timeout", 1)]
        assert found[0].models == [("sora-2", 2), ("manim", 1)]
        assert found[0].last_at == NOON - timedelta(hours=2)
        assert "Retry it" in found[1].remedy

    @pytest.mark.parametrize(
        ("kind", "advice"),
        [
            ("invalid_request", "Permanently rejected. A plain retry will be rejected again."),
            ("quota", "Staff must fix the provider account first. Then retry."),
            ("retryable", "Temporary problem. Retry it."),
            ("", "See the job's error message."),
        ],
    )
    def test_of_a_code_of_the_vendors_own_are_advised_on_by_its_kind(self, kind: str, advice: str) -> None:
        job = ended("failed", NOON)
        Job.objects.filter(pk=job.pk).update(error_code="E1234")
        Attempt.objects.filter(job=job).update(error_kind=kind)
        assert [one.remedy for one in failures.look(at=NOW)] == [advice]

    def test_leave_out_what_is_a_day_old_or_cleared(self) -> None:
        ended("failed", NOW - timedelta(hours=25))
        cleared = ended("failed", NOON)
        Job.objects.filter(pk=cleared.pk).update(archived_at=NOON)
        assert failures.look(at=NOW) == []
