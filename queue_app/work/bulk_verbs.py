"""
What each verb of a bulk action does to one chunk of its jobs, inside the chunk's transaction: how many came to what, and why
the others were refused. Lock order as everywhere: the claim lock, batches, jobs, wallets.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from queue_app import database, lifecycle, tickets
from queue_app.lifecycle import Verdict
from queue_app.models import BulkAction, Job, LedgerEntry, QueueSettings, State
from queue_app.models.job import OPEN_STATES, TERMINAL_STATES
from queue_app.work import accounts, again, policy, reorder

log = logging.getLogger(__name__)
Verb = BulkAction.Verb


@dataclass
class Outcome:
    """Jobs by what became of them, and the reason for each that nothing became of."""

    came_to: Counter[str] = field(default_factory=Counter)
    refused: dict[int, str] = field(default_factory=dict)

    def add(self, other: "Outcome") -> None:
        self.came_to.update(other.came_to)
        self.refused.update(other.refused)


def do(action: BulkAction, ids: Sequence[int], *, at: datetime) -> Outcome:
    """
    Carry the verb out on these jobs. A fault at one of them is that one's refusal and is logged; a fault of the database is the
    caller's, who tries the whole chunk again.
    """
    try:
        with transaction.atomic():
            return _VERBS[Verb(action.verb)](action, ids, at)
    except Exception as fault:
        if database.may_pass(fault):
            raise
        if len(ids) == 1:
            log.exception("bulk action %s: %s of job %s failed", action.pk, action.verb, ids[0])
            return Outcome(refused={ids[0]: f"Internal error ({type(fault).__name__}). See the log."})
        outcome = Outcome()
        for pk in ids:
            outcome.add(do(action, [pk], at=at))
        return outcome


def _cancel(action: BulkAction, ids: Sequence[int], at: datetime) -> Outcome:
    beyond: list[int] = []  # of what runs now: what was asked before is left as it is, as the preview says
    if action.options.get("refund"):
        running, _ = _locked(ids, (State.RUNNING,), "")
        beyond = [job.pk for job in accounts.beyond_stopping(Job.objects.filter(pk__in=[job.pk for job in running]))]
    verdicts = lifecycle.cancel(ids, at=at, actor=action.actor.username, reason=action.reason)
    if beyond:
        lifecycle.promise_refund(beyond, at=at, actor=action.actor.username, reason=action.reason)
    came_to = Counter(str(verdict) for verdict in verdicts.values() if verdict != Verdict.TOO_LATE)
    late = Job.objects.filter(pk__in=[pk for pk, verdict in verdicts.items() if verdict == Verdict.TOO_LATE])
    return Outcome(came_to, _refuse(late, "too late to cancel"))


def _retry(action: BulkAction, ids: Sequence[int], at: datetime) -> Outcome:
    queued, refused = again.each(ids, at=at, actor=action.actor.username)
    return Outcome(Counter(queued=len(queued)), refused)


def _set_priority(action: BulkAction, ids: Sequence[int], at: datetime) -> Outcome:
    level = int(action.options["priority"])
    queued, refused = _locked(ids, (State.QUEUED,), "only queued jobs have a priority")
    changed = [job for job in queued if job.priority != level]
    reorder.set_priority(changed, level, at=at, actor=action.actor.username)
    return Outcome(Counter(changed=len(changed), unchanged=len(queued) - len(changed)), refused)


def _move_to_front(action: BulkAction, ids: Sequence[int], at: datetime) -> Outcome:
    QueueSettings.objects.lock_claims()
    queued, refused = _locked(ids, (State.QUEUED,), "only queued jobs have a position")
    # the record names them last first: so its last chunk comes to stand before the others
    place = {pk: number for number, pk in enumerate(reversed(ids))}
    reorder.move_to_front(sorted(queued, key=lambda job: place[job.pk]), at=at, actor=action.actor.username)
    return Outcome(Counter(moved=len(queued)), refused)


def _clear(action: BulkAction, ids: Sequence[int], at: datetime) -> Outcome:
    ended, refused = _locked(ids, TERMINAL_STATES, "only finished jobs can be cleared")
    in_view = [job for job in ended if job.archived_at is None]
    reorder.clear(in_view, at=at, actor=action.actor.username)
    return Outcome(Counter(cleared=len(in_view), unchanged=len(ended) - len(in_view)), refused)


def _force_fail(action: BulkAction, ids: Sequence[int], at: datetime) -> Outcome:
    _, refused = _locked(ids, OPEN_STATES, "already finished")
    ended = lifecycle.force_fail(ids, at=at, actor=action.actor.username, reason=action.reason)
    return Outcome(Counter(failed=len(ended)), refused)


def _refund(action: BulkAction, ids: Sequence[int], at: datetime) -> Outcome:
    completed, refused = _locked(ids, (State.COMPLETED,), "only completed jobs are charged")
    tickets.lock({job.owner_id for job in completed})
    came_to: Counter[str] = Counter()
    for job in completed:
        try:
            _refund_one(action, job, at)
        except tickets.RefundRefused as refusal:
            refused[job.pk] = str(refusal)
        else:
            came_to["refunded"] += 1
    return Outcome(came_to, refused)


def _refund_one(action: BulkAction, job: Job, at: datetime) -> None:
    name, amount = action.actor.username, action.options.get("tickets")
    entry = tickets.refund(job, at=at, actor=name, reason=action.reason, amount=amount)
    back = LedgerEntry.objects.get(transaction=entry, side=LedgerEntry.Side.AVAILABLE).amount
    given = {"tickets": back, "ledger": entry.key}
    lifecycle.note_each([job], at=at, actor=name, reason=f"refunded: {action.reason}", data={job.pk: given})
    policy.audit("refund", str(job), at=at, actor=action.actor, after=given, reason=action.reason, of=job)


_VERBS: dict[BulkAction.Verb, Callable[[BulkAction, Sequence[int], datetime], Outcome]] = {
    Verb.CANCEL: _cancel,
    Verb.RETRY: _retry,
    Verb.PRIORITY: _set_priority,
    Verb.FRONT: _move_to_front,
    Verb.CLEAR: _clear,
    Verb.FORCE_FAIL: _force_fail,
    Verb.REFUND: _refund,
}


def _locked(ids: Sequence[int], states: Iterable[State], why_not: str) -> tuple[list[Job], dict[int, str]]:
    """Lock the jobs, ids ascending; those in one of the states, and why the others are not for it."""
    jobs, wanted = list(Job.objects.lock().filter(pk__in=ids)), set(states)
    return [job for job in jobs if job.state in wanted], _refuse([job for job in jobs if job.state not in wanted], why_not)


def _refuse(jobs: Iterable[Job], why: str) -> dict[int, str]:
    return {job.pk: f"Skipped ({job.get_state_display().lower()}): {why}." for job in jobs}
