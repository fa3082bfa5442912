"""
The life of a job, and the only writer of ``Job.state``.

    (new) ─1─► queued ─2─► submitting ─3─► running ─10─► storing ─19─► completed
                │ ▲ ▲        │ │  │          │ │ │ ▲        └─20─► failed
                │ │ └── 4 ───┘ │  └ 6 ► unknown┼─┼─┘ 7, 27 back
                │ └──── 8, 11 ─┼──────────┴────┘ └ 13 ► cancelling ─18─► storing
                │              └ 5, 9, 12 ► failed          ├ 16 ► cancelled
                ├ 14 ► cancelled                            └ 17 ► failed            failed, cancelled ─21─► queued
                └ 26 ► failed

The numbers are the moves of docs/invariants.md. `MOVES` is the whole table; a database trigger enforces the same one. Verbs work
on sets of jobs. Each locks its rows (ids ascending, wallets after jobs) and writes the state, one event per change, the attempt's
outcome and the tickets in one transaction. Workers act under a `Lease`: an outdated lease changes nothing and gets ``None``.
"""

import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, When

from queue_app import announce, tickets, turns, wake
from queue_app.models import (
    Asset,
    Attempt,
    Batch,
    CostSource,
    GenerationModel,
    Job,
    Kind,
    ModelRoute,
    Outcome,
    ProviderAccount,
    Reservation,
    ReviewItem,
    State,
)
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES, PIPED, sql_of
from queue_app.rules.words import storable
from queue_app.statements import NOTHING, Part, Statement, columns, read, read_some, statement

CANCEL_REQUESTED = "cancel requested"  # the reason in the history of a job
DEADLY_JOB = 3  # workers lost at one job in a row
CHUNK = 500

_Q, _SUB, _RUN, _UNK, _CAN, _STO = State.QUEUED, State.SUBMITTING, State.RUNNING, State.UNKNOWN, State.CANCELLING, State.STORING
_DONE, _FAIL, _OFF = State.COMPLETED, State.FAILED, State.CANCELLED
MOVES: dict[str, frozenset[State]] = {
    "": frozenset({_Q}),
    _Q: frozenset({_SUB, _OFF, _FAIL}),
    _SUB: frozenset({_RUN, _Q, _FAIL, _UNK}),
    _RUN: frozenset({_STO, _Q, _FAIL, _CAN, _UNK}),
    _UNK: frozenset({_RUN, _Q, _FAIL}),
    _CAN: frozenset({_OFF, _FAIL, _STO}),
    _STO: frozenset({_DONE, _FAIL}),
    _DONE: frozenset(),
    _FAIL: frozenset({_Q}),
    _OFF: frozenset({_Q}),
}

# Plain SQL that the server keeps prepared, because statements and commits are the cost of a job.
_IN_FLIGHT = f"state IN {sql_of(IN_FLIGHT_STATES)}"
_SYNCHRONOUS = """EXISTS (
    SELECT 1 FROM queue_app_attempt called
     WHERE called.job_id = queue_app_job.id AND called.step = 'main' AND called.number = queue_app_job.attempt_number
       AND called.synchronous)"""
_LEASE_END = f"""
    CASE WHEN state = 'storing' THEN %(store_until)s::timestamptz
         WHEN state = 'submitting' AND {_SYNCHRONOUS} THEN %(long_until)s::timestamptz
         WHEN state = 'running' AND kind_id IN {PIPED} THEN %(long_until)s::timestamptz
         ELSE %(until)s::timestamptz END"""
_AT_WORK = ((Job, "job"), (Attempt, "attempt"), (ProviderAccount, "account"), (GenerationModel, "model"), (Kind, "kind"))
_READ = f"""
    SELECT {", ".join(columns(*one) for one in _AT_WORK)},
           CASE job.state WHEN 'submitting' THEN (SELECT codec FROM queue_app_modelroute WHERE id = attempt.route_id) END {{more}}
      FROM job
      JOIN queue_app_attempt attempt ON attempt.job_id = job.id AND attempt.step = 'main' AND attempt.number = job.attempt_number
      JOIN queue_app_provideraccount account ON account.key = attempt.account_id
      JOIN queue_app_generationmodel model ON model.key = job.model_id
      JOIN queue_app_kind kind ON kind.key = job.kind_id
"""  # noqa: S608 - no value in it
# A submitting job counts as called from here on, unless a cancel was requested before, or its calls are attempts of their own.
# Repeats the rule of `timeout_seconds`.
_BEGIN = Statement(f"""
    WITH job AS (
        UPDATE queue_app_job
           SET fence = fence + 1, lease_taken = true, leased_by = %(by)s, store_tries = store_tries + (state = 'storing')::int,
               lease_until = {_LEASE_END}
         WHERE id = %(id)s AND fence = %(fence)s AND NOT lease_taken AND lease_until > %(at)s AND {_IN_FLIGHT}
           AND NOT (state = 'submitting' AND cancel_asked_at IS NOT NULL)
        RETURNING {columns(Job, "queue_app_job")}
    ), called AS (
        UPDATE queue_app_attempt attempt
           SET called_at = %(at)s,
               slot_until = %(at)s + make_interval(secs => coalesce(nullif(model.timeout_seconds, 0), kind.timeout_seconds))
          FROM job
          JOIN queue_app_generationmodel model ON model.key = job.model_id
          JOIN queue_app_kind kind ON kind.key = job.kind_id
         WHERE attempt.job_id = job.id AND attempt.step = 'main' AND attempt.number = job.attempt_number
           AND job.state = 'submitting' AND job.kind_id NOT IN {PIPED}
        RETURNING attempt.called_at, attempt.slot_until
    ) {_READ.format(more=", (SELECT called_at FROM called), (SELECT slot_until FROM called)")}
""")  # noqa: S608 - no value in it
_BEGUN = Statement(f"""
    WITH job AS (
        SELECT {columns(Job, "queue_app_job")} FROM queue_app_job
         WHERE id = %(id)s AND fence = %(fence)s + 1 AND lease_taken AND leased_by = %(by)s AND {_IN_FLIGHT}
           AND lease_until = {_LEASE_END}
    ) {_READ.format(more="")}
""")  # noqa: S608 - no value in it
_HELD_BY = Statement(f"""
    SELECT {columns(Job, "job")} FROM queue_app_job job WHERE id = %(id)s AND fence = %(fence)s AND {_IN_FLIGHT} FOR UPDATE
""")  # noqa: S608 - no value in it
_CHECK_AGAIN = Statement("""
    UPDATE queue_app_job
       SET progress = %(progress)s, fence = %(fence)s, lease_until = NULL, lease_taken = false, next_check_at = %(next_check_at)s,
           worker_deaths = %(worker_deaths)s, store_tries = %(store_tries)s
     WHERE id = %(id)s
""")
# a job with a step that the studio has made stays a preview, whoever makes the others
_PREVIEW_IN_PART = """
    preview = preview OR EXISTS (SELECT 1 FROM queue_app_attempt step
                                  WHERE step.job_id = queue_app_job.id AND step.step <> 'main' AND step.preview
                                    AND step.outcome = 'delivered')"""
