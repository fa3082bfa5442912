"""Campaigns as a launch makes them, and their jobs walked to a state through the verbs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from campaigns import launch, plan
from campaigns.models import Campaign, Dimension, DimensionValue
from queue_app.models import Asset, Job, User
from tests.factories import NOON, advance

SMALL = {"aesthetic": ["ugc", "cinematic"], "mood": ["energetic", "calm"]}  # 4 cells


def make_campaign(
    owner: User, dimensions: Mapping[str, Sequence[str]] | None = None, *, at: datetime = NOON, **fields: Any
) -> Campaign:
    """Launch a campaign of 4 s videos of `sora-2`; fields are those of `plan.Brief`."""
    known: dict[str, Any] = {"brand": "Maison Alder", "big_idea": "The parcel opens.", "model": "sora-2", "duration": 4}
    brief = plan.Brief(**{**known, "dimensions": dimensions or SMALL, **fields})
    made = launch.launch(plan.make(brief, owner), owner=owner, at=at, actor=owner.username)
    return Campaign.objects.select_related("batch", "model", "brand").get(pk=made.pk)


def full_matrix() -> dict[str, list[str]]:
    """Dimensions of 660 cells: 11 × 5 × 4 × 3."""
    city = Dimension.objects.create(key="city", label="City", position=200)
    towns = [f"town-{number}" for number in range(11)]
    DimensionValue.objects.bulk_create(DimensionValue(dimension=city, key=town, label=town.title()) for town in towns)
    return {
        "aesthetic": ["ugc", "cinematic", "minimalist", "documentary", "animated"],
        "age_generation": ["gen-z", "millennial", "gen-x", "boomer"],
        "gender": ["female", "male", "non-binary"],
        "city": towns,
    }


def jobs_of(campaign: Campaign) -> list[Job]:
    """Its jobs, in the order of the matrix."""
    return list(Job.objects.filter(batch=campaign.pk).select_related("model", "kind", "batch").order_by("id"))


@transaction.atomic
def bring(job: Job, state: str, *, at: datetime = NOON) -> None:
    """Walk a queued job to ``state``."""
    advance(job, state, at=at)


def as_page(job: Job) -> None:
    """Let a delivered text be a page, as campaigns made them before pages had a form of their own."""
    Job.objects.filter(pk=job.pk).update(model="page-writer", kind="page")
    Asset.objects.filter(job=job).update(kind="page", content_type="text/html")
