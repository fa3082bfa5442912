"""Addresses of the queue."""

from django.urls import URLPattern, URLResolver, include, path

from queue_app.api import docs, files, health
from queue_app.api.stream import Stream

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/queue/stream/", Stream.as_view(), name="queue-stream"),
    path("api/v1/", include("queue_app.api.urls")),
    path("api/schema/", docs.Schema.as_view(), name="api-schema"),
    path("api/docs/", docs.Docs.as_view(), name="api-docs"),
    path("files/<uuid:asset_id>/<str:name>", files.asset, name="asset"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
