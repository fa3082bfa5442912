"""
The paid calls of a job that works in stages (I46).

Each call is an attempt of its own step, committed with the time of the call before it is made. Its answer is saved before anybody
learns of it, so after a crash a finished call is never repeated. One that died unanswered is closed as possibly billed. It is
made again only where the account says so (`ProviderAccount.may_repeat`); otherwise staff decide (T27).
"""

import io
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.db import transaction

from queue_app import clock, database, lifecycle, wake
from queue_app.lifecycle import Lease, Trouble
from queue_app.models import Attempt, Job, Outcome
from queue_app.models.job import JobStage
from queue_app.providers.base import (
    FINAL,
    ErrorKind,
    PollResult,
    Provider,
    ProviderError,
    RemoteRef,
    SubmitRequest,
    Verdict,
    accepted_verdict,
)
from queue_app.work import accounts, answers, progress, submission
from queue_app.work.pipeline.shape import Question, Unusable

log = logging.getLogger(__name__)
ANSWER_BYTES = 2_000_000
MOST_ANSWERS = 3  # unusable answers to one question, then the job fails
CUT_OFF = "cut_off"
LOST = Trouble(accounts.WORKER_DIED, "The worker crashed during this call, so its answer is lost. It may be billed.")
NOT_NEEDED = Trouble("not_needed", "Answered, but not needed any more.")


class Stopped(Exception):
    """The work on this job ends here: the lease is outdated, or the job has moved on. Nothing is left to do for this worker."""


def last_call(job: Job, step: str) -> Attempt | None:
    """Return the latest attempt of a step, with its account and route."""
    return Attempt.objects.select_related("account", "route").filter(job=job, step=step).order_by("-number").first()


def make_call(job: Job, main: Attempt, lease: Lease, step: str, question: Question) -> tuple[Attempt, RemoteRef]:
    """
    Ask the provider a question, once; return the call's attempt and the answer, which is saved. The attempt stays open: the
    caller records what becomes of the answer.

    :raises Stopped: there is no answer, and what follows for the job is recorded.
    """
    try:
        provider = accounts.seller_for(main)
        request = _request(job, main, provider, question)
    except ProviderError as error:
        _moved_on(job, main, None, lease, error)
        raise Stopped from error
    at = database.again(clock.now)
    call = database.again(lambda: lifecycle.begin_call(main, lease, step, at=at))
    if call is None:
        raise Stopped
    if not database.again(lambda: submission.may_call(call, lease)):
        trouble = Trouble("not_begun", "The worker stalled before it sent anything.")
        database.again(lambda: lifecycle.end_call(call, Outcome.NOT_ACCEPTED, at=clock.now(), trouble=trouble))
        come_back(lease, at=database.again(clock.now))
        raise Stopped
    try:
        return call, provider.submit(replace(request, attempt_id=call.pk))
    except ProviderError as error:
        _moved_on(job, main, call, lease, error)
        raise Stopped from error


def saved_answer(call: Attempt) -> RemoteRef | None:
    """
    Return the answer to a call that another worker has made and not recorded; ``None`` if none is saved.

    :raises OSError: the storage can't be read.
    """
    if not answers.is_saved(call):
        return None
    return RemoteRef(provider=call.account_id, remote_id=str(call.pk))


def text_of(job: Job, main: Attempt, call: Attempt, lease: Lease, ref: RemoteRef) -> str | None:
    """
    Return the text of a saved answer; ``None`` if it is truncated.

    :raises Stopped: the provider answered without a text; what follows is recorded.
    :raises ProviderError: the answer can't be read now, and the call stays open.
    """
    provider = accounts.provider_for(call)
    result = provider.poll(ref)
    progress.tell_account(call, result, at=database.again(clock.now))
    error = result.error
    if error is not None and error.code == CUT_OFF:
        return None
    if error is not None or not result.assets:
        no_text = ProviderError(ErrorKind.RETRYABLE, "The provider sent no text.", code="no_result")
        _moved_on(job, main, call, lease, error or no_text, answer=result)
        raise Stopped
    sink = io.BytesIO()
    provider.fetch(ref, result.assets[0], sink, ANSWER_BYTES)
    return sink.getvalue().decode("utf-8", "replace")


