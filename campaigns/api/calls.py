"""Calls about campaigns: launch or price, list, read, cancel, pause, resume, retry what failed."""

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import plan, verbs
from campaigns.api import answers, asked, shapes
from campaigns.launch import launch
from campaigns.models import Campaign
from queue_app import clock, lifecycle
from queue_app.api import reading
from queue_app.api.authentication import VIA, actor, caller, operates
from queue_app.api.idempotency import once
from queue_app.api.serializers import DryRun
from queue_app.api.views import IDEMPOTENCY_KEY, PAGING, Pages, View, page_of
from queue_app.api.views import answers as answered
from queue_app.work import batches, policy


class Campaigns(View):
    @extend_schema(
        operation_id="campaigns_list", parameters=PAGING, responses=answered(page_of(shapes.CampaignLine, "Campaign"), 400)
    )
    def get(self, request: Request) -> Response:
        """The caller's campaigns, newest first; staff see everybody's."""
        pages = Pages("-pk")
        rows = pages.paginate_queryset(seen_by(request), request, view=self) or []
        return pages.get_paginated_response(answers.lines(rows, request, at=clock.now()))

    @extend_schema(
        operation_id="campaigns_create",
        request=asked.CampaignAsked,
        parameters=[IDEMPOTENCY_KEY, DryRun],
        responses={
            **answered(shapes.CampaignMadeOut, 400, 402, 409, 413, 415, 422, status=201),
            200: shapes.CampaignPriceOut,
        },
    )
    def post(self, request: Request) -> Response:
        """Launch a campaign, all or nothing; with `?dry_run=true` only build and price its matrix."""
        brief = asked.brief(reading.asked(request, asked.CampaignAsked))
        user, at = caller(request), clock.now()
        if reading.asked_by_query(request, DryRun)["dry_run"]:
            return Response(answers.priced(plan.make(brief, user), user, at=at))

        def submit() -> tuple[Campaign, plan.Plan]:
            # planned in here: a repeated request gets its first answer even when its values have been retired since
            planned = plan.make(brief, user)
            return launch(planned, owner=user, at=at, actor=actor(request)), planned

        return once(request, request.data, status=201, do=submit, render=lambda made: answers.made(*made, request, at=at))


class CampaignDetail(View):
    @extend_schema(operation_id="campaigns_read", responses=answered(shapes.CampaignOut, 404))
    def get(self, request: Request, pk: int) -> Response:
        """One campaign: its brief, its cells by status, its cost, its reviews, and the time until the last is done."""
        return Response(answers.campaign(get_object_or_404(seen_by(request), pk=pk), request, at=clock.now()))


class CancelCampaign(View):
    @extend_schema(operation_id="campaigns_cancel", request=None, responses=answered(shapes.CampaignCancelOut, 404))
    def post(self, request: Request, pk: int) -> Response:
        """Stop all its open jobs as far as they can be stopped."""
        campaign = get_object_or_404(to_change(request), pk=pk)
        verdicts = batches.cancel(campaign.batch, at=clock.now(), actor=caller(request), via=VIA)
        told = {verdict.value: verdicts[verdict] for verdict in lifecycle.Verdict}
        return Response({**answers.campaign(_anew(campaign), request, at=clock.now()), "verdicts": told})


class PauseCampaign(View):
    @extend_schema(operation_id="campaigns_pause", request=None, responses=answered(shapes.CampaignOut, 404))
    def post(self, request: Request, pk: int) -> Response:
        """No later claim takes a job of it; what runs goes on."""
        campaign = get_object_or_404(to_change(request), pk=pk)
        policy.pause_batch(campaign.batch, at=clock.now(), actor=caller(request), reason="asked for by API")
        return Response(answers.campaign(_anew(campaign), request, at=clock.now()))


class ResumeCampaign(View):
    @extend_schema(operation_id="campaigns_resume", request=None, responses=answered(shapes.CampaignOut, 404))
    def post(self, request: Request, pk: int) -> Response:
        """Its jobs may be claimed again; they have kept their places."""
        campaign = get_object_or_404(to_change(request), pk=pk)
        policy.resume_batch(campaign.batch, at=clock.now(), actor=caller(request), reason="asked for by API")
        return Response(answers.campaign(_anew(campaign), request, at=clock.now()))


class RetryCampaign(View):
    @extend_schema(
        operation_id="campaigns_retry_failed",
        request=None,
        parameters=[IDEMPOTENCY_KEY],
        responses=answered(shapes.CampaignOut, 400, 402, 404, 409, 422),
    )
    def post(self, request: Request, pk: int) -> Response:
        """Queue its failed cells again at today's price: all or none."""
        campaign = get_object_or_404(to_change(request), pk=pk)
        at = clock.now()

        def retry() -> Campaign:
            verbs.retry_failed(campaign, at=at, actor=caller(request), via=VIA)
            return _anew(campaign)

        return once(request, None, status=200, do=retry, render=lambda row: answers.campaign(row, request, at=at))


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
