"""Schedules: each time runs once, late ones are missed and told, refused ones are told, with the rights of that moment."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from queue_app.models import AuditEntry, Job, OutboxMessage, Schedule, ScheduleRun, Upload, User
from queue_app.rules.cron import next_of
from queue_app.work import dispatch, makers, policy, schedules
from queue_app.work.schedules import ScheduleRefused, TooManySchedules
from tests.factories import NOON, UserFactory, make_schedule

pytestmark = pytest.mark.django_db
AT_NINE = datetime(2026, 11, 21, 9, tzinfo=UTC)  # the first run after NOON
JOB = {"model": "sora-2", "prompt": "The news of the day.", "parameters": {"duration": 4}}


@pytest.fixture
def owner() -> User:
    return UserFactory.create()


def runs_of(schedule: Schedule) -> list[tuple[datetime, str]]:
    return list(schedule.runs.order_by("due_at").values_list("due_at", "outcome"))


def told(owner: User) -> int:
    return OutboxMessage.objects.filter(owner=owner, event="schedule_failed").count()


class CrashError(BaseException):
    """The process dies."""


class Dies(makers.Jobs):
    """Makes a job and dies before it can say so."""

    def make(self, owner: User, request: Mapping[str, Any], *, name: str, at: datetime, actor: str) -> makers.Made:
        super().make(owner, request, name=name, at=at, actor=actor)
        raise CrashError


dies = Dies()


class TestARun:
    def test_makes_the_job_at_its_time_and_plans_the_next(self, owner: User) -> None:
        schedule = make_schedule(owner)
        schedules.run_due(schedule.pk, at=AT_NINE - timedelta(seconds=1))
        assert not Job.objects.exists()

        schedules.run_due(schedule.pk, at=AT_NINE + timedelta(minutes=1))

        job, run = Job.objects.get(), ScheduleRun.objects.get()
        assert (job.owner, job.prompt, job.notify, run.job, run.due_at) == (owner, JOB["prompt"], True, job, AT_NINE)
        assert job.events.earliest("id").actor == f"{owner.username} by schedule"
        schedule.refresh_from_db()
        assert schedule.next_run_at == schedule.wake_at == AT_NINE + timedelta(days=1)

    def test_happens_once_however_often_it_is_handed_out(self, owner: User) -> None:
        schedule = make_schedule(owner)
        assert schedules.lease_due(at=AT_NINE) == [schedule.pk]
        assert schedules.lease_due(at=AT_NINE) == []
        assert schedules.lease_due(at=AT_NINE + schedules.LEASE) == [schedule.pk]

        for _ in range(2):
            schedules.run_due(schedule.pk, at=AT_NINE)

        assert Job.objects.count() == 1
        assert schedules.lease_due(at=AT_NINE + schedules.LEASE) == []

    def test_that_dies_leaves_nothing_and_is_done_by_the_next(self, owner: User, settings: Any) -> None:
        schedule = make_schedule(owner)
        settings.SCHEDULED = {"job": "tests.work.test_schedules.dies"}
        with pytest.raises(CrashError), transaction.atomic():
            schedules._run_next.__wrapped__(schedule.pk, at=AT_NINE)
        assert not Job.objects.exists() and not ScheduleRun.objects.exists()

        settings.SCHEDULED = {"job": "queue_app.work.makers.jobs"}
        schedules.run_due(schedule.pk, at=AT_NINE + timedelta(minutes=2))

        assert Job.objects.count() == 1 and runs_of(schedule) == [(AT_NINE, "made")]

    def test_wakes_the_dispatcher_in_time(self, owner: User) -> None:
        make_schedule(owner)

        assert dispatch.next_due(at=NOON).hands_out_at == AT_NINE

    def test_late_by_less_than_the_grace_makes_each_time(self, owner: User) -> None:
        schedule = make_schedule(owner, cron="*/5 * * * *")

        schedules.run_due(schedule.pk, at=NOON + timedelta(minutes=12))

        assert runs_of(schedule) == [(NOON + timedelta(minutes=minute), "made") for minute in (5, 10)]

    def test_keeps_the_newest_runs(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schedules, "RUNS_KEPT", 2)
        schedule = make_schedule(owner)
        for day in range(3):
            schedules.run_due(schedule.pk, at=AT_NINE + timedelta(days=day))

        assert [due for due, _ in runs_of(schedule)] == [AT_NINE + timedelta(days=day) for day in (1, 2)]
        assert Job.objects.count() == 3

    def test_where_clocks_change_is_one_a_day(self, owner: User) -> None:
        for day in (datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)):
            schedule = make_schedule(owner, at=day, cron="30 2 * * *", time_zone="Europe/Madrid")
            for quarter in range(4 * 24 * 3):
                schedules.run_due(schedule.pk, at=day + timedelta(minutes=15 * quarter))
            assert len(runs_of(schedule)) == 3

    def test_by_hand_is_beside_the_calendar_and_also_of_a_paused_one(self, owner: User) -> None:
        schedule = schedules.pause(make_schedule(owner), at=NOON, actor=owner)

        run = schedules.run_now(schedule, at=NOON, actor=owner)

        assert run.by_hand and run.job_id == Job.objects.get().pk
        schedule.refresh_from_db()
        assert schedule.next_run_at is None


class TestAMissedRun:
    def test_is_recorded_and_told_once_for_all_in_a_row(self, owner: User) -> None:
        schedule = make_schedule(owner)
        back = AT_NINE + timedelta(days=3, hours=2)

        schedules.run_due(schedule.pk, at=back)

        (run,) = schedule.runs.all()
        assert (run.outcome, run.due_at, run.occurrences) == ("missed", AT_NINE + timedelta(days=3), 4)
        assert not Job.objects.exists() and told(owner) == 1
        schedule.refresh_from_db()
        assert schedule.next_run_at == AT_NINE + timedelta(days=4)

    def test_does_not_take_along_one_that_is_hardly_late(self, owner: User) -> None:
        schedule = make_schedule(owner, cron="*/10 * * * *")

        schedules.run_due(schedule.pk, at=NOON + timedelta(minutes=33))

        assert runs_of(schedule) == [
            (NOON + timedelta(minutes=10), "missed"),
            (NOON + timedelta(minutes=20), "made"),
            (NOON + timedelta(minutes=30), "made"),
        ]

    def test_at_the_grace_is_made(self, owner: User) -> None:
        schedule = make_schedule(owner)

        schedules.run_due(schedule.pk, at=AT_NINE + schedules.GRACE)

        assert runs_of(schedule) == [(AT_NINE, "made")]

    def test_is_none_during_a_pause(self, owner: User) -> None:
        schedule = schedules.pause(make_schedule(owner), at=NOON, actor=owner, reason="summer")
        later = NOON + timedelta(days=30)
        assert schedules.lease_due(at=later) == []
        schedules.run_due(schedule.pk, at=later)

        schedule = schedules.resume(schedule, at=later, actor=owner)
        schedules.run_due(schedule.pk, at=later)

        assert runs_of(schedule) == [] and told(owner) == 0
        assert schedule.next_run_at == later.replace(hour=9) + timedelta(days=1)


class TestARefusedRun:
    def test_for_want_of_tickets_is_told_and_the_next_is_tried(self) -> None:
        owner = UserFactory.create(tickets=0)
        schedule = make_schedule(owner)
        schedules.run_due(schedule.pk, at=AT_NINE)

        run = schedule.runs.get()
        assert (run.outcome, told(owner)) == ("refused", 1) and "needs 4 tickets" in run.reason
        schedule.refresh_from_db()
        assert schedule.next_run_at == AT_NINE + timedelta(days=1)

    def test_over_and_over_is_told_once_in_a_day(self) -> None:
        owner = UserFactory.create(tickets=0)
        schedule = make_schedule(owner, cron="0 * * * *")
        for hour in range(48):
            schedules.run_due(schedule.pk, at=NOON + timedelta(hours=hour))

        assert len(runs_of(schedule)) == 47 and told(owner) == 3

    def test_of_a_restricted_type_follows_the_rights_of_that_moment(self) -> None:
        owner = UserFactory.create(rights=["submit_restricted_kinds"])
        schedule = make_schedule(owner, request=JOB | {"kind": "daily_ca"})
        schedules.run_due(schedule.pk, at=AT_NINE)
        assert Job.objects.get().kind_id == "daily_ca"

        owner.user_permissions.clear()
        schedules.run_due(schedule.pk, at=AT_NINE + timedelta(days=1))

        assert [outcome for _, outcome in runs_of(schedule)] == ["made", "refused"]
        assert Job.objects.count() == 1 and "permission" in schedule.runs.first().reason

    def test_of_somebody_who_left_makes_nothing(self, owner: User) -> None:
        schedule = make_schedule(owner)
        User.objects.filter(pk=owner.pk).update(is_active=False)

        schedules.run_due(schedule.pk, at=AT_NINE)

        assert [outcome for _, outcome in runs_of(schedule)] == ["refused"] and not Job.objects.exists()


class TestASchedule:
    @pytest.mark.parametrize(
        ("values", "field"),
        [
            ({"name": "  "}, "name"),
            ({"name": "x" * 101}, "name"),
            ({"name": "a\x00b"}, "name"),
            ({"cron": "* * * * *"}, "cron"),
            ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ],
    )
    def test_is_refused_at_the_field(self, owner: User, values: dict[str, str], field: str) -> None:
        with pytest.raises(ScheduleRefused) as refused:
            make_schedule(owner, **values)

        assert [problem.field for problem in refused.value.problems] == [field]

    def test_is_checked_as_intake_checks_the_job(self, owner: User) -> None:
        with pytest.raises(makers.IntakeRefused) as refused:
            make_schedule(owner, request=JOB | {"parameters": {"duration": "long"}})
        assert [problem.field for problem in refused.value.problems] == ["job.parameters.duration"]
        with pytest.raises(makers.KindRestricted):
            make_schedule(owner, request=JOB | {"kind": "daily_ca"})

    def test_is_one_of_fifty_at_most(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schedules, "SCHEDULES_MOST", 1)
        make_schedule(owner)

        with pytest.raises(TooManySchedules, match="Delete one first"):
            make_schedule(owner)

    def test_keeps_its_images(self, owner: User, settings: Any) -> None:
        settings.PUBLIC_URL = "https://genqueue.example"
        image = Upload.objects.create(owner=owner, name="uploads/a.png", size=7, width=1, height=1, created_at=NOON)
        make_schedule(
            owner, request={"model": "nano-banana-2", "prompt": "It.", "parameters": {"images": {"references": [str(image.pk)]}}}
        )

        image.refresh_from_db()
        assert image.used_at == NOON

    def test_that_moves_to_another_calendar_skips_what_was_due(self, owner: User) -> None:
        schedule = make_schedule(owner)
        at = AT_NINE + timedelta(minutes=1)

        schedule = schedules.change(schedule, {"cron": "0  10 * * *"}, at=at, actor=owner)

        assert (schedule.cron, schedule.next_run_at) == ("0 10 * * *", next_of("0 10 * * *", "UTC", at))

    def test_paused_by_staff_is_in_the_audit(self, owner: User) -> None:
        boss = UserFactory.create(staff=True)
        schedule = schedules.pause(make_schedule(owner), at=NOON, actor=boss, reason="costs")

        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.reason) == ("pause schedule", boss, "costs")
        assert (schedule.paused_reason, schedule.next_run_at) == ("costs", None)
        assert list(policy.changes_of(schedule)) == [entry]

    def test_is_deleted_without_what_it_made(self, owner: User) -> None:
        schedule = make_schedule(owner)
        schedules.run_due(schedule.pk, at=AT_NINE)

        schedules.delete(schedule, at=AT_NINE, actor=owner)

        assert Job.objects.count() == 1 and not ScheduleRun.objects.exists()
