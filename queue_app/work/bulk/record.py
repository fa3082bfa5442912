"""
The record of a bulk action: shown first, can be undone for some seconds, works in chunks, can be stopped, and keeps for each
skipped job the reason.

    draft ─confirm─► waiting ─► running ─► done
                        └ undo ► undone └ abort ► aborted

Every chunk applies the verb and moves the record's pointer in one transaction under the record's lock, which is taken before any
other: a worker that dies repeats nothing and leaves nothing out, and two workers take turns.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from queue_app import clock, database, wake
from queue_app.models import BulkAction, BulkRefusal, Job, User
from queue_app.work import policy
from queue_app.work.bulk import verbs
from queue_app.work.bulk.base import BulkVerb, ChunkOutcome
from queue_app.work.bulk.options import BulkRefused
from queue_app.work.bulk.selection import Selection

log = logging.getLogger(__name__)
Verb, Phase = BulkAction.Verb, BulkAction.Phase

OWNERS = (Verb.CANCEL, Verb.RETRY)  # verbs that need no right for jobs of one's own
OWN = "own"  # among the options: all jobs belong to the actor
MOST = 1_000_000  # jobs of one action
UNFINISHED_MOST = 3  # actions at a time of a user who is not staff
AT_ONCE = 2  # one is worked on and one waits for its worker, which sends messages too, for less than a lease
PRUNED_AT_ONCE = 10
STARTS_AFTER = timedelta(seconds=10)  # until then it can be undone
LEASE = timedelta(seconds=30)  # a worker that has been silent for so long is gone
DRAFTS_KEPT = timedelta(days=1)
JOBS_KEPT = timedelta(days=30)  # after its end: its list of jobs, and why some were skipped
FIRST_IDS = 20  # of the jobs, named in the audit
_TURNS = (F("lease_until").asc(nulls_first=True), "starts_at", "id")  # after a slice, the others come first
_TOO_LATE = {
    Phase.DRAFT: "Already confirmed.",
    Phase.WAITING: "It is not waiting to start.",
    Phase.RUNNING: "It is not running.",
}
_STATUS = {
    Phase.DRAFT: "not confirmed",
    Phase.WAITING: "starting soon",
    Phase.RUNNING: "running",
    Phase.DONE: "done",
    Phase.UNDONE: "undone",
    Phase.ABORTED: "stopped",
}


def may(user: User, verb: str) -> bool:
    """Whether this user may use the verb."""
    return verbs.VERBS[Verb(verb)].may(user)


def name(action: BulkAction) -> str:
    """“Set priority of 12 jobs”."""
    return verbs.of(action).named(action.total)


@transaction.atomic
def draft(
    verb: str,
    jobs: "QuerySet[Job] | Iterable[int]",
    *,
    at: datetime,
    actor: User,
    chosen: str,
    options: Mapping[str, Any] | None = None,
    own: bool = False,
) -> BulkAction:
    """
    Draft an action for jobs as they are chosen now. Nothing happens to them yet.

    :param own: leave out jobs of others; then the actor needs no right for the verbs of `OWNERS`.
    :param jobs: a query of jobs, or job numbers; unknown numbers are left out.
    :param chosen: how the jobs were selected, in words.
    :param options: the fields of the request; the verb takes its option from them.
    :raises BulkRefused: no jobs, more than a million, an option that makes no sense, or too many ``own`` actions are unfinished.
    """
    if own and not actor.is_staff:
        _check_number(actor)
    bulk_verb = verbs.VERBS[Verb(verb)]
    found = jobs if isinstance(jobs, QuerySet) else Job.objects.filter(pk__in=list(jobs))
    if own:
        found = found.filter(owner=actor)
    ids = list(found.order_by(*bulk_verb.rank).values_list("pk", flat=True)[: MOST + 1])
    if not ids:
        raise BulkRefused("No jobs selected, or they no longer exist.")
    if len(ids) > MOST:
        raise BulkRefused(f"Too many jobs: the limit is {MOST:,}. Narrow the filter.")
    read = bulk_verb.read(options or {}) | ({OWN: True} if own else {})
    return _kept(bulk_verb.key, ids, at=at, actor=actor, chosen=chosen, options=read)


def drafts(verb: str, jobs: "QuerySet[Job]", *, at: datetime, actor: User, chosen: str) -> list[BulkAction]:
    """Draft actions without options for any number of jobs: one action per million, in order of their ids."""
    ids = jobs.order_by("id").values_list("pk", flat=True).iterator(chunk_size=10_000)
    lots = iter(lambda: list(islice(ids, MOST)), [])
    return [_kept(Verb(verb), lot, at=at, actor=actor, chosen=chosen, options={}) for lot in lots]


@transaction.atomic
def amend(action: BulkAction, *, at: datetime, actor: User, options: Mapping[str, Any]) -> bool:
    """
    Keep a draft's option as it was typed if the preview depends on it. Return whether it changed, so that the preview no longer
    holds; ``action`` is updated too.

    :raises BulkRefused: no longer a draft, no right, or an option that makes no sense.
    """
    option = verbs.of(action).option
    if option is None or not option.is_foreseen or option.name not in options:
        return False
    now = _locked(action, actor, Phase.DRAFT)
    typed = option.read(options, most=option.most(Selection.of(action, at=at)))
    if typed == now.options:
        return False
    now.options = action.options = typed
    now.save(update_fields=["options"])
    return True


@transaction.atomic
def confirm(
    action: BulkAction,
    *,
    at: datetime,
    actor: User,
    reason: str = "",
    options: Mapping[str, Any] | None = None,
    delay: timedelta = STARTS_AFTER,
) -> BulkAction:
    """
    Confirm a draft: it starts after ``delay`` and can be undone until then. Return it as it is then.

    :raises BulkRefused: no longer a draft, no right, or a reason or an option is missing.
    """
    now = _locked(action, actor, Phase.DRAFT)
    verb, reason = verbs.of(now), reason.strip()[:300]
    if verb.needs_reason and not reason:
        raise BulkRefused("Enter a reason. It is saved in each job's history and the audit.")
    now.options = {**now.options, **verb.read(options or {})}
    verb.check(now.options, actor=actor, reason=reason)
    now.phase, now.actor, now.reason, now.starts_at = Phase.WAITING, actor, reason, at + delay
    now.save(update_fields=["phase", "actor", "reason", "options", "starts_at"])
    return _audited(now, "", at=at, actor=actor, reason=reason)


@transaction.atomic
def run_now(action: BulkAction, *, at: datetime, actor: User) -> BulkAction:
    """
    Start a confirmed action immediately. Return it as it is then.

    :raises BulkRefused: it is not waiting, or no right.
    """
    now = _locked(action, actor, Phase.WAITING)
    now.starts_at = at
    now.save(update_fields=["starts_at"])
    return _audited(now, ": run now", at=at, actor=actor)


@transaction.atomic
def undo(action: BulkAction, *, at: datetime, actor: User) -> BulkAction:
    """
    Undo a confirmed action before it starts; no jobs change. Return it as it is then.

    :raises BulkRefused: it has started or is over, or no right.
    """
    now = _locked(action, actor, Phase.WAITING)
    now.phase, now.ended_at, now.lease_until = Phase.UNDONE, at, None
    now.save(update_fields=["phase", "ended_at", "lease_until"])
    return _audited(now, ": undone", at=at, actor=actor)


@transaction.atomic
def abort(action: BulkAction, *, at: datetime, actor: User) -> BulkAction:
    """
    Stop an action after its current chunk; finished jobs stay changed. Return it as it is then.

    :raises BulkRefused: it is not running, or no right.
    """
    now = _locked(action, actor, Phase.RUNNING)
    now.phase, now.ended_at, now.lease_until = Phase.ABORTED, at, None
    now.save(update_fields=["phase", "ended_at", "lease_until"])
    return _audited(now, f": stopped after {now.worked:,}", at=at, actor=actor)


@transaction.atomic
def stop(action: BulkAction, *, at: datetime, actor: User) -> BulkAction:
    """
    Undo an action that waits, or stop one that runs after its current chunk. Safe to repeat. Return it as it is then.

    :raises BulkRefused: it is done or was never confirmed, or no right.
    """
    now = _rows().get(pk=action.pk)
    if now.phase == Phase.WAITING:
        return undo(now, at=at, actor=actor)
    if now.phase in (Phase.UNDONE, Phase.ABORTED):
        return now
    return abort(now, at=at, actor=actor)


@transaction.atomic
def lease_due(*, at: datetime) -> list[int]:
    """
    Lease actions that are due and have no live worker, so that at most `AT_ONCE` are leased, one of an actor. Return their ids:
    first those that were never worked on, oldest first, then those that have waited longest since their last slice.
    """
    due = _unfinished().filter(starts_at__lte=at)
    busy = list(due.filter(lease_until__gt=at).values_list("actor", flat=True))
    free = due.filter(Q(lease_until=None) | Q(lease_until__lte=at)).exclude(actor__in=busy)
    next_ones = free.order_by("actor", *_TURNS).distinct("actor").values("pk")
    rows = free.filter(pk__in=next_ones).order_by(*_TURNS).select_for_update(no_key=True, skip_locked=True)
    ids = list(rows.values_list("pk", flat=True)[: max(0, AT_ONCE - len(busy))])
    BulkAction.objects.filter(pk__in=ids).update(lease_until=at + LEASE)
    return ids


def work(action_id: int, *, may_go_on: Callable[[], bool]) -> None:
    """
    Work through an action in chunks while ``may_go_on``; the rest is due immediately, after the actions that wait. Running it
    twice changes no result.
    """
    while _step(action_id, at=clock.now()):
        if not may_go_on():
            _unfinished().filter(pk=action_id).update(lease_until=clock.now())
            wake.dispatcher()
            return


def prune(*, at: datetime) -> None:
    """
    Delete drafts that were not confirmed within a day, and the job lists of actions that ended a month ago: a list may be a
    million numbers. The audit keeps who did what to how many jobs, and the first of them.
    """
    BulkAction.objects.filter(phase=Phase.DRAFT, created_at__lt=at - DRAFTS_KEPT).delete()
    old = BulkAction.objects.filter(ended_at__lt=at - JOBS_KEPT).exclude(job_ids=[])
    for pk in old.order_by("id").values_list("pk", flat=True)[:PRUNED_AT_ONCE]:
        with transaction.atomic():
            BulkRefusal.objects.filter(action=pk).delete()
            BulkAction.objects.filter(pk=pk).update(job_ids=[])


@transaction.atomic(durable=True)
def _step(action_id: int, *, at: datetime) -> bool:
    """Apply one chunk and write its results and the pointer, all or nothing. Return whether there is more to do."""
    action = _rows().filter(pk=action_id).first()
    begins = action is not None and action.phase == Phase.WAITING and action.starts_at is not None and action.starts_at <= at
    if action is None or not (begins or action.phase == Phase.RUNNING):
        return False
    verb = verbs.of(action)
    ids = BulkAction.objects.values_list(f"job_ids__{action.worked}_{action.worked + verb.chunk}", flat=True).get(pk=action_id)
    outcome = _apply(verb, action, ids, at=at)
    BulkRefusal.objects.bulk_create(BulkRefusal(action=action, job_id=pk, why=why[:300]) for pk, why in outcome.refused.items())
    action.results = dict(Counter(action.results) + outcome.results + Counter(refused=len(outcome.refused)))
    action.worked += len(ids)
    more = action.worked < action.total
    action.phase = Phase.RUNNING if more else Phase.DONE
    action.ended_at, action.lease_until = (None, at + LEASE) if more else (at, None)
    action.save(update_fields=["phase", "worked", "results", "ended_at", "lease_until"])
    wake.queue_changed()
    return more


def _apply(verb: BulkVerb, action: BulkAction, ids: Sequence[int], *, at: datetime) -> ChunkOutcome:
    """
    Apply the verb to these jobs. A fault at one job is logged and becomes that job's refusal; a fault of the database is raised,
    and the whole chunk is tried again.
    """
    try:
        with transaction.atomic():
            return verb.apply(action, ids, at=at)
    except Exception as fault:
        if database.may_pass(fault):
            raise
        if len(ids) == 1:
            log.exception("bulk action %s: %s of job %s failed", action.pk, action.verb, ids[0])
            return ChunkOutcome(refused={ids[0]: f"Internal error ({type(fault).__name__}). See the log."})
        outcome = ChunkOutcome()
        for pk in ids:
            outcome.add(_apply(verb, action, [pk], at=at))
        return outcome


def _unfinished() -> "QuerySet[BulkAction]":
    return BulkAction.objects.filter(phase__in=(Phase.WAITING, Phase.RUNNING))


def _check_number(actor: User) -> None:
    """:raises BulkRefused: the actor has the most unfinished actions."""
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)  # two requests can't pass the limit together
    if _unfinished().filter(actor=actor).count() >= UNFINISHED_MOST:
        raise BulkRefused(f"You have {UNFINISHED_MOST} unfinished bulk actions. Wait until one is done, or abort one.")


def _kept(
    verb: BulkAction.Verb, ids: list[int], *, at: datetime, actor: User, chosen: str, options: dict[str, Any]
) -> BulkAction:
    return BulkAction.objects.create(
        verb=verb, actor=actor, options=options, chosen=chosen[:300], job_ids=ids, total=len(ids), created_at=at
    )


def _rows() -> "QuerySet[BulkAction]":
    """Return records to lock, without their job numbers: a million of them are 8 MB."""
    return BulkAction.objects.select_for_update(no_key=True, of=("self",)).select_related("actor").defer("job_ids")


def _locked(action: BulkAction, actor: User, phase: BulkAction.Phase) -> BulkAction:
    now = _rows().get(pk=action.pk)
    is_own = now.options.get(OWN) and now.actor_id == actor.pk and now.verb in OWNERS
    if not is_own and not may(actor, now.verb):
        raise BulkRefused(f"You don't have permission to {verbs.of(now).deed}.")
    if now.phase != phase:
        raise BulkRefused(f"{_TOO_LATE[phase]} Status: {_STATUS[Phase(now.phase)]}.")
    return now


def _audited(action: BulkAction, what: str, *, at: datetime, actor: User, reason: str = "") -> BulkAction:
    """Write the audit entry and wake the dispatcher and the pages."""
    first = BulkAction.objects.values_list(f"job_ids__0_{FIRST_IDS}", flat=True).get(pk=action.pk)
    after = {"phase": action.phase, "jobs": action.total, "first": first, "chosen": action.chosen, **action.options}
    policy.audit(verbs.of(action).deed + what, name(action), at=at, actor=actor, after=after, reason=reason, of=action)
    wake.queue_changed()
    return action
