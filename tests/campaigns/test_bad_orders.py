"""What a model can't make is refused by both ways to order it, for every model: at its field, with nothing reserved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from queue_app.models import Job, JobEvent, ModelRoute, Reservation, User
from queue_app.models.catalog import Medium
from queue_app.rules import parameters
from queue_app.work.catalogue import MODELS
from queue_app.work.catalogue.seeds import ModelSeed
from queue_app.work.intake import PROMPT_MOST
from tests.factories import UserFactory
from tests.markup import html_of

pytestmark = pytest.mark.django_db
# pages have data of their own
OFFERED = {seed.key: seed for seed in MODELS if any(route.active for route in seed.routes) and seed.medium != Medium.PAGE}
EVERY = pytest.mark.parametrize("model", OFFERED)
ODD: dict[str, Any] = {"duration": 99, "aspect_ratio": "7:5"}  # that no model makes


@pytest.fixture
def owner() -> User:
    return UserFactory()


@pytest.fixture
def web(client_for: Callable[[User], Client], owner: User) -> Client:
    return client_for(owner)


@pytest.fixture
def api(api_for: Callable[..., APIClient], owner: User) -> APIClient:
    return api_for(owner)


def longest_prompt(seed: ModelSeed) -> int:
    """Return how many characters the route that takes most of them takes."""
    return max(route.codec.get("prompt", {}).get("most", PROMPT_MOST) for route in seed.routes if route.active)


def too_long(seed: ModelSeed) -> tuple[str, str]:
    """Return a prompt that no route takes, and what is said of it."""
    most = longest_prompt(seed)
    return "a" * (most + 1), f"The prompt is {most + 1:,} characters; the limit is {most:,}."


def refusal(seed: ModelSeed, name: str) -> str:
    """Return what is said of an odd value, as far as it is the same for all values of a parameter."""
    return f"for {seed.key}, not {ODD[name]}." if name in seed.parameters else f"{seed.key} has no parameter “{name}”."


def nothing_was_written() -> bool:
    return not any(table._default_manager.exists() for table in (Job, JobEvent, Reservation))


@EVERY
def test_by_the_api(api: APIClient, model: str) -> None:
    prompt, words = too_long(OFFERED[model])
    order = {"model": model, "prompt": "A kite."}
    answer = api.post("/api/v1/jobs/batch/", {"jobs": [order | {"parameters": ODD}, order | {"prompt": prompt}]})
    assert answer.status_code == 400
    said = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert set(said) == {"jobs[0].parameters.duration", "jobs[0].parameters.aspect_ratio", "jobs[1].prompt"}
    assert said["jobs[1].prompt"] == words
    assert all(refusal(OFFERED[model], name) in said[f"jobs[0].parameters.{name}"] for name in ODD)

    ModelRoute.objects.filter(model=model).update(active=False)
    answer = api.post("/api/v1/jobs/", order)
    assert (answer.status_code, answer.json()["code"]) == (422, "model_not_available")
    assert nothing_was_written()


@EVERY
def test_by_the_form(web: Client, model: str) -> None:
    seed = OFFERED[model]
    prompt, words = too_long(seed)
    price = seed.pricing.tickets_of(parameters.settle(model, seed.parameters, {})[0])
    sent: dict[str, Any] = {"key": "k", "model": model, "prompt": "A kite.", "price": price}

    odd = web.post("/quick/", sent | ODD)
    long = web.post("/quick/", sent | {"prompt": prompt})
    ModelRoute.objects.filter(model=model).update(active=False)
    gone = web.post("/quick/", sent)

    for answer, said in (
        (odd, [refusal(seed, name) for name in ODD]),
        (long, [words]),
        (gone, [f"{model} is not available right now."]),
    ):
        assert answer.status_code == 422
        assert [one for one in said if one not in html_of(answer)] == []
    assert nothing_was_written()
