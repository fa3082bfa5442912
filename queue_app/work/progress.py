"""Progress: the only place that turns a provider's report on a task, by poll or webhook, into a change of its job."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.db import transaction

from queue_app import lifecycle, wake
from queue_app.lifecycle import Lease, Trouble
from queue_app.models import Attempt, Job, Outcome, State
from queue_app.providers.base import ErrorKind, PollResult, TaskState
from queue_app.rules import schedule
from queue_app.statements import Statement
from queue_app.work import accounts, webhooks

log = logging.getLogger(__name__)
PAST_RUNS = 200
# replicas answer 404 for each other's tasks, and some providers do not know a task for a while after accepting it
LOST_AFTER, LOST_LOOKS_LEAST, LOST_LOOKS = timedelta(minutes=2), 3, timedelta(seconds=40)
# of each model, the newest first
_RUNS = Statement("""
    SELECT run.model_id, run.ran_seconds, run.usd_estimate
      FROM unnest(%(models)s::text[]) AS model (key)
     CROSS JOIN LATERAL (
        SELECT model_id, ran_seconds, usd_estimate FROM queue_app_job
         WHERE model_id = model.key AND state = 'completed' AND ran_seconds IS NOT NULL
           AND (%(preview)s::boolean IS NULL OR preview = %(preview)s)
         ORDER BY ended_at DESC LIMIT %(most)s
     ) run
""")
FINAL = {ErrorKind.INVALID_REQUEST, ErrorKind.REJECTED}  # another attempt would not help


def record(
    attempt: Attempt, lease: Lease, result: PollResult, *, at: datetime, begun: Job | None = None
) -> list[tuple[Lease, State]]:
    """
    Record a provider's report on a task. Return the lease for storing if the provider is done, else an empty list.

    An outdated lease changes nothing.

    :param begun: the job as it was when the provider was asked; if a webhook came since, it is asked again immediately.
    """
    with transaction.atomic():
        job = lifecycle.held_by(lease)
        if job is None:
            return []
        return apply(job, attempt, result, at=at, begun=begun)


def apply(job: Job, attempt: Attempt, result: PollResult, *, at: datetime, begun: Job | None = None) -> list[tuple[Lease, State]]:
    """Change a job in flight as the provider's report requires; return as `record` does. The caller holds the row lock."""
    called_at = attempt.called_at or at
    elapsed = (at - called_at).total_seconds()
    if result.state == TaskState.LOST and not _is_lost(attempt, at=at):
        lifecycle.check_again(job, next_check_at=at + LOST_LOOKS)
        return []
    if result.word:
        result = _with_unknown_word(job, attempt, result, at=at)
    if not result.state.is_terminal:
        Attempt.objects.filter(pk=attempt.pk).update(looked_up_at=at, missing_since=None, missing_looks=0)
        rarer, hint = webhooks.is_expected(attempt, at=at), result.next_poll_after
        seconds = seconds_to_next_check(job, elapsed=elapsed, progress=result.progress, hint=hint, rarer=rarer)
        if lifecycle.asked_meanwhile(job, begun):
            seconds = 0.0
        lifecycle.check_again(job, next_check_at=at + timedelta(seconds=seconds), progress=result.progress)
        wake.looks_in(seconds)
    elif result.state == TaskState.SUCCEEDED:
        # It ended between the last check and this one. Checks are planned from past runs, so counting until now would make both
        # longer and longer.
        ran = elapsed - (at - max(called_at, attempt.looked_up_at or called_at)).total_seconds() / 2
        lease = lifecycle.deliver(
            job,
            at=at,
            actor="worker",
            ran_seconds=ran if result.ran_seconds is None else result.ran_seconds,
            usd_actual=result.cost,
            kept_until=result.expires_at,
            usage=result.usage,
        )
        return [(lease, State.STORING)]
    elif job.state == State.CANCELLING:
        lifecycle.confirm_cancel(job, at=at, actor="worker", evidence=_words(result))
    else:
        _handle_failure(job, result, at=at)
    return []


def tell_account(attempt: Attempt, result: PollResult | None, *, at: datetime) -> None:
    """Change the account as an answered call requires: it is paused if its credit has run out, else the provider works."""
    if result and result.error and result.error.kind == ErrorKind.QUOTA:
        accounts.went_badly(attempt, result.error, at=at)
    else:
        accounts.went_well(attempt)


