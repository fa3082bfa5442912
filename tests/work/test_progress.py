"""Progress: one place turns provider reports into moves, however they arrive."""

from datetime import timedelta
from decimal import Decimal

import pytest

from queue_app import clock, lifecycle
from queue_app.models import Attempt, Job
from queue_app.providers.base import ErrorKind, PollResult, ProviderError, TaskState
from queue_app.work import progress
from tests.factories import NOON, begun, make_job
from tests.work.steps import attempt_of, fresh

pytestmark = pytest.mark.django_db


def told(state: TaskState, *, job_state: str = "running", after: float = 60, **said) -> Job:
    """Return a job after its provider has reported this state, some seconds after the create call; "lost" for the third time."""
    job = make_job(job_state, at=NOON)
    if state == TaskState.LOST:
        Attempt.objects.filter(job=job).update(missing_since=NOON + timedelta(seconds=after - 120), missing_looks=2)
    lease = lifecycle.Lease(job.pk, job.fence)
    progress.record(attempt_of(job), lease, PollResult(state, **said), at=NOON + timedelta(seconds=after))
    return fresh(job)


class TestRecord:
    @pytest.mark.parametrize(
        ("said", "running", "cancelling"),
        [
            (TaskState.QUEUED, "running", "cancelling"),
            (TaskState.RUNNING, "running", "cancelling"),
            (TaskState.CANCELING, "running", "cancelling"),
            (TaskState.SUCCEEDED, "storing", "storing"),
            (TaskState.FAILED, "queued", "cancelled"),
            (TaskState.REJECTED, "failed", "cancelled"),
            (TaskState.CANCELED, "queued", "cancelled"),
            (TaskState.LOST, "queued", "cancelled"),
        ],
    )
    def test_moves_a_job_as_its_task_stands(self, said: TaskState, running: str, cancelling: str):
        assert told(said).state == running
        assert told(said, job_state="cancelling").state == cancelling

    def test_knows_every_state_of_a_task(self):
        assert len(TaskState) == 8

    @pytest.mark.parametrize(
        ("said", "outcome"),
        [
            (TaskState.FAILED, "failed"),
            (TaskState.REJECTED, "failed"),
            (TaskState.CANCELED, "cancelled"),
            (TaskState.LOST, "lost"),
        ],
    )
    def test_ends_the_attempt_with_what_became_of_the_task(self, said: TaskState, outcome: str):
        assert attempt_of(told(said)).outcome == outcome

    def test_keeps_the_providers_real_figure_where_it_tells_one(self):
        assert told(TaskState.SUCCEEDED, cost=Decimal("0.40")).usd_actual == Decimal("0.40")

    def test_says_in_words_what_happened_where_the_provider_does_not(self):
        job = told(TaskState.LOST)
        assert job.events.latest("seq").reason == "The provider no longer knows this task."

    def test_fails_a_job_that_no_other_try_would_help(self):
        error = ProviderError(ErrorKind.INVALID_REQUEST, "No such size.", code="bad_size")
        job = told(TaskState.FAILED, error=error)
        assert (job.state, job.error_code, job.error_message) == ("failed", "bad_size", "No such size.")

    def test_plans_the_next_look_and_remembers_this_one(self):
        job = told(TaskState.RUNNING, progress=0.25)
        assert timedelta(seconds=62) <= job.next_check_at - NOON <= timedelta(seconds=90)
        assert (job.progress, attempt_of(job).looked_up_at) == (0.25, NOON + timedelta(seconds=60))

    def test_of_an_older_lease_changes_nothing(self):
        job = make_job("running", at=NOON)
        older = lifecycle.Lease(job.pk, job.fence - 1)
        assert progress.record(attempt_of(job), older, PollResult(TaskState.SUCCEEDED), at=NOON) == []
        assert fresh(job).state == "running"


class TestRetryAt:
    def test_doubles_its_span_with_each_attempt_spent(self):
        job = make_job("running", at=NOON)
        for most in (10, 20, 40):
            delays = [(progress.retry_at(job, at=NOON) - NOON).total_seconds() for _ in range(60)]
            assert 0 <= min(delays) < most / 2 < max(delays) <= most
            self.fail_once_more(job)

    @staticmethod
    def fail_once_more(job: Job) -> None:
        lease = lifecycle.Lease(job.pk, fresh(job).fence)
        progress.record(attempt_of(job), lease, PollResult(TaskState.FAILED), at=NOON)
        if fresh(job).state == "queued":
            begun(job, at=NOON)

    def test_is_5_min_later_for_kinds_of_fixed_backoff(self):
        job = make_job("running", at=clock.now(), kind_id="topic_short")
        assert progress.retry_at(job, at=NOON) == NOON + timedelta(minutes=5)
