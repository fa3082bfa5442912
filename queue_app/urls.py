"""Addresses of the queue."""

from django.urls import URLPattern, URLResolver, include, path

from queue_app import hooks
from queue_app.api.views import health
from queue_app.api.views.docs import DocsView, SchemaView
from queue_app.api.views.files import FileView, InputView, UploadView
from queue_app.api.views.queue import StreamView

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/queue/stream/", StreamView.as_view(), name="queue-stream"),
    path("api/v1/", include("queue_app.api.urls")),
    path("api/schema/", SchemaView.as_view(), name="api-schema"),
    path("api/docs/", DocsView.as_view(), name="api-docs"),
    path("files/<uuid:asset_id>/<str:name>", FileView.as_view(), name="asset"),
    path("uploads/<uuid:upload_id>/<str:name>", UploadView.as_view(), name="upload"),
    path("inputs/<str:token>/<str:name>", InputView.as_view(), name="input"),
    path("hooks/<str:account>/", hooks.receive, name="webhooks-of-account"),
    path("hooks/<str:account>/<str:token>", hooks.receive, name="webhooks-of-attempt"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
