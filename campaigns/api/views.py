"""Campaigns: launch or price, list, read, cancel, pause, resume, retry. Combinations: list, read, review.
Dimensions and brands: list."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import actions, plan, releases, review
from campaigns.api import answers
from campaigns.api.filters import CombinationFilterSet
from campaigns.api.serializers import (
    BrandOut,
    CampaignAsked,
    CampaignCancelOut,
    CampaignChangeOut,
    CampaignDropOut,
    CampaignLine,
    CampaignMadeOut,
    CampaignOut,
    CampaignPriceOut,
    CampaignReleaseOut,
    CombinationOut,
    CombinationQuery,
    DimensionOut,
    HeldAsked,
    ReviewAsked,
    brief,
)
from campaigns.launch import launch
from campaigns.models import Brand, Campaign, Combination, Dimension
from campaigns.releases import Chosen
from queue_app import clock, lifecycle
from queue_app.api import waits
from queue_app.api.authentication import VIA, actor, caller, key_of
from queue_app.api.errors import Wrong
from queue_app.api.generics import JsonViewSet
from queue_app.api.idempotency import Made, once
from queue_app.api.pagination import CursorPages, OnePage
from queue_app.api.permissions import reaches_others
from queue_app.api.schema import call
from queue_app.api.serializers.base import PageQuery, render
from queue_app.api.serializers.requests import AN_UPLOAD, BatchChange, DryRun, PauseAsked, WaitQuery
from queue_app.insight.batches import heard
from queue_app.work import batches, fetching, keys, policy

_BRIEF = {"brand": "Maison Alder", "big_idea": "The parcel opens.", "dimensions": {"mood": ["calm", "energetic"]}}
EXAMPLES = {
    "Videos": _BRIEF | {"model": "sora-2", "duration": 8, "aspect_ratio": "9:16"},
    "Images from a reference": _BRIEF
    | {
        "model": "nano-banana-2",
        "resolution": "2K",
        "count": 2,
        "images": {"references": [AN_UPLOAD]},
    },
}


class CampaignPages(CursorPages):
    ordering = "-pk"  # which is the batch's


class CombinationPages(CursorPages):
    ordering = "index"


class CampaignViewSet(JsonViewSet[Campaign]):
    """Launch, list, read, cancel, pause, resume and retry campaigns."""

    pagination_class = CampaignPages

    def get_queryset(self) -> "QuerySet[Campaign]":
        return _whole(_reachable(self.request))

    def also_wrong(self, request: Request, readable: Mapping[str, Any]) -> Iterable[Wrong]:
        if "dimensions" not in readable:  # without them exclusions can't be checked
            readable = {name: value for name, value in readable.items() if name != "exclude"}
        if self.detail:
            return ()
        found = plan.problems_of(brief(readable), caller(request))
        return ((one.field, one.message) for one in found)

    @call("campaigns_list", CampaignLine(many=True), query=PageQuery)
    def list(self, request: Request) -> Response:
        """List your campaigns, newest first. Staff see all campaigns."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(answers.lines(page or [], request, at=clock.now()))

    @call(
        "campaigns_create",
        CampaignMadeOut,
        402,
        409,
        422,
        status=201,
        query=DryRun,
        body=CampaignAsked,
        priced=CampaignPriceOut,
        repeatable=True,
        examples=EXAMPLES,
    )
    def create(self, request: Request) -> HttpResponseBase:
        """Launch a campaign, all or nothing. With `?dry_run=true`, return its matrix and price without creating it."""
        asked, user, at = brief(self.given), caller(request), clock.now()
        if self.query["dry_run"]:
            return Response(answers.priced(plan.make(plan.with_uploads(asked, user, at=at), user), user, at=at))

        def fetch() -> None:
            nonlocal asked
            asked = plan.with_uploads(asked, user, at=at)

        def submit() -> Made:
            # planned in here: a repeated request gets its first answer even if its values have been retired since
            planned = plan.make(asked, user)
            return answers.made(launch(planned, owner=user, at=at, actor=actor(request), key=key_of(request)), planned, request)

        needed = fetch if fetching.urls_in(asked.images) else None
        return once(request, status=201, do=submit, render=answers.with_forecast, prepare=needed)

    @call("campaigns_read", CampaignOut, 404, query=WaitQuery)
    def retrieve(self, request: Request, pk: int) -> HttpResponseBase:
        """
        Read one campaign: brief, combinations by status, cost, reviews and time until the last job. With `?wait=30`, the answer
        comes when its `seq` has passed `after` (by default: when one of its jobs changes), once all are finished, or after
        these seconds.
        """

        def look() -> waits.Seen:
            found = self.get_object()
            return waits.Seen(lambda: heard(pk), lambda: answers.campaign(found, request, at=clock.now()))

        return waits.until_changed(self, request, look, batch=pk)

    @call("campaigns_change", CampaignChangeOut, 404, body=BatchChange)
    def partial_update(self, request: Request, pk: int) -> Response:
        """
        Set a campaign's name, its limit, its budget, or its priority: that of its queued jobs and of later versions. Only staff
        can set a priority above 0, or raise a job above what it had: `not_raised` jobs keep theirs.
        """
        batch = self.get_object().batch
        if "budget_tickets" in self.given:
            keys.refuse_limited(key_of(request), "change the budget of other jobs", of=batch)
        changed = batches.change(batch, self.given, at=clock.now(), actor=caller(request), via=VIA)
        return Response({**_answer(pk, request), "not_raised": changed.not_raised})

    @call("campaigns_cancel", CampaignCancelOut, 404)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Cancel all unfinished jobs of the campaign where possible."""
        found = batches.cancel(self.get_object().batch, at=clock.now(), actor=caller(request), via=VIA)
        verdicts = {verdict.value: found[verdict] for verdict in lifecycle.CancelVerdict}
        return Response({**_answer(pk, request), "verdicts": verdicts})

    @call("campaigns_pause", CampaignOut, 404, body=PauseAsked)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: int) -> Response:
        """Pause the campaign. None of its queued jobs start; running jobs finish."""
        policy.pause_batch(self.get_object().batch, **self.given, at=clock.now(), actor=caller(request), via=VIA)
        return Response(_answer(pk, request))

    @call("campaigns_resume", CampaignOut, 404)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: int) -> Response:
        """Resume the campaign. Its queued jobs have kept their positions."""
        batch = self.get_object().batch
        keys.refuse_limited(key_of(request), "resume other jobs", of=batch)
        policy.resume_batch(batch, at=clock.now(), actor=caller(request), via=VIA)
        return Response(_answer(pk, request))

    @call("campaigns_retry_failed", CampaignOut, 402, 404, 409, 422, repeatable=True)
    @action(detail=True, methods=["post"], url_path="retry-failed")
    def retry_failed(self, request: Request, pk: int) -> HttpResponseBase:
        """Retry the failed combinations of the campaign at today's price, all or nothing."""
        campaign = self.get_object()

        def retry() -> Made:
            actions.retry_all(campaign, at=clock.now(), actor=caller(request), via=VIA, key=key_of(request))
            return {"campaign": campaign.pk}

        return once(request, status=200, do=retry, render=lambda _: _answer(pk, request))

    @call("campaigns_release", CampaignReleaseOut, 404, 409, 422, body=HeldAsked)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: int) -> Response:
        """
        Let combinations on hold run. A video of a storyboard starts from its still; without a completed still it stays on hold.
        Safe to repeat.
        """
        campaign = self.get_object()
        keys.refuse_limited(key_of(request), "release other jobs", of=campaign.batch)
        done = releases.release(campaign, self._chosen(campaign), at=clock.now(), by=caller(request), via=VIA)
        return Response({**_answer(pk, request), "released": asdict(done)})

    @call("campaigns_drop", CampaignDropOut, 404, body=HeldAsked)
    @action(detail=True, methods=["post"])
    def drop(self, request: Request, pk: int) -> Response:
        """Cancel combinations on hold, with their unfinished stills. Their tickets are returned. Safe to repeat."""
        campaign = self.get_object()
        done = releases.drop(campaign, self._chosen(campaign), at=clock.now(), by=caller(request), via=VIA)
        return Response({**_answer(pk, request), "dropped": asdict(done)})

    def _chosen(self, campaign: Campaign) -> Chosen:
        """:raises PlanRefused: a combination or a value is not one of the campaign."""
        if ids := self.given.get("combinations"):
            known = dict(campaign.combinations.filter(pk__in=ids).values_list("pk", "index"))
            if unknown := [one for one in ids if one not in known]:
                words = f"Combination {unknown[0]} is not part of this campaign."
                raise plan.PlanRefused([plan.Problem("combinations", words)])
            return Chosen(numbers=[*known.values()])
        values = self.given.get("values") or {}
        for key, value in values.items():
            if value not in campaign.dimensions.get(key, ()):
                words = f"The campaign has no “{value[:60]}” in “{key[:60]}”."
                raise plan.PlanRefused([plan.Problem(f"values.{key}", words)])
        return Chosen(values=values, everything=not values)

    @call("combinations_list", CombinationOut(many=True), 404, query=CombinationQuery)
    @action(detail=True, filterset_class=CombinationFilterSet, pagination_class=CombinationPages)
    def combinations(self, request: Request, pk: int) -> Response:
        """List the combinations of a campaign in matrix order, including blocked ones."""
        campaign = get_object_or_404(self.get_queryset(), pk=pk)  # `get_object` would filter campaigns
        rows: QuerySet[Any] = Combination.objects.filter(campaign=campaign).select_related("job", "still")
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(answers.combinations(page or [], request))