def seconds_to_next_check(
    job: Job, *, elapsed: float, progress: float | None = None, hint: float | None = None, rarer: bool = False
) -> float:
    """
    Return the seconds until the next check, from the model's past runs or else its typical run time.

    :param rarer: a webhook is expected, so that the check is only in case it does not come.
    """
    past, typical = past_runs(job.model_id, preview=job.preview), typical_seconds(job)
    pace = schedule.BESIDE_WEBHOOKS if rarer else schedule.ALONE
    return schedule.next_check(elapsed, past, typical=typical, progress=progress, hint=hint, chance=accounts.chance, pace=pace)


def typical_seconds(job: Job) -> float:
    """Return the run time in seconds to assume while there are no past runs: the studio's for a preview, else the model's."""
    return float(settings.STUDIO_SECONDS if job.preview else job.model.typical_seconds)


class Run(NamedTuple):
    """A completed job: seconds from its create call to the provider's end, and its estimated cost, which its parameters set."""

    seconds: float
    usd: Decimal


def recent_runs(models: Iterable[str], *, preview: bool | None = None) -> dict[str, list[Run]]:
    """
    Return the last 200 completed jobs of each of these models, the newest first.

    ``preview`` limits them to previews or to non-previews, because the studio's times say nothing about the provider's.
    """
    found: dict[str, list[Run]] = defaultdict(list)
    for model, seconds, usd in _RUNS.run(models=list(models), preview=preview, most=PAST_RUNS):
        found[model].append(Run(seconds, usd))
    return found


def past_runs(model: str, *, preview: bool | None = None) -> list[float]:
    """Return the times of :func:`recent_runs` of one model, ascending."""
    return sorted(run.seconds for run in recent_runs([model], preview=preview)[model])


def retry_at(job: Job, *, at: datetime) -> datetime:
    """Return the earliest time for the next attempt of a job that failed at its provider."""
    tries = lifecycle.spent_tries(job) + 1
    return at + timedelta(seconds=job.retries.wait_after(tries, chance=accounts.chance))


def _is_lost(attempt: Attempt, *, at: datetime) -> bool:
    """
    Record a "no such task" and return whether the task is lost: every check for two minutes, and at least three checks, said so
    (docs/invariants.md, failure policy).
    """
    attempt.missing_since = attempt.missing_since or at
    attempt.missing_looks += 1
    attempt.save(update_fields=["missing_since", "missing_looks"])
    return attempt.missing_looks >= LOST_LOOKS_LEAST and at - attempt.missing_since >= LOST_AFTER


def _with_unknown_word(job: Job, attempt: Attempt, result: PollResult, *, at: datetime) -> PollResult:
    """
    Note a status that the adapter does not know, once. Return the result as a failure if it carries an error and has not changed
    since the last check; otherwise unchanged, so the task counts as running until its timeout.
    """
    before = attempt.remote.get("odd", {})
    odd = {"word": result.word, "progress": result.progress, "error": bool(result.error)}
    if before.get("word") != result.word:
        words = f"The provider reported “{result.word}”, an unknown status. Treated as {result.state}."
        lifecycle.note_each([job], at=at, actor="worker", reason=words)
        log.warning("job %s: account %s reports %r, an unknown status", job.pk, attempt.account_id, result.word)
    attempt.remote = {**attempt.remote, "odd": odd}
    attempt.save(update_fields=["remote"])
    if result.error and before == odd and not result.state.is_terminal:
        return replace(result, state=TaskState.FAILED)
    return result


def _handle_failure(job: Job, result: PollResult, *, at: datetime) -> None:
    error = result.error
    code = "rejected" if result.state == TaskState.REJECTED else (error.code if error and error.code else str(result.state))
    trouble = Trouble(code, _words(result), str(error.kind) if error else str(result.state))
    if result.state == TaskState.REJECTED or (error and error.kind in FINAL):
        lifecycle.fail(job, at=at, actor="worker", trouble=trouble)
        return
    outcome = {TaskState.LOST: Outcome.LOST, TaskState.CANCELED: Outcome.CANCELLED}.get(result.state, Outcome.FAILED)
    is_ours = error is None or error.kind != ErrorKind.QUOTA  # our credit ran out: the attempt does not count
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
