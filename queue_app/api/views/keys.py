"""The caller's own API keys: list, make, rename, renew, revoke."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from queue_app import clock
from queue_app.api.authentication import caller, key_of
from queue_app.api.generics import JsonViewSet
from queue_app.api.permissions import scopes
from queue_app.api.schema import call
from queue_app.api.serializers.base import PageQuery, render
from queue_app.api.serializers.keys import KeyAsked, KeyChange, KeyMadeOut, KeyOut
from queue_app.models import ApiKey
from queue_app.work import keys, ticket_budgets
from queue_app.work.keys import NewKey

_FACTS = ["id", "name", "token_key", "scopes", "created", "expiry", "last_used_at", "last_used_from", "revoked_at"]


class KeyViewSet(JsonViewSet[ApiKey]):
    """List, create, rename, renew and revoke your API keys."""

    def get_queryset(self) -> "QuerySet[ApiKey]":
        return keys.of(caller(self.request))

    @call("keys_list", KeyOut(many=True), query=PageQuery)
    def list(self, request: Request) -> Response:
        """List your keys, newest first: valid ones, and those revoked or expired within 30 days."""
        page = self.paginate_queryset(self.get_queryset())
        budgets = ticket_budgets.daily_of(page or [])
        return self.get_paginated_response([_answer(KeyOut, key, request, budgets) for key in page or []])

    @call(
        "keys_create",
        KeyMadeOut,
        409,
        status=201,
        body=KeyAsked,
        examples={
            "A key for a program": {
                "name": "render farm",
                "scopes": ["read"],
                "expires_at": "2030-01-01T00:00:00Z",
                "budget_tickets_per_day": 120,
            }
        },
    )
    def create(self, request: Request) -> Response:
        """
        Create a key. `key` holds the key itself, this once. A key creates none with more scopes or a later end than its own, and
        one with a ticket budget creates none. You can have 50 valid keys, and create 20 within an hour.
        """
        by, asked = key_of(request), self.given
        own = tuple(scope for scope in ("read", "submit") if scope in scopes(request))
        new = NewKey(
            name=asked.get("name", ""),
            scopes=tuple(asked.get("scopes", own)),
            expires_at=asked.get("expires_at", by and by.expiry),
            budget=asked.get("budget_tickets_per_day"),
        )
        row, key = keys.make(caller(request), new, at=clock.now(), actor=caller(request), by=by)
        headers = {"Location": reverse("api:key-detail", [row.pk], request=request), "Cache-Control": "no-store"}
        return Response(_answer(KeyMadeOut, row, request, key=key), status=201, headers=headers)

    @call("keys_read", KeyOut, 404)
    def retrieve(self, request: Request, pk: int) -> Response:
        """Read one of your keys."""
        return Response(_answer(KeyOut, self.get_object(), request))

    @call("keys_change", KeyOut, 404, 409, body=KeyChange)
    def partial_update(self, request: Request, pk: int) -> Response:
        """
        Rename a key, move its end, or set its budget. A key changes none with more scopes than its own, and one with a budget
        changes no budget.
        """
        values, by = dict(self.given), key_of(request)
        if "budget_tickets_per_day" in values:
            values["budget"] = values.pop("budget_tickets_per_day")
        row = keys.change(self.get_object(), values, at=clock.now(), actor=caller(request), by=by)
        return Response(_answer(KeyOut, row, request))

    @call("keys_revoke", OpenApiResponse(description="Revoked, now or before."), 404, status=204)
    def destroy(self, request: Request, pk: int) -> Response:
        """Revoke a key forever. It stays listed for 30 days. A key revokes none with more scopes than its own."""
        keys.revoke(self.get_object(), at=clock.now(), actor=caller(request), by=key_of(request))
        return Response(status=204)


def _answer(
    shape: type[KeyOut], row: ApiKey, request: Request, budgets: Mapping[int, int] | None = None, **once: str
) -> dict[str, Any]:
    by, budgets = key_of(request), ticket_budgets.daily_of([row]) if budgets is None else budgets
    facts = {name: getattr(row, name) for name in _FACTS} | {"budget_tickets_per_day": budgets.get(row.pk)}
    return render(shape, {**facts, "current": by is not None and by.pk == row.pk, **once})