def cost_of(call: Attempt) -> Decimal | None:
    """Return what the provider told as the charge of an answered call; ``None`` if it told nothing."""
    try:
        return accounts.provider_for(call).poll(RemoteRef(provider=call.account_id, remote_id=str(call.pk))).cost
    except ProviderError:
        return None


def close_unusable(call: Attempt, problem: Unusable, lease: Lease) -> None:
    """
    Record that a paid answer can't be used; after several to the same question the job fails (T12).

    :raises Stopped: the job has failed, or is no longer ours.
    """
    trouble, cost = Trouble(problem.code, str(problem)), cost_of(call)
    at = database.again(clock.now)

    @transaction.atomic
    def close() -> bool:
        lifecycle.end_call(call, Outcome.FAILED, at=at, trouble=trouble, cost=cost)
        job = lifecycle.held_by(lease)
        if job is None:
            return False
        useless = Attempt.objects.filter(reservation=call.reservation_id, step=call.step, outcome=Outcome.FAILED)
        if useless.count() < MOST_ANSWERS:
            return True
        lifecycle.fail(job, at=at, actor="worker", trouble=trouble)
        return False

    goes_on = database.again(close)
    answers.drop(call)
    if not goes_on:
        raise Stopped


def close_lost(call: Attempt, lease: Lease) -> None:
    """
    Close a call whose worker died before it had recorded an answer. The job may make it again if the account says so, else staff
    decide (T27).

    :raises Stopped: it may not, or the job is no longer ours.
    """
    at = database.again(clock.now)

    @transaction.atomic
    def close() -> bool:
        held = lifecycle.held_by(lease)
        if held is None or not _lost(held, call, LOST, actor="recovery", at=at):
            return False
        Job.objects.filter(pk=held.pk).update(worker_deaths=0)  # it waited for a provider: no fault of the job killed it
        return True

    if not database.again(close):
        raise Stopped


def close_leftovers(job: Job) -> None:
    """
    Close calls that nobody has asked about since their worker died, and that are not needed any more: as paid if the answer is
    saved, else as possibly billed.

    :raises OSError: the storage can't be read.
    """
    for call in Attempt.objects.exclude(step="main").select_related("account", "route").filter(job=job, outcome=None):
        is_paid = answers.is_saved(call)
        outcome, trouble = (Outcome.FAILED, NOT_NEEDED) if is_paid else (Outcome.ABANDONED, LOST)
        at, cost = database.again(clock.now), cost_of(call) if is_paid else None
        database.again(partial(lifecycle.end_call, call, outcome, at=at, trouble=trouble, cost=cost))
        answers.drop(call)


def come_back(lease: Lease, *, at: datetime) -> None:
    """Give up a lease; a worker goes on with the job at this time."""

    @transaction.atomic
    def give_back() -> None:
        held = lifecycle.held_by(lease)
        if held is not None:
            lifecycle.check_again(held, next_check_at=at)

    database.again(give_back)
    wake.dispatcher()


def _lost(held: Job, call: Attempt, trouble: Trouble, *, actor: str, at: datetime) -> bool:
    """Close a call as possibly billed; return whether the job goes on. The caller holds the row lock."""
    if call.account.may_repeat:
        lifecycle.end_call(call, Outcome.ABANDONED, at=at, trouble=trouble)
        words = f"The answer to {call.step}, call {call.number}, is lost and may be billed. It is asked again."
        lifecycle.note_each([held], at=at, actor=actor, reason=words)
        return True
    lifecycle.lose_step(held, call, at=at, actor=actor, trouble=trouble)
    return False


