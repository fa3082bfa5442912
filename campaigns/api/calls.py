"""Calls about campaigns: launch or price, list, read, cancel, pause, resume, retry what failed."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import actions, plan
from campaigns.api import answers, asked, shapes
from campaigns.launch import launch
from campaigns.models import Campaign
from queue_app import clock, lifecycle
from queue_app.api import reading
from queue_app.api.authentication import VIA, actor, caller, operates
from queue_app.api.idempotency import Made, once
from queue_app.api.serializers import DryRun
from queue_app.api.views import Pages, View, call, page_of
from queue_app.work import batches, policy


class Campaigns(View):
    @call("campaigns_list", page_of(shapes.CampaignLine, "Campaign"), query=reading.PageQuery)
    def get(self, request: Request) -> Response:
        """List your campaigns, newest first. Staff see all campaigns."""
        pages = Pages("-pk")
        rows = pages.paginate_queryset(seen_by(request), request, view=self) or []
        return pages.get_paginated_response(answers.lines(rows, request, at=clock.now()))

    @call(
        "campaigns_create",
        shapes.CampaignMadeOut,
        402,
        409,
        422,
        status=201,
        query=DryRun,
        body=asked.CampaignAsked,
        priced=shapes.CampaignPriceOut,
        repeatable=True,
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Launch a campaign, all or nothing. With `?dry_run=true`, return its matrix and price without creating it."""
        brief, user, at = asked.brief(self.given), caller(request), clock.now()
        if self.query["dry_run"]:
            return Response(answers.priced(plan.make(brief, user), user, at=at))

        def submit() -> Made:
            # planned in here: a repeated request gets its first answer even when its values have been retired since
            planned = plan.make(brief, user)
            return answers.made(launch(planned, owner=user, at=at, actor=actor(request)), planned, request)

        return once(request, status=201, do=submit, render=answers.with_forecast)

    def also_wrong(self, request: Request, readable: Mapping[str, Any]) -> Iterator[reading.Wrong]:
        if "dimensions" not in readable:  # what is excluded from them cannot be told
            readable = {name: value for name, value in readable.items() if name != "exclude"}
        found = plan.problems_of(asked.brief(readable), caller(request))
        return ((one.field, one.message) for one in found)


class CampaignDetail(View):
    @call("campaigns_read", shapes.CampaignOut, 404)
    def get(self, request: Request, pk: int) -> Response:
        """Read one campaign: brief, combinations by status, cost, reviews and time until the last job."""
        return Response(answers.campaign(get_object_or_404(seen_by(request), pk=pk), request, at=clock.now()))


class CancelCampaign(View):
    @call("campaigns_cancel", shapes.CampaignCancelOut, 404)
    def post(self, request: Request, pk: int) -> Response:
        """Cancel all unfinished jobs of the campaign where possible."""
        campaign = get_object_or_404(to_change(request), pk=pk)
        verdicts = batches.cancel(campaign.batch, at=clock.now(), actor=caller(request), via=VIA)
        told = {verdict.value: verdicts[verdict] for verdict in lifecycle.Verdict}
        return Response({**answers.campaign(_anew(campaign), request, at=clock.now()), "verdicts": told})


class PauseCampaign(View):
    @call("campaigns_pause", shapes.CampaignOut, 404)
    def post(self, request: Request, pk: int) -> Response:
        """Pause the campaign. None of its queued jobs start; running jobs finish."""
        campaign = get_object_or_404(to_change(request), pk=pk)
        policy.pause_batch(campaign.batch, at=clock.now(), actor=caller(request), via=VIA)
        return Response(answers.campaign(_anew(campaign), request, at=clock.now()))


class ResumeCampaign(View):
    @call("campaigns_resume", shapes.CampaignOut, 404)
    def post(self, request: Request, pk: int) -> Response:
        """Resume the campaign. Its queued jobs have kept their positions."""
        campaign = get_object_or_404(to_change(request), pk=pk)
        policy.resume_batch(campaign.batch, at=clock.now(), actor=caller(request), via=VIA)
        return Response(answers.campaign(_anew(campaign), request, at=clock.now()))


class RetryCampaign(View):
    @call("campaigns_retry_failed", shapes.CampaignOut, 402, 404, 409, 422, repeatable=True)
    def post(self, request: Request, pk: int) -> HttpResponseBase:
        """Retry the failed combinations of the campaign at today's price, all or nothing."""
        campaign = get_object_or_404(to_change(request), pk=pk)

        def retry() -> Made:
            actions.retry_failed(campaign, at=clock.now(), actor=caller(request), via=VIA)
            return {"campaign": campaign.pk}

        return once(request, status=200, do=retry, render=lambda _: answers.campaign(_anew(campaign), request, at=clock.now()))


def seen_by(request: Request) -> "QuerySet[Campaign]":
    """The campaigns that the caller may read (I35)."""
    return _whole(Campaign.objects.of(caller(request)))


def to_change(request: Request) -> "QuerySet[Campaign]":
    """The campaigns that the caller may change: their own; who operates the queue: all."""
    user = caller(request)
    reachable = Campaign.objects.of(user) if operates(request) else Campaign.objects.filter(batch__owner=user)
    return _whole(reachable)


def _whole(rows: "QuerySet[Campaign]") -> "QuerySet[Campaign]":
    return rows.select_related("batch__owner", "brand", "model")


def _anew(campaign: Campaign) -> Campaign:
    return _whole(Campaign.objects.all()).get(pk=campaign.pk)
