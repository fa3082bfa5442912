"""Alerts: opened at one value and closed at another, one per subject, emailed once."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.db import connection

from queue_app import lifecycle, tickets
from queue_app.lifecycle import Trouble
from queue_app.models import Alert, AlertRule, Job, OutboxMessage, Outcome, State, User, WorkerProcess
from queue_app.outbox import delivery
from queue_app.work import alerts, roles
from tests.factories import NOON, BatchFactory, JobFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
Measure = AlertRule.Measure


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def rule(measure: str, **changes: object) -> AlertRule:
    """Return the rule of this measure and deactivate all others."""
    AlertRule.objects.exclude(measure=measure).update(active=False)
    AlertRule.objects.filter(measure=measure).update(**changes)
    return AlertRule.objects.get(measure=measure)


def is_open(subject: str = "") -> bool:
    return Alert.objects.filter(closed_at=None, subject=subject).exists()


def process(
    host: str = "mill", role: str = "worker", pid: int = 7, *, beat_at: datetime = NOON, **fields: object
) -> WorkerProcess:
    known = {"group_id": pid, "group_started": "1", "started_at": NOON}
    return WorkerProcess.objects.create(host=host, pid=pid, role=role, beat_at=beat_at, **known, **fields)


class TestQueueDepth:
    def test_opens_stays_and_closes_only_at_the_lower_value(self) -> None:
        rule(Measure.QUEUE_DEPTH, opens_at=3, closes_at=1)
        jobs = JobFactory.create_batch(2)
        alerts.review(at=NOON)
        assert not is_open()

        jobs += JobFactory.create_batch(1)
        alerts.review(at=NOON)
        alert = Alert.objects.get()
        assert (alert.value, alert.words, alert.opened_at, alert.closed_at) == (3, "3 jobs waiting.", NOON, None)

        lifecycle.cancel([jobs[0].pk], at=NOON, actor="user")
        alerts.review(at=NOON + seconds(15))
        assert is_open() and Alert.objects.get().words == "2 jobs waiting."

        lifecycle.cancel([jobs[1].pk], at=NOON, actor="user")
        alerts.review(at=NOON + seconds(30))
        closed = Alert.objects.get()
        assert (closed.closed_at, closed.value, closed.words) == (NOON + seconds(30), 1, "2 jobs waiting.")

    def test_rings_anew_after_it_closed(self) -> None:
        rule(Measure.QUEUE_DEPTH, opens_at=2, closes_at=1)
        for _ in range(2):
            jobs = JobFactory.create_batch(2)
            alerts.review(at=NOON)
            lifecycle.cancel([job.pk for job in jobs], at=NOON, actor="user")
            alerts.review(at=NOON)
        assert Alert.objects.exclude(closed_at=None).count() == 2

    def test_counts_no_further_than_it_must(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("queue_app.work.alert_metrics.COUNTED", 3)
        rule(Measure.QUEUE_DEPTH, opens_at=1, closes_at=0)
        JobFactory.create_batch(5)
        alerts.review(at=NOON)
        assert Alert.objects.get().words == "At least 3 jobs waiting."

    def test_a_rule_that_is_switched_off_closes_what_it_opened(self) -> None:
        rule(Measure.QUEUE_DEPTH, opens_at=1, closes_at=0)
        JobFactory()
        alerts.review(at=NOON)
        rule(Measure.QUEUE_DEPTH, active=False)
        alerts.review(at=NOON)
        assert not is_open()


class TestOldestWait:
    def test_is_that_of_a_job_whose_turn_could_come(self) -> None:
        rule(Measure.OLDEST_WAIT)
        JobFactory(at=NOON - seconds(4000), batch=BatchFactory(paused=True))
        JobFactory(at=NOON - seconds(3000))
        alerts.review(at=NOON)
        assert not is_open()

        alerts.review(at=NOON + seconds(600))
        assert Alert.objects.get().words == "The oldest job has been waiting for 1h."

    def test_is_over_when_nothing_waits(self) -> None:
        rule(Measure.OLDEST_WAIT)
        job = JobFactory(at=NOON - seconds(4000))
        alerts.review(at=NOON)
        lifecycle.cancel([job.pk], at=NOON, actor="user")
        alerts.review(at=NOON)
        assert not is_open()


class TestFailureRate:
    def make(self, *, failed: int, completed: int) -> None:
        for state, count in ((State.FAILED, failed), (State.COMPLETED, completed)):
            for _ in range(count):
                make_job(state)

    def test_rings_from_eight_ended_jobs_on(self) -> None:
        rule(Measure.FAILURE_RATE)
        self.make(failed=2, completed=5)
        alerts.review(at=NOON)
        assert not is_open()

        self.make(failed=0, completed=1)
        alerts.review(at=NOON)
        assert Alert.objects.get().words == "2 of 8 jobs failed in the last hour: 25%."

    def test_does_not_rise_when_completed_jobs_are_cleared_from_view(self) -> None:
        rule(Measure.FAILURE_RATE)
        self.make(failed=1, completed=8)
        Job.objects.filter(state=State.COMPLETED).update(archived_at=NOON)
        alerts.review(at=NOON)
        assert not is_open()

    def test_is_of_one_hour(self) -> None:
        rule(Measure.FAILURE_RATE)
        self.make(failed=8, completed=0)
        alerts.review(at=NOON)
        alerts.review(at=NOON + seconds(3601))
        assert not is_open()


class TestUnknownJobs:
    def test_rings_at_the_first_and_until_the_last(self) -> None:
        rule(Measure.UNKNOWN_JOBS)
        one, two = make_job(State.UNKNOWN), make_job(State.UNKNOWN)
        alerts.review(at=NOON)
        lifecycle.settle_unknown([one.pk], again=False, at=NOON, actor="ana", reason="looked")
        alerts.review(at=NOON)
        assert is_open()
        lifecycle.settle_unknown([two.pk], again=False, at=NOON, actor="ana", reason="looked")
        alerts.review(at=NOON)
        assert not is_open()


class TestWorkerSilent:
    def test_rings_for_each_machine_and_role(self) -> None:
        rule(Measure.WORKER_SILENT)
        process(beat_at=NOON - seconds(31))
        process(beat_at=NOON, pid=8)
        process("loom", beat_at=NOON - seconds(29))
        process("mill", "cluster", beat_at=NOON - seconds(40))
        alerts.review(at=NOON)
        assert is_open("worker on mill") and is_open("cluster on mill") and not is_open("worker on loom")

    def test_is_over_only_once_it_beats_every_ten_seconds_again(self) -> None:
        rule(Measure.WORKER_SILENT)
        silent = process(beat_at=NOON - seconds(31))
        alerts.review(at=NOON)
        for age, rings in ((11, True), (10, False)):
            WorkerProcess.objects.filter(pk=silent.pk).update(beat_at=NOON - seconds(age))
            alerts.review(at=NOON)
            assert is_open("worker on mill") is rings

    def test_a_process_that_ended_as_it_should_is_not_missed(self) -> None:
        rule(Measure.WORKER_SILENT)
        silent = process(beat_at=NOON - seconds(31))
        alerts.review(at=NOON)
        silent.delete()
        alerts.review(at=NOON)
        assert not Alert.objects.filter(closed_at=None).exists()

    def test_says_when_nobody_leads(self) -> None:
        rule(Measure.WORKER_SILENT)
        process("mill", "dispatcher", 1, beat_at=NOON - seconds(60), leader=True)
        process("loom", "dispatcher", 2)
        alerts.review(at=NOON)
        assert is_open("leader")
        WorkerProcess.objects.filter(host="loom").update(leader=True)
        alerts.review(at=NOON)
        assert not is_open("leader")


class TestOldSnapshot:
    @pytest.fixture
    def session(self) -> Iterator[Any]:
        """Open another session of this database with a running transaction."""
        with closing(connection.get_new_connection(connection.get_connection_params())) as other, other.cursor() as cursor:
            yield cursor

    def review(self, *, at: datetime) -> None:
        """Review the alerts as a dispatcher does, in a new transaction, as within one the statistics view does not change."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
        alerts.review(at=at)

    def test_rings_for_a_transaction_left_idle_until_it_ends(self, session: Any) -> None:
        rule(Measure.OLD_SNAPSHOT, opens_at=5, closes_at=1)
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT pg_backend_pid(), clock_timestamp()")
        number, since = session.fetchone()
        self.review(at=since + seconds(4))
        assert not is_open()
        self.review(at=since + seconds(66))
        words = (
            f"Database session {number} (idle in transaction) has had a transaction open for 1m 6s. This blocks database cleanup."
        )
        assert is_open() and Alert.objects.get().words == words

        session.connection.rollback()
        self.review(at=since + seconds(67))
        assert not is_open()

    def test_rings_for_one_that_has_written_whatever_it_sees(self, session: Any) -> None:
        rule(Measure.OLD_SNAPSHOT, opens_at=5, closes_at=1)
        session.execute("SELECT clock_timestamp()")
        (since,) = session.fetchone()
        self.review(at=since + seconds(60))
        assert not is_open()
        session.execute("SELECT pg_current_xact_id()")
        self.review(at=since + seconds(60))
        assert is_open()

    def test_rings_after_five_minutes(self) -> None:
        assert rule(Measure.OLD_SNAPSHOT).opens_at == 300


