"""The caller's own tickets."""

from typing import Any

from django.db.models import Prefetch
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import tickets
from queue_app.api import reading, shapes
from queue_app.api.authentication import caller
from queue_app.api.views import Pages, View, call, page_of
from queue_app.models import LedgerEntry, LedgerTransaction


class WalletDetail(View):
    @call("wallet_read", shapes.WalletOut)
    def get(self, request: Request) -> Response:
        """Read your tickets: available, reserved, charged and refunded."""
        return Response(shapes.render(shapes.WalletOut, tickets.balances(caller(request))))


class WalletEntries(View):
    @call("wallet_entries", page_of(shapes.WalletEntryOut, "WalletEntry"), query=reading.PageQuery)
    def get(self, request: Request) -> Response:
        """List all movements of your tickets, newest first."""
        sides = (LedgerEntry.Side.AVAILABLE, LedgerEntry.Side.RESERVED)
        legs = Prefetch("entries", LedgerEntry.objects.filter(side__in=sides), to_attr="legs")
        mine = LedgerTransaction.objects.filter(wallet__owner=caller(request))
        pages = Pages("-id")
        rows = pages.paginate_queryset(mine.select_related("reservation").prefetch_related(legs), request, view=self) or []
        return pages.get_paginated_response([shapes.render(shapes.WalletEntryOut, _entry(row)) for row in rows])


def _entry(row: LedgerTransaction) -> dict[str, Any]:
    moved = {leg.side: leg.amount for leg in row.legs}  # type: ignore[attr-defined]  # prefetched above
    return {
        "id": row.pk,
        "at": row.at,
        "kind": row.kind,
        "available": moved.get(LedgerEntry.Side.AVAILABLE, 0),
        "reserved": moved.get(LedgerEntry.Side.RESERVED, 0),
        "job": row.reservation.job_id if row.reservation else None,
        "actor": row.actor,
        "reason": row.reason,
    }
