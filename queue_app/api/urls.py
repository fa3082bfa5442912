"""Addresses below ``/api/v1/``."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from queue_app.api.views.batches import BatchViewSet
from queue_app.api.views.bulk import BulkActionViewSet
from queue_app.api.views.endpoints import WebhookEndpointViewSet
from queue_app.api.views.jobs import JobViewSet
from queue_app.api.views.keys import KeyViewSet
from queue_app.api.views.kinds import KindViewSet
from queue_app.api.views.models import GenerationModelViewSet
from queue_app.api.views.queue import QueueView
from queue_app.api.views.uploads import UploadViewSet
from queue_app.api.views.usage import UsageView
from queue_app.api.views.wallet import WalletEntriesView, WalletView

router = SimpleRouter(use_regex_path=False)
router.register("jobs", JobViewSet, basename="job")
router.register("batches", BatchViewSet, basename="batch")
router.register("bulk-actions", BulkActionViewSet, basename="bulk-action")
router.register("kinds", KindViewSet, basename="kind")
router.register("uploads", UploadViewSet, basename="upload")
router.register("keys", KeyViewSet, basename="key")
router.register("models", GenerationModelViewSet, basename="model")
router.register("webhook-endpoints", WebhookEndpointViewSet, basename="webhook-endpoint")

app_name = "api"
urlpatterns = [
    *router.urls,
    path("queue/", QueueView.as_view(), name="queue"),
    path("usage/", UsageView.as_view(), name="usage"),
    path("wallet/", WalletView.as_view(), name="wallet"),
    path("wallet/entries/", WalletEntriesView.as_view(), name="wallet-entries"),
]
