"""The steps of dispatcher and workers, one at a time, and time that passes instantly."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import F

from queue_app import clock, lifecycle
from queue_app.models import Attempt, Job, ProviderAccount, Reservation, ReviewItem, State, Wallet
from queue_app.work import lookup, polling, recovery, storing, submission
from tests.factories import JobFactory, begun
from tests.genqueue_site.studio.process import StudioProcess

VERBS = {
    State.SUBMITTING: submission.submit,
    State.RUNNING: polling.check,
    State.CANCELLING: polling.check,
    State.UNKNOWN: lookup.look_up,
    State.STORING: storing.store,
}
KEYS = {"OPENAI_VIDEOS_API_KEY": "sk-12345678"}
_MOMENTS: dict[type, Iterable[str]] = {
    Attempt: ("called_at", "slot_until", "accepted_at", "looked_up_at", "missing_since"),
    Job: ("lease_until", "next_check_at", "not_before"),
    ReviewItem: ("opened_at", "decide_by"),
    ProviderAccount: ("cooldown_until", "lowered_at"),
}


def queued(**fields: Any) -> Job:
    return JobFactory(at=clock.now(), **fields)


def bought(job: Job | None = None, **fields: Any) -> Job:
    """Return a job after its create call, with any result. ``fields`` are those of a new job."""
    job = job or queued(**fields)
    submission.submit(*begun(job, at=clock.now()))
    return fresh(job)


def worked(job: Job) -> Job:
    """Make a job in flight due, drop a lease that was not begun, let a worker do the work, and return the job."""
    Job.objects.filter(pk=job.pk, lease_taken=False).update(next_check_at=clock.now(), lease_until=None)
    leases = {lease.job_id: lease for lease, _ in lifecycle.lease_due(clock.now())}
    taken = lifecycle.begin(leases[job.pk], at=clock.now())
    assert taken is not None
    VERBS[State(taken[0].state)](*taken)
    return fresh(job)


def swept(job: Job) -> Job:
    recovery.sweep(at=clock.now())
    return fresh(job)


def later(seconds: float) -> None:
    """Let time pass by moving all stored times into the past."""
    for model, moments in _MOMENTS.items():
        model.objects.update(**{moment: F(moment) - timedelta(seconds=seconds) for moment in moments})  # type: ignore[attr-defined]


def fresh(job: Job) -> Job:
    return Job.objects.select_related("model", "kind", "batch").get(pk=job.pk)


def attempt_of(job: Job, number: int | None = None) -> Attempt:
    return Attempt.objects.get(job=job, number=number or fresh(job).attempt_number)


def account_of(job: Job) -> ProviderAccount:
    return attempt_of(job).account


def due_in(job: Job) -> float:
    """Return the seconds until the job's next check."""
    assert job.next_check_at is not None
    return (job.next_check_at - clock.now()).total_seconds()


def moves(job: Job) -> list[str]:
    """Return the states that the job went through."""
    return [event.to_state for event in job.events.order_by("seq") if event.to_state != event.from_state]


def tickets_of(job: Job) -> tuple[str, int, int]:
    """Return the state of the job's last reservation, and the available and reserved tickets of its owner."""
    wallet = Wallet.objects.get(owner=job.owner_id)
    return Reservation.objects.filter(job=job).latest("id").state, wallet.available, wallet.reserved


def open_review(job: Job) -> ReviewItem | None:
    return ReviewItem.objects.filter(job=job, closed_at=None).first()


def accepted(studio: StudioProcess, job: Job) -> int:
    """Return how many create calls with this job's prompt the studio has accepted."""
    return sum(row["accepted"] for row in studio.log()["creates"] if row["prompt"] == job.prompt)
