"""
A simulated day: 20,000 jobs of 40 accounts with bursts, peak hours, a pause and an outage, against a real PostgreSQL.

Orders, claims and the life of each job are the product's own code; only the tasks at the providers are drawn (`day_plan`). Events
happen in the order of a virtual clock, which is the database's plus `clock.offset`: the day takes minutes. At each claim
`day_checks` looks for limits passed, for jobs of an account out of turn and for shares that are not fair; `day_forecasts` holds
what was forecast against what happened. The same seed gives the same day.
"""

import argparse
import hashlib
import os
import time
from bisect import insort
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from benchmarks import day_plan, stand
from benchmarks.day_plan import Order, Plan

if TYPE_CHECKING:
    from queue_app.lifecycle import Lease
    from queue_app.models import Attempt, Job, User
    from queue_app.statements import Statement

SEED, JOBS = 1, 20_000
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
SWEEP = 60.0  # seconds between two rounds of the dispatcher's sweeps
QUICK = {"synchronous_commit": "off"}
Event = Callable[[], None]


class Day:
    """The day as it is played. ``claims`` is its whole course: the moment of each claim, and whose job it was."""

    def __init__(self, plan: Plan, *, name: str = "day") -> None:
        """:param name: what the names of the accounts begin with."""
        from benchmarks.day_checks import Checks
        from benchmarks.day_forecasts import Forecasts
        from queue_app.work import accounts

        self.plan, self.now = plan, MIDNIGHT
        self.claims: list[tuple[float, int, int, int]] = []  # seconds, order, place in it, attempt
        self.ends: Counter[str] = Counter()
        self.busy_seconds = 0.0
        self._events: list[tuple[float, int, Event]] = []
        self._count = 0
        self._turn_at = float("inf")
        self._known: dict[int, tuple[Order, int]] = {}  # by job: its order, and its place in that
        self._open = 0
        self._ordered = 0
        self.users: list[User] = _accounts(name)
        self.checks: Checks = Checks(plan, self.users)
        self._attempts: dict[int, Attempt] = {}  # the latest of each job
        self._delayed: list[datetime] = []
        self.forecasts = Forecasts(plan)
        accounts.chance.seed(plan.seed)

    @property
    def second(self) -> float:
        """Seconds since midnight."""
        return (self.now - MIDNIGHT).total_seconds()

    def play(self) -> None:
        """Play the day until every job has ended."""
        from queue_app import clock

        jobs = sum(len(order.ways) for order in self.plan.orders)
        for order in self.plan.orders:
            self._in(order.at, partial(self._enter, order))
        for moment, event in ((self.plan.pause.begins, self._pause), (self.plan.pause.ends, self._turn)):
            self._in(moment, event)
        self._in(SWEEP, self._sweep)
        for moment in self.forecasts.moments:
            self._in(moment, lambda: self.forecasts.look(at=self.now))
        try:
            while self._events and (self._ordered < jobs or self._open):
                second, _, event = heappop(self._events)
                self.now = MIDNIGHT + timedelta(seconds=second)
                clock.offset = self.now - datetime.now(UTC)
                event()
        finally:
            clock.offset = timedelta()
        self.forecasts.settle(at=self.now)
        self.checks.finish(self.second)

    @property
    def fingerprint(self) -> str:
        """The whole course of the day in a few letters."""
        return hashlib.sha256(repr(self.claims).encode()).hexdigest()[:12]

    def _in(self, second: float, event: Event) -> None:
        self._count += 1
        heappush(self._events, (round(second, 6), self._count, event))

    def _after(self, seconds: float, event: Event) -> None:
        self._in(self.second + seconds, event)

    # --- what people do -------------------------------------------------------------------------------------------

    def _enter(self, order: Order) -> None:
        from queue_app.work import intake

        model = order.model
        drafts = [
            intake.Draft(model, f"{order.number} of the day", parameters=way, priority=order.priority) for way in order.ways
        ]
        name = f"Campaign {order.number}" if order.is_batch else None
        _, jobs = intake.enqueue(
            self.users[order.account], drafts, at=self.now, actor="day", batch_name=name, max_concurrent=order.limit
        )
        self._known |= {job.pk: (order, place) for place, job in enumerate(jobs)}
        self._open += len(jobs)
        self._ordered += len(jobs)
        self.checks.entered(jobs, self.second)
        if order.cancels_at is not None:
            self._in(order.cancels_at, lambda: self._cancel(jobs[len(jobs) // 2 :]))
        self._turn()

    def _cancel(self, jobs: "list[Job]") -> None:
        """Cancel those of the jobs that still wait."""
        from queue_app import lifecycle
        from queue_app.models import Job, State

        waiting = list(Job.objects.filter(pk__in=[job.pk for job in jobs], state=State.QUEUED).values_list("pk", flat=True))
        lifecycle.cancel(waiting, at=self.now, actor="day")
        for pk in waiting:
            self._ended(pk, "cancelled")

    def _pause(self) -> None:
        from queue_app.models import ModelConcurrencyLimit
        from queue_app.work import policy

        until = MIDNIGHT + timedelta(seconds=self.plan.pause.ends)
        row = ModelConcurrencyLimit.objects.get(model=self.plan.pause.what)
        policy.change(row, at=self.now, actor=None, paused=True, paused_reason="Maintenance", paused_until=until)

    # --- what the dispatcher does ---------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Claim what may start now, and plan the next turn that no event announces."""
        from queue_app.work import dispatch

        if self._turn_at <= self.second:
            self._turn_at = float("inf")
        if self._delayed and self._delayed[0] <= self.now:
            dispatch.wake_due(at=self.now)
            self._delayed = [moment for moment in self._delayed if moment > self.now]
        if leases := dispatch.claim_due_jobs(at=self.now):
            self.checks.claimed([lease.job_id for lease in leases], self.now, self.second)
        for lease in leases:
            self._after(day_plan.HANDED_OUT, partial(self._call, lease))
        due = dispatch.next_due(at=self.now).claims_at
        if due is not None and due > self.now and (second := (due - MIDNIGHT).total_seconds()) < self._turn_at:
            self._turn_at = second
            self._in(second, self._turn)

    def _sweep(self) -> None:
        from queue_app.work import aging, recovery

        recovery.sweep(at=self.now, heard_since=self.now)
        if aging.raise_waiting(at=self.now):
            self.checks.moved(self.second)
        self._turn()
        self._after(SWEEP, self._sweep)

    # --- what a worker does ---------------------------------------------------------------------------------------

    def _call(self, lease: "Lease") -> None:
        from queue_app import lifecycle

        begun = lifecycle.begin(lease, at=self.now, by="day")
        if begun is None:
            raise RuntimeError(f"the lease of job {lease.job_id} was not valid")
        job, attempt, own = begun
        self._attempts[job.pk] = attempt
        order, place = self._known[job.pk]
        self.claims.append((self.second, order.number, place, job.attempt_number))
        outage = self.plan.outage
        answer = (
            self._refused if attempt.account_id == outage.what and outage.begins <= self.second < outage.ends else self._accepted
        )
        self._after(day_plan.ANSWERED, lambda: answer(own, attempt))

    def _refused(self, lease: "Lease", attempt: "Attempt") -> None:
        """The provider is out of order: its account cools down, and the job waits for it."""
        from queue_app import lifecycle
        from queue_app.lifecycle import Trouble
        from queue_app.models import Outcome
        from queue_app.providers.base import ErrorKind, ProviderError
        from queue_app.work import accounts

        error = ProviderError(ErrorKind.RETRYABLE, "503 Service Unavailable", code="unavailable", http_status=503)
        again_at = accounts.went_badly(attempt, error, at=self.now)
        trouble = Trouble("unavailable", "503 Service Unavailable", "retryable")
        with _locked(lease.job_id) as job:
            lifecycle.put_back(
                job, at=self.now, actor="worker", outcome=Outcome.NOT_ACCEPTED, spent=False, trouble=trouble, not_before=again_at
            )
        self.checks.accounts_changed()
        self._is_put_back(job)
        self._turn()

    def _accepted(self, lease: "Lease", attempt: "Attempt") -> None:
        from queue_app import lifecycle
        from queue_app.work import accounts

        with _locked(lease.job_id) as job:
            lifecycle.start(
                job,
                at=self.now,
                actor="worker",
                remote_id=f"task-{attempt.pk}",
                remote={},
                next_check_at=self.now + timedelta(hours=1),
            )
        accounts.went_well(attempt)
        order, place = self._known[job.pk]
        task = self.plan.task(order, place, job.attempt_number)
        self.busy_seconds += task.seconds
        self._after(task.seconds, lambda: self._over(job.pk, task))

    def _over(self, pk: int, task: day_plan.Task) -> None:
        from queue_app import lifecycle
        from queue_app.lifecycle import Trouble
        from queue_app.models import Outcome, State
        from queue_app.work import progress

        trouble = Trouble("failed", "The provider failed to generate it.", "failed")
        with _locked(pk) as job:
            if task.fate == "done":
                lifecycle.deliver(job, at=self.now, actor="worker", ran_seconds=task.seconds)
                self._after(day_plan.SAVED, lambda: self._save(pk))
                state = State.STORING
            elif task.fate == "rejected":
                lifecycle.fail(job, at=self.now, actor="worker", trouble=trouble)
                state = State.FAILED
            else:
                state = lifecycle.put_back(
                    job,
                    at=self.now,
                    actor="worker",
                    outcome=Outcome.FAILED,
                    spent=True,
                    trouble=trouble,
                    not_before=progress.retry_at(job, at=self.now),
                )
        if state == State.FAILED:
            self._ended(pk, "failed")
        elif state == State.QUEUED:
            self._is_put_back(job)
        self._turn()

    def _is_put_back(self, job: "Job") -> None:
        if job.not_before is not None:
            insort(self._delayed, job.not_before)

    def _save(self, pk: int) -> None:
        from queue_app import lifecycle
        from queue_app.models import Asset

        with _locked(pk) as job:
            attempt = self._attempts[pk]
            content_type, ending = ("image/png", "png") if job.model.medium == "image" else ("video/mp4", "mp4")
            name, size, sha = f"assets/2026/11/{uuid4()}.{ending}", 1_000, hashlib.sha256(str(pk).encode()).hexdigest()
            asset = Asset(
                job=job, attempt=attempt, kind=job.model.medium, name=name, content_type=content_type, size=size, sha256=sha
            )
            lifecycle.complete(job, [asset], at=self.now, actor="worker", stages=[])
        self._ended(pk, "completed")

    def _ended(self, pk: int, how: str) -> None:
        self._open -= 1
        self.ends[how] += 1
        self.checks.ended(pk, self.second)


class _locked:
    """A transaction with the job locked."""

    def __init__(self, pk: int) -> None:
        from django.db import transaction

        self.pk, self._block = pk, transaction.atomic()

    def __enter__(self) -> "Job":
        from queue_app.models import Job
        from queue_app.statements import read

        self._block.__enter__()
        job = read(Job, iter(_lock_job().run(id=self.pk)[0]))
        job.model, job.kind = catalogue()[job.model_id], catalogue()[job.kind_id]
        return job

    def __exit__(self, *error: Any) -> None:
        self._block.__exit__(*error)


@cache
def _lock_job() -> "Statement":
    from queue_app.models import Job
    from queue_app.statements import Statement, columns

    return Statement(f"SELECT {columns(Job, 'job')} FROM queue_app_job job WHERE id = %(id)s FOR UPDATE")


@cache
def catalogue() -> dict[str, Any]:
    """Models and job types by key."""
    from queue_app.models import GenerationModel, Kind

    return {**GenerationModel.objects.in_bulk(), **Kind.objects.in_bulk()}


def _accounts(name: str) -> "list[User]":
    from queue_app import tickets
    from queue_app.models import User

    users = []
    for number in range(day_plan.ACCOUNTS):
        user = User(username=f"{name}-{number}", is_staff=number < day_plan.STAFF, share_weight=day_plan.WEIGHTS[number])
        user.set_unusable_password()
        user.save()
        tickets.grant(user, 1_000_000, at=MIDNIGHT, actor="day", reason="for the day")
        users.append(user)
    return users


def set_up(plan: Plan) -> None:
    """Set the limits and peak hours of the day in an installation with the catalogue."""
    from queue_app.models import ModelConcurrencyLimit, ProviderAccount, QueueSettings

    for model in day_plan.MODELS:
        ModelConcurrencyLimit.objects.filter(model=model.key).update(max_concurrent=model.limit, paused=False)
    ProviderAccount.objects.update(cooldown_until=None, failures_in_a_row=0, lowered_by=0)
    for account, most in day_plan.ACCOUNT_LIMITS.items():
        ProviderAccount.objects.filter(key=account).update(max_concurrent=most)
    spans = (tuple(_hour(plan, edge) for edge in span) for span in day_plan.PEAKS)
    hours = ",".join(f"{begin}-{end}" for begin, end in spans if begin != end)
    QueueSettings.objects.update(max_concurrent=day_plan.QUEUE_LIMIT, peak_hours=hours, peak_factor=1.5, fair_share=True)
    QueueSettings.objects.update(aging_minutes=max(1, round(plan.hour * day_plan.AGING / 60)))


def _hour(plan: Plan, edge: float) -> str:
    minutes = round(edge * plan.hour / 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, default=int(os.environ.get("BENCH_SEED", SEED)))
    options.add_argument("--jobs", type=int, default=int(os.environ.get("BENCH_JOBS", JOBS)))
    asked = options.parse_args()
    with stand.installation(QUEUE_TIME_ZONE="UTC"):
        from django.db import connection

        with connection.cursor() as cursor:
            for name, value in QUICK.items():
                cursor.execute(f"SET {name} = {value}")
        plan = day_plan.draw(asked.seed, asked.jobs)
        set_up(plan)
        day, began = Day(plan), time.monotonic()
        day.play()
        stand.say_load()
        say(day, seconds=time.monotonic() - began)


def say(day: Day, *, seconds: float) -> None:
    print(f"seed {day.plan.seed}, day {day.fingerprint}: {dict(day.ends)}, {day.second / 3600:.1f} h")
    stand.verdict("the day", seconds / 60, most=10, unit=" min")
    jobs = sum(len(order.ways) for order in day.plan.orders)
    stand.verdict("jobs that ended", 100 * sum(day.ends.values()) / jobs, least=100, unit=" %")
    stand.figure("slots in use, mean", day.busy_seconds / day.second)
    day.checks.say()
    day.forecasts.say()


if __name__ == "__main__":
    main()
