"""
Submission: exactly one create call per attempt, outside any transaction (I16, I32).

`lifecycle.begin` has committed ``called_at`` before this runs. The process may then die at any line: an attempt with
``called_at`` and no answer becomes `unknown` and is looked up, never sent again.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from queue_app import clock, database, lifecycle, wake
from queue_app.lifecycle import Lease, Trouble
from queue_app.models import Attempt, Job, Outcome, State
from queue_app.providers import registry
from queue_app.providers.base import (
    ErrorKind,
    PollResult,
    Provider,
    ProviderError,
    RemoteRef,
    SubmitRequest,
    Verdict,
    accepted_verdict,
)
from queue_app.statements import Statement
from queue_app.work import accounts, progress, uploads, webhooks

log = logging.getLogger(__name__)
_LEASE_LEFT = Statement(f"SELECT lease_until - {clock.SQL} FROM queue_app_job WHERE id = %(id)s AND fence = %(fence)s")  # noqa: S608


def submit(job: Job, attempt: Attempt, lease: Lease) -> list[tuple[Lease, State]]:
    """
    Send the create call of this attempt and record the result.

    Return the lease for storing if a synchronous provider has answered with the result itself, else an empty list.
    """
    try:
        provider = accounts.seller_for(attempt)
        request = request_for(job, attempt)
        if not database.again(lambda: may_call(attempt, lease)):
            log.warning("job %s: its worker stalled before the create call, so nothing is sent", job.pk)
            database.again(lambda: _put_back_uncalled(lease, at=clock.now()))
            return []
        ref = provider.submit(request)
    except ProviderError as error:
        _settle_failure(job, attempt, lease, error)
        return []
    answered = _answered(provider, ref)
    leases = _record_task(attempt, lease, ref, answered)
    if answered is None or answered.error is None:
        accounts.went_well(attempt)
    else:
        progress.tell_account(attempt, answered, at=database.again(clock.now))
    return leases


def _record_task(attempt: Attempt, lease: Lease, ref: RemoteRef, answered: PollResult | None) -> list[tuple[Lease, State]]:
    """
    Record the task's id, repeating after a cut connection for as long as the worker may. No other process knows the id, and if
    the provider has no task list, a lost id means a paid result that nobody can fetch.
    """
    try:
        at = database.again(clock.now)
        return database.again(lambda: _accepted(attempt, lease, ref, answered, at=at), look=lambda: lifecycle.given_out(at))
    except BaseException:
        log.error("job %s: task %s was accepted but could not be recorded", attempt.job_id, ref.remote_id)
        raise


def _accepted(
    attempt: Attempt, lease: Lease, ref: RemoteRef, answered: PollResult | None, *, at: datetime
) -> list[tuple[Lease, State]]:
    """
    Move the job on with its task; return the lease for storing, if any.

    Idempotent, as it is repeated when the answer to the first commit is lost.
    """
    with transaction.atomic():
        held = lifecycle.held_by(lease)
        if held is None:
            adopt_late(attempt, ref, at=at, actor="worker")
            return []
        if answered is None:
            _start(held, attempt, ref, at=at, actor="worker")
            return []
        lifecycle.start(held, at=at, actor="worker", remote_id=ref.remote_id, remote=ref.to_json(), next_check_at=at)
        return progress.apply(held, attempt, answered, at=at)


def _answered(provider: Provider, ref: RemoteRef) -> PollResult | None:
    """Return the result that a synchronous provider sent with its answer to the create call, else ``None``."""
    if not provider.caps["synchronous"]:
        return None
    try:
        return provider.poll(ref)
    except ProviderError:
        return None


def _put_back_uncalled(lease: Lease, *, at: datetime) -> None:
    """Queue a job again whose create call was not sent; this attempt will never send it (T4)."""
    with transaction.atomic():
        held = lifecycle.held_by(lease)
        if held is not None:
            trouble = Trouble("not_begun", "The worker stalled before it sent anything.")
            outcome = Outcome.NOT_ACCEPTED
            lifecycle.put_back(held, at=at, actor="worker", outcome=outcome, spent=False, trouble=trouble, not_before=None)


def may_call(attempt: Attempt, lease: Lease) -> bool:
    """
    Whether the lease covers the longest time of a create call.

    A worker may stall after `lifecycle.begin`. If it sent the call later, lookups might already have proved that there is no
    task. Lease and clock are read in one statement, right before the call.
    """
    found = _LEASE_LEFT.run(id=lease.job_id, fence=lease.fence)
    longest = settings.TIMES.long_create_call if attempt.synchronous else settings.TIMES.create_call
    return bool(found) and found[0][0] >= timedelta(seconds=longest)


def _keep_task_id(attempt: Attempt, task: str) -> None:
    """Store the id of a task that was refused at its creation, so that no lookup takes it for the task of a later attempt."""
    if not Attempt.objects.filter(account=attempt.account_id, remote_id=task).exists():
        Attempt.objects.filter(pk=attempt.pk).update(remote_id=task)


def counts_as_try(error: ProviderError) -> bool:
    """Whether a call that was not accepted counts: refused inside a 2xx for a reason that may pass, so the provider tried."""
    return error.kind == ErrorKind.RETRYABLE and error.http_status is not None and 200 <= error.http_status < 300


def request_for(job: Job, attempt: Attempt) -> SubmitRequest:
    """
    Return the request of an attempt for its adapter; the same for an attempt as long as its route's codec stays the same.

    :raises ProviderError: INVALID_REQUEST, the route can't express these inputs; RETRYABLE, the route was deleted.
    """
    adapter = registry.get(accounts.config(attempt))  # works without a key
    if attempt.route is None:
        raise ProviderError(ErrorKind.RETRYABLE, "The route of this attempt was deleted.", code="not_sent")
    inputs = {**uploads.for_provider(job.parameters), "prompt": job.prompt}
    wire = adapter.validate(attempt.endpoint_id, attempt.route.codec, inputs)
    return SubmitRequest(
        attempt_id=attempt.pk,
        endpoint_id=wire.endpoint_id,
        inputs=wire.inputs,
        start_deadline_s=settings.TIMES.start_deadline,
        total_deadline_s=lifecycle.timeout_seconds(job),
        webhook_url=webhooks.url_for(attempt),
    )


def adopt_late(attempt: Attempt, ref: RemoteRef, *, at: datetime, actor: str) -> None:
    """
    Handle a task id that arrived after the lease had ended. The job continues with the task if it is still submitting or unknown
    and its attempt has no outcome (T7); otherwise the task is noted in its history, because the provider may bill it (T23).
    """
    job = Job.objects.lock().get(pk=attempt.job_id)
    attempt = Attempt.objects.get(pk=attempt.pk)
    if attempt.remote_id == ref.remote_id:
        return  # a lookup has found it in the meantime
    taken = Attempt.objects.filter(account=attempt.account_id, remote_id=ref.remote_id).exists()
    if attempt.outcome is None and job.state in (State.SUBMITTING, State.UNKNOWN) and not taken:
        _start(job, attempt, ref, at=at, actor=actor)
        return
    if attempt.remote_id is None and not taken:
        Attempt.objects.filter(pk=attempt.pk).update(remote_id=ref.remote_id, remote=ref.to_json())
    words = f"Late answer: the provider accepted attempt {attempt.number}. It may be billed."
    lifecycle.note(job, at=at, actor=actor, reason=words, data={"remote_id": ref.remote_id[:200]})


def first_look(attempt: Attempt, *, at: datetime) -> datetime:
    """
    Return the time of the first lookup for an attempt with an unknown outcome: immediately if only our storage is looked at, or
    if a webhook has named its task.
    """
    if attempt.synchronous or (webhooks.is_possible(attempt) and webhooks.hinted_tasks(attempt)):
        return at
    return max(at, (attempt.called_at or at) + timedelta(seconds=settings.TIMES.first_look))


def _start(job: Job, attempt: Attempt, ref: RemoteRef, *, at: datetime, actor: str) -> None:
    """Move a job on with its task, which is checked immediately if the provider has finished it or a webhook has named it."""
    if attempt.synchronous or webhooks.is_announced(attempt, ref.remote_id):
        seconds = 0.0
    else:
        seconds = progress.seconds_to_next_check(job, elapsed=0.0, rarer=webhooks.is_expected(attempt, at=at))
    next_check_at = at + timedelta(seconds=seconds)
    lifecycle.start(job, at=at, actor=actor, remote_id=ref.remote_id, remote=ref.to_json(), next_check_at=next_check_at)
    wake.looks_in(seconds)


def _settle_failure(job: Job, attempt: Attempt, lease: Lease, error: ProviderError) -> None:
    at = database.again(clock.now)
    again_at = accounts.went_badly(attempt, error, at=at, asked_at=attempt.called_at)
    database.again(lambda: _failed(attempt, lease, error, again_at=again_at, at=at))
    if accepted_verdict(error) == Verdict.UNKNOWN:
        database.again(lambda: accounts.too_many_unknowns(attempt.account, at=at))


def _failed(attempt: Attempt, lease: Lease, error: ProviderError, *, again_at: datetime | None, at: datetime) -> None:
    verdict = accepted_verdict(error)
    trouble = Trouble(error.code or str(error.kind), error.message, str(error.kind))
    with transaction.atomic():
        held = lifecycle.held_by(lease)
        if held is None:
            return  # the lease had ended: recovery has marked the job unknown, which is still true
        if error.task:
            _keep_task_id(attempt, error.task)
        if verdict == Verdict.NOT_ACCEPTED:
            spent = counts_as_try(error)
            not_before = progress.retry_at(held, at=at) if spent else again_at
            lifecycle.put_back(
                held, at=at, actor="worker", outcome=Outcome.NOT_ACCEPTED, spent=spent, trouble=trouble, not_before=not_before
            )
        elif verdict == Verdict.REFUSED:
            code = "rejected" if error.kind == ErrorKind.REJECTED else trouble.code
            final = Trouble(code, error.message, trouble.kind)
            lifecycle.fail(held, at=at, actor="worker", trouble=final, outcome=Outcome.NOT_ACCEPTED)
        else:
            if error.code == "unreadable":  # the answer may name the task, so keep it for a person
                Attempt.objects.filter(pk=attempt.pk).update(remote={"unreadable": error.raw})
            lifecycle.lose_track(held, at=at, actor="worker", trouble=trouble, next_check_at=first_look(attempt, at=at))