_MOVE = "moved AS (UPDATE queue_app_job SET event_seq = event_seq + 1, fence = fence + 1, {} WHERE id = ANY(%(jobs)s::bigint[]))"
_INSERT_EVENTS = """
    INSERT INTO queue_app_jobevent (job_id, seq, from_state, to_state, attempt, data, at, actor, reason)
    SELECT *, %(at)s::timestamptz, %(actor)s::text, %(reason)s::text
      FROM unnest(%(jobs)s::bigint[], %(seqs)s::int[], %(before)s::text[], %(after)s::text[], %(attempts)s::int[],
                  %(data)s::text[]::jsonb[])
"""
# For a claim: the new attempts, and the columns of each job that depend on its own row and its attempt.
_ATTEMPTS = """
    made AS (
        INSERT INTO queue_app_attempt (id, job_id, reservation_id, number, route_id, account_id, endpoint_id, preview,
                                       synchronous, token, created_at, step, remote, lookups, spent, lookups_none, missing_looks,
                                       cost_source, error_kind, error_message)
        SELECT *, %(at)s::timestamptz, 'main', '{}', '[]', false, 0, 0, '', '', ''
          FROM unnest(%(ids)s::uuid[], %(jobs)s::bigint[], %(reservations)s::bigint[], %(attempts)s::int[], %(routes)s::bigint[],
                      %(accounts)s::text[], %(endpoints)s::text[], %(previews)s::bool[], %(synchronous)s::bool[],
                      %(tokens)s::text[])
        RETURNING job_id, preview
    )"""
_CLAIMED = """
    attempt_number = attempt_number + 1, started_at = coalesce(started_at, %(at)s),
    preview = (SELECT preview FROM made WHERE made.job_id = queue_app_job.id)"""
# the cost of a delivered attempt: as the provider reports it, else as estimated for the job
_COSTS = """
    cost AS (
        UPDATE queue_app_attempt attempt
           SET cost = coalesce(%(cost)s::numeric, job.usd_estimate),
               cost_source = CASE WHEN %(cost)s::numeric IS NOT NULL THEN 'vendor'
                                  WHEN model.price ->> 'estimated' = 'true' THEN 'estimate' ELSE 'rule' END
          FROM queue_app_job job
          JOIN queue_app_generationmodel model ON model.key = job.model_id
         WHERE job.id = ANY(%(jobs)s::bigint[]) AND attempt.job_id = job.id AND attempt.step = 'main' AND attempt.outcome IS NULL
    )"""
_ACCEPTED = """
    accepted AS (
        UPDATE queue_app_attempt
           SET called_at = coalesce(called_at, %(at)s), accepted_at = %(at)s, remote_id = %(remote_id)s, remote = %(remote)s,
               slot_until = coalesce(%(slot_until)s, slot_until)
         WHERE job_id = ANY(%(jobs)s::bigint[]) AND step = 'main' AND outcome IS NULL
    )"""
# Closes the review items with `decide_by`. The others stay open until a person closes them.
_ATTEMPT_ENDS = """
    closed AS (
        UPDATE queue_app_reviewitem SET closed_at = %(at)s, closed_by = %(by)s
         WHERE job_id = ANY(%(jobs)s::bigint[]) AND closed_at IS NULL AND decide_by IS NOT NULL
    ), ended AS (
        UPDATE queue_app_attempt
           SET outcome = %(outcome)s, ended_at = %(at)s, spent = %(spent)s, error_kind = coalesce(%(trouble)s, error_kind),
               error_message = coalesce(%(words)s, error_message)
         WHERE job_id = ANY(%(jobs)s::bigint[]) AND outcome IS NULL
    )"""
_ATTEMPTS_END = Statement(f"WITH {_ATTEMPT_ENDS} SELECT 1")
# The files of one delivery; all get the same version.
_MADE = {str(field.column): f"made.{field.column}" for field in Asset._meta.concrete_fields} | {
    "version": "1 + coalesce((SELECT max(version) FROM queue_app_asset kept WHERE kept.job_id = made.job_id), 0)",
    "created_at": "%(at)s",
}
_ASSETS = f"""
    stored AS (
        INSERT INTO queue_app_asset ({", ".join(_MADE)})
        SELECT {", ".join(_MADE.values())} FROM jsonb_populate_recordset(NULL::queue_app_asset, %(assets)s::jsonb) made
    )"""  # noqa: S608 - no value in it


class MoveRefused(Exception):
    """The job's state does not allow the requested change. The message names the state."""


class CancelVerdict(StrEnum):
    """Outcome of a cancel for one job: cancelled (T14), requested (T13, T15), or too late to stop."""

    CANCELLED = "cancelled"
    REQUESTED = "requested"
    TOO_LATE = "too_late"


@dataclass(frozen=True)
class Lease:
    """
    A worker's right to act on a job, valid until the next lease is issued for the job. ``synchronous``: to make a create call
    that the provider answers only with the result.
    """

    job_id: int
    fence: int
    synchronous: bool = False


@dataclass(frozen=True)
class Pick:
    """
    A queued job within every limit, and the route to its provider. ``counts`` maps a limit to (used with this job, limit).
    ``endpoint_id`` replaces the route's own endpoint if the job's images need another one. ``synchronous``: the provider answers
    the create call only with the result.
    """

    job: Job
    reservation_id: int
    route: ModelRoute
    counts: Mapping[str, tuple[int, int]]
    endpoint_id: str | None = None
    synchronous: bool = False


@dataclass(frozen=True)
class Trouble:
    """Reason why an attempt or a job failed: a stable code, a message for people and the provider's kind of error."""

    code: str
    message: str
    kind: str = ""

    def __post_init__(self) -> None:
        # Providers choose these texts. One that a column can't store must not keep a job from ending (I22).
        for name, most in (("code", 60), ("message", 4_000), ("kind", 20)):
            object.__setattr__(self, name, storable(getattr(self, name))[:most])


# --- in and out of the queue --------------------------------------------------------------------------------------


