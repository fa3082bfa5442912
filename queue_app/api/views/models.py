"""Models: price, parameters, free slots; staff set limits and pauses."""

from typing import Any

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock
from queue_app.api.authentication import caller
from queue_app.api.generics import JsonViewSet
from queue_app.api.pagination import OnePage
from queue_app.api.permissions import HasScope, MayEditLimitsOrReadOnly
from queue_app.api.schema import call
from queue_app.api.serializers.queue import SHARED_FOR, ModelOut, in_order, model
from queue_app.api.serializers.requests import ModelChange
from queue_app.insight import snapshot, waiting
from queue_app.insight.snapshot import Lane
from queue_app.models import ModelConcurrencyLimit
from queue_app.work import policy


class GenerationModelViewSet(JsonViewSet[ModelConcurrencyLimit]):
    """List and read models, set their limits."""

    queryset = ModelConcurrencyLimit.objects.filter(model__active=True)
    lookup_field, lookup_url_kwarg, lookup_value_converter = "model", "key", "str"
    pagination_class = OnePage

    def get_permissions(self) -> list[Any]:
        """Return the permissions of all calls. Unsafe methods of a single model need a wider scope and a right."""
        if self.detail:
            return [IsAuthenticated(), HasScope(to_write="manage"), MayEditLimitsOrReadOnly()]
        return [*super().get_permissions()]

    @call("models_list", ModelOut(many=True))
    def list(self, request: Request) -> Response:
        """List all active models on one page: price, allowed parameters, used and free slots."""
        return self.get_paginated_response([model(lane) for lane in in_order(_lanes())])

    @call("models_read", ModelOut, 404)
    def retrieve(self, request: Request, key: str) -> Response:
        """Read one model."""
        return Response(_answer(self.get_object()))

    @call("models_change", ModelOut, 404, body=ModelChange)
    def partial_update(self, request: Request, key: str) -> Response:
        """Set a model's limit, or pause it. Needs the `manage` scope and permission to edit limits. Applies to the next job."""
        limit = self.get_object()
        change = dict(self.given)
        reason, until = change.pop("reason", ""), change.pop("until", None)
        if "paused" in change:
            told = (reason, until) if change["paused"] else ("", None)
            change |= dict(zip(("paused_reason", "paused_until"), told, strict=True))
        policy.change(limit, at=clock.now(), actor=caller(request), reason=reason, **change)
        waiting.forget()
        return Response(_answer(limit))


def _lanes() -> list[Lane]:
    return snapshot.take(at=clock.now(), within=SHARED_FOR).lanes


def _answer(limit: ModelConcurrencyLimit) -> dict[str, Any]:
    return next(model(lane) for lane in _lanes() if lane.key == limit.pk)
