"""
Every route with another beside it, bought by the API at the studio as if it were the only one of its model.

Models with one route, and the active ones as they are seeded, are bought in `tests.e2e.test_every_model`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from queue_app.models import GenerationModel, Job, ModelRoute, ProviderAccount
from queue_app.rules.codec_offers import Specification
from queue_app.work.catalogue import MODELS
from queue_app.work.catalogue.seeds import ModelSeed, RouteSeed
from tests.factories import UserFactory
from tests.genqueue_site.studio.process import StudioProcess
from tests.results import assert_opens
from tests.work.steps import attempt_of, bought, tickets_of, worked

pytestmark = pytest.mark.django_db
ROUTES = {
    f"{seed.key}-{route.account}-{route.endpoint_id}": (seed, route)
    for seed in MODELS
    for route in seed.routes
    if len([one for one in seed.routes if one.active]) > 1 or (not route.active and any(one.active for one in seed.routes))
}


@pytest.fixture(autouse=True)
def empty_media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")


def left_alone(seed: ModelSeed, route: RouteSeed) -> Specification:
    """Make it the only active route of its model. Return what the model offers then, as staff would enter it."""
    routes = ModelRoute.objects.filter(model=seed.key)
    routes.update(active=False)
    assert routes.filter(account=route.account, endpoint_id=route.endpoint_id).update(active=True) == 1
    offered = seed._replace(routes=[route._replace(active=True)], defaults={}).parameters
    GenerationModel.objects.filter(pk=seed.key).update(parameters=offered)
    return offered


@pytest.mark.parametrize("name", ROUTES)
def test_what_a_route_makes_opens_and_costs_what_was_shown(
    studio: StudioProcess, api_for: Callable[..., APIClient], name: str
) -> None:
    seed, route = ROUTES[name]
    offered, api = left_alone(seed, route), api_for(UserFactory())
    asked = {name: rule["values"] for name, rule in offered.items() if name in ("duration", "aspect_ratio")}
    parameters = {name: min(values) if name == "duration" else values[-1] for name, values in asked.items()}
    order = {"model": seed.key, "prompt": f"A kite, by {name}.", "parameters": parameters}
    price = api.post("/api/v1/jobs/?dry_run=true", order).json()["cost"]["tickets"]
    created = api.post("/api/v1/jobs/", order)
    assert created.status_code == 201, created.json()

    job = finished(Job.objects.get(pk=created.json()["id"]))

    attempt, account = attempt_of(job), ProviderAccount.objects.get(pk=route.account)
    assert (attempt.account_id, attempt.endpoint_id, attempt.number) == (route.account, route.endpoint_id, 1)
    assert tickets_of(job) == ("captured", 1_000 - price, 0)
    (row,) = [row for row in studio.log()["creates"] if row["prompt"] == job.prompt]
    assert (row["dialect"], row["model"], row["accepted"]) == (account.adapter, route.endpoint_id, True)
    result = job.assets.get(kind=seed.medium)
    with default_storage.open(result.name) as file:
        assert_opens(result.content_type, file.read(), job.parameters)


def finished(job: Job) -> Job:
    """Take a queued job through all its steps."""
    job, late = bought(job), time.monotonic() + 60
    while job.state != "completed":
        assert time.monotonic() < late and not job.error_code, job
        time.sleep(0.05)
        job = worked(job)
    return job


def test_all_accounts_are_among_them() -> None:
    accounts: set[Any] = {route.account for _, route in ROUTES.values()}
    assert accounts == {"fal", "replicate", "openrouter", "openai_images"}  # the others sell nothing that another sells, too