class TestTicketsLow:
    def test_rings_for_each_wallet_that_is_spent_from(self) -> None:
        rule(Measure.TICKETS_LOW)
        low, plenty, idle = UserFactory(tickets=24), UserFactory(tickets=100), UserFactory(tickets=5)
        for owner in (low, plenty):
            JobFactory(owner=owner)
        alerts.review(at=NOON)
        assert is_open(low.username) and not is_open(plenty.username) and not is_open(idle.username)
        assert Alert.objects.get().words == f"{low.username} has 20 tickets left."

    def test_closes_at_fifty_or_when_nothing_was_spent_for_a_week(self) -> None:
        rule(Measure.TICKETS_LOW)
        low = UserFactory(tickets=24)
        JobFactory(owner=low)
        alerts.review(at=NOON)
        tickets.grant(low, 29, at=NOON, actor="ana", reason="more")
        alerts.review(at=NOON)
        assert is_open(low.username)
        tickets.grant(low, 1, at=NOON, actor="ana", reason="more")
        alerts.review(at=NOON)
        assert not is_open(low.username)
        rule(Measure.TICKETS_LOW, opens_at=60, closes_at=70)
        alerts.review(at=NOON)
        assert is_open(low.username)
        alerts.review(at=NOON + timedelta(days=8))
        assert not is_open(low.username)


