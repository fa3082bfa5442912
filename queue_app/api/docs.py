"""The schema and its pages."""

from typing import Any

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.request import Request

from queue_app.api.reading import Query
from queue_app.api.views import Strict, takes


class SchemaQuery(Query):
    """In which format; ``Accept`` says it as well."""

    format = serializers.ChoiceField(["json", "yaml"], required=False)


class DocsQuery(Query):
    """Whether the page is asked for, or its script."""

    script = serializers.CharField(required=False, allow_blank=True)


@extend_schema(exclude=True)
class Schema(Strict, SpectacularAPIView):
    """The OpenAPI document; public, it holds no data."""

    authentication_classes = []
    throttle_classes = []

    @takes(SchemaQuery)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]


@extend_schema(exclude=True)
class Docs(Strict, SpectacularSwaggerSplitView):
    """Swagger UI from our own origin, without inline script or style."""

    authentication_classes = []
    throttle_classes = []
    template_name = "api/docs.html"
    url_name = "api-schema"

    @takes(DocsQuery)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