@transaction.atomic
def enter(jobs: Sequence[Job], *, at: datetime, actor: str, reason: str = "") -> None:
    """
    Queue new jobs and reserve their tickets (T1).

    :raises NotEnoughTickets: a wallet can't pay; nothing is written.
    """
    paused = _open_batches(jobs)
    turns.lock(jobs)
    for job, number in zip(jobs, _numbers(len(jobs)), strict=True):
        job.pk = job.order_key = number
        job.state, job.event_seq, job.queued_at = State.QUEUED, 1, at
        job.held = job.batch_id in paused or bool(job.held_for)
    turns.take(jobs)
    Job.objects.bulk_create(jobs, batch_size=CHUNK)
    turns.exchange_by_score(jobs)
    tickets.reserve(jobs, at=at, actor=actor)
    _write_events(jobs, {job.pk: "" for job in jobs}, at=at, actor=actor, reason=reason, data={})
    wake.dispatcher()


@transaction.atomic(savepoint=False)
def claim(picks: Sequence[Pick], *, at: datetime) -> list[Lease]:
    """
    Create an attempt and a lease for each picked job (T2); return the leases in the same order.

    The caller holds the claim lock and the row locks, and the jobs are queued.
    """
    for pick in picks:
        pick.job.attempt_number += 1
    _move(
        [pick.job for pick in picks],
        State.SUBMITTING,
        at=at,
        actor="dispatcher",
        data={
            pick.job.pk: {"limits": {name: list(pair) for name, pair in pick.counts.items()}, "account": pick.route.account_id}
            for pick in picks
        },
        also=_CLAIMED,
        beside=Part(
            f"{_ATTEMPTS}, {turns.REACHED}",
            {
                "ids": [str(uuid4()) for _ in picks],
                "reservations": [pick.reservation_id for pick in picks],
                "routes": [pick.route.pk for pick in picks],
                "accounts": [pick.route.account_id for pick in picks],
                "endpoints": [pick.endpoint_id or pick.route.endpoint_id for pick in picks],
                "previews": [pick.route.account.is_preview for pick in picks],
                "synchronous": [pick.synchronous for pick in picks],
                "tokens": [secrets.token_urlsafe(32) for _ in picks],
            },
        ),
        lease_until=at + timedelta(seconds=settings.TIMES.hand_out),
    )
    return [Lease(pick.job.pk, pick.job.fence, pick.synchronous) for pick in picks]


@transaction.atomic
def queue_again(jobs: Sequence[Job], *, at: datetime, actor: str, before: Mapping[int, Mapping[str, Any]] | None = None) -> None:
    """
    Put failed and cancelled jobs at the end of their models' queues (T21). The caller has set ``job.tickets`` to the current
    price, and ``held_for`` if it enters on hold, and holds the row locks. The client's deadline and start time still apply (I43).

    :param before: of jobs whose prompt or parameters the caller has changed, what these were; the history keeps it.
    :raises MoveRefused: a job is neither failed nor cancelled, or its deadline has passed.
    :raises NotEnoughTickets: a wallet can't pay; nothing is written.
    """
    for job in jobs:
        if refusal := not_for_retry(job, at=at):
            raise refusal
    paused = _open_batches(jobs)
    for job in jobs:
        job.priority, job.raised = job.base_priority, 0
        job.held = job.batch_id in paused or bool(job.held_for)
    turns.lock(jobs)
    tickets.reserve(jobs, at=at, actor=actor)
    for job, number in zip(jobs, _numbers(len(jobs)), strict=True):
        job.order_key = number
        job.not_before = job.client_not_before if job.client_not_before and job.client_not_before > at else None
    turns.take(jobs)
    _move(
        jobs,
        State.QUEUED,
        at=at,
        actor=actor,
        reason="retry",
        data={pk: {"before": was} for pk, was in (before or {}).items()},
        queued_at=at,
        started_at=None,
        ended_at=None,
        archived_at=None,
        cancel_asked_at=None,
        cancel_reason="",
        refund_promised=None,
        progress=None,
        ran_seconds=None,
        store_tries=0,
        worker_deaths=0,
        error_code="",
        error_message="",
    )
    changed = {name for was in (before or {}).values() for name in was}
    written = [
        "priority",
        "raised",
        "order_key",
        "held",
        "held_for",
        "not_before",
        "submitted_with",
        "tickets",
        "usd_estimate",
        *sorted(changed),
    ]
    Job.objects.bulk_update(jobs, written, batch_size=CHUNK)
    wake.dispatcher()


def not_for_retry(job: Job, *, at: datetime) -> MoveRefused | None:
    """Return the error that a retry of this job would raise, or ``None`` if it can be retried."""
    if job.state not in (State.FAILED, State.CANCELLED):
        return MoveRefused(f"{job} {state_phrase(job)}. You can only retry failed or cancelled jobs.")
    if job.deadline and job.deadline <= at:
        return MoveRefused(f"The deadline of {job} has passed. Submit it as a new job with a later deadline.")
    return None


def state_phrase(job: Job) -> str:
    """Return the state of a job as the end of a sentence: “is running”, “has an unknown outcome”."""
    return "has an unknown outcome" if job.state == State.UNKNOWN else f"is {job.get_state_display().lower()}"


# --- leases -------------------------------------------------------------------------------------------------------


@transaction.atomic
def lease_due(at: datetime, *, most: int = 100) -> list[tuple[Lease, State]]:
    """
    Issue leases for jobs whose next check or store is due and that no live lease covers, at most ``most``: first for stores,
    because some providers keep files only an hour, then for checks; each oldest first.

    Return each lease with the job's state.
    """
    due = list(
        Job.objects.filter(state__in=(_RUN, _UNK, _CAN, _STO), next_check_at__lte=at)
        .filter(Q(lease_until=None) | Q(lease_until__lte=at, lease_taken=False))  # if taken and over, `recovery` comes first
        .order_by(Case(When(state=_STO, then=0), default=1), "next_check_at", "id")
        .select_for_update(skip_locked=True)[:most]
    )
    Job.objects.filter(pk__in=[job.pk for job in due]).update(
        fence=F("fence") + 1, lease_until=at + timedelta(seconds=settings.TIMES.hand_out), lease_taken=False
    )
    return [(Lease(job.pk, job.fence + 1, _makes_calls(job.state, job.kind_id)), State(job.state)) for job in due]


def begin(lease: Lease, *, at: datetime, by: str = "") -> tuple[Job, Attempt, Lease] | None:
    """
    Exchange an issued lease for the worker's own, longer one; works once. Return job, attempt and the new lease, or ``None`` if
    the lease is outdated. ``by`` names the worker process: recovery ends the lease when the process is gone.

    For a submitting job the same statement sets ``called_at``: the caller may now make the create call, which is never repeated
    (I16). If a cancel was requested before, nothing is sent and the job is cancelled (T4, T14).
    """
    taken = _job_with_lease(_BEGIN.run(id=lease.job_id, fence=lease.fence, at=at, by=by, **_lease_ends(at)))
    if taken is None:
        _put_back_cancelled(lease, at=at)
    return taken


