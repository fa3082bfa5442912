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
from queue_app.api.serializers.base import render
from queue_app.api.serializers.queue import ModelOut
from queue_app.api.serializers.requests import ModelChange
from queue_app.insight import board, waiting
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
        return self.get_paginated_response([render(ModelOut, line) for line in board.models(at=clock.now())])

    @call("models_read", ModelOut, 404)
    def retrieve(self, request: Request, key: str) -> Response:
        """Read one model."""
        return Response(_answer(self.get_object()))

    @call("models_change", ModelOut, 404, body=ModelChange)
    def partial_update(self, request: Request, key: str) -> Response:
        """Set a model's limit, or pause it. Needs the `manage` scope and permission to edit limits. Applies to the next job."""
        limit = self.get_object()
        change = dict(self.given)
        reason = change.pop("reason", "")
        if "paused" in change:
            change |= {"paused_reason": reason if change["paused"] else "", "paused_until": None}
        policy.change(limit, at=clock.now(), actor=caller(request), reason=reason, **change)
        waiting.forget()
        return Response(_answer(limit))


def _answer(limit: ModelConcurrencyLimit) -> dict[str, Any]:
    line = next(line for line in board.models(at=clock.now()) if line.key == limit.pk)
    return render(ModelOut, line)
