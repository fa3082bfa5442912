"""The schema, and the page that shows it."""

from typing import Any

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.request import Request

from queue_app.api.generics import StrictAPIView
from queue_app.api.schema import takes
from queue_app.api.serializers.base import Query


class SchemaQuery(Query):
    """The format, which ``Accept`` may say as well."""

    format = serializers.ChoiceField(["json", "yaml"], required=False)


class DocsQuery(Query):
    """The page, or its script."""

    script = serializers.CharField(required=False, allow_blank=True)


@extend_schema(exclude=True)
class SchemaView(StrictAPIView, SpectacularAPIView):
    """The OpenAPI document; public, it holds no data."""

    authentication_classes = []
    throttle_classes = []

    @takes(SchemaQuery)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return SpectacularAPIView.get(self, request, *args, **kwargs)


@extend_schema(exclude=True)
class DocsView(StrictAPIView, SpectacularSwaggerSplitView):
    """Swagger UI from our own origin, without inline script or style."""

    authentication_classes = []
    throttle_classes = []
    template_name = "api/docs.html"
    url_name = "api-schema"

    @takes(DocsQuery)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return SpectacularSwaggerSplitView.get(self, request, *args, **kwargs)