@transaction.atomic
def _put_back_cancelled(lease: Lease, *, at: datetime) -> None:
    job = held_by(lease)
    if job is not None and job.state == State.SUBMITTING and job.cancel_asked_at and not job.lease_taken:
        trouble = Trouble("not_begun", "Cancelled before anything was sent.")
        put_back(job, at=at, actor="worker", outcome=Outcome.NOT_ACCEPTED, spent=False, trouble=trouble, not_before=None)


def begun(lease: Lease, *, at: datetime, by: str) -> tuple[Job, Attempt, Lease] | None:
    """
    Return what `begin` returned for the same arguments, for a worker whose connection was cut before the answer arrived.

    ``at`` and ``by`` together are unique to one call, so a worker never mistakes another task's lease for its own.
    """
    return _job_with_lease(_BEGUN.run(id=lease.job_id, fence=lease.fence, by=by, **_lease_ends(at)))


def given_out(at: datetime) -> list[tuple[Lease, State]]:
    """
    Return the leases issued exactly at ``at`` that no worker has begun.

    Lets the caller of a claim read its result from the rows after a cut connection.
    """
    return _not_begun(lease_until=at + timedelta(seconds=settings.TIMES.hand_out))


def waiting_for_a_worker(*, at: datetime, since: datetime) -> list[tuple[Lease, State]]:
    """Return live leases issued at or before ``since`` that no worker has begun: their tasks may be lost with a process."""
    return _not_begun(lease_until__gt=at, lease_until__lte=since + timedelta(seconds=settings.TIMES.hand_out))


def let_go(lease: Lease, *, at: datetime) -> None:
    """
    Give up a lease without an outcome and make the job due immediately, for a worker that failed through no fault of the job.

    Does nothing for a submitting job: its create call is never repeated (I16).
    """
    with transaction.atomic():
        job = held_by(lease)
        if job is not None and job.state != State.SUBMITTING:
            check_again(job, next_check_at=at, counts=False)
            wake.dispatcher()


def check_now(job: Job, *, at: datetime) -> None:
    """
    Make a job at the provider due for a check at ``at``; no change of state. The caller holds the row lock.

    A worker whose check is under way asked too early to know: it learns of this by `asked_meanwhile`.
    """
    Job.objects.filter(pk=job.pk, state__in=(_RUN, _CAN, _UNK)).update(next_check_at=at)
    wake.dispatcher()


def asked_meanwhile(job: Job, begun: Job | None) -> bool:
    """Whether a check was asked for since a worker began its lease; ``begun`` is the job as it was then."""
    return begun is not None and job.next_check_at is not None and job.next_check_at != begun.next_check_at


def held_by(lease: Lease) -> Job | None:
    """Lock and return the job if ``lease`` is still its latest, else ``None``. Runs in the caller's transaction."""
    found = _HELD_BY.run(id=lease.job_id, fence=lease.fence)
    return read(Job, iter(found[0])) if found else None


def check_again(job: Job, *, next_check_at: datetime, progress: float | None = None, counts: bool = True) -> None:
    """
    End the lease and schedule the next check without a change of state. The caller holds the row lock.

    Resets the count of crashed workers, because this one survived; not for an unknown outcome, as a lookup does not repeat the
    step that crashed them. ``counts=False`` does not count the try to store, for failures unrelated to the files.
    """
    changed = progress is not None and progress != job.progress
    job.progress = progress if progress is not None else job.progress
    job.fence, job.lease_until, job.lease_taken, job.next_check_at = job.fence + 1, None, False, next_check_at
    job.worker_deaths = job.worker_deaths if job.state == State.UNKNOWN else 0
    job.store_tries -= not counts and job.state == State.STORING
    _CHECK_AGAIN.run(
        id=job.pk,
        progress=job.progress,
        fence=job.fence,
        next_check_at=next_check_at,
        worker_deaths=job.worker_deaths,
        store_tries=job.store_tries,
    )
    if changed:
        wake.jobs_changed([job.pk])


# --- at the provider ----------------------------------------------------------------------------------------------


def start(
    job: Job,
    *,
    at: datetime,
    actor: str,
    remote_id: str,
    remote: Mapping[str, Any],
    next_check_at: datetime,
    reason: str = "",
) -> None:
    """
    Record that the provider has the task (T3, T7); pass on a cancel that was requested before (T15 → T13).

    The caller holds the row lock.
    """
    slot_until = None
    if job.state == State.UNKNOWN:
        slot_until = at + timedelta(seconds=timeout_seconds(job))
        ReviewItem.objects.filter(job=job, closed_at=None, decide_by__isnull=False).update(closed_at=at, closed_by=actor)
    _move(
        [job],
        State.RUNNING,
        at=at,
        actor=actor,
        reason=reason,
        beside=Part(_ACCEPTED, {"remote_id": remote_id, "remote": json.dumps(dict(remote)), "slot_until": slot_until}),
        next_check_at=next_check_at,
        worker_deaths=0,
    )
    if job.cancel_asked_at:
        _request_cancel([job], at=at, actor=actor, reason=job.cancel_reason)


def lose_track(job: Job, *, at: datetime, actor: str, trouble: Trouble, next_check_at: datetime) -> None:
    """
    Record that the create call was sent but its outcome is unknown (T6). Open a review item; the tickets stay reserved.

    The caller holds the row lock.
    """
    attempt = current_attempt(job)
    Attempt.objects.filter(pk=attempt.pk).update(error_kind=trouble.kind, error_message=trouble.message)
    called_at = attempt.called_at or at
    decide_by = called_at + timedelta(seconds=settings.TIMES.unknown)
    _open_review(job, attempt, f"Outcome unknown: {trouble.message}", at=at, decide_by=decide_by)
    _move([job], State.UNKNOWN, at=at, actor=actor, reason=trouble.message, next_check_at=min(next_check_at, decide_by))


def put_back(
    job: Job, *, at: datetime, actor: str, outcome: Outcome, spent: bool, trouble: Trouble, not_before: datetime | None
) -> State:
    """
    End the attempt and queue the job again (T4, T8, T11), or fail it if its attempts are used up (T5, T9, T12).

    If a cancel was requested in the meantime, cancel the job immediately (T14). Return the new state. The caller holds the row
    lock.
    """
    _end_attempt([job], outcome, at=at, by=actor, spent=spent, trouble=trouble)
    if job.worker_deaths >= DEADLY_JOB:
        fail(job, at=at, actor=actor, trouble=poison(job))
        return State.FAILED
    tries = spent_tries(job)
    allowed = job.retries.attempts
    if spent and tries >= allowed:
        fail(
            job,
            at=at,
            actor=actor,
            trouble=Trouble(trouble.code, f"{trouble.message} (last attempt, {tries} of {allowed})"),
        )
        return State.FAILED
    later = not_before if not_before and not_before > at else None
    _move(
        [job],
        State.QUEUED,
        at=at,
        actor=actor,
        reason=trouble.message,
        not_before=later,
        next_check_at=None,
        progress=None,
    )
    wake.dispatcher()
    if job.cancel_asked_at:
        _cancel_queued([job], at=at, actor=actor, reason="cancelled while it was being submitted")
        return State.CANCELLED
    return State.QUEUED


