"""Usage: jobs of a period by each side, and tickets that are the ledger's own, to the ticket."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum

from queue_app import lifecycle, tickets
from queue_app.insight import usage
from queue_app.insight.usage import UsageLine
from queue_app.models import Job, LedgerEntry, LedgerTransaction, State
from queue_app.work import intake
from tests.factories import NOON, BatchFactory, JobFactory, UserFactory, advance, make_job

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
Kind = LedgerTransaction.Kind


def used(by: str = "model", *, start: datetime = NOON - DAY, end: datetime = NOON + DAY) -> dict[str, UsageLine]:
    found = usage.of(start, end, by=by)
    return {line.name: line for line in found.lines} | {"Total": found.total}


def spent(kind: str, *, start: datetime, end: datetime) -> int:
    """What the ledger itself says that was spent, or given back."""
    legs = LedgerEntry.objects.filter(transaction__kind=kind, side="spent", transaction__at__gte=start, transaction__at__lt=end)
    return abs(legs.aggregate(sum=Sum("amount"))["sum"] or 0)


class TestTickets:
    def test_are_the_ledgers_after_captures_refunds_and_releases(self) -> None:
        owner = UserFactory()
        for hour, state in enumerate((State.COMPLETED, State.COMPLETED, State.FAILED, State.CANCELLED, State.RUNNING)):
            make_job(state, owner=owner, at=NOON + timedelta(hours=hour))
        first, second = Job.objects.filter(state=State.COMPLETED).order_by("id")
        tickets.refund(first, at=NOON + timedelta(hours=6), actor="ana", reason="blurred", amount=1)
        tickets.refund(first, at=NOON + 2 * DAY, actor="ana", reason="still blurred", amount=2)
        tickets.refund(second, at=NOON + 3 * DAY, actor="ana", reason="wrong tram")

        for start, end in ((NOON, NOON + DAY), (NOON + DAY, NOON + 9 * DAY), (NOON, NOON + 9 * DAY), (NOON - DAY, NOON)):
            for by in usage.SIDES:
                found = usage.of(start, end, by=by)
                captured, refunded = (spent(kind, start=start, end=end) for kind in (Kind.CAPTURE, Kind.REFUND))
                assert (found.total.captured, found.total.refunded) == (captured, refunded)
                assert sum(line.captured for line in found.lines) == captured
                assert sum(line.refunded for line in found.lines) == refunded
                assert sum(line.net for line in found.lines) == found.total.net == captured - refunded

    def test_a_refund_counts_when_it_was_given(self) -> None:
        job = make_job(State.COMPLETED)
        tickets.refund(job, at=NOON + 5 * DAY, actor="ana", reason="blurred")
        assert used()["sora-2"].net == 4
        later = used(start=NOON + 4 * DAY, end=NOON + 6 * DAY)["sora-2"]
        assert (later.jobs, later.captured, later.refunded, later.net) == (0, 0, 4, -4)

    def test_a_job_that_failed_and_was_made_again_is_charged_once(self) -> None:
        job = make_job(State.FAILED)
        intake.retry(Job.objects.filter(pk=job.pk).lock_for_retry(), at=NOON, actor="ana")
        advance(Job.objects.get(pk=job.pk), State.COMPLETED, at=NOON, remote_id="again")
        line = used()["sora-2"]
        assert (line.completed, line.failed, line.captured) == (1, 0, 4)


class TestJobs:
    def test_are_counted_when_they_ended_by_what_became_of_them(self) -> None:
        for state, count in (
            (State.COMPLETED, 3),
            (State.FAILED, 1),
            (State.CANCELLED, 2),
            (State.RUNNING, 1),
            (State.QUEUED, 1),
        ):
            for _ in range(count):
                make_job(state)
        make_job(State.COMPLETED, at=NOON + 2 * DAY)
        line = used()["sora-2"]
        assert (line.completed, line.failed, line.cancelled, line.jobs, line.success) == (3, 1, 2, 6, 75.0)

    def test_count_though_they_were_cleared_from_view(self) -> None:
        make_job(State.COMPLETED)
        Job.objects.update(archived_at=NOON)
        assert used()["Total"].jobs == 1

    def test_of_the_first_moment_count_and_of_the_last_do_not(self) -> None:
        make_job(State.COMPLETED)
        assert used(start=NOON, end=NOON + DAY)["Total"].jobs == 1
        assert used(start=NOON - DAY, end=NOON)["Total"].jobs == 0

    def test_waits_and_runs_are_percentiles(self) -> None:
        for wait, run in ((10, 100.0), (20, 200.0), (30, 300.0)):
            job = JobFactory(at=NOON - timedelta(seconds=wait))
            advance(job, State.COMPLETED, at=NOON)
            Job.objects.filter(pk=job.pk).update(ran_seconds=run)
        line = used()["sora-2"]
        assert (line.wait_p50, line.run_p50) == (20, 200)
        assert line.wait_p95 == pytest.approx(29) and line.run_p95 == pytest.approx(290)

    def test_dollars_are_estimated_and_told(self) -> None:
        told, failed = make_job(State.COMPLETED), make_job(State.FAILED)
        make_job(State.COMPLETED)
        Job.objects.filter(pk=told.pk).update(usd_actual=Decimal("1.75"))
        Job.objects.filter(pk=failed.pk).update(usd_actual=Decimal("0.25"))
        line = used()["sora-2"]
        assert (line.usd_estimated, line.usd_actual, line.usd_told) == (Decimal("4"), Decimal("2"), 2)


class TestSides:
    def test_each_groups_by_its_own(self) -> None:
        ada, batch = UserFactory(username="ada"), BatchFactory(name="Autumn")
        make_job(State.COMPLETED, owner=ada, batch=batch)
        make_job(State.COMPLETED, owner=UserFactory(username="bob"), model_id="nano-banana", kind_id="image", tickets=1)
        for by, names in {
            "model": {"sora-2", "nano-banana"},
            "kind": {"video", "image"},
            "user": {"ada", "bob"},
            "campaign": {"Autumn", "no campaign"},
            "day": {"2026-11-20"},
        }.items():
            assert used(by).keys() - {"Total"} == names, by

    def test_a_day_is_one_of_the_queues_zone(self, settings) -> None:
        settings.QUEUE_TIME_ZONE = "Asia/Tokyo"
        job = make_job(State.COMPLETED, at=NOON + timedelta(hours=4))
        tickets.refund(job, at=NOON, actor="ana", reason="blurred")
        found = used("day")
        assert {name: (line.captured, line.refunded) for name, line in found.items()} == {
            "2026-11-21": (4, 0),
            "2026-11-20": (0, 4),
            "Total": (4, 4),
        }

    def test_take_the_same_queries_for_many_rows(self, django_assert_num_queries) -> None:
        for _ in range(5):
            make_job(State.COMPLETED)
        with django_assert_num_queries(3):
            usage.of(NOON - DAY, NOON + DAY, by="user")

    def test_with_nothing_in_it_a_period_is_zeros(self) -> None:
        found = usage.of(NOON, NOON + DAY, by="model")
        assert found.lines == [] and found.total == UsageLine("Total")


def test_what_was_cancelled_before_it_began_waited_for_nothing() -> None:
    job = JobFactory()
    lifecycle.cancel([job.pk], at=NOON, actor="user")
    assert used()["sora-2"].wait_p50 is None