def stop(job: Job, attempt: Attempt, lease: Lease) -> None:
    """
    End a job that was asked to stop (T16, T17), once no call of it is under way: its worker records the answer, or is dead when
    the longest time of a call is over.
    """
    at = database.again(clock.now)

    @transaction.atomic
    def end() -> None:
        held = lifecycle.held_by(lease)
        if held is None:
            return
        under_way = Attempt.objects.exclude(step="main").filter(job=held, outcome=None).first()
        if under_way is not None:
            over_at = (under_way.called_at or at) + timedelta(seconds=settings.TIMES.long_lease)
            if at < over_at:
                lifecycle.check_again(held, next_check_at=over_at)  # or earlier: `lifecycle.end_call`
                return
            lifecycle.end_call(under_way, Outcome.ABANDONED, at=at, trouble=LOST)
        lifecycle.confirm_cancel(held, at=at, actor="worker", evidence="Stopped between two calls.")

    database.again(end)


def _request(job: Job, main: Attempt, provider: Provider, question: Question) -> SubmitRequest:
    if main.route is None:
        raise ProviderError(ErrorKind.RETRYABLE, "The route of this attempt was deleted.", code="not_sent")
    inputs = {
        "prompt": question.text,
        "most_tokens": question.most_tokens,
        "schema": dict(question.schema),
        "schema_name": question.schema_name,
    }
    wire = provider.validate(main.endpoint_id, main.route.codec, inputs)
    return SubmitRequest(
        attempt_id=main.pk,
        endpoint_id=wire.endpoint_id,
        inputs=wire.inputs,
        start_deadline_s=settings.TIMES.start_deadline,
        total_deadline_s=lifecycle.timeout_seconds(job),
        webhook_url=None,
    )


def _moved_on(
    job: Job, main: Attempt, call: Attempt | None, lease: Lease, error: ProviderError, *, answer: PollResult | None = None
) -> None:
    """
    Record that there is no usable answer, and what follows for the job by the failure policy (docs/invariants.md): it waits and
    tries again (T11), fails (T12) or is unknown (T27).

    :param call: the attempt of the call, if one was made. :param answer: what the provider answered, if it did.
    """
    at = database.again(clock.now)
    again_at = None
    if answer is None:
        again_at = accounts.went_badly(call or main, error, at=at, asked_at=call.called_at if call else None)
    is_lost = answer is None and accepted_verdict(error) == Verdict.UNKNOWN
    counts = is_lost or submission.counts_as_try(error) or (answer is not None and error.kind != ErrorKind.QUOTA)
    trouble = Trouble(
        "rejected" if error.kind == ErrorKind.REJECTED else error.code or str(error.kind), error.message, str(error.kind)
    )

    @transaction.atomic
    def move() -> None:
        held = lifecycle.held_by(lease)
        if call is not None and is_lost and held is not None:
            if not _lost(held, call, trouble, actor="worker", at=at):
                return
        elif call is not None:
            outcome = Outcome.ABANDONED if is_lost else Outcome.NOT_ACCEPTED if answer is None else Outcome.FAILED
            lifecycle.end_call(call, outcome, at=at, trouble=trouble, cost=answer.cost if answer else None)
        if held is None:
            return
        if error.kind in FINAL:
            lifecycle.fail(held, at=at, actor="worker", trouble=trouble)
            return
        not_before = progress.retry_at(held, at=at) if counts else again_at
        outcome = Outcome.FAILED
        lifecycle.put_back(held, at=at, actor="worker", outcome=outcome, spent=counts, trouble=trouble, not_before=not_before)

    database.again(move)
    if is_lost and call is not None:
        database.again(lambda: accounts.too_many_unknowns(call.account, at=at))
    log.warning("job %s: %s", job.pk, error.message)


def steps_of(job: Job, name: str) -> dict[str, JobStage]:
    """Return the finished steps of a stage, by their names."""
    rows = JobStage.objects.filter(job=job, name=name, ended_at__isnull=False).exclude(step="")
    return {row.step: row for row in rows}
