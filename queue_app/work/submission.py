"""
Submission: exactly one create call for an attempt, outside any transaction.

`lifecycle.begin` has committed ``called_at`` before this runs. From there on the process may die at any line: an attempt with
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
from queue_app.work import accounts, progress

log = logging.getLogger(__name__)
_LEASE_LEFT = Statement(f"SELECT lease_until - {clock.SQL} FROM queue_app_job WHERE id = %(id)s AND fence = %(fence)s")  # noqa: S608


def submit(job: Job, attempt: Attempt, lease: Lease) -> list[tuple[Lease, State]]:
    """
    Send the create call of this attempt and write down what came of it. Gives the lease for storing where a synchronous provider
    has answered with the result itself.
    """
    try:
        provider = accounts.seller_for(attempt)
        request = request_for(job, attempt)
        if not database.again(lambda: _may_call(lease)):
            log.warning("job %s: its worker stood still before the create call and makes none", job.pk)
            database.again(lambda: _not_called(lease, at=clock.now()))
            return []
        ref = provider.submit(request)
    except ProviderError as error:
        _settle_failure(job, attempt, lease, error)
        return []
    came = _keep(attempt, lease, ref, _answered(provider, ref))
    accounts.went_well(attempt)
    return came


def _keep(attempt: Attempt, lease: Lease, ref: RemoteRef, answered: PollResult | None) -> list[tuple[Lease, State]]:
    """
    Write down which task it is, for as long as this worker may: nobody else has been told the id, and where no list can be asked
    a lost one is paid for in vain.
    """
    try:
        at = database.again(clock.now)
        return database.again(lambda: _accepted(attempt, lease, ref, answered, at=at), look=lambda: lifecycle.given_out(at))
    except BaseException:
        log.error("job %s: task %s was accepted and could not be written down", attempt.job_id, ref.remote_id)
        raise


def _accepted(
    attempt: Attempt, lease: Lease, ref: RemoteRef, answered: PollResult | None, *, at: datetime
) -> list[tuple[Lease, State]]:
    """Move the job on with its task. Done a second time, because the word of the first commit was lost, it changes nothing."""
    with transaction.atomic():
        held = lifecycle.held_by(lease)
        if held is None:
            adopt_late(attempt, ref, at=at, actor="worker")
            return []
        if answered is None:
            _start(held, ref, at=at, actor="worker")
            return []
        lifecycle.start(held, at=at, actor="worker", remote_id=ref.remote_id, remote=ref.to_json(), next_check_at=at)
        return progress.apply(held, attempt, answered, at=at)


def _answered(provider: Provider, ref: RemoteRef) -> PollResult | None:
    """What a synchronous provider has said with its answer to the create call; ``None`` where one must ask later."""
    if not provider.caps["synchronous"]:
        return None
    try:
        return provider.poll(ref)
    except ProviderError:
        return None


def _not_called(lease: Lease, *, at: datetime) -> None:
    """Put a job back that was not sent and, by this attempt, never will be (T4)."""
    with transaction.atomic():
        held = lifecycle.held_by(lease)
        if held is not None:
            trouble = Trouble("not_begun", "The worker stalled before it sent anything.")
            outcome = Outcome.NOT_ACCEPTED
            lifecycle.put_back(held, at=at, actor="worker", outcome=outcome, spent=False, trouble=trouble, not_before=None)


def _may_call(lease: Lease) -> bool:
    """
    Whether the lease still holds, for as long as a create call may take: a worker may stand still after `lifecycle.begin`, and
    a call that it makes later is one that the look-ups have said "none" of. Lease and clock are read at once, before the call.
    """
    found = _LEASE_LEFT.run(id=lease.job_id, fence=lease.fence)
    return bool(found) and found[0][0] >= timedelta(seconds=settings.TIMES.create_call)


def _remember(attempt: Attempt, task: str) -> None:
    """Keep the id of a task that ended as it was refused: a look-up must not take it for the task of a later attempt."""
    if not Attempt.objects.filter(account=attempt.account_id, remote_id=task).exists():
        Attempt.objects.filter(pk=attempt.pk).update(remote_id=task)


def request_for(job: Job, attempt: Attempt) -> SubmitRequest:
    """
    The wire request of an attempt; the same every time it is made, as long as its route's codec stays the same.

    :raises ProviderError: INVALID_REQUEST, the route has no words for this; RETRYABLE, there is no such route any more.
    """
    adapter = registry.get(accounts.config(attempt))  # it needs no key to say what it would send
    if attempt.route is None:
        raise ProviderError(ErrorKind.RETRYABLE, "The route of this attempt was deleted.", code="not_sent")
    wire = adapter.validate(attempt.endpoint_id, attempt.route.codec, {**job.parameters, "prompt": job.prompt})
    return SubmitRequest(
        attempt_id=attempt.pk,
        endpoint_id=wire.endpoint_id,
        inputs=wire.inputs,
        start_deadline_s=settings.TIMES.start_deadline,
        total_deadline_s=lifecycle.timeout_seconds(job),
    )


def adopt_late(attempt: Attempt, ref: RemoteRef, *, at: datetime, actor: str) -> None:
    """
    A task id that came after the lease was over: the job goes on with it while the attempt has no outcome and no task (T7); else
    it is written into its history, because the provider may bill it (T23).
    """
    job = Job.objects.lock().get(pk=attempt.job_id)
    attempt = Attempt.objects.get(pk=attempt.pk)
    if attempt.remote_id == ref.remote_id:
        return  # a look-up has found it meanwhile
    taken = Attempt.objects.filter(account=attempt.account_id, remote_id=ref.remote_id).exists()
    if attempt.outcome is None and job.state in (State.SUBMITTING, State.UNKNOWN) and not taken:
        _start(job, ref, at=at, actor=actor)
        return
    if attempt.remote_id is None and not taken:
        Attempt.objects.filter(pk=attempt.pk).update(remote_id=ref.remote_id, remote=ref.to_json())
    words = f"Late answer: the provider accepted attempt {attempt.number}. It may be billed."
    lifecycle.note(job, at=at, actor=actor, reason=words, data={"remote_id": ref.remote_id[:200]})


def first_look(attempt: Attempt, *, at: datetime) -> datetime:
    """When the provider's list is first asked for the task of an attempt of unknown outcome."""
    return max(at, (attempt.called_at or at) + timedelta(seconds=settings.TIMES.first_look))


