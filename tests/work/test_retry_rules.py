"""Attempts and the waits between them are rows: of the job type, and of models that differ."""

from datetime import timedelta

import pytest

from queue_app import lifecycle
from queue_app.lifecycle import Trouble
from queue_app.models import GenerationModel, Job, Kind, Outcome
from queue_app.rules.backoff import Retries
from queue_app.work import decisions, policy, progress
from tests.factories import NOON, UserFactory, make_job

pytestmark = pytest.mark.django_db


def reread(job: Job) -> Job:
    return Job.objects.select_related("model", "kind", "batch").get(pk=job.pk)


def model(**values: object) -> None:
    policy.change(GenerationModel.objects.get(pk="sora-2"), at=NOON, actor=UserFactory(staff=True), **values)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({}, Retries(4, "exponential", 5, 600)),
        ({"max_attempts": 2}, Retries(2, "exponential", 5, 600)),
        ({"backoff": "fixed", "retry_base_seconds": 90}, Retries(4, "fixed", 90, 600)),
        ({"retry_cap_seconds": 60}, Retries(4, "exponential", 5, 60)),
    ],
)
def test_a_model_has_its_own_and_the_job_types_for_the_rest(values: dict[str, object], rule: Retries) -> None:
    job = make_job("running")
    if values:
        model(**values)
    assert reread(job).retries == rule


def test_a_change_counts_from_the_next_failure_on() -> None:
    job = make_job("running")
    model(max_attempts=1)
    again = lifecycle.put_back(
        reread(job),
        at=NOON,
        actor="worker",
        outcome=Outcome.FAILED,
        spent=True,
        trouble=Trouble("provider_failed", "It broke."),
        not_before=None,
    )
    assert (again, reread(job).error_message) == ("failed", "It broke. (last attempt, 1 of 1)")


def test_the_next_attempt_waits_as_long_as_the_model_says() -> None:
    job = make_job("running")
    model(backoff="fixed", retry_base_seconds=42)
    assert progress.retry_at(reread(job), at=NOON) == NOON + timedelta(seconds=42)


def test_a_decision_foresees_the_last_attempt_of_the_model() -> None:
    job = make_job("unknown")
    assert decisions.after_another_try(reread(job)) == "queued"
    model(max_attempts=1)
    assert decisions.after_another_try(reread(job)) == "failed"


def test_the_longest_wait_is_the_cap_even_below_the_base() -> None:
    Kind.objects.filter(pk="doubt").update(retry_cap_seconds=60)
    job = make_job("running", kind_id="doubt")
    assert progress.retry_at(reread(job), at=NOON) == NOON + timedelta(seconds=60)
