"""The steps of jobs that work in stages, one at a time."""

from datetime import timedelta

from queue_app import clock, lifecycle
from queue_app.lifecycle import Lease
from queue_app.models import Attempt, Job, State
from queue_app.runtime import tasks
from queue_app.work import recovery
from tests.factories import begun
from tests.work.steps import fresh


def work(job: Job) -> Job:
    """Let a worker do what is due for the job, and what follows from it, as one task does."""
    came = [lease for lease in [leased(job)] if lease]
    while came:
        (lease, _), *came = came
        taken = lifecycle.begin(lease, at=clock.now())
        assert taken is not None
        state = State(taken[0].state)
        came += (tasks.STAGED.get(state) or tasks.DUTIES[state]).verb(*taken)
    return fresh(job)


def leased(job: Job) -> tuple[Lease, State] | None:
    if fresh(job).state == State.QUEUED:
        Job.objects.filter(pk=job.pk).update(not_before=None)
        taken = begun(fresh(job), at=clock.now())
        (lease,) = tasks.STAGED[State.SUBMITTING].verb(*taken)
        return lease
    Job.objects.filter(pk=job.pk, lease_taken=False).update(next_check_at=clock.now(), lease_until=None)
    return next((leased for leased in lifecycle.lease_due(clock.now()) if leased[0].job_id == job.pk), None)


def crash(job: Job) -> Job:
    """Let the worker of a job be gone: its lease is over, and recovery has seen it."""
    Job.objects.filter(pk=job.pk).update(lease_until=clock.now() - timedelta(seconds=1))
    recovery.sweep(at=clock.now())
    return fresh(job)


def outcomes(job: Job, step: str) -> list[str | None]:
    return list(Attempt.objects.filter(job=job, step=step).order_by("number").values_list("outcome", flat=True))
