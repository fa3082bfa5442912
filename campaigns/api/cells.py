"""Calls about the cells of a campaign: list, read, judge."""

from typing import Any

from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import review
from campaigns.api import answers, asked, calls, shapes
from campaigns.cells import BLOCKED
from campaigns.models import Combination
from campaigns.models.combination import TO_JUDGE
from queue_app import clock
from queue_app.api.authentication import caller
from queue_app.api.views import Pages, View, call, page_of
from queue_app.models.job import STATES_OF_STATUS


class Combinations(View):
    @call("combinations_list", page_of(shapes.CombinationOut, "Combination"), 404, query=asked.CombinationQuery)
    def get(self, request: Request, pk: int) -> Response:
        """List the combinations of a campaign in matrix order, including blocked ones."""
        campaign = get_object_or_404(calls.seen_by(request), pk=pk)
        found = Combination.objects.filter(_where(self.query), campaign=campaign).select_related("job")
        pages = Pages("index")
        rows = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response(answers.combinations(rows, request))


class CombinationDetail(View):
    @call("combinations_read", shapes.CombinationOut, 404)
    def get(self, request: Request, pk: int) -> Response:
        """Read one combination."""
        found = _cells(calls.seen_by(request).values("pk"))
        return Response(answers.combinations([get_object_or_404(found, pk=pk)], request)[0])

    @call("combinations_judge", shapes.CombinationOut, 404, 409, body=asked.ReviewAsked)
    def patch(self, request: Request, pk: int) -> Response:
        """Review the latest version of a combination, write a note, or both. Safe to repeat."""
        cell = get_object_or_404(_cells(calls.to_change(request).values("pk")), pk=pk)
        verdict, note = (self.given[name] or "" if name in self.given else None for name in ("review", "note"))
        if verdict is None:
            review.write_note(cell, note or "", at=clock.now(), by=caller(request))
        else:
            review.judge(cell, verdict, at=clock.now(), by=caller(request), note=note)
        cell = Combination.objects.select_related("job").get(pk=pk)
        return Response(answers.combinations([cell], request)[0])


def _cells(campaigns: Any) -> "QuerySet[Combination]":
    return Combination.objects.filter(campaign__in=campaigns).select_related("job")


def _where(query: dict[str, Any]) -> Q:
    where = Q()
    if status := query.get("status"):
        where &= Q(blocked=True) if status == BLOCKED else Q(job__state__in=STATES_OF_STATUS[status])
    if verdict := query.get("review"):
        where &= TO_JUDGE if verdict == "none" else Q(review=verdict)
    return where
