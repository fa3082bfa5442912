"""
Bulk actions: one verb of staff over many jobs, as a record that is shown first, can be taken back for some seconds, works in
slices, can be stopped, and says of each job that it could not do why.

    draft ─confirm─► waiting ─► running ─► done
                        └ undo ► undone └ abort ► aborted

Every chunk does its verb and moves the record's pointer in one transaction under the record's lock, which is taken before any
other: a worker that dies repeats nothing and leaves nothing out, and two that come at once take turns.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from queue_app import clock, wake
from queue_app.models import BulkAction, BulkRefusal, Job, User
from queue_app.rules import priority
from queue_app.work import bulk_verbs, policy
from queue_app.work.roles import Right

Verb, Phase = BulkAction.Verb, BulkAction.Phase

MOST = 1_000_000  # jobs of one action
PRUNED_AT_ONCE = 10
CHUNK = {Verb.REFUND: 100}  # jobs of one transaction: a refund books each job by itself and holds its wallet meanwhile
STARTS_AFTER = timedelta(seconds=10)  # so long it can be undone
LEASE = timedelta(seconds=30)  # a worker that said nothing for so long is gone
DRAFTS_KEPT = timedelta(days=1)
JOBS_KEPT = timedelta(days=30)  # which jobs they were, and why some were refused, after its end
FIRST_IDS = 20  # of the jobs, named in the audit
NEEDS_A_REASON = (Verb.FORCE_FAIL, Verb.REFUND)
_TOO_LATE = {
    Phase.DRAFT: "Already confirmed.",
    Phase.WAITING: "It is not waiting to start.",
    Phase.RUNNING: "It is not running.",
}
_STANDS = {
    Phase.DRAFT: "not confirmed",
    Phase.WAITING: "starting soon",
    Phase.RUNNING: "running",
    Phase.DONE: "done",
    Phase.UNDONE: "undone",
    Phase.ABORTED: "stopped",
}
_ASKED = {"priority": "Priority", "tickets": "Tickets per job"}
_DEEDS = {Verb.PRIORITY: "set job priority", Verb.FRONT: "move jobs to front", Verb.FORCE_FAIL: "force-fail jobs"}
_RIGHTS = {Verb.FORCE_FAIL: Right.FORCE_FAIL, Verb.REFUND: Right.MOVE_TICKETS}


class BulkRefused(Exception):
    """What was asked of the record cannot be done, in words; nothing was written."""


def may(user: User, verb: str) -> bool:
    """Whether this user may use the verb."""
    return user.has_perm(_RIGHTS.get(Verb(verb), Right.OPERATE))


def draft(
    verb: str,
    jobs: "QuerySet[Job] | Iterable[int]",
    *,
    at: datetime,
    actor: User,
    chosen: str,
    options: Mapping[str, Any] | None = None,
) -> BulkAction:
    """
    Keep what was asked for: the verb, and the numbers of the jobs as they are chosen now. Nothing is done to them.

    :param jobs: a query of jobs, or numbers; numbers of no job are left out.
    :param chosen: how they were chosen, in words.
    :param options: ``priority`` of a set priority, ``tickets`` of a refund (all that is left when not given), ``refund`` of a
        cancel: what cannot be stopped is refunded if it is delivered.
    :raises BulkRefused: no job, more than a million, or an option that makes no sense.
    """
    verb = Verb(verb)
    found = jobs if isinstance(jobs, QuerySet) else Job.objects.filter(pk__in=list(jobs))
    # move to front keeps their order among each other, and puts the last of them in front first
    rank = ("priority", "-order_key", "-id") if verb is Verb.FRONT else ("id",)
    ids = list(found.order_by(*rank).values_list("pk", flat=True)[: MOST + 1])
    if not ids:
        raise BulkRefused("No jobs selected, or they no longer exist.")
    if len(ids) > MOST:
        raise BulkRefused(f"Too many jobs: the limit is {MOST:,}. Narrow the filter.")
    return _kept(verb, ids, at=at, actor=actor, chosen=chosen, options=_options(verb, options or {}))


def drafts(verb: str, jobs: "QuerySet[Job]", *, at: datetime, actor: User, chosen: str) -> list[BulkAction]:
    """As :func:`draft` without options, over however many jobs: a record for each million of them, in order of their ids."""
    ids = jobs.order_by("id").values_list("pk", flat=True).iterator(chunk_size=10_000)
    lots = iter(lambda: list(islice(ids, MOST)), [])
    return [_kept(Verb(verb), lot, at=at, actor=actor, chosen=chosen, options={}) for lot in lots]


@transaction.atomic
def amend(action: BulkAction, *, actor: User, options: Mapping[str, Any], most: int) -> bool:
    """
    Keep what was typed for a draft's option, at most ``most``. Gives whether it is another than before, so that what was shown of
    the draft does not hold any more; ``action`` has it then too.

    :raises BulkRefused: not a draft any more, no right, or an option that makes no sense.
    """
    now = _locked(action, actor, Phase.DRAFT)
    asked = _options(Verb(now.verb), options, most=most)
    if asked == now.options:
        return False
    now.options = action.options = asked
    now.save(update_fields=["options"])
    return True


@transaction.atomic
def confirm(
    action: BulkAction, *, at: datetime, actor: User, reason: str = "", options: Mapping[str, Any] | None = None
) -> BulkAction:
    """
    It starts in 10 s and can be undone until then.

    :raises BulkRefused: not a draft any more, no right, or a reason or an option is missing.
    """
    now = _locked(action, actor, Phase.DRAFT)
    reason = reason.strip()[:300]
    if now.verb in NEEDS_A_REASON and not reason:
        raise BulkRefused("Enter a reason. It is saved in each job's history and the audit.")
    now.options = {**now.options, **_options(Verb(now.verb), options or {})}
    if now.options.get("refund") and not may(actor, Verb.REFUND):
        raise BulkRefused("You can't promise refunds. Ask Finance, or cancel without one.")
    if now.options.get("refund") and not reason:
        raise BulkRefused("Enter a reason for the refund. It is saved in the ledger.")
    if now.verb == Verb.PRIORITY and "priority" not in now.options:
        raise BulkRefused("Choose a priority.")
    now.phase, now.actor, now.reason, now.starts_at = Phase.WAITING, actor, reason, at + STARTS_AFTER
    now.save(update_fields=["phase", "actor", "reason", "options", "starts_at"])
    return _said(now, "", at=at, actor=actor, reason=reason)


@transaction.atomic
def run_now(action: BulkAction, *, at: datetime, actor: User) -> BulkAction:
    """
    Skip what is left of the wait.

    :raises BulkRefused: it does not wait, or no right.
    """
    now = _locked(action, actor, Phase.WAITING)
    now.starts_at = at
    now.save(update_fields=["starts_at"])
    return _said(now, ": run now", at=at, actor=actor)


@transaction.atomic
def undo(action: BulkAction, *, at: datetime, actor: User) -> BulkAction:
    """
    Take it back before it began; no job was touched.

    :raises BulkRefused: it has begun or is over, or no right.
    """
    now = _locked(action, actor, Phase.WAITING)
    now.phase, now.ended_at, now.lease_until = Phase.UNDONE, at, None
    now.save(update_fields=["phase", "ended_at", "lease_until"])
    return _said(now, ": undone", at=at, actor=actor)


@transaction.atomic
def abort(action: BulkAction, *, at: datetime, actor: User) -> BulkAction:
    """
    Stop it after the chunk that is at work; what was done stays done.

    :raises BulkRefused: it does not run, or no right.
    """
    now = _locked(action, actor, Phase.RUNNING)
    now.phase, now.ended_at, now.lease_until = Phase.ABORTED, at, None
    now.save(update_fields=["phase", "ended_at", "lease_until"])
    return _said(now, f": stopped after {now.worked:,}", at=at, actor=actor)


@transaction.atomic
def lease_due(*, at: datetime) -> list[int]:
    """Give out the actions whose time has come and that no worker is at, oldest first: their ids."""
    due = BulkAction.objects.filter(phase__in=(Phase.WAITING, Phase.RUNNING), starts_at__lte=at)
    free = due.filter(Q(lease_until=None) | Q(lease_until__lte=at)).order_by("starts_at", "id")
    ids = list(free.select_for_update(no_key=True, skip_locked=True).values_list("pk", flat=True))
    BulkAction.objects.filter(pk__in=ids).update(lease_until=at + LEASE)
    return ids


def work(action_id: int, *, may_go_on: Callable[[], bool]) -> None:
    """Work through it, chunk after chunk, while it may; the rest is handed out again at once. Run twice it changes no result."""
    while _step(action_id, at=clock.now()):
        if not may_go_on():
            BulkAction.objects.filter(pk=action_id).update(lease_until=None)
            wake.dispatcher()
            return


def prune(*, at: datetime) -> None:
    """
    Remove drafts that nobody confirmed within a day, and of an action that ended a month ago its list of jobs, which may be
    millions of numbers; who did what to how many of them, and the first, stay in the audit.
    """
    BulkAction.objects.filter(phase=Phase.DRAFT, created_at__lt=at - DRAFTS_KEPT).delete()
    old = BulkAction.objects.filter(ended_at__lt=at - JOBS_KEPT).exclude(job_ids=[])
    for pk in old.order_by("id").values_list("pk", flat=True)[:PRUNED_AT_ONCE]:
        with transaction.atomic():
            BulkRefusal.objects.filter(action=pk).delete()
            BulkAction.objects.filter(pk=pk).update(job_ids=[])


@transaction.atomic(durable=True)
def _step(action_id: int, *, at: datetime) -> bool:
    """One chunk: the verb, its results and the pointer, or nothing of them. Gives whether there is more to do."""
    action = _rows().filter(pk=action_id).first()
    begins = action is not None and action.phase == Phase.WAITING and action.starts_at is not None and action.starts_at <= at
    if action is None or not (begins or action.phase == Phase.RUNNING):
        return False
    size = CHUNK.get(Verb(action.verb), 500)
    ids = BulkAction.objects.values_list(f"job_ids__{action.worked}_{action.worked + size}", flat=True).get(pk=action_id)
    outcome = bulk_verbs.do(action, ids, at=at)
    BulkRefusal.objects.bulk_create(BulkRefusal(action=action, job_id=pk, why=why[:300]) for pk, why in outcome.refused.items())
    came_to = Counter(action.results) + outcome.came_to + Counter(refused=len(outcome.refused))
    action.results = dict(came_to)
    action.worked += len(ids)
    more = action.worked < action.total
    action.phase = Phase.RUNNING if more else Phase.DONE
    action.ended_at, action.lease_until = (None, at + LEASE) if more else (at, None)
    action.save(update_fields=["phase", "worked", "results", "ended_at", "lease_until"])
    wake.queue_changed()
    return more


def _kept(
    verb: BulkAction.Verb, ids: list[int], *, at: datetime, actor: User, chosen: str, options: dict[str, Any]
) -> BulkAction:
    return BulkAction.objects.create(
        verb=verb, actor=actor, options=options, chosen=chosen[:300], job_ids=ids, total=len(ids), created_at=at
    )


def _rows() -> "QuerySet[BulkAction]":
    """Records to lock, without their numbers: a million of them are 8 MB."""
    return BulkAction.objects.select_for_update(no_key=True, of=("self",)).select_related("actor").defer("job_ids")


def _locked(action: BulkAction, actor: User, phase: BulkAction.Phase) -> BulkAction:
    now = _rows().get(pk=action.pk)
    if not may(actor, now.verb):
        raise BulkRefused(f"You don't have permission to {_deed(now)}.")
    if now.phase != phase:
        raise BulkRefused(f"{_TOO_LATE[phase]} Status: {_STANDS[Phase(now.phase)]}.")
    return now


def _said(action: BulkAction, what: str, *, at: datetime, actor: User, reason: str = "") -> BulkAction:
    """Write the audit's entry and wake who must know."""
    first = BulkAction.objects.values_list(f"job_ids__0_{FIRST_IDS}", flat=True).get(pk=action.pk)
    after = {"phase": action.phase, "jobs": action.total, "first": first, "chosen": action.chosen, **action.options}
    policy.audit(_deed(action) + what, str(action), at=at, actor=actor, after=after, reason=reason, of=action)
    wake.queue_changed()
    return action


def _deed(action: BulkAction) -> str:
    return _DEEDS.get(Verb(action.verb), f"{action.get_verb_display().lower()} jobs")


def _options(verb: BulkAction.Verb, given: Mapping[str, Any], *, most: int = 10**9) -> dict[str, Any]:
    """The options that the verb knows, checked; what was not given is left out. ``most`` tickets may be asked for."""
    if verb == Verb.CANCEL:
        return {"refund": True} if given.get("refund") else {}
    name = {Verb.PRIORITY: "priority", Verb.REFUND: "tickets"}.get(verb)
    value = given.get(name) if name else None
    if name is None or value in (None, ""):
        return {}
    lowest, highest = (priority.LOWEST, priority.HIGHEST) if name == "priority" else (1, most)
    try:
        number = int(str(value))
    except ValueError:
        number = lowest - 1
    if not lowest <= number <= highest:
        raise BulkRefused(f"{_ASKED[name]} must be a whole number from {lowest:,} to {highest:,}, not “{str(value)[:40]}”.")
    return {name: number}