class CombinationViewSet(JsonViewSet[Combination]):
    """Read and review combinations."""

    def get_queryset(self) -> "QuerySet[Combination]":
        return Combination.objects.filter(campaign__in=_reachable(self.request).values("pk")).select_related("job", "still")

    @call("combinations_read", CombinationOut, 404)
    def retrieve(self, request: Request, pk: int) -> Response:
        """Read one combination."""
        return Response(answers.combinations([self.get_object()], request)[0])

    @call("combinations_judge", CombinationOut, 404, 409, body=ReviewAsked)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Review the version of a combination that counts, write a note, or both. Safe to repeat."""
        cell = self.get_object()
        verdict, note = (self.given[name] or "" if name in self.given else None for name in ("review", "note"))
        if verdict is None:
            review.write_note(cell, note or "", at=clock.now(), by=caller(request))
        else:
            review.judge(cell, verdict, at=clock.now(), by=caller(request), note=note)
        return Response(answers.combinations([Combination.objects.select_related("job", "still").get(pk=pk)], request)[0])


class DimensionViewSet(JsonViewSet[Dimension]):
    """List dimensions."""

    queryset = Dimension.objects.offered().with_values()
    pagination_class = OnePage

    @call("dimensions_list", DimensionOut(many=True))
    def list(self, request: Request) -> Response:
        """List what a campaign may vary, on one page: each dimension with its values."""
        return self.get_paginated_response([answers.dimension(row) for row in self.get_queryset()])


class BrandViewSet(JsonViewSet[Brand]):
    """List brands."""

    def get_queryset(self) -> "QuerySet[Brand]":
        return Brand.objects.of(caller(self.request))

    @call("brands_list", BrandOut(many=True), query=PageQuery)
    def list(self, request: Request) -> Response:
        """List the brands of your campaigns, newest first. Staff see all brands."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response([render(BrandOut, brand) for brand in page or []])


def _reachable(request: Request) -> "QuerySet[Campaign]":
    """Return the campaigns that the caller may read or, for an unsafe method, change (I35)."""
    user = caller(request)
    return Campaign.objects.of(user) if reaches_others(request) else Campaign.objects.filter(batch__owner=user)


def _whole(rows: "QuerySet[Campaign]") -> "QuerySet[Campaign]":
    return rows.select_related("batch__owner", "brand", "model")


def _answer(pk: int, request: Request) -> dict[str, Any]:
    """Return a campaign that has just been changed."""
    return answers.campaign(_whole(Campaign.objects.all()).get(pk=pk), request, at=clock.now())
