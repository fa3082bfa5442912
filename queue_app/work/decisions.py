"""
Decisions of staff on review items. Each needs a reason, is applied and audited in one transaction, and is refused if the job has
changed in the meantime.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction

from queue_app import lifecycle, wake
from queue_app.lifecycle import DEADLY_JOB
from queue_app.models import Attempt, Job, ReviewItem, State, User
from queue_app.providers.base import ErrorKind, ProviderError, RemoteRef, TaskState
from queue_app.work import accounts, policy

TASK_ID_MOST = 500


class DecisionRefused(Exception):
    """The decision was refused and nothing was changed. The message says why."""


def take_up(item: ReviewItem, task: str, *, at: datetime, actor: User, reason: str) -> None:
    """
    Continue an unknown job with the provider's task of this id (T7) and check it immediately.

    First checks that the provider has the task: a mistyped id would fail the attempt, and the job would be sent again although
    the provider generates it.

    :raises DecisionRefused: the reason or id is missing, the id is malformed or belongs to another attempt, the job has changed,
        or the provider does not confirm the task.
    """
    _must_say_why(reason)
    task = _checked(task)
    with transaction.atomic():
        _, attempt = _to_take_up(item, task)
    ref = _must_be_known(attempt, task)
    try:
        with transaction.atomic():
            job, _ = _to_take_up(item, task)
            words = f"Task ID entered by staff: {reason}"
            lifecycle.start(
                job, at=at, actor=actor.username, remote_id=task, remote=ref.to_json(), next_check_at=at, reason=words
            )
            _audit("link provider task", job, at=at, actor=actor, reason=reason, task=task)
            wake.dispatcher()
    except IntegrityError:
        raise DecisionRefused(f"Task {task} was just used for another job. Nothing was changed.") from None


def settle(item: ReviewItem, *, again: bool, at: datetime, actor: User, reason: str) -> State:
    """
    Resolve an unknown outcome without a task: queue the job for another attempt if ``again`` and if it has one left (T8), else
    fail it (T9). Return the job's new state.

    :raises DecisionRefused: the reason is empty, or the job has changed.
    """
    _must_say_why(reason)
    with transaction.atomic():
        job = _undecided(item)
        (state,) = _settle([job.pk], again=again, at=at, actor=actor, reason=reason).values()
        return state


def settle_each(items: Iterable[ReviewItem], *, again: bool, at: datetime, actor: User, reason: str) -> dict[int, State]:
    """
    Apply `settle` to many items in one transaction. Return the new states by job id, without the jobs that have changed.

    :raises DecisionRefused: the reason is empty.
    """
    _must_say_why(reason)
    with transaction.atomic():
        return _settle([item.job_id for item in items if item.decide_by], again=again, at=at, actor=actor, reason=reason)


def close(item: ReviewItem, *, at: datetime, actor: User, reason: str) -> None:
    """
    Close an item that staff have checked. The job does not change.

    :raises DecisionRefused: the reason is empty, the item is already closed, or its outcome is unknown and must be decided.
    """
    _must_say_why(reason)
    with transaction.atomic():
        item = _open(item)
        try:
            lifecycle.close_review(item, at=at, actor=actor.username, reason=f"Checked: {reason}")
        except lifecycle.MoveRefused as refusal:
            raise DecisionRefused(str(refusal)) from None
        _audit("resolve item", item.job, at=at, actor=actor, reason=reason, what=item.what)


def after_another_try(job: Job) -> State:
    """
    Return the state that queueing an unknown job again would lead to: failed without an attempt left, cancelled if a cancel was
    requested, else queued.
    """
    if lifecycle.spent_tries(job) + 1 >= job.retries.attempts or job.worker_deaths >= DEADLY_JOB:
        return State.FAILED
    return State.CANCELLED if job.cancel_asked_at else State.QUEUED


def _settle(ids: list[int], *, again: bool, at: datetime, actor: User, reason: str) -> dict[int, State]:
    settled = lifecycle.settle_unknown(ids, again=again, at=at, actor=actor.username, reason=reason)
    jobs = Job.objects.in_bulk(settled)
    verb = "requeue unknown job" if again else "fail unknown job"
    for job in jobs.values():
        _audit(verb, job, at=at, actor=actor, reason=reason, state=job.state)
    return {pk: State(job.state) for pk, job in jobs.items()}


def _undecided(item: ReviewItem) -> Job:
    item = _open(item)
    job = item.job
    if not item.is_undecided:
        if job.state == State.UNKNOWN:
            raise DecisionRefused(f"Decide on {job} in its other item. Nothing was changed.")
        raise DecisionRefused(f"{job} is already {job.get_state_display().lower()}. Nothing was changed.")
    return job


def _open(item: ReviewItem) -> ReviewItem:
    """Lock the job and return the current row of the item; refuse if it is closed."""
    job = Job.objects.lock().get(pk=item.job_id)
    now = ReviewItem.objects.get(pk=item.pk)
    now.job = job
    if now.closed_at:
        unknown = job.state == State.UNKNOWN
        phrase = "now has an unknown outcome" if unknown else f"is now {job.get_state_display().lower()}"
        raise DecisionRefused(f"{now.closed_by} already resolved this. {job} {phrase}. Nothing was changed.")
    return now


def _must_say_why(reason: str) -> None:
    if not reason.strip():
        raise DecisionRefused("Enter a reason: what did you find at the provider?")


def _checked(task: str) -> str:
    task = task.strip()
    if not task:
        raise DecisionRefused("Enter the provider's task ID.")
    if len(task) > TASK_ID_MOST or not task.isprintable() or " " in task:
        rule = f"Task IDs have no spaces or hidden characters and at most {TASK_ID_MOST} characters."
        raise DecisionRefused(f"{rule} Copy the ID from the provider.")
    return task


def _to_take_up(item: ReviewItem, task: str) -> tuple[Job, Attempt]:
    """Lock the job of an undecided item; return it and its attempt, to which the task may be linked."""
    job = _undecided(item)
    attempt = lifecycle.current_attempt(job)
    _must_be_free(attempt, task)
    return job, attempt


def _must_be_known(attempt: Attempt, task: str) -> RemoteRef:
    """Check that the provider has the task and return its reference. Runs outside any transaction (I32)."""
    ref = RemoteRef(provider=attempt.account_id, remote_id=task)
    try:
        provider = accounts.provider_for(attempt)
        ref = provider.ref(task, endpoint_id=attempt.endpoint_id)
        is_known = provider.poll(ref).state != TaskState.LOST
    except ProviderError as error:
        if error.kind != ErrorKind.NOT_FOUND:
            words = f"Could not check task {task} with account {attempt.account_id}: {error}"
            raise DecisionRefused(f"{words} Nothing was changed. Try again later.") from None
        is_known = False
    if not is_known:
        raise DecisionRefused(f"Account {attempt.account_id} has no task {task}. Check the ID. Nothing was changed.")
    return ref


def _must_be_free(attempt: Attempt, task: str) -> None:
    other = Attempt.objects.filter(account=attempt.account_id, remote_id=task).exclude(pk=attempt.pk).first()
    if other:
        raise DecisionRefused(f"Task {task} already belongs to job {other.job_id}, attempt {other.number}. Use a different ID.")


def _audit(action: str, job: Job, *, at: datetime, actor: User, reason: str, **after: str) -> None:
    policy.audit(action, str(job), at=at, actor=actor, before={}, after=after, reason=reason, of=job)
