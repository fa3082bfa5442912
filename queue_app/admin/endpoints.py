"""Webhook endpoints of users: their state and deliveries, without secrets. Operators turn one off with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString

from queue_app import clock
from queue_app.insight import deliveries
from queue_app.insight.deliveries import DeliveryDay, DeliveryStatus
from queue_app.models import OutboxMessage, WebhookEndpoint
from queue_app.models.outbox import OFF_REASON_MOST
from queue_app.ui import display, pages
from queue_app.ui.access import staff
from queue_app.ui.model_admin import ReadOnlyAdmin, column
from queue_app.work import endpoints
from queue_app.work.endpoints import EndpointRefused
from queue_app.work.roles import Right

SHOWN = 50  # deliveries on the page of an endpoint
_LOOKS = {
    DeliveryStatus.DELIVERED: ("completed", "Delivered"),
    DeliveryStatus.WAITING: ("queued", "Waiting"),
    DeliveryStatus.FAILED: ("failed", "Failed"),
}


@dataclass(frozen=True)
class EndpointLine:
    """An endpoint in the list, with its deliveries of 24 hours."""

    endpoint: WebhookEndpoint
    day: DeliveryDay

    @column("Delivered, 24 hours")
    def delivered(self) -> str:
        return f"{self.day.delivered:,} of {self.day.total:,}" if self.day.total else "–"


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin[WebhookEndpoint]):
    title = "Webhook endpoints"
    empty = "Users add endpoints on their page Webhooks or by API. Genqueue calls them when jobs and campaigns finish."
    change_form_template = "admin/queue_app/webhookendpoint/change_form.html"
    list_display = ("line", "owner", "state", "told", EndpointLine.delivered)
    list_filter = ("active",)
    list_select_related = ("owner",)
    search_fields = ("owner__username", "description")  # not the URL: guesses would find out its query
    search_help_text = "Owner or address"
    ordering = ("-id",)
    fields = ("address", "description", "owner", "state", "told", "off_reason", "failing_since", "created_at")
    readonly_fields = fields

    def rows(self, found: Sequence[WebhookEndpoint]) -> list[EndpointLine]:
        days = deliveries.days(found, at=clock.now())
        return [EndpointLine(one, days[one.pk]) for one in found]

    @admin.display(description="Endpoint")
    def line(self, endpoint: WebhookEndpoint) -> str:
        return display.with_sub(str(endpoint), endpoint.address if endpoint.description else "")

    @admin.display(description="Address")
    def address(self, endpoint: WebhookEndpoint) -> str:
        return endpoint.address

    @admin.display(description="Status")
    def state(self, endpoint: WebhookEndpoint) -> SafeString:
        if not endpoint.active:
            return display.badge("cancelled", "Off", "pause")
        return display.badge("failed", "Failing") if endpoint.failing_since else display.badge("completed", "On")

    @admin.display(description="Events")
    def told(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.events)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        endpoint = self.get_object(request, object_id)
        shown: dict[str, Any] = {"title": "Webhook endpoint", "at": clock.now(), "reason_most": OFF_REASON_MOST // 2}
        if endpoint is not None:
            sent = endpoint.messages.select_related("job", "batch").prefetch_related("log").order_by("-id")
            shown["deliveries"] = [(one, display.badge(*_LOOKS[deliveries.status(one)]), _last(one)) for one in sent[:SHOWN]]
            shown["may_stop"] = endpoint.active and request.user.has_perm(Right.OPERATE)
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})


def stop(request: HttpRequest, object_id: str) -> HttpResponse:
    """
    Turn off an endpoint for a reason, which its owner sees.

    :raises PermissionDenied: without the right to operate the queue.
    """
    if not request.user.has_perm(Right.OPERATE):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    endpoint = WebhookEndpoint.objects.filter(pk=object_id).first()
    if endpoint is None:
        return pages.not_there(request, WebhookEndpoint._meta, object_id)
    reason = request.POST.get("reason", "")[: OFF_REASON_MOST // 2]
    try:
        endpoints.stop(endpoint, at=clock.now(), actor=staff(request), reason=reason)
    except EndpointRefused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Endpoint turned off. Its owner is told why.")
    return HttpResponseRedirect(reverse("admin:queue_app_webhookendpoint_change", args=[endpoint.pk]))


def _last(message: OutboxMessage) -> str:
    """Return the last answer in words; empty before the first."""
    tries = list(message.log.all())
    return f"{tries[-1].status or 'No answer'} in {tries[-1].seconds:.2f}s" if tries else message.last_error
