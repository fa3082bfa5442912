"""A batch of fifty videos at limit four, by the claims and verbs of the product, while some attempts and some jobs fail."""

import random
from datetime import timedelta

import pytest

from queue_app import lifecycle
from queue_app.lifecycle import Trouble
from queue_app.models import Attempt, Job, ModelConcurrencyLimit, Outcome, State
from queue_app.models.job import ACTIVE_STATES
from queue_app.work import dispatch
from tests.factories import NOON, BatchFactory, JobFactory, make_asset

pytestmark = pytest.mark.django_db
VIDEOS, LIMIT = 50, 4
BROKEN = Trouble("provider_failed", "It broke.", "retryable")


@pytest.mark.parametrize("limited", ["model", "batch"])
def test_never_more_than_four_run_they_start_in_order_and_failures_block_nothing(limited: str) -> None:
    batch = BatchFactory(max_concurrent=LIMIT if limited == "batch" else None)
    ModelConcurrencyLimit.objects.filter(pk="manim").update(max_concurrent=LIMIT if limited == "model" else 50)
    jobs = JobFactory.build_batch(VIDEOS, owner=batch.owner, batch=batch, model_id="manim")
    lifecycle.enter(jobs, at=NOON, actor="user")
    chance, at, started = random.Random(50), NOON, []
    while waiting := Job.objects.filter(state=State.QUEUED).count() + Job.objects.filter(state__in=ACTIVE_STATES).count():
        at += timedelta(seconds=10)
        dispatch.wake_due(at=at)
        for lease in dispatch.claim_due_jobs(at=at):
            started.append(begun(lease, at=at))
        running = list(Job.objects.filter(state__in=ACTIVE_STATES).values_list("pk", flat=True))
        delayed = Job.objects.filter(state=State.QUEUED, not_before__isnull=False).count()
        assert len(running) == min(LIMIT, waiting - delayed), "no slot stays empty while a job may start"
        if running:
            ended(chance.choice(running), chance.random(), at=at)
    states = list(Job.objects.order_by("pk").values_list("state", flat=True))
    assert set(states) == {State.COMPLETED, State.FAILED}
    assert states.count(State.COMPLETED) > states.count(State.FAILED) > 0
    assert list(dict.fromkeys(started)) == [job.pk for job in jobs], "each starts in its turn"
    assert Attempt.objects.filter(outcome=Outcome.FAILED).count() > states.count(State.FAILED), "some were attempted again"


def begun(lease: lifecycle.Lease, *, at: object) -> int:
    found = lifecycle.begin(lease, at=at)
    assert found is not None
    job, attempt, _ = found
    remote = {"provider": attempt.account_id, "remote_id": f"video {job.pk} {attempt.number}"}
    lifecycle.start(job, at=at, actor="provider", remote_id=remote["remote_id"], remote=remote, next_check_at=at)
    return job.pk


def ended(pk: int, fate: float, *, at: object) -> None:
    """Let a running job fail for good, fail and be attempted again, or be delivered."""
    (job,) = Job.objects.lock().filter(pk=pk)
    if fate < 0.1:
        lifecycle.fail(job, at=at, actor="poller", trouble=BROKEN)
    elif fate < 0.3:
        later = at + timedelta(seconds=30)
        lifecycle.put_back(job, at=at, actor="poller", outcome=Outcome.FAILED, spent=True, trouble=BROKEN, not_before=later)
    else:
        lifecycle.deliver(job, at=at, actor="poller", ran_seconds=30.0)
        (job,) = Job.objects.lock().filter(pk=pk)
        lifecycle.complete(job, [make_asset(job)], at=at, actor="worker", stages=[])
