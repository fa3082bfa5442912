"""
Recovery: bring jobs back to a known state after a crash, a timeout or a lost answer. Runs every few seconds and keeps nothing in
memory, so any machine may run it.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error, transaction
from django.db.models import Exists, F, OuterRef, Q

from queue_app import announce, database, lifecycle, wake
from queue_app.lifecycle import DEADLY_JOB, Trouble
from queue_app.models import Attempt, Batch, IdempotencyRecord, Job, Outcome, State, WorkerProcess
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES
from queue_app.work import followers, notices, submission

log = logging.getLogger(__name__)
SWEEP_SECONDS = 2.0  # longest time of one round; the next round continues
SILENT = timedelta(seconds=20)  # without a heartbeat for so long, a worker is lost with its machine
# seconds after which a job's time in a state is over (`_end_overdue`); other states end by their leases or their tries
_LONGEST: dict[str, Callable[[Job], float]] = {
    State.RUNNING: lifecycle.timeout_seconds,
    State.CANCELLING: lambda job: 2 * lifecycle.timeout_seconds(job),
    State.UNKNOWN: lambda _: settings.TIMES.unknown,
}


def sweep(*, at: datetime, heard_since: datetime | None = None) -> None:
    """
    Recover the jobs in flight (tens of rows): expired leases, timeouts, outcomes unknown for too long. Then end finished batches,
    and look for what their owners asked to be told and for what applications above the queue follow.

    A locked job or batch is left to the next round. ``heard_since`` is the time since which heartbeats could arrive without a
    break; silence before it proves nothing.
    """
    began = time.monotonic()
    silent = _silent_workers(at, heard_since or at - SILENT)
    suspects = _suspects(at, silent)
    random.shuffle(suspects)  # so that no job can block the others for ever
    for pk in suspects:
        if time.monotonic() - began > SWEEP_SECONDS:
            break
        try:
            with transaction.atomic():
                job = Job.objects.lock(skip_locked=True).filter(pk=pk).first()
                if job is not None:
                    _recover(job, silent, at=at)
        except Exception as error:
            if database.is_gone(error):
                raise  # every other job would fail, too
            if isinstance(error, Error) and database.has_waited_in_vain(error):
                log.warning("job %s is left to the next round, another transaction locks it: %s", pk, str(error).strip())
            else:
                log.exception("job %s could not be recovered; trying again in the next round", pk)
    _end_batches(at=at)
    notices.look(at=at)
    followers.look(at=at)


def workers_ended(names: Iterable[str], *, at: datetime) -> set[str]:
    """
    End the leases of worker processes that have exited, so that other workers continue their jobs.

    Return the names that still hold a lease, because its row is locked: call again with them.
    """
    names = set(names)
    held = Job.objects.filter(state__in=IN_FLIGHT_STATES, lease_taken=True, leased_by__in=names)
    for pk in held.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            job = Job.objects.lock(skip_locked=True).filter(pk=pk).first()
            if job is not None and job.lease_taken and job.leased_by in names:
                log.warning("job %s: its worker process has exited", pk)
                _end_lease(job, lifecycle.current_attempt(job), at=at)
    return set(held.values_list("leased_by", flat=True))


def prune(*, at: datetime) -> None:
    """Delete the stored answers of idempotent requests that are older than a week."""
    IdempotencyRecord.objects.filter(created_at__lt=at - timedelta(days=7)).delete()


def _silent_workers(at: datetime, heard_since: datetime) -> list[str]:
    """Return the names of workers without a heartbeat for `SILENT`. Workers that are known to have exited have no row."""
    if at - heard_since < SILENT:
        return []
    silent = WorkerProcess.objects.filter(role=WorkerProcess.Role.WORKER, beat_at__lte=at - SILENT)
    return [row.name for row in silent]


def _suspects(at: datetime, silent: list[str]) -> list[int]:
    """Return the ids of jobs in flight whose lease has expired, whose worker is silent, or whose time is over."""
    begun = Q(lease_until__lte=at, lease_taken=True) | Q(lease_taken=True, leased_by__in=silent)
    not_begun = Q(lease_until__lte=at, state=State.SUBMITTING)  # in other states the dispatcher issues a new lease
    dead = Job.objects.filter(begun | not_begun, state__in=IN_FLIGHT_STATES)
    at_work = Attempt.objects.filter(outcome=None, job__state__in=list(_LONGEST))
    late = [found.job_id for found in at_work.select_related("job__model", "job__kind") if _ends_at(found.job, found) <= at]
    return sorted({*dead.values_list("pk", flat=True), *late})


def _recover(job: Job, silent: list[str], *, at: datetime) -> None:
    if job.state not in IN_FLIGHT_STATES:
        return
    attempt = lifecycle.current_attempt(job)
    is_over = job.lease_until is not None and job.lease_until <= at and (job.lease_taken or job.state == State.SUBMITTING)
    if is_over or (job.lease_taken and job.leased_by in silent):
        _end_lease(job, attempt, at=at)
    elif job.state in _LONGEST and _ends_at(job, attempt) <= at:
        _end_overdue(job, at=at)


def _end_lease(job: Job, attempt: Attempt, *, at: datetime) -> None:
    """
    End the lease of a worker that crashed, was killed, or never started. The caller holds the row lock.

    A crash while submitting, storing or working on stages counts against the job. A crash during a check does not: the job's
    timeout limits those.
    """
    is_staged = job.state == State.RUNNING and job.kind_id in settings.PIPELINES
    if job.lease_taken and (is_staged or job.state in (State.SUBMITTING, State.STORING)):
        job.worker_deaths += 1
        Job.objects.filter(pk=job.pk).update(worker_deaths=F("worker_deaths") + 1)
    if job.state == State.SUBMITTING:
        if attempt.called_at is None:
            trouble = Trouble("not_begun", "No worker picked it up in time.")
            lifecycle.put_back(
                job, at=at, actor="recovery", outcome=Outcome.NOT_ACCEPTED, spent=False, trouble=trouble, not_before=None
            )
        else:
            trouble = Trouble("no_answer", "The worker crashed while sending the request.")
            first_look = submission.first_look(attempt, at=at)
            lifecycle.lose_track(job, at=at, actor="recovery", trouble=trouble, next_check_at=first_look)
    elif is_staged and job.worker_deaths >= DEADLY_JOB:
        lifecycle.fail(job, at=at, actor="recovery", trouble=lifecycle.poison(job))
    elif job.state == State.STORING and job.worker_deaths >= DEADLY_JOB:
        trouble = lifecycle.poison(job)
        review = "Paid but not delivered: its files crash the workers that save them."
        lifecycle.fail(job, at=at, actor="recovery", trouble=trouble, outcome=Outcome.LOST, review=review)
    else:
        Job.objects.filter(pk=job.pk).update(lease_until=None, lease_taken=False, next_check_at=at)
        wake.dispatcher()


def _ends_at(job: Job, attempt: Attempt) -> datetime:
    """Return the time until which the task may stay in this state, one of `_LONGEST`."""
    return attempt.counts_from + timedelta(seconds=_LONGEST[job.state](job))


def _end_overdue(job: Job, *, at: datetime) -> None:
    if job.state == State.RUNNING:
        lifecycle.expire(job, at=at)
    elif job.state == State.CANCELLING:
        trouble = Trouble("timeout", f"Not finished {2 * lifecycle.timeout_seconds(job)}s after it was sent, twice its timeout.")
        review = "Not finished after twice its timeout. The provider may still deliver and bill it."
        lifecycle.fail(job, at=at, actor="recovery", trouble=trouble, outcome=Outcome.ABANDONED, review=review)
    else:
        trouble = Trouble("unknown", "Its outcome was unknown for 24 hours. The provider may have billed it.")
        lifecycle.fail(job, at=at, actor="recovery", trouble=trouble, outcome=Outcome.ABANDONED)


def _end_batches(*, at: datetime) -> None:
    """Set the end of batches without open jobs, under the batch's row lock, and announce it."""
    open_jobs = Job.objects.filter(batch=OuterRef("pk"), state__in=OPEN_STATES)
    for pk in Batch.objects.filter(~Exists(open_jobs), ended_at=None).values_list("pk", flat=True):
        with transaction.atomic():
            batch = Batch.objects.select_for_update(skip_locked=True).filter(pk=pk, ended_at=None).first()
            if batch and not Job.objects.filter(batch=pk, state__in=OPEN_STATES).exists():
                batch.ended_at = at
                batch.save(update_fields=["ended_at"])
                announce.batch_ended(batch, at=at)
