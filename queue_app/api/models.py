"""Calls about models: what can be bought, how many slots are free; staff set limits and pauses."""

from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock
from queue_app.api import queue_shapes, serializers
from queue_app.api.authentication import HasScope, MayEditLimits, caller
from queue_app.api.views import View, call, page_of
from queue_app.insight import snapshot, waiting
from queue_app.insight.snapshot import Lane
from queue_app.models import ModelConcurrencyLimit
from queue_app.work import policy


class Models(View):
    @call("models_list", page_of(queue_shapes.ModelOut, "Model"))
    def get(self, request: Request) -> Response:
        """List all active models on one page: price, allowed parameters, used and free slots."""
        models = [queue_shapes.model(lane) for lane in queue_shapes.in_order(_lanes())]
        return Response({"next": None, "previous": None, "results": models})


class ModelDetail(View):
    write_scope = "manage"

    def get_permissions(self) -> list[Any]:
        to_edit = [] if self.request.method in ("GET", "HEAD", "OPTIONS") else [MayEditLimits()]
        return [IsAuthenticated(), HasScope(), *to_edit]

    @call("models_read", queue_shapes.ModelOut, 404)
    def get(self, request: Request, key: str) -> Response:
        """Read one model."""
        limit = get_object_or_404(ModelConcurrencyLimit, model=key, model__active=True)
        return Response(_model(limit.pk))

    @call("models_change", queue_shapes.ModelOut, 404, body=serializers.ModelChange)
    def patch(self, request: Request, key: str) -> Response:
        """Set a model's limit, or pause it. Needs the `manage` scope and permission to edit limits. Applies to the next job."""
        limit = get_object_or_404(ModelConcurrencyLimit, model=key, model__active=True)
        change = dict(self.given)
        reason = change.pop("reason", "")
        if "paused" in change:
            change |= {"paused_reason": reason if change["paused"] else "", "paused_until": None}
        policy.change(limit, at=clock.now(), actor=caller(request), reason=reason, **change)
        waiting.forget()
        return Response(_model(limit.pk))


def _lanes() -> list[Lane]:
    return snapshot.take(at=clock.now(), within=queue_shapes.SHARED_FOR).lanes


def _model(key: str) -> dict[str, Any]:
    return next(queue_shapes.model(lane) for lane in _lanes() if lane.key == key)
