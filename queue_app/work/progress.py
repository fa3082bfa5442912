"""What a provider says of a task, poll and webhook alike, becomes a move of its job here and nowhere else."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from queue_app import lifecycle, wake
from queue_app.lifecycle import Lease, Trouble
from queue_app.models import Attempt, Job, Outcome, State
from queue_app.providers.base import ErrorKind, PollResult, TaskState
from queue_app.rules import backoff, schedule
from queue_app.work import accounts

log = logging.getLogger(__name__)
PAST_RUNS = 200
# replicas answer 404 for each other's tasks, and some providers do not know for a while what they have just accepted
LOST_AFTER, LOST_LOOKS_LEAST, LOST_LOOKS = timedelta(minutes=2), 3, timedelta(seconds=40)
FINAL = {ErrorKind.INVALID_REQUEST, ErrorKind.REJECTED}  # trying again would not help


def record(attempt: Attempt, lease: Lease, result: PollResult, *, at: datetime) -> list[tuple[Lease, State]]:
    """
    Write down how the task stands. Gives the lease for storing when the provider is done.

    A lease that is not the job's last one changes nothing.
    """
    with transaction.atomic():
        job = lifecycle.held_by(lease)
        if job is None:
            return []
        return apply(job, attempt, result, at=at)


def apply(job: Job, attempt: Attempt, result: PollResult, *, at: datetime) -> list[tuple[Lease, State]]:
    """Do to a job in flight what its provider's word on its task means; gives what `record` gives. The row is locked."""
    called_at = attempt.called_at or at
    elapsed = (at - called_at).total_seconds()
    if result.state == TaskState.LOST and not _is_lost(attempt, at=at):
        lifecycle.check_again(job, next_check_at=at + LOST_LOOKS)
        return []
    if result.word:
        result = _with_unknown_word(job, attempt, result, at=at)
    if not result.state.is_terminal:
        Attempt.objects.filter(pk=attempt.pk).update(looked_up_at=at, missing_since=None, missing_looks=0)
        seconds = seconds_to_next_check(job, elapsed=elapsed, progress=result.progress, hint=result.next_poll_after)
        lifecycle.check_again(job, next_check_at=at + timedelta(seconds=seconds), progress=result.progress)
        wake.looks_in(seconds)
    elif result.state == TaskState.SUCCEEDED:
        # it ended between the last look and this one; the later moment would let the past grow with every plan made from it
        ran = elapsed - (at - max(called_at, attempt.looked_up_at or called_at)).total_seconds() / 2
        cost, kept_until = result.cost, result.expires_at
        lease = lifecycle.deliver(job, at=at, actor="worker", ran_seconds=ran, usd_actual=cost, kept_until=kept_until)
        return [(lease, State.STORING)]
    elif job.state == State.CANCELLING:
        lifecycle.confirm_cancel(job, at=at, actor="worker", evidence=_words(result))
    else:
        _ended_badly(job, result, at=at)
    return []


def seconds_to_next_check(job: Job, *, elapsed: float, progress: float | None = None, hint: float | None = None) -> float:
    """From this model's past durations, else its typical one."""
    past = past_runs(job.model_id, preview=job.preview)
    return schedule.next_check(elapsed, past, typical=typical_seconds(job), progress=progress, hint=hint, chance=accounts.chance)


def typical_seconds(job: Job) -> float:
    """What such a task takes where it is bought, for as long as no past is known."""
    return float(settings.STUDIO_SECONDS if job.preview else job.model.typical_seconds)


def past_runs(model: str, *, preview: bool | None = None) -> list[float]:
    """
    Seconds from create call to the provider's end of this model's last 200 finished jobs, ascending.

    ``preview``: only those that the studio made, or only those that it did not; its time says nothing of the vendor's.
    """
    finished = Job.objects.filter(model=model, state=State.COMPLETED, ran_seconds__isnull=False)
    if preview is not None:
        finished = finished.filter(preview=preview)
    last = finished.order_by("-ended_at").values_list("ran_seconds", flat=True)[:PAST_RUNS]
    return sorted(seconds for seconds in last if seconds is not None)


def retry_at(job: Job, *, at: datetime) -> datetime:
    """When a job that failed at its provider may be tried again, by its kind's backoff."""
    tries = lifecycle.spent_tries(job) + 1
    return at + timedelta(seconds=backoff.retry_delay(job.kind.backoff, tries, chance=accounts.chance))


def _is_lost(attempt: Attempt, *, at: datetime) -> bool:
    """Whether "no such task" is proved: said at every look for two minutes, and at three looks at least (`invariants.md`)."""
    attempt.missing_since = attempt.missing_since or at
    attempt.missing_looks += 1
    attempt.save(update_fields=["missing_since", "missing_looks"])
    return attempt.missing_looks >= LOST_LOOKS_LEAST and at - attempt.missing_since >= LOST_AFTER


def _with_unknown_word(job: Job, attempt: Attempt, result: PollResult, *, at: datetime) -> PollResult:
    """
    A state in a word that nobody knows is noted once. With an error beside it, and nothing moving from one look to the next, it
    is a failure; else the task runs, and its timeout ends it.
    """
    before = attempt.remote.get("odd", {})
    odd = {"word": result.word, "progress": result.progress, "error": bool(result.error)}
    if before.get("word") != result.word:
        words = f"The provider reported “{result.word}”, an unknown status. Treated as {result.state}."
        lifecycle.note_each([job], at=at, actor="worker", reason=words)
        log.warning("job %s: account %s says %r, an unknown state", job.pk, attempt.account_id, result.word)
    attempt.remote = {**attempt.remote, "odd": odd}
    attempt.save(update_fields=["remote"])
    if result.error and before == odd and not result.state.is_terminal:
        return replace(result, state=TaskState.FAILED)
    return result


def _ended_badly(job: Job, result: PollResult, *, at: datetime) -> None:
    error = result.error
    code = "rejected" if result.state == TaskState.REJECTED else (error.code if error and error.code else str(result.state))
    trouble = Trouble(code, _words(result), str(error.kind) if error else str(result.state))
    if result.state == TaskState.REJECTED or (error and error.kind in FINAL):
        lifecycle.fail(job, at=at, actor="worker", trouble=trouble)
        return
    outcome = {TaskState.LOST: Outcome.LOST, TaskState.CANCELED: Outcome.CANCELLED}.get(result.state, Outcome.FAILED)
    is_ours = error is None or error.kind != ErrorKind.QUOTA  # credit that ran out is nobody's attempt
    not_before = retry_at(job, at=at) if is_ours else None
    lifecycle.put_back(job, at=at, actor="worker", outcome=outcome, spent=is_ours, trouble=trouble, not_before=not_before)


def _words(result: PollResult) -> str:
    said = {
        TaskState.LOST: "The provider no longer knows this task.",
        TaskState.CANCELED: "The provider cancelled this task.",
        TaskState.FAILED: "The provider failed to generate it.",
        TaskState.REJECTED: "Rejected by the provider's content policy.",
    }
    return result.error.message if result.error and result.error.message else said.get(result.state, str(result.state))