def poison(job: Job) -> Trouble:
    """Return why a job fails that has crashed its workers."""
    return Trouble("poison", f"It crashed {job.worker_deaths} workers in a row. Automatic retries have stopped.")


@transaction.atomic
def fail_overdue(*, at: datetime) -> int:
    """Fail up to 500 queued jobs whose deadline has passed and return their tickets (T26). Return the number of jobs."""
    overdue = (
        Job.objects.filter(state=_Q, deadline__lte=at).order_by("deadline", "id").select_for_update(skip_locked=True)[:CHUNK]
    )
    jobs, words = list(overdue), "Its deadline passed before it could start."
    _end(jobs, State.FAILED, at=at, actor="dispatcher", reason=words, error_code="deadline_passed", error_message=words)
    return len(jobs)


def fail(job: Job, *, at: datetime, actor: str, trouble: Trouble, outcome: Outcome = Outcome.FAILED, review: str = "") -> None:
    """
    Fail a job and return its tickets in full (T5, T9, T12, T17, T20). The caller holds the row lock.

    A non-empty ``review`` opens a review item with this text, which stays open until a person closes it.
    """
    _end_attempt([job], outcome, at=at, by=actor, spent=True, trouble=trouble)
    if review:
        _open_review(job, current_attempt(job), review, at=at, decide_by=None)
    _end([job], State.FAILED, at=at, actor=actor, reason=trouble.message, error_code=trouble.code, error_message=trouble.message)


def deliver(
    job: Job,
    *,
    at: datetime,
    actor: str,
    ran_seconds: float,
    usd_actual: Decimal | None = None,
    kept_until: datetime | None = None,
    usage: Mapping[str, int] | None = None,
    progress: float = 1.0,
) -> Lease:
    """
    Record that the provider is done (T10, T18) and return the lease for storing the files. The caller holds the row lock.

    The slot is free from here on; the caller claims the next job. ``usd_actual`` is the cost that the provider reports;
    without it the job's estimate counts as the cost of the attempt. ``kept_until`` is the end of the provider's storage;
    ``usage`` is what the provider counted; ``progress`` is below 1 if more than storing follows.
    """
    _move(
        [job],
        State.STORING,
        at=at,
        actor=actor,
        data={job.pk: ({"kept_until": kept_until.isoformat()} if kept_until else {}) | ({"usage": usage} if usage else {})},
        beside=Part(_COSTS, {"cost": usd_actual}),
        lease_until=at + timedelta(seconds=settings.TIMES.hand_out),
        next_check_at=at,
        ran_seconds=ran_seconds,
        usd_actual=usd_actual,
        progress=progress,
        worker_deaths=0,
    )
    return Lease(job.pk, job.fence)


def confirm_cancel(job: Job, *, at: datetime, actor: str, evidence: str) -> State:
    """
    Record that the provider has stopped the task: cancel the job (T16), or fail it if its timeout caused the cancel (T17).

    Return the new state. The caller holds the row lock.
    """
    if job.cancel_reason == "timeout":
        seconds = timeout_seconds(job)
        fail(
            job,
            at=at,
            actor=actor,
            trouble=Trouble("timeout", f"Timed out after {seconds}s. {evidence}"),
            outcome=Outcome.CANCELLED,
        )
        return State.FAILED
    _end_attempt([job], Outcome.CANCELLED, at=at, by=actor, spent=True, trouble=Trouble("cancelled", evidence))
    _end([job], State.CANCELLED, at=at, actor=actor, reason=evidence)
    return State.CANCELLED


def complete(
    job: Job,
    assets: Iterable[Asset],
    *,
    at: datetime,
    actor: str,
    stages: Sequence[Mapping[str, Any]],
    usd_actual: Decimal | None = None,
) -> None:
    """
    Complete a job whose files are all stored and checked: write their rows and charge the tickets (T19).

    ``usd_actual`` is the cost that the provider reports only now. Refund immediately if staff promised it (T22). The caller holds
    the row lock.
    """
    reported = {} if usd_actual is None else {"usd_actual": usd_actual}
    if reported:
        job.attempts.filter(step="main", number=job.attempt_number).update(cost=usd_actual, cost_source=CostSource.VENDOR)
    rows = [{field.column: field.value_from_object(asset) for field in Asset._meta.concrete_fields} for asset in assets]
    _settle(
        [job],
        State.COMPLETED,
        Part(_ASSETS, {"assets": json.dumps(rows, default=str)}),
        _end_of_attempt(Outcome.DELIVERED, by=actor, spent=True, trouble=None),
        tickets.capture(),
        at=at,
        actor=actor,
        data={job.pk: {"stages": list(stages)}},
        progress=1.0,
        **reported,
    )
    if promise := job.refund_promised:
        entry = tickets.refund(job, at=at, actor=promise["by"], reason=promise["reason"])
        said = f"refunded as promised: {promise['reason']}"
        _note([job], at=at, actor=promise["by"], reason=said, data={job.pk: {"ledger": entry.key}})


# --- jobs that work in steps (I46) --------------------------------------------------------------------------------


def begin_steps(job: Job, *, at: datetime, actor: str) -> Lease | None:
    """
    Record that a job makes its calls from here on, each an attempt of its own (T3); return the lease for it, or ``None`` if a
    cancel was requested before. The caller holds the row lock.
    """
    slot_until = at + timedelta(seconds=timeout_seconds(job))
    _move(
        [job],
        State.RUNNING,
        at=at,
        actor=actor,
        beside=Part(_ACCEPTED, {"remote_id": None, "remote": "{}", "slot_until": slot_until}),
        also=_PREVIEW_IN_PART,
        lease_until=at + timedelta(seconds=settings.TIMES.hand_out),
        next_check_at=at,
    )
    if job.cancel_asked_at:
        _request_cancel([job], at=at, actor=actor, reason=job.cancel_reason)
        return None
    return Lease(job.pk, job.fence, synchronous=True)


