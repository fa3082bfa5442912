"""
Schedules of users: made, changed, paused, and run at their times.

A run inserts its row and queues what it makes in one transaction, under the lock of its schedule: it happens once, whoever tries,
and a crash in between leaves nothing. A time that is over by more than `GRACE` is missed: it is not made up for, but recorded,
and its owner is told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.shortcuts import get_object_or_404

from queue_app import announce
from queue_app.models import QueueSettings, Schedule, ScheduleRun, User
from queue_app.models.schedule import REASON_MOST, RESULT_MOST
from queue_app.rules import cron, parameters
from queue_app.rules.words import one_line
from queue_app.statements import Statement
from queue_app.work import intake, policy, uploads
from queue_app.work.makers import Made, Maker, maker_of

SCHEDULES_MOST = 50  # of one user
FULL = f"You have {SCHEDULES_MOST} schedules. Delete one first."
NAME_MOST = 100  # characters
GRACE = timedelta(minutes=15)  # a run may be late by this much
LEASE = timedelta(minutes=2)  # until a schedule is handed out again that no worker has run
LEASED_AT_ONCE = 50
TELL_AGAIN = timedelta(hours=20)  # between notices of refused runs: a daily schedule tells each day, a frequent one not each time
RUNS_KEPT = 200  # of one schedule, the newest
BY = "schedule"
NOTHING = Made()
Outcome = ScheduleRun.Outcome
_SETTLED: dict[str, Callable[[str], str]] = {"name": one_line, "cron": lambda text: " ".join(text.split())}
# every round of the dispatcher runs this, so it is one statement
_LEASE = Statement(f"""
    UPDATE queue_app_schedule SET wake_at = %(until)s
     WHERE id IN (SELECT id FROM queue_app_schedule WHERE wake_at <= %(at)s
                   ORDER BY wake_at, id LIMIT {LEASED_AT_ONCE} FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id
""")  # noqa: S608 - a constant
_CHANGED = ("name", "cron", "time_zone", "makes", "request")


@dataclass(frozen=True)
class ScheduleProblem:
    """What is wrong with a field of a schedule; with the whole of it if ``field`` is empty."""

    field: str
    message: str


class ScheduleRefused(Exception):
    """The schedule is refused; nothing was written. ``problems`` say why, by field."""

    def __init__(self, *problems: ScheduleProblem) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = list(problems)


class TooManySchedules(ScheduleRefused):
    """The user has `SCHEDULES_MOST` schedules."""


def problems(values: Mapping[str, Any]) -> list[ScheduleProblem]:
    """Return what is wrong with these values of a schedule, apart from its request."""
    checks = {"name": _name_problem, "cron": cron.problem, "time_zone": cron.zone_problem, "reason": _reason_problem}
    found = ((name, check(values[name])) for name, check in checks.items() if name in values)
    return [ScheduleProblem(name, words) for name, words in found if words]


@transaction.atomic
def make(owner: User, values: Mapping[str, Any], *, at: datetime, actor: User, via: str = "") -> Schedule:
    """
    Save a schedule. Its first run is the next time of its calendar.

    :param values: ``name``, ``cron``, ``makes``, ``request`` without URLs (`Maker.fetched`), and perhaps ``time_zone``: the
        queue's unless given. :param via: see `policy.why`.
    :raises ScheduleRefused: a value is wrong. Raises the refusals of the maker, too.
    :raises TooManySchedules: the user has `SCHEDULES_MOST` schedules.
    """
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)  # two forms can't pass the limit together
    row = Schedule(owner=owner, created_at=at, time_zone=settings.QUEUE_TIME_ZONE)
    _set(row, values, at=at)
    if owner.schedules.count() >= SCHEDULES_MOST:
        raise TooManySchedules(ScheduleProblem("", FULL))
    _plan(row, after=at)
    row.save()
    policy.audit_others(owner.pk, "add schedule", row.name, at=at, actor=actor, via=via, after=_told(row), of=row)
    return row


@transaction.atomic
def change(schedule: Schedule, values: Mapping[str, Any], *, at: datetime, actor: User, via: str = "") -> Schedule:
    """Change a schedule and return it as it is then. Values and refusals as in `make`, each value may be left out."""
    row = _locked(schedule)
    before = _told(row)
    _set(row, values, at=at)
    after = _told(row)
    changed = [name for name in _CHANGED if before[name] != after[name]]
    if not row.paused and {"cron", "time_zone"} & {*changed}:
        _plan(row, after=at)
    row.save()
    if changed:
        was, now = ({name: facts[name] for name in changed} for facts in (before, after))
        policy.audit_others(row.owner_id, "change schedule", row.name, at=at, actor=actor, via=via, before=was, after=now, of=row)
    return row


@transaction.atomic
def delete(schedule: Schedule, *, at: datetime, actor: User, via: str = "") -> None:
    """Delete a schedule with the record of its runs. What they have made stays."""
    row = _locked(schedule)
    policy.audit_others(row.owner_id, "delete schedule", row.name, at=at, actor=actor, via=via, before=_told(row), of=row)
    row.delete()


@transaction.atomic
def pause(schedule: Schedule, *, at: datetime, actor: User | None, reason: str = "", via: str = "") -> Schedule:
    """
    Pause a schedule: nothing of it runs, and no run is missed. What it has made goes on. Return it as it is then.

    :raises ScheduleRefused: the reason is too long.
    """
    if found := problems({"reason": reason}):
        raise ScheduleRefused(*found)
    QueueSettings.objects.lock_claims()  # before the row, as `policy.save` takes them
    row = _locked(schedule)
    if not row.paused:
        _unplan(row)
        _switch(row, paused=True, reason=one_line(reason), at=at, actor=actor, via=via)
    return row


@transaction.atomic
def resume(schedule: Schedule, *, at: datetime, actor: User | None, via: str = "") -> Schedule:
    """End the pause of a schedule. It runs at the next time of its calendar. Return it as it is then."""
    QueueSettings.objects.lock_claims()
    row = _locked(schedule)
    if row.paused:
        _switch(row, paused=False, reason="", at=at, actor=actor, via=via)
        _plan(row, after=at)
        row.save(update_fields=["next_run_at", "wake_at"])
    return row


@transaction.atomic
def run_now(schedule: Schedule, *, at: datetime, actor: User) -> ScheduleRun:
    """
    Run a schedule once, beside its calendar, also while it is paused.

    :raises Exception: the refusals of its maker (`Maker.refusals`); nothing was written.
    """
    row = _locked(schedule)
    made = _made(row, User.objects.get(pk=row.owner_id), due_at=at, at=at, actor=actor.username)
    return _record(row, at, Outcome.MADE, at=at, made=made, by_hand=True)


def lease_due(*, at: datetime) -> list[int]:
    """Lease schedules with a run that is due, those that have waited longest first. Return their ids."""
    return [pk for (pk,) in _LEASE.run(at=at, until=at + LEASE)]


def run_due(schedule_id: int, *, at: datetime) -> None:
    """Run all that is due of a schedule, each run in a transaction of its own. Repeated or concurrent calls add nothing."""
    while _run_next(schedule_id, at=at):
        pass


@transaction.atomic(durable=True)
def _run_next(schedule_id: int, *, at: datetime) -> bool:
    """Run the first time that is due, or record that it and those after it are missed. Return whether there was one."""
    due = Schedule.objects.filter(pk=schedule_id, next_run_at__lte=at).select_for_update(no_key=True, skip_locked=True)
    row = due.first()
    if row is None or row.next_run_at is None:
        return False
    due_at = row.next_run_at
    if due_at < at - GRACE:
        last, number = _missed(row, before=at - GRACE)
        run = _record(row, last, Outcome.MISSED, at=at, occurrences=number, reason=_late(number))
        announce.schedule_failed(run, at=at)
        due_at = last
    elif not row.runs.filter(due_at=due_at).exists():
        _run(row, due_at, at=at)
    _plan(row, after=due_at)
    row.save(update_fields=["next_run_at", "wake_at", "told_at"])
    return True


def _run(row: Schedule, due_at: datetime, *, at: datetime) -> None:
    """Make what a schedule makes, or record why it is refused."""
    owner = User.objects.get(pk=row.owner_id)
    actor = policy.known_as(owner, BY)
    if not owner.is_active:
        return _refuse(row, due_at, "The account of its owner is not active.", at=at)
    try:
        with transaction.atomic():
            made = _made(row, owner, due_at=due_at, at=at, actor=actor)
    except maker_of(row.makes).refusals as refusal:
        return _refuse(row, due_at, str(refusal), at=at)
    row.told_at = None
    _record(row, due_at, Outcome.MADE, at=at, made=made)
    return None


def _refuse(row: Schedule, due_at: datetime, reason: str, *, at: datetime) -> None:
    run = _record(row, due_at, Outcome.REFUSED, at=at, reason=reason)
    if row.told_at is None or at - row.told_at >= TELL_AGAIN:
        row.told_at = at
        announce.schedule_failed(run, at=at)


def _made(row: Schedule, owner: User, *, due_at: datetime, at: datetime, actor: str) -> Made:
    local = due_at.astimezone(ZoneInfo(row.time_zone))
    name = f"{row.name}, {local.day} {local:%b %Y, %H:%M}"
    return maker_of(row.makes).make(owner, row.request, name=name, at=at, actor=actor)


def _record(
    row: Schedule, due_at: datetime, outcome: str, *, at: datetime, made: Made = NOTHING, reason: str = "", **facts: Any
) -> ScheduleRun:
    """Insert the row of a run, and delete those beyond `RUNS_KEPT`."""
    words = reason if len(reason) <= RESULT_MOST else f"{reason[: RESULT_MOST - 1]}…"
    told = {"outcome": outcome, "reason": words, "job_id": made.job, "batch_id": made.batch, **facts}
    run = ScheduleRun.objects.create(schedule=row, due_at=due_at, ran_at=at, **told)
    kept = row.runs.order_by("-due_at").values("pk")[:RUNS_KEPT]
    row.runs.exclude(pk__in=kept).delete()
    return run


def _missed(row: Schedule, *, before: datetime) -> tuple[datetime, int]:
    """Return the last time before ``before``, and how many there are from the next run on."""
    assert row.next_run_at is not None
    last, number = row.next_run_at, 1
    for one in cron.following(row.cron, row.time_zone, row.next_run_at):
        if one >= before:
            break
        last, number = one, number + 1
    return last, number


def _late(number: int) -> str:
    minutes = int(GRACE.total_seconds() / 60)
    runs = "This run was" if number == 1 else f"{number:,} runs were"
    return f"{runs} over {minutes} minutes late, because Genqueue was not running."


def _plan(row: Schedule, *, after: datetime) -> None:
    row.next_run_at = row.wake_at = cron.next_of(row.cron, row.time_zone, after)


def _unplan(row: Schedule) -> None:
    row.next_run_at = row.wake_at = None
    row.save(update_fields=["next_run_at", "wake_at"])


def _switch(row: Schedule, *, paused: bool, reason: str, at: datetime, actor: User | None, via: str) -> None:
    values = {"paused": paused, "paused_reason": reason}
    policy.save(row, values, at=at, actor=actor, reason=policy.why(reason, via))


def _set(row: Schedule, values: Mapping[str, Any], *, at: datetime) -> None:
    """Set checked values. The images of a new request are kept for as long as those of jobs."""
    if found := problems(values):
        raise ScheduleRefused(*found)
    for name in _CHANGED:
        if name in values:
            setattr(row, name, _SETTLED[name](values[name]) if name in _SETTLED else values[name])
    if "request" in values:
        maker = maker_of(row.makes)
        maker.check(row.owner, row.request, at=at)
        _keep_images(row, maker, at=at)


def _keep_images(row: Schedule, maker: Maker, *, at: datetime) -> None:
    ids = {*filter(parameters.is_upload, parameters.images_in(maker.images(row.request)))}
    if ids and not uploads.mark_used(row.owner, ids, at=at):
        raise ScheduleRefused(ScheduleProblem("images", intake.NO_UPLOAD))


def _locked(schedule: Schedule) -> Schedule:
    """:raises Http404: it has just been deleted."""
    return get_object_or_404(Schedule.objects.select_for_update(no_key=True), pk=schedule.pk)


def _told(row: Schedule) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _CHANGED}


def _name_problem(name: str) -> str | None:
    words = one_line(name)
    if not words:
        return "Enter a name."
    if len(words) > NAME_MOST:
        return f"Too long: {len(words):,} of {NAME_MOST} characters. Shorten it by {len(words) - NAME_MOST:,}."
    return intake.text_problem(name)


def _reason_problem(reason: str) -> str | None:
    words = one_line(reason)
    if len(words) > REASON_MOST:
        return f"Too long: {len(words):,} of {REASON_MOST} characters. Shorten it by {len(words) - REASON_MOST:,}."
    return intake.text_problem(reason)
