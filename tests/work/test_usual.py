"""How long jobs of a model usually take."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from rest_framework.test import APIClient

from queue_app import clock
from queue_app.models import GenerationModel, Job, State
from queue_app.work import usual
from tests.factories import UserFactory, make_job

pytestmark = pytest.mark.django_db


def test_is_the_median_of_the_last_runs_once_there_are_five_and_until_then_the_catalogues(api_for) -> None:
    model = GenerationModel.objects.get(pk="sora-2")
    jobs = [make_job(State.COMPLETED) for _ in range(4)]
    assert (usual.of(model).seconds, usual.of(model).basis) == (model.typical_seconds, "the model's typical time")

    jobs.append(make_job(State.COMPLETED))
    for job, seconds in zip(jobs, (10, 20, 47, 80, 90), strict=True):
        Job.objects.filter(pk=job.pk).update(ran_seconds=seconds)
    cache.clear()

    client: APIClient = api_for(UserFactory())
    told = client.get("/api/v1/models/sora-2/").json()
    assert (usual.of(model).seconds, usual.of(model).basis) == (47, "the last 5 runs")
    assert (told["typical_seconds"], told["typical_basis"]) == (47, "the last 5 runs")


def test_the_clock_is_the_databases_plus_an_offset_that_only_a_simulated_day_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    with connection.cursor() as cursor:
        before = clock.read(cursor)
        monkeypatch.setattr(clock, "offset", timedelta(days=-3))

        assert before - clock.read(cursor) > timedelta(days=2)
