"""The caller's own tickets."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import tickets
from queue_app.api.authentication import caller
from queue_app.api.generics import JsonAPIView
from queue_app.api.pagination import CursorPages
from queue_app.api.schema import call
from queue_app.api.serializers.base import PageQuery, render
from queue_app.api.serializers.batches import WalletEntryOut, WalletOut
from queue_app.models import LedgerEntry, LedgerTransaction


class WalletView(JsonAPIView):
    @call("wallet_read", WalletOut)
    def get(self, request: Request) -> Response:
        """Read your tickets: available, reserved, charged and refunded."""
        return Response(render(WalletOut, tickets.balances(caller(request))))


class WalletEntriesView(JsonAPIView, GenericAPIView[LedgerTransaction]):
    pagination_class = CursorPages

    def get_queryset(self) -> QuerySet[LedgerTransaction]:
        sides = (LedgerEntry.Side.AVAILABLE, LedgerEntry.Side.RESERVED)
        legs = Prefetch("entries", LedgerEntry.objects.filter(side__in=sides))
        mine = LedgerTransaction.objects.filter(wallet__owner=caller(self.request))
        return mine.select_related("reservation").prefetch_related(legs)

    @call("wallet_entries", WalletEntryOut(many=True), query=PageQuery)
    def get(self, request: Request) -> Response:
        """List all movements of your tickets, newest first."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response([render(WalletEntryOut, _entry(row)) for row in page or []])


def _entry(row: LedgerTransaction) -> dict[str, Any]:
    moved = {leg.side: leg.amount for leg in row.entries.all()}  # prefetched: those of the user's own sides
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
