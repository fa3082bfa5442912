"""Forecasts are kept, told what happened, and then correct later ones."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache

from queue_app import lifecycle
from queue_app.forecast import estimates, experience, samples
from queue_app.models import ModelConcurrencyLimit, PastForecast, State
from queue_app.runtime import tasks
from queue_app.work import progress
from tests.factories import NOON, BatchFactory, JobFactory, advance, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def runs_of_30_seconds(monkeypatch):
    ModelConcurrencyLimit.objects.update(max_concurrent=1)
    runs = [progress.Run(30.0, Decimal(2))] * 200
    monkeypatch.setattr(progress, "recent_runs", lambda models: dict.fromkeys(models, runs))


def test_waiting_jobs_running_jobs_and_batches_are_sampled():
    batch = BatchFactory()
    make_job(State.RUNNING)
    JobFactory(batch=batch, owner=batch.owner)

    found = samples.take(at=NOON)

    assert {one.what: (one.p50, one.p90, one.measured) for one in found} == {
        "start": (30, 30, True),
        "end": (60, 60, True),
        "rest": (30, 30, True),
        "batch": (60, 60, True),
    }


def test_what_happened_is_noted():
    batch = BatchFactory()
    job, cancelled = JobFactory(batch=batch, owner=batch.owner), JobFactory()
    samples.take(at=NOON)
    advance(job, State.COMPLETED, at=NOON + timedelta(seconds=70))
    lifecycle.cancel([cancelled.pk], at=NOON + timedelta(seconds=50), actor="user")

    experience.settle()

    known = {(one.what, one.job_id): (one.seconds, one.happened) for one in PastForecast.objects.exclude(what="batch")}
    assert (known["start", job.pk], known["end", job.pk]) == ((70, True), (70, True))
    assert (known["start", cancelled.pk], known["end", cancelled.pk]) == ((50, False), (50, False))


def test_a_forecast_that_was_always_half_as_long_is_doubled_and_says_on_what_it_stands():
    job = JobFactory()
    known = {"job": job, "model_id": "sora-2", "measured": True, "at": NOON - timedelta(hours=1)}
    PastForecast.objects.bulk_create(
        PastForecast(
            what="end", p50=30, p90=30, shown_p50=70 - 2 * (number % 2), shown_p90=70, seconds=70, happened=True, **known
        )
        for number in range(60)
    )
    cache.clear()

    found = estimates.for_job(job, NOON)

    assert found.p50_seconds == pytest.approx(70, rel=0.1) and found.p50_seconds <= found.p90_seconds
    assert found.basis == "the last 200 runs and 60 past forecasts"


def test_old_ones_are_deleted():
    job = JobFactory()
    samples.take(at=NOON)
    samples.take(at=NOON + timedelta(hours=1))

    experience.prune(at=NOON + experience.KEPT + timedelta(minutes=1))

    assert set(PastForecast.objects.values_list("job", "at")) == {(job.pk, NOON + timedelta(hours=1))}


def test_the_task_samples_what_is_open():
    JobFactory()
    tasks.sample()

    assert PastForecast.objects.count() == 2