def _start(job: Job, ref: RemoteRef, *, at: datetime, actor: str) -> None:
    seconds = progress.seconds_to_next_check(job, elapsed=0.0)
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
            return  # the lease was over: recovery has called it unknown, which is still true
        if error.task:
            _remember(attempt, error.task)
        if verdict == Verdict.NOT_ACCEPTED:
            # refused inside a 2xx for a reason that may pass: it was tried there
            spent = error.kind == ErrorKind.RETRYABLE and error.http_status is not None and 200 <= error.http_status < 300
            not_before = progress.retry_at(held, at=at) if spent else again_at
            lifecycle.put_back(
                held, at=at, actor="worker", outcome=Outcome.NOT_ACCEPTED, spent=spent, trouble=trouble, not_before=not_before
            )
        elif verdict == Verdict.REFUSED:
            code = "rejected" if error.kind == ErrorKind.REJECTED else trouble.code
            final = Trouble(code, error.message, trouble.kind)
            lifecycle.fail(held, at=at, actor="worker", trouble=final, outcome=Outcome.NOT_ACCEPTED)
        else:
            if error.code == "unreadable":  # it says which task it is, though not in words that we can read
                Attempt.objects.filter(pk=attempt.pk).update(remote={"unreadable": error.raw})
            lifecycle.lose_track(held, at=at, actor="worker", trouble=trouble, next_check_at=first_look(attempt, at=at))