def begin_call(main: Attempt, lease: Lease, step: str, *, at: datetime) -> Attempt | None:
    """
    Create the attempt of a step and renew the lease for its call, which the caller may now make, once (I16). Return ``None`` if
    the lease is outdated. ``main`` is the job's own attempt. The step has no other attempt without an outcome.
    """
    with transaction.atomic():
        if held_by(lease) is None:
            return None
        if (
            made := Attempt.objects.select_related("account")
            .filter(job=lease.job_id, step=step, outcome=None, created_at=at)
            .first()
        ):
            return made  # by this very call, before the connection was cut
        Job.objects.filter(pk=lease.job_id).update(lease_until=at + timedelta(seconds=settings.TIMES.long_lease))
        return Attempt.objects.create(
            job_id=lease.job_id,
            reservation_id=main.reservation_id,
            step=step,
            number=Attempt.objects.filter(job=lease.job_id, step=step).count() + 1,
            route_id=main.route_id,
            account=main.account,
            endpoint_id=main.endpoint_id,
            preview=main.preview,
            synchronous=True,
            token=secrets.token_urlsafe(32),
            created_at=at,
            called_at=at,
            slot_until=at + timedelta(seconds=settings.TIMES.long_create_call),
        )


@transaction.atomic
def end_call(
    attempt: Attempt, outcome: Outcome, *, at: datetime, trouble: Trouble | None = None, cost: Decimal | None = None
) -> bool:
    """
    Record the outcome of a step's call; return whether it had none yet. If the job was asked to stop meanwhile, it can end now.

    The call does not count as a try of the job.
    """
    job = Job.objects.lock().get(pk=attempt.job_id)  # before its attempt, as everywhere
    told = {"cost": cost, "cost_source": CostSource.VENDOR} if cost is not None else {}
    words = {"error_kind": trouble.code[:20], "error_message": trouble.message} if trouble else {}
    open_one = Attempt.objects.filter(pk=attempt.pk, outcome=None)
    ended = open_one.update(outcome=outcome, ended_at=at, remote_id=str(attempt.pk), **told, **words)
    if job.state == State.CANCELLING:
        check_now(job, at=at)
    return bool(ended)


def lose_step(job: Job, attempt: Attempt, *, at: datetime, actor: str, trouble: Trouble) -> None:
    """
    Record that the outcome of a step's call is not known, and that it may not be repeated (T27). The call is closed as one that
    may be billed; staff decide whether the job makes it again. The caller holds the row lock.
    """
    end_call(attempt, Outcome.ABANDONED, at=at, trouble=trouble)
    Attempt.objects.filter(job=job, step="main", outcome=None).update(slot_until=None)  # the call alone uses a slot
    decide_by = at + timedelta(seconds=settings.TIMES.unknown)
    what = f"Outcome unknown of step {attempt.step}: {trouble.message}"
    _open_review(job, current_attempt(job), what, at=at, decide_by=decide_by)
    _move([job], State.UNKNOWN, at=at, actor=actor, reason=trouble.message, next_check_at=decide_by)


# --- requests of users and staff ----------------------------------------------------------------------------------


def cancel(ids: Iterable[int], *, at: datetime, actor: str, reason: str = "") -> dict[int, CancelVerdict]:
    """
    Cancel jobs where possible, in transactions of 500. Idempotent. Return the verdict by job id.

    Queued jobs are cancelled immediately (T14); running jobs are cancelled at the provider (T13); submitting and unknown jobs
    are flagged until the provider's answer is known (T15).
    """
    verdicts: dict[int, CancelVerdict] = {}
    for chunk in chunks(ids):
        with transaction.atomic():
            by_state = _locked_by_state(chunk)
            verdicts |= {job.pk: CancelVerdict.CANCELLED for state in (_Q, _OFF) for job in by_state[state]}
            verdicts |= {job.pk: CancelVerdict.REQUESTED for state in (_SUB, _UNK, _RUN, _CAN) for job in by_state[state]}
            verdicts |= {job.pk: CancelVerdict.TOO_LATE for state in (_STO, _DONE, _FAIL) for job in by_state[state]}
            _cancel_queued(by_state[_Q], at=at, actor=actor, reason=reason or "cancelled")
            _request_cancel(by_state[_RUN], at=at, actor=actor, reason="user")
            flagged = [job for state in (_SUB, _UNK) for job in by_state[state] if not job.cancel_asked_at]
            _note(flagged, at=at, actor=actor, reason=CANCEL_REQUESTED, cancel_asked_at=at, cancel_reason="user")
            stubborn = [job.pk for job in by_state[_CAN] if job.cancel_reason == "timeout"]
            Job.objects.filter(pk__in=stubborn).update(next_check_at=at)
            wake.dispatcher()
    return verdicts


@transaction.atomic
def promise_refund(ids: Iterable[int], *, at: datetime, actor: str, reason: str) -> list[int]:
    """
    Promise a refund for cancelling jobs: a job that is delivered anyway is charged and refunded immediately (T19, T22).

    This is the failure policy for providers that can't cancel. Return the ids of the jobs that are being cancelled.

    :raises MoveRefused: the reason is empty.
    """
    if not reason.strip():
        raise MoveRefused("Enter a reason for the refund.")
    jobs = list(Job.objects.lock().filter(pk__in=list(ids), state=State.CANCELLING))
    said = f"refund promised if delivered: {reason}"
    _note(jobs, at=at, actor=actor, reason=said, refund_promised={"by": actor, "reason": reason})
    return [job.pk for job in jobs]


@transaction.atomic
def expire(job: Job, *, at: datetime) -> None:
    """Ask the provider to stop a job that ran longer than its timeout (T13). The caller holds the row lock."""
    _request_cancel([job], at=at, actor="recovery", reason="timeout")


def force_fail(ids: Iterable[int], *, at: datetime, actor: str, reason: str) -> list[int]:
    """
    Fail open jobs by force, return their tickets and abandon their attempts (T25); skip jobs that are not open.

    Return the ids of the failed jobs.

    :raises MoveRefused: the reason is empty.
    """
    if not reason.strip():
        raise MoveRefused("Enter a reason for force-failing this job.")
    ended: list[int] = []
    for chunk in chunks(ids):
        with transaction.atomic():
            jobs = list(Job.objects.lock().filter(pk__in=chunk, state__in=OPEN_STATES))
            trouble = Trouble("forced", f"Stopped by staff: {reason}")
            _end_attempt(jobs, Outcome.ABANDONED, at=at, by=actor, spent=True, trouble=trouble)
            _end(
                jobs, State.FAILED, at=at, actor=actor, reason=trouble.message, error_code="forced", error_message=trouble.message
            )
            ended += [job.pk for job in jobs]
    return ended