class TestPaidNotDelivered:
    def lose(self) -> Job:
        job = make_job(State.STORING)
        trouble = Trouble("not_delivered", "The provider made it, but it could not be had.")
        locked = Job.objects.lock().get(pk=job.pk)
        lifecycle.fail(locked, at=NOON, actor="worker", trouble=trouble, outcome=Outcome.LOST)
        return job

    def test_rings_for_a_day_or_until_it_is_made_again(self) -> None:
        rule(Measure.PAID_NOT_DELIVERED)
        make_job(State.FAILED)
        alerts.review(at=NOON)
        assert not is_open()
        self.lose()
        alerts.review(at=NOON)
        assert is_open()
        alerts.review(at=NOON + timedelta(hours=25))
        assert not is_open()


class TestMail:
    @pytest.fixture
    def staff(self) -> Callable[[str], User]:
        roles.seed()

        def make(role: str) -> User:
            user = UserFactory(staff=True, tickets=0, username=role.lower().split()[0])
            user.groups.set([Group.objects.get(name=role)])
            return user

        return make

    def deliver(self) -> None:
        for pk in OutboxMessage.objects.filter(channel="alerts", delivered_at=None).values_list("pk", flat=True):
            delivery.deliver(pk, 1)

    def test_is_sent_once_however_long_it_rings(self, staff: Callable[[str], User]) -> None:
        staff(roles.OPERATOR)
        rule(Measure.UNKNOWN_JOBS)
        make_job(State.UNKNOWN)
        for _ in range(3):
            alerts.review(at=NOON)
            self.deliver()
        assert len(mail.outbox) == 1

    def test_says_what_is_the_matter_what_to_do_and_where(self, staff: Callable[[str], User], settings) -> None:
        settings.PUBLIC_URL = "https://queue.example"
        staff(roles.OPERATOR)
        rule(Measure.UNKNOWN_JOBS)
        make_job(State.UNKNOWN)
        alerts.review(at=NOON)
        self.deliver()
        (sent,) = mail.outbox
        assert sent.subject.startswith("Alert: 1 job with an unknown outcome")
        assert "decide" in sent.body and "opens at 1, closes at 0" in sent.body
        assert f"https://queue.example/admin/queue_app/alert/{Alert.objects.get().pk}/change/" in sent.body

    def test_goes_to_those_who_operate_the_queue_and_finance_hears_of_money(self, staff: Callable[[str], User]) -> None:
        operator, finance = staff(roles.OPERATOR), staff(roles.FINANCE)
        staff(roles.VIEWER), staff(roles.CATALOGUE)
        boss = UserFactory(admin=True, tickets=0)
        UserFactory(admin=True, tickets=0, is_active=False), UserFactory(admin=True, tickets=0, email="")
        rule(Measure.UNKNOWN_JOBS)
        make_job(State.UNKNOWN)
        alerts.review(at=NOON)
        self.deliver()
        assert mail.outbox[-1].recipients() == [operator.email, boss.email]

        rule(Measure.TICKETS_LOW, active=True)
        JobFactory(owner=UserFactory(tickets=10))
        alerts.review(at=NOON)
        self.deliver()
        assert mail.outbox[-1].recipients() == [operator.email, finance.email, boss.email]

    def test_a_rule_may_ring_without(self, staff: Callable[[str], User]) -> None:
        rule(Measure.UNKNOWN_JOBS, mail=False)
        make_job(State.UNKNOWN)
        alerts.review(at=NOON)
        assert is_open() and not OutboxMessage.objects.exists()

    def test_an_alert_is_no_news_for_the_owner_of_a_campaign(self) -> None:
        rule(Measure.UNKNOWN_JOBS)
        make_job(State.UNKNOWN)
        alerts.review(at=NOON)
        assert list(OutboxMessage.objects.values_list("channel", flat=True)) == ["alerts"]
