"""Campaigns as schedules make them: the maker that the setting ``SCHEDULED`` names, and requests made of briefs and campaigns."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from campaigns import launch, plan
from campaigns.brief import MOST, Brief
from campaigns.launch import LaunchRefused
from campaigns.models import Campaign
from campaigns.plan import PlanRefused, Problem
from queue_app.models import User
from queue_app.rules.numbers import counted
from queue_app.tickets import NotEnoughTickets
from queue_app.work import ticket_budgets
from queue_app.work.intake import KindRestricted, ModelNotAvailable
from queue_app.work.makers import Made, Request

CAMPAIGN = "campaign"
_NOT_SET: tuple[Any, ...] = (None, "", (), [], {})
_DEFAULTS = asdict(Brief())


def request_of(brief: Brief) -> Request:
    """Return a brief as a schedule keeps it: the fields that are set, and not to what they are by default."""
    return {name: value for name, value in asdict(brief).items() if value not in (*_NOT_SET, _DEFAULTS[name])}


def brief_of(request: Mapping[str, Any]) -> Brief:
    return Brief(**request)


def of_campaign(campaign: Campaign) -> Request:
    """Return the brief of a campaign as a schedule keeps it. Its name and priority are left out, as in a copy of it."""
    texts = {name: getattr(campaign, name) for name in ("product_category", "big_idea", "visual_messaging", "audio_messaging")}
    brief = Brief(
        **texts,
        brand=campaign.brand.name,
        dimensions=dict(campaign.dimensions),
        exclude=list(campaign.exclude),
        model=campaign.model_id,
        **campaign.parameters,
        max_concurrent=campaign.batch.max_concurrent,
        budget_tickets=ticket_budgets.tickets_of(campaign.batch),
        start=campaign.start,
        still_model=campaign.still_model_id or "",
    )
    return request_of(brief)


class Campaigns:
    """Launches a campaign: the request has the fields of `Brief` that are set."""

    refusals: tuple[type[Exception], ...] = (
        PlanRefused,
        LaunchRefused,
        KindRestricted,
        ModelNotAvailable,
        NotEnoughTickets,
    )

    def fetched(self, owner: User, request: Mapping[str, Any], *, at: datetime) -> Request:
        try:
            return request_of(plan.with_uploads(brief_of(request), owner, at=at))
        except self.refusals as refusal:
            raise _at_fields(refusal) from None

    def check(self, owner: User, request: Mapping[str, Any], *, at: datetime) -> None:
        try:
            planned = plan.make(brief_of(request), owner)
        except self.refusals as refusal:
            raise _at_fields(refusal) from None
        if not planned.to_buy:
            raise LaunchRefused("All combinations are blocked by compliance rules. Change the brief.")

    def images(self, request: Mapping[str, Any]) -> Any:
        return request.get("images")

    def make(self, owner: User, request: Mapping[str, Any], *, name: str, at: datetime, actor: str) -> Made:
        brief = brief_of(request)
        planned = plan.make(replace(brief, name=name[: MOST["name"]]), owner)
        return Made(batch=launch.launch(planned, owner=owner, at=at, actor=actor).pk)


campaigns = Campaigns()


def summary(request: Mapping[str, Any]) -> str:
    """Return what a campaign's request is: “Maison Alder: The parcel opens., 12 combinations”."""
    brief = brief_of(request)
    number = 1
    for values in brief.dimensions.values():
        number *= max(1, len(values))
    return f"{brief.brand}, {counted(number, 'combination')}{' before exclusions' if brief.exclude else ''}"


def tickets(owner: User, request: Mapping[str, Any]) -> int | None:
    """Return the price of a run at this moment; ``None`` if it would be refused."""
    try:
        return plan.make(brief_of(request), owner).tickets
    except campaigns.refusals:
        return None


def _at_fields(refusal: Exception) -> Exception:
    """Return a refusal whose problems name the fields in a schedule: ``campaign.big_idea``."""
    if isinstance(refusal, PlanRefused):
        return PlanRefused([Problem(f"{CAMPAIGN}.{one.field}", one.message) for one in refusal.problems])
    if isinstance(refusal, (KindRestricted, ModelNotAvailable)):
        refusal.problems = [replace(one, index=None, field=f"{CAMPAIGN}.{one.field}") for one in refusal.problems]
    return refusal