def settle_unknown(ids: Iterable[int], *, again: bool, at: datetime, actor: str, reason: str) -> list[int]:
    """
    Apply a person's decision to jobs with an unknown outcome: queue them for another attempt (T8) if ``again``, else fail them
    (T9). Skip jobs in other states. Return the ids of the unknown jobs.

    The attempts count as abandoned, since the provider may still deliver and bill them.

    :raises MoveRefused: the reason is empty.
    """
    if not reason.strip():
        raise MoveRefused("Enter a reason: what did you find at the provider?")
    settled: list[int] = []
    for chunk in chunks(ids):
        with transaction.atomic():
            jobs = list(Job.objects.lock().filter(pk__in=chunk, state=State.UNKNOWN))
            tickets.lock({job.owner_id for job in jobs})  # all together: one by one would lock them in the order of the jobs
            for job in jobs:
                trouble = Trouble("settled_by_hand", f"Resolved by {actor}: {reason}")
                if again:
                    put_back(job, at=at, actor=actor, outcome=Outcome.ABANDONED, spent=True, trouble=trouble, not_before=None)
                else:
                    fail(job, at=at, actor=actor, trouble=trouble, outcome=Outcome.ABANDONED)
                settled.append(job.pk)
    return settled


@transaction.atomic
def note(job: Job, *, at: datetime, actor: str, reason: str, data: Mapping[str, Any] | None = None) -> None:
    """Add an event to a job's history that does not change its state (T22, T23), such as a late result or a refund."""
    _note(list(Job.objects.lock().filter(pk=job.pk)), at=at, actor=actor, reason=reason, data={job.pk: data or {}})


def note_each(
    jobs: Sequence[Job], *, at: datetime, actor: str, reason: str, data: Mapping[int, Mapping[str, Any]] | None = None
) -> None:
    """
    Add an event that does not change the state to the history of each job; ``data`` maps job ids to facts.

    The caller holds the row locks.
    """
    _note(jobs, at=at, actor=actor, reason=reason, data=data)


def flag(job: Job, what: str, *, at: datetime, decide_by: datetime | None = None) -> None:
    """
    Open a review item on this job. With ``decide_by``, staff should act by that time, and the item closes with the attempt;
    without, it stays open until a person closes it. The caller holds the row lock.
    """
    _open_review(job, current_attempt(job), what, at=at, decide_by=decide_by)


@transaction.atomic
def close_review(item: ReviewItem, *, at: datetime, actor: str, reason: str) -> None:
    """
    Close a review item that a person has looked at; the job does not change. The caller holds the job's row lock.

    :raises MoveRefused: the item asks for a decision on an unknown outcome (I19).
    """
    if item.is_undecided:
        raise MoveRefused(f"{item.job} still has an unknown outcome. Decide on it first.")
    ReviewItem.objects.filter(pk=item.pk, closed_at=None).update(closed_at=at, closed_by=actor)
    _note([item.job], at=at, actor=actor, reason=reason)


def spent_tries(job: Job) -> int:
    """Return the number of attempts that count against the job since a person or a client last queued it."""
    return Attempt.objects.filter(job=job, step="main", reservation__state=Reservation.State.HELD, spent=True).count()


def timeout_seconds(job: Job) -> int:
    """Return the job's timeout in seconds: the model's own, else the kind's."""
    return job.model.timeout_seconds or job.kind.timeout_seconds


def current_attempt(job: Job) -> Attempt:
    """Return the job's latest attempt with its account. Every job has one after its first claim."""
    return Attempt.objects.select_related("account").get(job=job, step="main", number=job.attempt_number)


# --- the only writers ---------------------------------------------------------------------------------------------


def _move(
    jobs: Sequence[Job],
    to: State,
    *,
    at: datetime,
    actor: str,
    reason: str = "",
    data: Mapping[int, Mapping[str, Any]] | None = None,
    also: str = "",
    beside: Part = NOTHING,
    answer: str = "0",
    **changes: Any,
) -> int:
    """
    Change the state of locked jobs, write one event each and void their leases, in one statement.

    ``changes`` are columns and their new values; ``also`` is SQL that sets columns from each row's own values; ``beside`` is
    further SQL for the same statement, with its values. Return the value of the SQL expression ``answer``, or 0 without jobs.

    :raises MoveRefused: a job's state does not allow the move (`MOVES`).
    """
    if not jobs:
        return 0
    for job in jobs:
        if to not in MOVES[job.state]:
            raise MoveRefused(f"{job} {state_phrase(job)}, so it can't be changed to {to.label.lower()}.")
    fields: dict[str, Any] = {"lease_until": None, "lease_taken": False, **changes, "state": str(to)}
    assignments = ", ".join(filter(None, [*(f"{name} = %({name})s" for name in fields), also]))
    before = {job.pk: str(job.state) for job in jobs}
    for job in jobs:
        job.event_seq, job.fence = job.event_seq + 1, job.fence + 1
        for name, value in fields.items():
            setattr(job, name, value)
    parts = [beside.sql, _MOVE.format(assignments)]
    values = fields | dict(beside.values)
    return _write_events(
        jobs, before, at=at, actor=actor, reason=reason, data=data or {}, parts=parts, values=values, answer=answer
    )


def _settle(jobs: Sequence[Job], to: State, *parts: Part, at: datetime, **changes: Any) -> None:
    """
    Move jobs to a terminal state and settle their reservations in the same statement.

    :raises RuntimeError: the jobs do not have exactly one held reservation each (I5).
    """
    beside = Part(", ".join(part.sql for part in parts), {name: part.values[name] for part in parts for name in part.values})
    settled = _move(jobs, to, at=at, beside=beside, answer=tickets.SETTLED, ended_at=at, next_check_at=None, **changes)
    if settled != len(jobs):
        raise RuntimeError(f"{len(jobs)} open jobs hold {settled} reservations (I5): {[job.pk for job in jobs]}")


def _end(jobs: Sequence[Job], to: State, *, at: datetime, actor: str, reason: str, **changes: Any) -> None:
    """Move jobs to a terminal state without a delivery and return their tickets in full (I7)."""
    if jobs:
        waits_no_more = {"not_before": None, "held": False, "held_for": ""}
        _settle(jobs, to, tickets.release(), at=at, actor=actor, reason=reason, **waits_no_more, **changes)
        wake.dispatcher()  # a slot may be free


def _cancel_queued(jobs: Sequence[Job], *, at: datetime, actor: str, reason: str) -> None:
    _end(jobs, State.CANCELLED, at=at, actor=actor, reason=reason, error_code="", error_message="")


def _open_batches(jobs: Sequence[Job]) -> set[int | None]:
    """
    Lock and reopen the batches of these jobs; return the ids of the paused ones.

    The lock makes sure that neither a pause nor the check for a batch's end misses a new job. A retry has locked its jobs first,
    against the usual order; that is safe, as no holder of a batch lock waits for a finished job.
    """
    ids = {job.batch_id for job in jobs if job.batch_id}
    batches = list(Batch.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("id")) if ids else []
    Batch.objects.filter(pk__in=[batch.pk for batch in batches if batch.ended_at]).update(ended_at=None)
    return {batch.pk for batch in batches if batch.paused}


