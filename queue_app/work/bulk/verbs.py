"""
The bulk verbs, one class each, and the table that everything else asks.

To add one, write a class here, name it in ``_ALL`` and give the model's ``BulkAction.Verb`` its choice: ``docs/how-to.md``.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Sum

from queue_app import lifecycle, tickets
from queue_app.lifecycle import CancelVerdict
from queue_app.models import BulkAction, GenerationModel, Job, LedgerEntry, QueueSettings, State
from queue_app.models.job import AT_THE_PROVIDER, IN_FLIGHT_STATES, OPEN_STATES, TERMINAL_STATES
from queue_app.rules import numbers, priority
from queue_app.work import accounts, capacity, intake, policy, reorder
from queue_app.work.bulk import retries
from queue_app.work.bulk.base import (
    BulkVerb,
    ChunkOutcome,
    Consequence,
    Effect,
    Look,
    Remark,
    Result,
    left_as_is,
    locked,
    refusals,
)
from queue_app.work.bulk.options import NewPriority, RefundPromise, TicketsPerJob
from queue_app.work.bulk.selection import Selection
from queue_app.work.roles import Right

Verb = BulkAction.Verb
NAMED = 6  # models or owners in a sentence, those with the most jobs first
BEYOND = "can't be stopped"
WAITING = "Still in the queue, not at the provider."
NOT_QUEUED = "Only queued jobs have a position."


class Cancel(BulkVerb):
    key = Verb.CANCEL
    phrase, keep = "Cancel {}", "Keep jobs"
    states = (State.QUEUED, *AT_THE_PROVIDER)
    option = RefundPromise()
    reason_in_history = is_final = True
    in_list = Look("cancelling", "is-danger")
    on_page = Look(css="is-danger", place=5)
    results = (
        Result("cancelled", "cancelled", "cancelled"),
        Result("requested", "cancelling", "cancelling"),
    )

    def is_legal(self, job: Job, *, refundable: int) -> bool:
        return super().is_legal(job, refundable=refundable) and (job.state == State.QUEUED or job.cancel_asked_at is None)

    def lines(self, chosen: Selection) -> list[Consequence]:
        """Return what a cancel does to these jobs; owners read the same."""
        queued, running = chosen.count(State.QUEUED), chosen.jobs.filter(state=State.RUNNING)
        asked_to_stop = chosen.count(State.RUNNING)
        beyond = accounts.beyond_stopping(running).count() if asked_to_stop else 0
        staged = running.filter(kind__in=settings.PIPELINES).count() if asked_to_stop else 0
        storing, asked, ended = (chosen.count(*states) for states in ((State.STORING,), (State.CANCELLING,), TERMINAL_STATES))
        stop = "Shown as “Cancelling” until the provider confirms. A job that finishes first is kept and charged."
        later = "The provider has not confirmed yet. If it accepted a job, we ask it to stop; if not, the job is cancelled."
        left = f"{storing:,} saving, {asked:,} already cancelling, {ended:,} finished. These can't be cancelled."
        return [
            Consequence(queued, "cancelled immediately", WAITING, State.QUEUED, "Queued"),
            Consequence(asked_to_stop - beyond - staged, "cancelling at the provider", stop, State.RUNNING, "Running"),
            Consequence(staged, "cancelling", lifecycle.STOPS_AFTER_CALL, State.RUNNING, "Running"),
            Consequence(beyond, BEYOND, "This provider has no cancel. Delivered jobs are charged.", State.RUNNING, "Running"),
            Consequence(
                chosen.count(State.SUBMITTING, State.UNKNOWN),
                "decided once the provider answers",
                later,
                State.UNKNOWN,
                "Unconfirmed",
            ),
            left_as_is(storing + asked + ended, left, "Too late"),
        ]

    def effect(self, chosen: Selection, options: Mapping[str, Any]) -> Effect:
        lines = self.lines(chosen)
        remarks = _tickets_back(chosen, now=(State.QUEUED,), later=AT_THE_PROVIDER, billed=AT_THE_PROVIDER)
        beyond = sum(line.count for line in lines if line.what == BEYOND)
        return Effect(
            lines,
            remarks,
            self.option if beyond else None,
            returned=chosen.tickets(State.QUEUED),
            returned_later=chosen.tickets(*AT_THE_PROVIDER),
            beyond=beyond,
        )

    def apply(self, action: BulkAction, ids: Sequence[int], *, at: datetime) -> ChunkOutcome:
        beyond: list[int] = []  # of the running jobs: earlier cancel requests stay as they are, as the preview says
        if action.options.get("refund"):
            running, _ = locked(ids, (State.RUNNING,), "")
            beyond = [job.pk for job in accounts.beyond_stopping(Job.objects.filter(pk__in=[job.pk for job in running]))]
        verdicts = lifecycle.cancel(ids, at=at, actor=action.actor.username, reason=action.reason)
        if beyond:
            lifecycle.promise_refund(beyond, at=at, actor=action.actor.username, reason=action.reason)
        results = Counter(str(verdict) for verdict in verdicts.values() if verdict != CancelVerdict.TOO_LATE)
        late = [pk for pk, verdict in verdicts.items() if verdict == CancelVerdict.TOO_LATE]
        return ChunkOutcome(results, refusals(Job.objects.filter(pk__in=late).order_by("pk"), "too late to cancel"))


class Retry(BulkVerb):
    key = Verb.RETRY
    phrase, keep = "Retry {}", "Don't retry"
    states = retries.RETRYABLE
    in_list = Look("retry")
    on_page = Look("retry", "is-primary", place=7)
    results = (Result("queued", "back in the queue", "queued"),)

    def lines(self, chosen: Selection, offered: Mapping[str, GenerationModel]) -> list[Consequence]:
        """Return what a retry does to these jobs while these models are offered; owners read the same."""
        ended = chosen.count(*retries.RETRYABLE)
        late = sum(group.jobs for group in chosen.among(*retries.RETRYABLE) if group.late)
        lost = [group for group in chosen.among(*retries.RETRYABLE) if not group.late and group.model not in offered]
        lost_jobs, lost_models = sum(group.jobs for group in lost), sorted({group.model for group in lost})
        back = "Each goes to the back of the queue with new attempts."
        return [
            Consequence(ended - lost_jobs - late, "back in the queue", back, State.QUEUED, "Queued"),
            left_as_is(lost_jobs, f"{', '.join(lost_models)}: no provider right now.", "Not available"),
            left_as_is(late, "Past the deadline. Submit a new job with a later deadline.", "Too late"),
            left_as_is(chosen.rest(*retries.RETRYABLE), "Only failed and cancelled jobs can be retried.", "Not retryable"),
        ]

    def effect(self, chosen: Selection, options: Mapping[str, Any]) -> Effect:
        offered = capacity.available_models()
        needed = retries.price_today(chosen.jobs, offered, at=chosen.at)
        remarks = []
        if needed:
            wallets = numbers.counted(len(needed), "wallet")
            rest = f"from {wallets}, at today's price. Charged on completion."
            remarks.append(Remark(f"{numbers.counted(sum(needed.values()), 'ticket')} will be reserved", rest))
        if short := retries.shortfalls(needed):
            said = [f"{one.owner} has {one.available:,} of {one.needed:,}" for one in short[:NAMED]]
            others = [f"{len(short) - NAMED} others"] if len(short) > NAMED else []
            rest = f"{'; '.join(said + others)}. Lower job numbers go first; the rest are skipped."
            remarks.append(Remark("Not enough tickets for all:", rest, warns=True))
        return Effect(self.lines(chosen, offered), remarks, reserved=sum(needed.values()))

    def apply(self, action: BulkAction, ids: Sequence[int], *, at: datetime) -> ChunkOutcome:
        jobs = Job.objects.filter(pk__in=ids).lock_for_retry()
        refused = retries.refusals(jobs, at=at)
        again = [job for job in jobs if job.pk not in refused]
        intake.retry(again, at=at, actor=action.actor.username)
        return ChunkOutcome(Counter(queued=len(again)), refused)


class SetPriority(BulkVerb):
    key = Verb.PRIORITY
    phrase, keep, deed = "Set priority of {}", "Leave as is", "set job priority"
    states = (State.QUEUED,)
    option = NewPriority()
    in_list = Look("gauge")
    on_page = Look(place=3)
    results = (Result("changed", "priority changed"),)

    def title(self, count: int) -> str:
        return f"Set the priority of {numbers.counted(count, 'job')}?"

    def effect(self, chosen: Selection, options: Mapping[str, Any]) -> Effect:
        levels = sorted(chosen.priorities(State.QUEUED).items(), reverse=True)
        now = ", ".join(f"{jobs:,} {priority.name(level).lower()}" for level, jobs in levels)
        why = f"Now: {now}. Each goes behind older jobs of the same priority."
        lines = [
            Consequence(chosen.count(State.QUEUED), "moved to a new position", why, State.QUEUED, "Queued"),
            left_as_is(chosen.rest(State.QUEUED), NOT_QUEUED, "Not queued"),
        ]
        return Effect(lines, option=self.option)

    def apply(self, action: BulkAction, ids: Sequence[int], *, at: datetime) -> ChunkOutcome:
        level = int(action.options["priority"])
        queued, refused = locked(ids, (State.QUEUED,), "only queued jobs have a priority")
        changed = [job for job in queued if reorder.has_other(job, level)]
        reorder.set_priority(changed, level, at=at, actor=action.actor.username)
        return ChunkOutcome(Counter(changed=len(changed), unchanged=len(queued) - len(changed)), refused)


class MoveToFront(BulkVerb):
    key = Verb.FRONT
    phrase, keep, deed = "Move {} to the front", "Leave as is", "move jobs to front"
    states = (State.QUEUED,)
    rank = ("priority", "-order_key", "-id")  # the last of a queue first, so that the first chunk's jobs end up behind the others
    in_list = Look("front")
    on_page = Look("front", place=6)
    results = (Result("moved", "moved to the front"),)

    def is_legal(self, job: Job, *, refundable: int) -> bool:
        """Whether a job of the same priority is ahead of it: it is moved past no other."""
        return super().is_legal(job, refundable=refundable) and reorder.can_move_to_front(job)

    def effect(self, chosen: Selection, options: Mapping[str, Any]) -> Effect:
        named = ", ".join(f"{jobs:,} of {model}" for model, jobs in chosen.models(State.QUEUED).most_common(NAMED))
        why = f"Ahead of all jobs of the same priority, in their current order: {named}. Other jobs wait longer."
        lines = [
            Consequence(chosen.count(State.QUEUED), "moved to the front", why, State.QUEUED, "Queued"),
            left_as_is(chosen.rest(State.QUEUED), NOT_QUEUED, "Not queued"),
        ]
        return Effect(lines)

    def apply(self, action: BulkAction, ids: Sequence[int], *, at: datetime) -> ChunkOutcome:
        QueueSettings.objects.lock_claims()
        queued, refused = locked(ids, (State.QUEUED,), "only queued jobs have a position")
        place = {pk: number for number, pk in enumerate(reversed(ids))}
        reorder.move_to_front(sorted(queued, key=lambda job: place[job.pk]), at=at, actor=action.actor.username)
        return ChunkOutcome(Counter(moved=len(queued)), refused)


class Clear(BulkVerb):
    key = Verb.CLEAR
    phrase, keep = "Clear {}", "Keep in list"
    states = TERMINAL_STATES
    in_list = Look("box")
    on_page = Look(place=1)
    results = (Result("cleared", "cleared"),)

    def is_legal(self, job: Job, *, refundable: int) -> bool:
        return super().is_legal(job, refundable=refundable) and job.archived_at is None

    def effect(self, chosen: Selection, options: Mapping[str, Any]) -> Effect:
        in_view = sum(group.jobs for group in chosen.among(*TERMINAL_STATES) if group.in_view)
        kept = "They stay in history and the ledger. Find them with the “Cleared” filter."
        lines = [
            Consequence(in_view, "hidden from the list", kept, State.COMPLETED, "Finished"),
            left_as_is(chosen.count(*OPEN_STATES), "Not finished yet.", "Unfinished"),
            left_as_is(chosen.count(*TERMINAL_STATES) - in_view, "Already cleared.", "Cleared"),
        ]
        return Effect(lines, [Remark("Tickets and files are not affected.")])

    def apply(self, action: BulkAction, ids: Sequence[int], *, at: datetime) -> ChunkOutcome:
        ended, refused = locked(ids, TERMINAL_STATES, "only finished jobs can be cleared")
        in_view = [job for job in ended if job.archived_at is None]
        reorder.clear(in_view, at=at, actor=action.actor.username)
        return ChunkOutcome(Counter(cleared=len(in_view), unchanged=len(ended) - len(in_view)), refused)


class Refund(BulkVerb):
    key = Verb.REFUND
    phrase, keep = "Refund {}", "Keep charge"
    states = (State.COMPLETED,)
    right = Right.MOVE_TICKETS
    option = TicketsPerJob()
    needs_reason = reason_in_history = is_final = True
    chunk = 100  # each job is booked by itself, and its wallet stays locked until the chunk ends
    in_list = Look("ticket")
    on_page = Look("ticket", place=2)
    results = (Result("refunded", "refunded"),)

    def is_legal(self, job: Job, *, refundable: int) -> bool:
        return super().is_legal(job, refundable=refundable) and refundable > 0

    def effect(self, chosen: Selection, options: Mapping[str, Any]) -> Effect:
        asked = options.get("tickets")
        least = numbers.counted(asked or 1, "ticket")
        found = chosen.charged(least=asked or 1).aggregate(
            jobs=Count("pk"), tickets=Sum("still"), wallets=Count("wallet", distinct=True)
        )
        jobs, back = found["jobs"], found["jobs"] * asked if asked else found["tickets"] or 0
        each = f"{least} per job" if asked else "The full remaining charge"
        lines = [
            Consequence(jobs, "refunded", f"{each}. The jobs stay completed and keep their files.", State.COMPLETED, "Completed"),
            left_as_is(chosen.count(State.COMPLETED) - jobs, f"Less than {least} left to refund.", "Refunded"),
            left_as_is(chosen.rest(State.COMPLETED), "Only completed jobs are charged.", "Not charged"),
        ]
        rest = f"to {numbers.counted(found['wallets'], 'wallet')}. The provider still bills us."
        return Effect(lines, [Remark(f"{_tickets_are(back)} refunded", rest)] if back else [], self.option, returned=back)

    def apply(self, action: BulkAction, ids: Sequence[int], *, at: datetime) -> ChunkOutcome:
        completed, refused = locked(ids, (State.COMPLETED,), "only completed jobs are charged")
        tickets.lock({job.owner_id for job in completed})
        results: Counter[str] = Counter()
        for job in completed:
            try:
                self._refund(action, job, at)
            except tickets.RefundRefused as refusal:
                refused[job.pk] = str(refusal)
            else:
                results["refunded"] += 1
        return ChunkOutcome(results, refused)

    def _refund(self, action: BulkAction, job: Job, at: datetime) -> None:
        name, amount = action.actor.username, action.options.get("tickets")
        entry = tickets.refund(job, at=at, actor=name, reason=action.reason, amount=amount)
        back = LedgerEntry.objects.get(transaction=entry, side=LedgerEntry.Side.AVAILABLE).amount
        given = {"tickets": back, "ledger": entry.key}
        lifecycle.note_each([job], at=at, actor=name, reason=f"refunded: {action.reason}", data={job.pk: given})
        policy.audit("refund", str(job), at=at, actor=action.actor, after=given, reason=action.reason, of=job)


class ForceFail(BulkVerb):
    key = Verb.FORCE_FAIL
    phrase, keep = "Force-fail {}", "Keep jobs"
    states = OPEN_STATES
    right = Right.FORCE_FAIL
    needs_reason = reason_in_history = is_final = True
    in_list = Look("failed", "is-danger gq-push")
    on_page = Look(css="is-danger", place=4)
    results = (Result("failed", "force-failed", "failed"),)

    def effect(self, chosen: Selection, options: Mapping[str, Any]) -> Effect:
        abandoned = (State.SUBMITTING, State.RUNNING, State.UNKNOWN, State.CANCELLING)
        lost = (
            "We stop tracking them. The provider may still finish and bill them. Each slot stays in use until the job's timeout."
        )
        thrown = "The provider has finished and will bill them. The files are discarded."
        lines = [
            Consequence(chosen.count(State.QUEUED), "failed immediately", WAITING, State.QUEUED, "Queued"),
            Consequence(chosen.count(*abandoned), "abandoned", lost, State.RUNNING, "At the provider"),
            Consequence(chosen.count(State.STORING), "failed after delivery", thrown, State.STORING, "Saving"),
            left_as_is(chosen.count(*TERMINAL_STATES), "Already finished.", "Finished"),
        ]
        remarks = _tickets_back(chosen, now=OPEN_STATES, billed=IN_FLIGHT_STATES)
        return Effect(lines, remarks, returned=chosen.tickets(*OPEN_STATES))

    def apply(self, action: BulkAction, ids: Sequence[int], *, at: datetime) -> ChunkOutcome:
        _, refused = locked(ids, OPEN_STATES, "already finished")
        ended = lifecycle.force_fail(ids, at=at, actor=action.actor.username, reason=action.reason)
        return ChunkOutcome(Counter(failed=len(ended)), refused)


# in the order of the job list's buttons
_ALL = (CANCEL := Cancel(), RETRY := Retry(), SetPriority(), MoveToFront(), Clear(), Refund(), ForceFail())
VERBS: dict[BulkAction.Verb, BulkVerb] = {verb.key: verb for verb in _ALL}


def of(action: BulkAction) -> BulkVerb:
    """Return the verb of an action."""
    return VERBS[Verb(action.verb)]


def _tickets_back(
    chosen: Selection, *, now: tuple[State, ...], billed: tuple[State, ...], later: tuple[State, ...] = ()
) -> list[Remark]:
    """Return which tickets go back now and which when running jobs stop, and what the provider may still bill us."""
    tickets_now, tickets_later, usd = chosen.tickets(*now), chosen.tickets(*later), chosen.usd(*billed)
    bill = f"The provider may still bill us about ${usd:,.2f}." if usd else ""
    if tickets_now:
        wallets = numbers.counted(len(chosen.owners(*now)), "wallet")
        more = f", and up to {tickets_later:,} more when running jobs stop" if tickets_later else ""
        return [Remark(f"{_tickets_are(tickets_now)} returned", f"to {wallets} now{more}. {bill}".rstrip())]
    if tickets_later:
        return [Remark(f"Up to {_tickets_are(tickets_later)} returned", f"when running jobs stop. {bill}".rstrip())]
    return []


def _tickets_are(count: int) -> str:
    return f"{numbers.counted(count, 'ticket')} {'is' if count == 1 else 'are'}"
