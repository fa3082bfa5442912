"""Job types."""

from rest_framework.request import Request
from rest_framework.response import Response

from queue_app.api.authentication import caller
from queue_app.api.generics import JsonViewSet
from queue_app.api.pagination import OnePage
from queue_app.api.schema import call
from queue_app.api.serializers.base import render
from queue_app.api.serializers.queue import KindOut
from queue_app.models import Kind
from queue_app.work import intake

_OF_THE_ROW = (
    *("key", "label", "medium", "restricted", "default_priority", "max_concurrent", "timeout_seconds", "max_attempts"),
    *("backoff", "retry_base_seconds", "retry_cap_seconds", "files_kept_days"),
)


class KindViewSet(JsonViewSet[Kind]):
    """List job types."""

    queryset = Kind.objects.order_by("key")
    pagination_class = OnePage

    @call("kinds_list", KindOut(many=True))
    def list(self, request: Request) -> Response:
        """List all job types on one page, and whether you may submit jobs of them."""
        user = caller(request)
        facts = (
            {name: getattr(kind, name) for name in _OF_THE_ROW} | {"allowed": not intake.restriction(kind, user)}
            for kind in self.get_queryset()
        )
        return self.get_paginated_response([render(KindOut, one) for one in facts])