def _request_cancel(jobs: Sequence[Job], *, at: datetime, actor: str, reason: str) -> None:
    _move(
        jobs,
        State.CANCELLING,
        at=at,
        actor=actor,
        reason=CANCEL_REQUESTED if reason == "user" else "timeout",
        cancel_asked_at=at,
        cancel_reason=reason,
        next_check_at=at,
    )
    wake.dispatcher()


def _note(
    jobs: Sequence[Job],
    *,
    at: datetime,
    actor: str,
    reason: str,
    data: Mapping[int, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> None:
    if not jobs:
        return
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(event_seq=F("event_seq") + 1, **changes)
    for job in jobs:
        job.event_seq += 1
    _write_events(jobs, {job.pk: job.state for job in jobs}, at=at, actor=actor, reason=reason, data=data or {})


def _write_events(
    jobs: Sequence[Job],
    before: Mapping[int, str],
    *,
    at: datetime,
    actor: str,
    reason: str,
    data: Mapping[int, Mapping[str, Any]],
    parts: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
    answer: str = "0",
) -> int:
    """
    Write one event per job, announce it, and notify the pages. ``parts`` are further SQL of the same statement, such as what
    changes the jobs, with ``values``.

    Return the value of the SQL expression ``answer``.
    """
    rows: dict[str, list[Any]] = {
        "jobs": [job.pk for job in jobs],
        "seqs": [job.event_seq for job in jobs],
        "before": [str(before[job.pk]) for job in jobs],
        "after": [str(job.state) for job in jobs],
        "attempts": [job.attempt_number or None for job in jobs],
        "data": [json.dumps(dict(data.get(job.pk, {}))) for job in jobs],
    }
    events = [announce.event_of(one, other) for one, other in zip(rows["before"], rows["after"], strict=True)]
    told, number_told = ([announce.JOBS_TOLD], announce.NUMBER_TOLD) if any(events) else ([], "0")
    common = ", ".join(filter(None, [*parts, *told]))
    sql = f"{f'WITH {common}' if common else ''}{_INSERT_EVENTS} RETURNING {answer}, {number_told}"
    parameters = {**(values or {}), **rows, "events": events, "at": at, "actor": actor, "reason": reason[:500]}
    ((answered, messages), *_) = statement(sql).run(**parameters)
    wake.jobs_changed(job.pk for job in jobs)
    if messages:
        wake.dispatcher()
    return int(answered)


def _end_attempt(jobs: Sequence[Job], outcome: Outcome, *, at: datetime, by: str, spent: bool, trouble: Trouble | None) -> None:
    if outcome == Outcome.ABANDONED:  # the provider of a storing job is done, so the attempt must not hold a slot any longer
        stored = [job for job in jobs if job.state == State.STORING]
        Attempt.objects.filter(job__in=stored, outcome=None).update(slot_until=None)
        in_steps = [job for job in jobs if job.kind_id in settings.PIPELINES]  # only a call that is under way uses a slot
        Attempt.objects.filter(job__in=in_steps, step="main", outcome=None).update(slot_until=None)
    end = _end_of_attempt(outcome, by=by, spent=spent, trouble=trouble)
    _ATTEMPTS_END.run(jobs=[job.pk for job in jobs], at=at, **end.values)


def _end_of_attempt(outcome: Outcome, *, by: str, spent: bool, trouble: Trouble | None) -> Part:
    kind, words = (trouble.kind or trouble.code[:20], trouble.message) if trouble else (None, None)
    return Part(_ATTEMPT_ENDS, {"outcome": str(outcome), "by": by, "spent": spent, "trouble": kind, "words": words})


def _open_review(job: Job, attempt: Attempt, what: str, *, at: datetime, decide_by: datetime | None) -> None:
    ReviewItem.objects.create(job=job, attempt=attempt, what=what[:300], opened_at=at, decide_by=decide_by)


def _not_begun(**leased: Any) -> list[tuple[Lease, State]]:
    jobs = Job.objects.filter(state__in=IN_FLIGHT_STATES, lease_taken=False, **leased).order_by("id")
    own = Attempt.objects.filter(job=OuterRef("pk"), step="main", number=OuterRef("attempt_number"), synchronous=True)
    rows = jobs.values_list("pk", "fence", "state", "kind", Exists(own))
    return [
        (Lease(pk, fence, (long and state == State.SUBMITTING) or _makes_calls(state, kind)), State(state))
        for pk, fence, state, kind, long in rows
    ]


def _makes_calls(state: str, kind: str) -> bool:
    """Whether a job in this state makes its create calls step by step (I46)."""
    return state == State.RUNNING and kind in settings.PIPELINES


def _lease_ends(at: datetime) -> dict[str, datetime]:
    """
    Return the end of a lease begun now: ``until`` for a create call or a check, ``long_until`` for a create call to a synchronous
    provider, ``store_until`` for storing files.
    """
    times = settings.TIMES
    ends = {"until": times.lease, "long_until": times.long_lease, "store_until": times.store_lease}
    return {name: at + timedelta(seconds=seconds) for name, seconds in ends.items()}


def _job_with_lease(rows: Sequence[Sequence[Any]]) -> tuple[Job, Attempt, Lease] | None:
    """Build job, attempt and lease from the row that `_READ` selects; ``None`` without a row."""
    if not rows:
        return None
    values = iter(rows[0])
    job, attempt = read(Job, values), read(Attempt, values)
    attempt.job, attempt.account, job.model, job.kind = (
        job,
        read(ProviderAccount, values),
        read(GenerationModel, values),
        read(Kind, values),
    )
    if codec := next(values):
        attempt.route = read_some(ModelRoute, {"id": attempt.route_id, "codec": codec})
    called_at, slot_until = (*values, None, None)[:2]
    if called_at:  # set by this statement, which read the attempt as it was before
        attempt.called_at, attempt.slot_until = called_at, slot_until
    return job, attempt, Lease(job.pk, job.fence)


def _locked_by_state(ids: Sequence[int]) -> dict[str, list[Job]]:
    by_state: dict[str, list[Job]] = defaultdict(list)
    for job in Job.objects.lock().filter(pk__in=ids):
        by_state[job.state].append(job)
    return by_state


def _numbers(count: int) -> list[int]:
    """Return new job numbers, ascending. They are also the order keys at the end of the queue."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('queue_app_job', 'id')) FROM generate_series(1, %s)", [count])
        return [number for (number,) in cursor.fetchall()]


def chunks(ids: Iterable[int]) -> Iterable[list[int]]:
    """Split the ids, ascending, into lists of at most 500, one per transaction."""
    listed = sorted(ids)
    return (listed[start : start + CHUNK] for start in range(0, len(listed), CHUNK))
